"""The form by which the office looks through the audit trail."""

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectField
from wtforms.validators import Optional

from belong_mail.core.audit import Kind
from belong_mail.core.i18n import at_start
from belong_mail.office.trail import Wanted
from belong_mail.web.forms import BaseForm, LocalDateField


class TrailForm(BaseForm):
    """What of the trail is looked for. It changes nothing and is sent by GET."""

    class Meta:
        csrf = False

    group = SelectField(_l("Group"), validators=[Optional()])
    kind = SelectField(_l("What was done"), validators=[Optional()])
    account = SelectField(_l("Who, or to whom"), validators=[Optional()])
    since = LocalDateField(_l("On or after"), validators=[Optional()])
    until = LocalDateField(_l("On or before"), validators=[Optional()])

    def offer(self, groups: Mapping[str, str], accounts: Mapping[str, str]) -> None:
        """Fill the lists, each in the order of its words."""
        everything = ("", _("All"))
        kinds = {str(kind): kind_in_words(kind) for kind in Kind}
        for field, choices in (
            (self.group, groups), (self.kind, kinds), (self.account, accounts),
        ):  # fmt: skip
            in_order = sorted(choices.items(), key=lambda each: each[1].casefold())
            field.choices = [everything, *in_order]

    def wanted(self) -> Wanted:
        """Return what is looked for; where the form is wrong, everything."""
        if not self.validate():
            return Wanted()
        return Wanted(
            self.group.data or "",
            self.kind.data or "",
            self.account.data or "",
            self.since.data,
            self.until.data,
        )

    @property
    def is_empty(self) -> bool:
        return not any(field.data for field in self)

    def query(self) -> dict[str, str]:
        """Return what was chosen, as a link to another page of the same list has it."""
        return {field.name: str(field.data) for field in self if field.data}


def kind_in_words(kind: str) -> str:
    """Say what was done, in the page's language."""
    return at_start(_(kind))
