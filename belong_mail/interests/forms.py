"""The form of an upcoming group: one field, and the language of the one mail."""

from flask_babel import get_locale
from flask_babel import lazy_gettext as _l
from wtforms import EmailField, RadioField, SelectChoice, SubmitField
from wtforms.validators import DataRequired, Length

from belong_mail import languages
from belong_mail.forms import OpenForm, staff_address, strip
from belong_mail.subscriptions.service import Wanted


class TellMeForm(OpenForm):
    email = EmailField(
        _l("Your work email address"),
        description=_l("Best is an address that only you read."),
        filters=[strip],
        validators=[DataRequired(_l("Enter your email address.")), Length(max=254), staff_address],
    )
    language = RadioField(
        _l("Language of our mails"),
        choices=[SelectChoice(code, name) for code, name in languages.NAMES.items()],
        default=lambda: str(get_locale()),
    )
    submit = SubmitField(_l("Tell me when it starts"))

    def wanted(self) -> Wanted:
        return Wanted(address=self.email.data or "", language=languages.known(self.language.data))
