"""Forms to sign in, to add a passkey, and to enter a name."""

from babel.support import LazyProxy
from flask import request
from sqlalchemy.orm import Session
from wtforms import Field, Form, HiddenField, StringField, SubmitField, ValidationError
from wtforms.validators import DataRequired

from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.web.forms import (
    BaseForm,
    PublicForm,
    email_field,
    line_field,
    well_formed,
)
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l


def no_address(_form: Form, field: Field) -> None:
    """Refuse an email address, as the field is stored unencrypted."""
    if "@" in (field.data or ""):
        raise ValidationError(_("Enter a name, not an email address."))


def name_field(label: LazyProxy, hint: LazyProxy) -> StringField:
    """Return a field for the name that the office and colleagues see."""
    return line_field(label, DataRequired(_l("Enter a name.")), 80, no_address, hint=hint)


class OwnNameForm(BaseForm):
    """Asks for a name at the first sign-in, unless the account has one.

    The emailed link is the authority.
    """

    class Meta:
        csrf = False

    name = name_field(
        _l("What should we call you?"),
        _l(
            "A first name, or initials and a school. The office and the other leaders of your group"
            " see it. Unlike your email address, it’s stored unencrypted."
        ),
    )

    def __init__(self, account: Account) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Leave the field out if the posted page did not have it.
        if account.name or (request.method == "POST" and "name" not in request.form):
            del self.name

    def name_it(self, session: Session, account: Account) -> None:
        if "name" in self and self.name.data:
            accounts.rename(session, account, self.name.data, by=account)


class SignInForm(PublicForm):
    email = email_field(
        _l("Your email address"), DataRequired(_l("Enter your email address.")), well_formed
    )
    submit = SubmitField(_l("Send me the link"))


class PasskeySignInForm(PublicForm):
    """An authenticator's response, as JSON from our script."""

    answer = HiddenField()


class PasskeyForm(BaseForm):
    """A name for a new passkey, and the authenticator's response."""

    name = line_field(
        _l("What do you call this passkey?"),
        DataRequired(_l("Enter a name.")),
        60,
        hint=_l("So that you recognize it later. For example: My phone"),
    )
    answer = HiddenField()
    submit = SubmitField(_l("Create the passkey"))
    not_added = _l("That didn’t work. Please try again.")
