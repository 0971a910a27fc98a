"""The office's forms, except those about a group."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from babel.support import LazyProxy
from flask_wtf.file import FileField
from sqlalchemy.orm import Session
from wtforms import (
    Field,
    Form,
    RadioField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    SubmitField,
    ValidationError,
)
from wtforms.validators import DataRequired, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from belong_mail.accounts.forms import name_field
from belong_mail.accounts.jobs import InviteColleague
from belong_mail.accounts.models import OFFICE, Account
from belong_mail.core import site_settings
from belong_mail.core.audit import Kind
from belong_mail.core.i18n import DEFAULT, at_start
from belong_mail.core.services import Settings
from belong_mail.core.site_settings import EDITABLE
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.header_words import change_site_words, found_phrase
from belong_mail.groups.models import Group
from belong_mail.leads.forms import one_a_line
from belong_mail.members.address_list import (
    MAX_FILE_OCTETS,
    AddressList,
    UnusableFile,
    read_addresses,
)
from belong_mail.members.service import BAR, LET_IN, REMOVE
from belong_mail.office.group_forms import short_list
from belong_mail.office.trail import REWORDED
from belong_mail.web.context import services
from belong_mail.web.forms import (
    BaseForm,
    LocalDateField,
    email_field,
    language_field,
    line_field,
    message_field,
    staff_address,
    text_field,
    well_formed,
)
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l

# Bytes of the file and of the rest of its form.
MAX_BODY: Final = MAX_FILE_OCTETS + 64 * 1024
REFUSALS = {
    "video_url": gettext_noop("Enter a web address that starts with https://."),
    "help_lines": gettext_noop(
        "Enter each line as name, phone number and web address, like 988 Lifeline 988"
        " https://988lifeline.org."
    ),
    "postal_address": gettext_noop("Enter one line, without a link or an email address."),
}


NAME_HINT = _l(
    "A first name or initials, and a school. Other leaders see it, and it’s stored unencrypted."
)


class NameForm(BaseForm):
    name = name_field(_l("What you call this person"), NAME_HINT)
    submit = SubmitField(_l("Save"))


class InviteForm(BaseForm):
    """Invites one person to lead groups, to work for the office, or both."""

    name = name_field(_l("What you call this person"), NAME_HINT)
    email = email_field(
        _l("Their %(district_short)s email address"),
        DataRequired(_l("Enter their email address.")),
        staff_address,
    )
    groups = SelectMultipleField(
        _l("Which groups will they lead?"),
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
        validators=[DataRequired(_l("Choose at least one group, or the office."))],
    )
    language = language_field(_l("Language of the invitation"), lambda: DEFAULT)
    submit = SubmitField(_l("Send the invitation"))
    # The only group to choose, if the page was opened from a group's page.
    only: Group | None = None

    @classmethod
    def about(cls, groups: list[Group], slug: str) -> "InviteForm":
        """Build the form, with the group of this slug as the only one, if any."""
        form = cls()
        office = SelectChoice(OFFICE, _("Work for the %(program_name)s office, with these pages"))
        led = [SelectChoice(each.public_id, each.name) for each in groups]
        form.groups.choices = [*led, office]
        form.only = next((each for each in groups if each.slug == slug), None)
        if form.only:
            del form.groups
        return form

    def asked(self, by: Account) -> InviteColleague:
        return InviteColleague(
            by=by.public_id,
            name=self.name.data or "",
            address=self.email.data or "",
            language=self.language.data or DEFAULT,
            rights=[self.only.public_id] if self.only else self.groups.data or [],
        )


class AnswerForm(BaseForm):
    answer = message_field(_l("Your answer"), DataRequired(_l("Write your answer.")))
    submit = SubmitField(_l("Post your answer"))


class RemovalForm(BaseForm):
    group = SelectField(_l("Group"), validators=[DataRequired(_l("Choose a group."))])
    email = email_field(
        _l("Email address"),
        DataRequired(_l("Enter an email address.")),
        well_formed,
        _l("One address. This site doesn’t show it to anyone, and doesn’t keep it."),
    )
    # Each choice is a button; the Enter key presses the first.
    what = RadioField(
        choices=lambda: [
            SelectChoice(REMOVE, _("Remove")),
            SelectChoice(BAR, _("Remove, and don’t let it join again")),
            SelectChoice(LET_IN, _("Let it join again")),
        ],
        default=REMOVE,
    )

    def offer(self, groups: list[Group]) -> None:
        """Set the groups that can be chosen."""
        listed = [SelectChoice(each.slug, each.name) for each in groups]
        self.group.choices = [SelectChoice("", ""), *listed]


class ImportForm(BaseForm):
    file = FileField(
        _l("CSV file"),
        description=_l(
            "A Google Form’s responses or a Google Group’s members, without those who answered"
            " “No.” Up to 50,000 rows and 8 MB."
        ),
    )
    language = language_field(_l("Language of the emails"), lambda: DEFAULT)
    submit = SubmitField(_l("Check the file"))
    # The addresses read from the file, if the form is valid.
    found: AddressList | None = None

    def validate_file(self, field: Field) -> None:
        """Read the file in memory; it is stored nowhere."""
        if not field.data:
            raise ValidationError(_("Choose a file."))
        content = field.data.read(MAX_FILE_OCTETS + 1)
        try:
            self.found = read_addresses(content, services().settings.staff)
        except UnusableFile as error:
            raise ValidationError(_(error.fault.value)) from None


class TrailForm(BaseForm):
    """A search in the audit trail, sent by GET."""

    class Meta:
        csrf = False

    group = SelectField(_l("Group"), validators=[Optional()])
    kind = SelectField(_l("What was done"), validators=[Optional()])
    since = LocalDateField(_l("On or after"), validators=[Optional()])
    until = LocalDateField(_l("On or before"), validators=[Optional()])

    def offer(self, groups: Mapping[str, str]) -> None:
        """Set the choices, sorted by label."""
        everything = ("", _("All"))
        kinds = {str(kind): kind_in_words(kind) for kind in Kind}
        for field, choices in ((self.group, groups), (self.kind, kinds)):
            in_order = sorted(choices.items(), key=lambda each: each[1].casefold())
            field.choices = [everything, *in_order]

    def wanted(self) -> dict[str, Any]:
        """Return the search; an empty one if the form is invalid."""
        return {field.name: field.data for field in self if field.data} if self.validate() else {}

    @property
    def is_empty(self) -> bool:
        return not any(field.data for field in self)

    def query(self) -> dict[str, str]:
        """Return the search as query arguments, for links to the other pages."""
        return {field.name: str(field.data) for field in self if field.data}


def kind_in_words(kind: str) -> str:
    """Return a kind of entry in the page's language."""
    return at_start(_(REWORDED.get(kind, kind)))


def fits_setting(_form: Form, field: Field) -> None:
    """Accept a value that the environment could have; links only with https."""
    value = field.data or ""
    try:
        site_settings.parse(services().settings, field.name, value)
        is_right = field.name != "video_url" or value.startswith("https://")
    except ValueError:
        is_right = False
    if not is_right:
        raise ValidationError(_(REFUSALS[field.name]))


def setting_field(label: LazyProxy, hint: LazyProxy) -> StringField:
    """Return a one-line field for a setting."""
    return line_field(label, Optional(), 200, fits_setting, hint=hint)


class SettingsForm(BaseForm):
    """Settings that the office may change; an empty field restores the default."""

    video_url = setting_field(
        _l("Link to the office’s video"), _l("On the list of groups. It begins with https://.")
    )
    help_lines = text_field(
        _l("Help lines"),
        Optional(),
        1000,
        fits_setting,
        hint=_l(
            "One per line: name, phone number, web address. The last is for anyone in a crisis,"
            " those before it for students’ safety."
        ),
        clean=one_a_line,
    )
    postal_address = setting_field(
        _l("Postal address below each email"),
        _l("One line, without a link or an email address."),
    )
    words = text_field(
        _l("Words that discreet groups’ emails don’t show"),
        Optional(),
        4000,
        short_list,
        hint=_l(
            "One per line, besides the names of discreet groups. A star is any ending: “sunris*”."
        ),
        clean=one_a_line,
    )
    submit = SubmitField(_l("Save"))

    def __init__(self, current: Settings, words: Iterable[str]) -> None:
        """Fill the form with the current settings."""
        shown = {name: str(getattr(current, name)) for name in EDITABLE}
        super().__init__(data={**shown, "words": "\n".join(words)})  # type: ignore[no-untyped-call]

    def change(self, session: Session, settings: Settings) -> None:
        for name in EDITABLE:
            site_settings.change(session, settings, name, self[name].data or "")
        change_site_words(session, self.listed())

    def listed(self) -> list[str]:
        """Return the phrases as they were typed."""
        return (self.words.data or "").splitlines()

    def validate_words(self, _field: Field) -> None:
        """Refuse phrases of our sender, which would block newsletters of discreet groups."""
        if found := found_phrase(self.listed(), services().settings.mail_from):
            raise ValidationError(_("Our emails’ sender says “%(word)s”. Remove it.", word=found))
