"""The forms of the editor, of sending, of pictures and flyers."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import TypeVar

from flask_wtf.file import FileField
from werkzeug.datastructures import FileStorage
from wtforms import (
    DateTimeLocalField,
    Field,
    Form,
    RadioField,
    SelectChoice,
    StringField,
    SubmitField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import DataRequired, Optional, StopValidation

from belong_mail.core.db import now
from belong_mail.core.i18n import format_clock
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.header_words import identifying_word
from belong_mail.groups.models import Group
from belong_mail.mail.message.headers import InvalidHeader, reject_controls
from belong_mail.newsletters import rendering
from belong_mail.newsletters.confinement import (
    MAX_FILE,
    CleanFlyer,
    EncodedImage,
    InvalidFlyer,
    RefusedFile,
    read_flyer,
    reencode_image,
)
from belong_mail.newsletters.files import MAX_DESCRIPTION, MAX_TITLE, Kind
from belong_mail.newsletters.models import Flyer, Image
from belong_mail.newsletters.release import UNDO_MINUTES, InvalidLocalTime, local_moment
from belong_mail.newsletters.service import MAX_PREHEADER, MAX_SUBJECT, MAX_TEXT
from belong_mail.web.context import services, today
from belong_mail.web.forms import BaseForm, at_most, line_field, one_line, plain_text
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l
from belong_mail.web.language import request_language
from belong_mail.web.localized_fields import SharedForm, words_field

T = TypeVar("T")


def known_placeholders(_form: Form, field: Field) -> None:
    """Refuse a word in braces that we cannot fill in."""
    typed = rendering.PLACEHOLDER.findall(field.data or "")
    for word in sorted({*typed} - {*rendering.PLACEHOLDERS}):
        raise ValidationError(
            _(
                "We don’t recognize “{%(word)s}”. Use {first_name} or {group}, or no braces.",
                word=word,
            )
        )


def valid_subject(_form: Form, field: Field) -> None:
    """Refuse a subject that hides a line end, even as an encoded word (RFC 2047)."""
    try:
        reject_controls("Subject", field.data or "")
    except InvalidHeader as error:
        raise ValidationError(
            _("This contains a character we can’t read. Please retype it.")
        ) from error


class WriteForm(SharedForm):
    subject = words_field(
        StringField,
        gettext_noop("Subject"),
        at_most(MAX_SUBJECT),
        one_line,
        valid_subject,
        known_placeholders,
        other=gettext_noop("Subject in %(language)s"),
        is_bare=True,
    )
    text = words_field(
        TextAreaField,
        gettext_noop("Text"),
        at_most(MAX_TEXT),
        plain_text,
        known_placeholders,
        other=gettext_noop("Text in %(language)s"),
        hint=_l(
            "{first_name} becomes the reader’s first name, and {group} the group’s name. A link"
            " in two brackets on a line of its own becomes a button: [[Sign"
            " up]](https://example.org)."
        ),
        is_bare=True,
    )
    preheader = words_field(
        StringField,
        gettext_noop("Preview line"),
        at_most(MAX_PREHEADER),
        one_line,
        valid_subject,
        known_placeholders,
        other=gettext_noop("Preview line in %(language)s"),
        hint=_l(
            "Inboxes show it after the subject. If it’s empty: “News from your"
            " %(program_name)s group.”"
        ),
        is_bare=True,
    )

    def say_what_tells(self, group: Group) -> None:
        """Warn at fields whose words identify the group; they may still be saved."""
        for field in (*self.fields_of("subject").values(), *self.fields_of("preheader").values()):
            word = identifying_word(group, rendering.fill_slots(field.data or "", group.name))
            if word:
                field.description = _(
                    "“%(named)s” names the group or says what it’s about, so anyone who sees the"
                    " reader’s screen would know. You can’t send it with these words.",
                    named=word,
                )

    def problem(self) -> str:
        """Return the first error."""
        return str(next(iter(self.errors.values()))[0]) if self.errors else ""

    submit = SubmitField(_l("Save"))


class SearchForm(BaseForm):
    """A search among past newsletters, sent by GET."""

    class Meta:
        csrf = False

    words = line_field(_l("Words in the subject or text"), Optional(), 100)


# From now; a later time is a mistyped year.
LAST_RELEASE = timedelta(days=365)
LATER = "later"


def next_morning() -> datetime:
    """Return 8:00 on the next weekday, in local time."""
    day = today() + timedelta(days={4: 3, 5: 2}.get(today().weekday(), 1))
    return datetime.combine(day, time(8))


class ReleaseForm(BaseForm):
    # Minutes from now, or LATER.
    when = RadioField(
        _l("When should it be sent?"),
        description=_l("Until then, you can cancel it."),
        choices=lambda: [
            SelectChoice(str(UNDO_MINUTES[0]), _("In 1 minute")),
            SelectChoice(str(UNDO_MINUTES[1]), _("In 10 minutes")),
            SelectChoice(str(UNDO_MINUTES[2]), _("In 1 hour")),
            SelectChoice(LATER, _("Later")),
        ],
        default=str(UNDO_MINUTES[1]),
    )
    at = DateTimeLocalField(
        _l("Date and time"),
        description=_l("%(time_place)s time"),
        default=next_morning,
        format=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"],
    )
    submit = SubmitField(_l("Send to members"))

    @property
    def first(self) -> str:
        """Return when today begins."""
        return f"{today()}T00:00"

    def validate_at(self, field: DateTimeLocalField) -> None:
        """Check the time only if “Later” is chosen."""
        field.errors = []  # type: ignore[assignment]
        if self.when.data != LATER:
            raise StopValidation
        if field.data is None:
            raise StopValidation(_("Choose a date and time."))
        try:
            moment = local_moment(field.data, services().settings.timezone)
        except InvalidLocalTime as error:
            raise ValidationError(
                _(
                    "The clocks go forward that night, so this time doesn’t exist."
                    " How about %(time)s?",
                    time=format_clock(error.instead.time(), request_language()),
                )
            ) from error
        if moment < now():
            raise ValidationError(_("This time has already passed."))
        if moment > now() + LAST_RELEASE:
            raise ValidationError(_("Choose a time within a year."))

    def is_before_end(self, group: Group) -> bool:
        """Return whether the time is before the group's end; otherwise set the field's error."""
        if not group.has_ended(self.due_at()):
            return True
        self.at.errors = (_("The group will have ended by then. Choose an earlier time."),)
        return False

    def due_at(self) -> datetime:
        """Return when the issue is to be sent."""
        if self.when.data == LATER:
            return local_moment(self.at.data, services().settings.timezone)
        return now() + timedelta(minutes=int(self.when.data))


# Most bytes read of a request; more than a file's, so that the field can refuse it.
MAX_BODY = 16 * 1024 * 1024


def _remade(field: FileField, remake: Callable[[bytes], T], none: str) -> T:
    """Re-encode an uploaded file. Raises ValidationError if there is none, or it is refused."""
    if not isinstance(field.data, FileStorage):
        raise ValidationError(none)
    try:
        return remake(field.data.read(MAX_FILE + 1))
    except RefusedFile as refusal:
        raise ValidationError(_(str(refusal))) from refusal


class ImageForm(BaseForm):
    kind: Kind = Image
    picture = FileField(
        _l("Picture"),
        description=_l("JPEG, PNG or WebP, at most 5 MB. We remove where and when it was taken."),
    )
    description = line_field(
        _l("Description"),
        DataRequired(_l("Describe what the picture shows.")),
        MAX_DESCRIPTION,
        hint=_l("For people who can’t see it. Example: Twelve people around a table."),
    )
    submit = SubmitField(_l("Add picture"))
    # The re-encoded picture, if the form is valid.
    encoded: EncodedImage | None = None

    def validate_picture(self, field: FileField) -> None:
        self.encoded = _remade(field, reencode_image, _("Choose a picture."))


class FlyerForm(BaseForm):
    kind: Kind = Flyer
    title = line_field(
        _l("Title"),
        DataRequired(_l("Give the flyer a title.")),
        MAX_TITLE,
        hint=_l("Readers see it in the email. Example: Tea on Friday."),
    )
    flyer = FileField(
        _l("Flyer"),
        description=_l(
            "A PDF of up to 20 pages; all flyers of a newsletter can total 5 MB. We remove who made"
            " it and when. Black bars don’t remove the words below them: delete those first."
        ),
    )
    submit = SubmitField(_l("Add flyer"))
    # The rewritten flyer, if the form is valid.
    clean: CleanFlyer | None = None

    def is_fit_for(self, group: Group, room: int) -> bool:
        """Return whether the title fits the group, and the bytes `room`; otherwise set errors."""
        if word := identifying_word(group, self.title.data or ""):
            words = _(
                "“%(named)s” names the group or says what it’s about, and inboxes show the title."
                " Choose other words.",
                named=word,
            )
            self.title.errors = (words,)
        elif self.clean is None or len(self.clean.content) > room:
            self.flyer.errors = (_(str(InvalidFlyer("large"))),)
        else:
            return True
        return False

    def validate_flyer(self, field: FileField) -> None:
        if not self.title.errors:  # checked first, because reading takes a while
            self.clean = _remade(field, read_flyer, _("Choose a PDF."))
