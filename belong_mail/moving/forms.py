"""The form for a new address."""

from flask_babel import lazy_gettext as _l
from wtforms import EmailField, SubmitField
from wtforms.validators import DataRequired, Length

from belong_mail.forms import KeptForm, staff_address, strip


class MoveForm(KeptForm):
    """Sent from behind a mailed link, whose secret is the authority."""

    class Meta:
        csrf = False

    email = EmailField(
        _l("Your new work email address"),
        description=_l("We mail it a link. Nothing changes until you press the button there."),
        filters=[strip],
        validators=[DataRequired(_l("Enter your email address.")), Length(max=254), staff_address],
    )
    submit = SubmitField(_l("Send a link to the new address"))
