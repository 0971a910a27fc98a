"""Forms for a group's page."""

import re
from collections.abc import Mapping
from typing import Any

from wtforms import (
    BooleanField,
    EmailField,
    Field,
    FieldList,
    Form,
    FormField,
    StringField,
    SubmitField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import Length, Optional

from belong_mail.core.i18n import DEFAULT
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.header_words import tells_by_address
from belong_mail.groups.models import PHONE as PHONE_LINK
from belong_mail.groups.models import Group
from belong_mail.web.forms import (
    at_most,
    https_only,
    one_line,
    plain_text,
    staff_address,
    strip,
)
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l
from belong_mail.web.localized_fields import LocalizedForm, SharedForm, words_field

RESOURCES = 4
# Most lines of `activities`.
MAX_ACTIVITIES = 10
ACTIVITY_LENGTH = 250
# A phone number of 3 digits (988) to 15 (the maximum of ITU-T E.164).
PHONE = re.compile(r"(?:tel:)?(\+?)((?:[ ().-]*[0-9]){3,15})[ ().-]*", re.IGNORECASE)


LINE_VALIDATORS = (at_most(160), one_line)
MISSION_VALIDATORS = (at_most(800), plain_text)


def lines(text: str | None) -> list[str]:
    """Split a text into its nonempty lines."""
    return [" ".join(line.split()) for line in (text or "").splitlines() if line.strip()]


def one_a_line(text: str | None) -> str:
    return "\n".join(lines(text))


def in_one_line(text: str | None) -> str:
    return " ".join(lines(text))


def with_newlines(text: str | None) -> str:
    """Normalize line breaks."""
    return "\n".join((text or "").splitlines()).strip()


def https_or_phone(form: Form, field: Field) -> None:
    """Accept an https link or a phone number, which becomes a `tel:` link."""
    number = PHONE.fullmatch(field.data or "")
    if number:
        groups = re.findall("[0-9]+", number[2])
        field.data = f"{PHONE_LINK}{number[1]}{'-'.join(groups)}"
        return
    try:
        https_only(form, field)
    except ValidationError as error:
        said = _("Enter a link that begins with https://, or a phone number.")
        raise ValidationError(said) from error


class ResourceForm(LocalizedForm):
    """A link or phone number of the page; the outer form has the CSRF token."""

    title = words_field(
        StringField,
        gettext_noop("Title"),
        *LINE_VALIDATORS,
        other=gettext_noop("Title in %(language)s"),
    )
    url = StringField(
        _l("Link or phone number"),
        filters=[strip],
        validators=[
            Optional(),
            Length(max=500, message=_l("This link is too long.")),
            https_or_phone,
        ],
    )


def few_short_lines(_form: Form, field: Field) -> None:
    """Limit the number and length of lines."""
    listed = lines(field.data)
    if len(listed) > MAX_ACTIVITIES:
        raise ValidationError(_("Write at most 10 lines."))
    if any(len(each) > ACTIVITY_LENGTH for each in listed):
        raise ValidationError(_("Use at most 250 characters a line."))


class PageForm(SharedForm):
    summary = words_field(
        TextAreaField,
        gettext_noop("Your group in one line"),
        *LINE_VALIDATORS,
        needed=_l("Say in one line what your group is for."),
        clean=in_one_line,
    )
    mission = words_field(
        TextAreaField,
        gettext_noop("Your mission"),
        *MISSION_VALIDATORS,
        hint=_l("Leave an empty line between paragraphs."),
        clean=with_newlines,
    )
    activities = words_field(
        TextAreaField,
        gettext_noop("What you do"),
        plain_text,
        few_short_lines,
        hint=_l("Each line becomes one point, up to 10."),
        clean=one_a_line,
    )
    note = words_field(
        StringField,
        gettext_noop("A note on the card"),
        at_most(60),
        one_line,
        other=gettext_noop("The note in %(language)s"),
        hint=_l("A few words of news, like “Writing our charter now.”"),
    )
    welcome = words_field(
        TextAreaField,
        gettext_noop("Your words in the welcome email"),
        at_most(600),
        plain_text,
    )
    resources = FieldList(FormField(ResourceForm), min_entries=RESOURCES, max_entries=RESOURCES)
    mailbox = EmailField(
        _l("Shared inbox of the group’s leaders"),
        description=_l(
            "It gets replies to your newsletters and messages to the group, once it’s confirmed"
            " from that inbox and by you. You can name one from a day after you accepted your"
            " invitation. Leave this empty to keep things as they are."
        ),
        filters=[strip],
        validators=[Optional(), Length(max=254), staff_address],
    )
    without_mailbox = BooleanField(_l("Remove the shared inbox"))
    second_ok = BooleanField(_l("Ask for a second OK, starting now"))
    submit = SubmitField(_l("Save"))

    def has_quiet_mailbox(self, group: Group) -> bool:
        """Return False, and refuse the mailbox, if it names a discreet group: Reply-To shows it."""
        if not self.mailbox.data or not tells_by_address(group, self.mailbox.data):
            return True
        said = _(
            "This address names the group or tells what it’s about, and it would appear in each"
            " newsletter, where others may see it. Choose one that doesn’t."
        )
        self.mailbox.errors = (said,)
        return False

    def is_unsaved(self, stored: Mapping[str, Any]) -> bool:
        """Return whether something is typed or ticked that is not stored."""
        settings = self.mailbox, self.without_mailbox, self.second_ok
        return bool(self.differing(stored) or any(each.data for each in settings))

    def refuse_second_ok(self) -> None:
        said = _("The group needs at least two leaders before you can turn this on.")
        self.second_ok.errors = (said,)

    def columns(self) -> dict[str, Any]:
        resources = [
            {"title": title, "url": entry.url.data}
            for entry in self.resources
            if entry.url.data and DEFAULT in (title := entry.form.typed("title"))
        ]
        return {**super().columns(), "resources": resources}

    def fields_of_words(self) -> list[Field]:
        links = [
            field
            for entry in self.resources
            for field in (*entry.form.fields_of("title").values(), entry.url)
        ]
        return super().fields_of_words() + links

    def show(self, stored: Mapping[str, Any]) -> None:
        super().show(stored)
        for entry, resource in zip(self.resources, stored["resources"], strict=False):
            entry.url.data = resource["url"]
            entry.form.fill(title=resource["title"])
