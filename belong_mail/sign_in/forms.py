"""The sign-in form: an address."""

from flask_babel import lazy_gettext as _l
from wtforms import EmailField, SubmitField
from wtforms.validators import DataRequired, Length

from belong_mail.forms import OpenForm, strip, well_formed


class SignInForm(OpenForm):
    email = EmailField(
        _l("Your email address"),
        filters=[strip],
        validators=[DataRequired(_l("Enter your email address.")), Length(max=254), well_formed],
    )
    submit = SubmitField(_l("Send me the link"))
