"""The sign-in form: an address; and the button to have a link emailed."""

from wtforms import HiddenField, SubmitField
from wtforms.validators import DataRequired, Length

from belong_mail.web.forms import BaseForm, PublicForm, email_field, line_field, well_formed
from belong_mail.web.language import lazy_gettext as _l


class SignInForm(PublicForm):
    email = email_field(
        _l("Your email address"), DataRequired(_l("Enter your email address.")), well_formed
    )
    submit = SubmitField(_l("Send me the link"))


class ProofForm(BaseForm):
    """The button that has a link emailed."""


class PasskeySignInForm(PublicForm):
    """What a browser has signed, as our script writes it."""

    answer = HiddenField()


class PasskeyForm(BaseForm):
    """Names a new passkey, and brings what the browser has made."""

    name = line_field(
        _l("What do you call this passkey?"),
        DataRequired(_l("Enter a name.")),
        Length(max=60, message=_l("Use at most 60 characters.")),
        _l("So that you recognize it later. For example: My phone"),
    )
    answer = HiddenField()
    submit = SubmitField(_l("Create the passkey"))
    not_added = _l("That didn’t work. Please try again.")
