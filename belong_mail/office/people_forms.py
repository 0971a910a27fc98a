"""The office's forms about people: whom to invite, who takes over, what they are called."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    Field,
    Form,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    SubmitField,
    ValidationError,
)
from wtforms.validators import DataRequired, InputRequired, Length, StopValidation
from wtforms.widgets import CheckboxInput, ListWidget

from belong_mail.accounts.models import Account
from belong_mail.accounts.people import Successor, WantedColleague
from belong_mail.core.i18n import DEFAULT
from belong_mail.groups.models import Group
from belong_mail.web.forms import (
    BaseForm,
    Validator,
    email_field,
    language_field,
    one_line,
    staff_address,
    strip,
)

NAME_HINT = _l(
    "A first name or initials and a school, so that you recognize the person. This site can’t show"
    " email addresses. Unlike those, the name is stored unencrypted. Other leaders of the group"
    " read it beside the newsletters that this person wrote or sent."
)


def _name_field(required: Validator, description: object) -> StringField:
    return StringField(
        _l("What you call this person"),
        description=description,
        filters=[strip],
        validators=[
            required,
            Length(max=80, message=_l("Use at most 80 characters.")),
            one_line,
            no_address,
        ],
    )


def no_address(_form: Form, field: Field) -> None:
    """Refuse an address: it would be stored in the clear."""
    if "@" in (field.data or ""):
        raise ValidationError(_("Enter a name, not an email address."))


class NameForm(BaseForm):
    name = _name_field(DataRequired(_l("Enter a name.")), NAME_HINT)
    submit = SubmitField(_l("Save"))


# What the list of people says of who is not in it.
SOMEONE_NEW = "new"


def if_new(words: object) -> Validator:
    """Let a field be needed, and read, for somebody new alone."""

    def check(form: Form, field: Field) -> None:
        if form["to"].data != SOMEONE_NEW:
            raise StopValidation
        if not field.data:
            raise StopValidation(str(words))

    return check


class HandOverForm(BaseForm):
    """Names who takes a group over: somebody of the list, or a new address."""

    to = SelectField(
        _l("Who takes over?"), validators=[InputRequired(_l("Choose someone, or “Someone new”."))]
    )
    name = _name_field(
        if_new(_l("Enter a name.")),
        _l("Only for someone new. A first name or initials and a school."),
    )
    email = email_field(
        _l("Their %(district_short)s email address"),
        if_new(_l("Enter their email address.")),
        staff_address,
        _l("Only for someone new."),
    )
    language = language_field(_l("Language of the invitation"), lambda: DEFAULT)
    submit = SubmitField(_l("Hand over"))

    def offer(self, people: list[Account]) -> None:
        """Let one of these be chosen, or somebody new."""
        named = [SelectChoice(each.public_id, each.name or _("No name yet")) for each in people]
        self.to.choices = [
            SelectChoice("", _("Choose …")),
            *named,
            SelectChoice(SOMEONE_NEW, _("Someone new")),
        ]

    def successor(self) -> Successor:
        """Return who was chosen."""
        if self.to.data != SOMEONE_NEW:
            return Successor(account=self.to.data)
        language = self.language.data or DEFAULT
        return Successor("", self.name.data or "", self.email.data or "", language)


class InviteForm(BaseForm):
    """Invites one person for several groups, for the office, or for both."""

    name = _name_field(DataRequired(_l("Enter a name.")), NAME_HINT)
    email = email_field(
        _l("Their %(district_short)s email address"),
        DataRequired(_l("Enter their email address.")),
        staff_address,
    )
    groups = SelectMultipleField(
        _l("Which groups will they lead?"),
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    office = BooleanField(
        _l("Work for the %(program_name)s office"),
        description=_l(
            "They’ll have these pages, as you do: groups, leaders, and messages to the office."
        ),
    )
    language = language_field(_l("Language of the invitation"), lambda: DEFAULT)
    submit = SubmitField(_l("Send the invitation"))

    @classmethod
    def about(cls, groups: list[Group], slug: str) -> "InviteForm":
        """Make the form; the group that the page came from is chosen already."""
        form = cls(groups=[each.public_id for each in groups if each.slug == slug])
        form.groups.choices = [SelectChoice(each.public_id, each.name) for each in groups]
        return form

    def validate_groups(self, field: Field) -> None:
        if not field.data and not self.office.data:
            raise ValidationError(_("Choose at least one group, or the office."))

    def wanted(self) -> WantedColleague:
        """Return who is to be invited to what."""
        return WantedColleague(
            name=self.name.data or "",
            address=self.email.data or "",
            language=self.language.data or DEFAULT,
            groups=self.groups.data or [],
            office=bool(self.office.data),
        )
