"""The sign-in form: an address; and the button to have a link emailed."""

from flask_babel import lazy_gettext as _l
from wtforms import EmailField, SubmitField
from wtforms.validators import DataRequired, Length

from belong_mail.web.forms import BaseForm, PublicForm, strip, well_formed


class SignInForm(PublicForm):
    email = EmailField(
        _l("Your email address"),
        filters=[strip],
        validators=[
            DataRequired(_l("Enter your email address.")),
            Length(max=254, message=_l("Use at most 254 characters.")),
            well_formed,
        ],
    )
    submit = SubmitField(_l("Send me the link"))


class ProofForm(BaseForm):
    """The button that has a link emailed."""
