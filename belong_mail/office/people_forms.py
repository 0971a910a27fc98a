"""The office's forms about people: whom to invite, and what they are called."""

from wtforms import (
    BooleanField,
    Field,
    SelectChoice,
    SelectMultipleField,
    SubmitField,
    ValidationError,
)
from wtforms.validators import DataRequired
from wtforms.widgets import CheckboxInput, ListWidget

from belong_mail.accounts.forms import name_field
from belong_mail.accounts.jobs import InviteColleague
from belong_mail.accounts.models import Account
from belong_mail.core.i18n import DEFAULT
from belong_mail.groups.models import Group
from belong_mail.web.forms import (
    BaseForm,
    email_field,
    language_field,
    staff_address,
)
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l

NAME_HINT = _l(
    "A first name or initials and a school, so that you recognize the person. This site can’t show"
    " email addresses. Unlike those, the name is stored unencrypted. Other leaders of the group"
    " read it beside the newsletters that this person wrote or sent."
)


class NameForm(BaseForm):
    name = name_field(_l("What you call this person"), NAME_HINT)
    submit = SubmitField(_l("Save"))


class InviteForm(BaseForm):
    """Invites one person for several groups, for the office, or for both."""

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

    def asked(self, by: Account) -> InviteColleague:
        return InviteColleague(
            by=by.public_id,
            name=self.name.data or "",
            address=self.email.data or "",
            language=self.language.data or DEFAULT,
            groups=self.groups.data or [],
            office=bool(self.office.data),
        )
