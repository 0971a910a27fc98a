"""The forms to write to the office or to leaders, and to open a thread by its code."""

from typing import cast

from wtforms import (
    Field,
    HiddenField,
    SelectChoice,
    SelectField,
    SubmitField,
    ValidationError,
)
from wtforms.validators import DataRequired, InputRequired, Optional

from belong_mail.contact.service import TOPICS, ContactData
from belong_mail.core.i18n import group_in_sentence
from belong_mail.groups.models import Group
from belong_mail.web.forms import (
    PublicForm,
    email_field,
    line_field,
    message_field,
    well_formed,
)
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l
from belong_mail.web.language import request_language

# The value for the office, which is no group's slug.
OFFICE = ""
NO_TOPIC = ""


class ContactForm(PublicForm):
    to = SelectField(
        _l("To"),
        description=_l("Concerned about a group or its leaders? Choose the office."),
        default=OFFICE,
        validate_choice=False,
    )
    topic = SelectField(
        _l("What is it about?"),
        choices=lambda: [
            SelectChoice(NO_TOPIC, _("Choose a topic")),
            *(SelectChoice(key, _(words)) for key, words in TOPICS.items()),
        ],
        default=NO_TOPIC,
        validators=[InputRequired(_l("Choose a topic."))],
    )
    message = message_field(_l("Your message"), DataRequired(_l("Write your message.")))
    name = line_field(_l("Your name"), Optional(), 100)
    email = email_field(
        _l("Your email address"), Optional(), well_formed, _l("We’ll only use it to answer you.")
    )
    submit = SubmitField(_l("Send to %(site_name)s"))
    groups: dict[str, Group]

    def offer(self, groups: list[Group]) -> None:
        """Set the recipients: the office, and the leaders of these groups."""
        language = request_language()
        self.groups = {group.slug: group for group in groups}
        self.to.choices = [
            SelectChoice(OFFICE, _("The %(program_name)s office")),
            *(
                SelectChoice(
                    slug,
                    _("The leaders of %(group)s", group=group_in_sentence(group.name, language)),
                )
                for slug, group in self.groups.items()
            ),
        ]

    def validate_to(self, field: Field) -> None:
        if field.data != OFFICE and field.data not in self.groups:
            field.data = OFFICE
            raise ValidationError(
                _("You can’t message these leaders here. Choose another recipient.")
            )

    @property
    def is_answered_by_code(self) -> bool:
        """Return whether an answer can reach the writer only by a receipt code."""
        return not self.email.data and self.to.data == OFFICE

    def written(self, thread: str) -> ContactData:
        group = self.groups.get(self.to.data or OFFICE)
        return ContactData(
            topic=cast("str", self.topic.data),
            message=cast("str", self.message.data),
            name=self.name.data or "",
            address=self.email.data or "",
            to=group.public_id if group else "",
            language=request_language(),
            thread=thread,
        )


class ReceiptForm(PublicForm):
    """Opens a thread by its code, and may add a message to it."""

    code = line_field(
        _l("Your receipt code"),
        DataRequired(_l("Enter your receipt code.")),
        60,
        hint=_l("20 letters and numbers, in 5 groups of 4. Capitals and hyphens don’t matter."),
    )
    message = message_field(_l("Write again"), Optional())
    # Sent by the page that shows a new code, so that it can change its language.
    reference = HiddenField()
    # Sent by the page that shows an open thread.
    is_open = HiddenField()
    submit = SubmitField(_l("Check for an answer"))

    def refuse(self) -> None:
        """Add the same error for every unknown code."""
        self.code.errors = (
            _(
                "We didn’t find anything for this code. Check each letter."
                " Everything is deleted 30 days after the last message."
            ),
        )
