"""The forms for a meeting and for one day of it, and what they check."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from wtforms import (
    BooleanField,
    Field,
    Form,
    HiddenField,
    RadioField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    SubmitField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import InputRequired, Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from belong_mail.core.i18n import DEFAULT, format_day, format_numeric, format_weekday, read_day
from belong_mail.core.translatable import gettext_noop
from belong_mail.mail.message.linter import redirector
from belong_mail.meetings import formatting, recurrence
from belong_mail.meetings.models import Meeting
from belong_mail.meetings.recurrence import FIRST, LAST, NonexistentLocalTime
from belong_mail.meetings.service import DayOverride
from belong_mail.web.context import services, today
from belong_mail.web.forms import (
    BaseForm,
    LocalDateField,
    LocalTimeField,
    https_only,
    one_line,
    strip,
)
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l
from belong_mail.web.language import request_language
from belong_mail.web.localized_fields import LocalizedFields, LocalizedForm, words_field

REPEAT_CHOICES = {
    "once": gettext_noop("Once"),
    "weekly": gettext_noop("Every week, on the same weekday"),
    "weekly-2": gettext_noop("Every other week"),
    "weekly-3": gettext_noop("Every 3 weeks"),
    "weekly-4": gettext_noop("Every 4 weeks"),
    "monthly": gettext_noop("Monthly, like “first Thursday of the month”"),
    "monthly-last": gettext_noop("Monthly, like “last Thursday of the month”"),
}


AUDIENCE_CHOICES = {
    "members": gettext_noop("Members"),
    "anyone": gettext_noop("Everyone"),
}
CHOSEN = ("starts_on", "starts_at", "ends_at", "repeats", "until", "spoken", "access",
          "has_families")  # fmt: skip
TYPED = ("place", "link", "contact")
TOO_MANY = _l("That’s too many dates. Enter 40 at most.")
SHORT_LENGTH = Length(max=90, message=_l("Use at most 90 characters."))
URL_LENGTH = Length(max=500, message=_l("This link is too long."))
PLACE_LENGTH = Length(max=200, message=_l("Use at most 200 characters."))


def choices(named: dict[str, str]) -> list[SelectChoice]:
    return [SelectChoice(key, _(said)) for key, said in named.items()]


def spoken_choices() -> list[SelectChoice]:
    """List the languages in which a meeting can be held."""
    reader = request_language()
    return [SelectChoice(key, formatting.spoken_text(key, reader)) for key in formatting.SPOKEN]


def without_address(_form: Form, field: Field) -> None:
    """Accept no email address: calendars are copied everywhere."""
    if "@" in (field.data or ""):
        raise ValidationError(
            _("Leave out email addresses. People can write to you through this website.")
        )


def direct(_form: Form, field: Field) -> None:
    """Accept no link through a site that passes on, as a newsletter has none."""
    if redirector(field.data or ""):
        raise ValidationError(
            _(
                "A link goes through “%(named)s”, which sees who follows it. Use the address it"
                " leads to.",
                named=urlsplit(field.data or "").hostname,
            )
        )


def listed_days(_form: Form, field: Field) -> None:
    """Accept dates, one a line, as people type them."""
    for line in (field.data or "").split():
        try:
            read_day(line, request_language())
        except ValueError as error:
            said = _(
                "“%(word)s” isn’t a date. Enter one date per line, like 12/31/2027.", word=line
            )
            raise ValidationError(said) from error


LINE_VALIDATORS = SHORT_LENGTH, one_line, without_address


@dataclass(frozen=True, slots=True)
class FieldError:
    """A field of the form, and words to be translated that say what is wrong with it."""

    field: str
    words: str
    # Named in the words as %(date)s or %(weekday)s.
    day: date | None = None

    def text(self, language: str) -> str:
        """Say it; called inside a request."""
        if self.day is None:
            return _(self.words)
        names = {
            "date": format_day(self.day, language, "long"),
            "weekday": format_weekday(self.day, language),
        }
        return _(self.words, **names)


class TimesForm(BaseForm):
    """Fields that a meeting and one day of it share."""

    starts_at = LocalTimeField(
        _l("Starts at"), validators=[InputRequired(_l("Enter a time, like 4:30 PM."))]
    )
    ends_at = LocalTimeField(
        _l("Ends at"), validators=[InputRequired(_l("Enter a time, like 4:30 PM."))]
    )
    place = StringField(
        _l("Location"),
        filters=[strip],
        validators=[Optional(), PLACE_LENGTH, one_line, without_address],
    )
    link = StringField(
        _l("Link to join online"),
        filters=[strip],
        validators=[Optional(), URL_LENGTH, https_only, direct],
    )

    # How often the meeting had been changed when this page was opened.
    seen = HiddenField()
    # When it is now; None: it is new.
    day_before: date | None = None

    def is_stale(self, meeting: Meeting) -> bool:
        """Tell whether someone changed the meeting meanwhile; saved again, these words win."""
        is_older = self.is_submitted() and self.seen.data != str(meeting.sequence)
        if is_older or not self.seen.data:
            self.seen.data = str(meeting.sequence)
        return is_older

    def _over(self, day: date, field: str) -> list[FieldError]:
        """Refuse a day that is over, unless it was this one before."""
        is_over = day < today() and day != self.day_before
        return [FieldError(field, OVER)] if is_over else []

    def accepts(self, found: Iterable[FieldError]) -> bool:
        """Say at their fields what is wrong, and tell whether nothing is."""
        wrong = list(found)
        for each in wrong:
            words = each.text(request_language())
            self[each.field].errors = [*self[each.field].errors, words]
        return not wrong


class MeetingForm(TimesForm, LocalizedForm):
    titles = LocalizedFields(
        title=words_field(
            StringField,
            gettext_noop("Name of the meeting"),
            *LINE_VALIDATORS,
            hint=_l("If you leave this empty, it’s called “%(program_name)s meeting.”"),
        )
    )
    starts_on = LocalDateField(_l("First date"), validators=[InputRequired(_l("Choose a date."))])
    repeats = RadioField(_l("How often?"), choices=lambda: choices(REPEAT_CHOICES), default="once")
    until = LocalDateField(_l("Until"), validators=[Optional()])
    exceptions = TextAreaField(
        _l("Except on these dates"),
        description=_l("One date per line, like 12/31/2027."),
        filters=[strip],
        validators=[Optional(), Length(max=2000, message=TOO_MANY), listed_days],
    )
    is_open = RadioField(
        _l("Who can see the location, link, and contact person?"),
        choices=lambda: choices(AUDIENCE_CHOICES),
        default="members",
    )
    contact = StringField(
        _l("Contact person"),
        description=_l("A name or an office. Anyone can also write to you through this website."),
        filters=[strip],
        validators=[Optional(), *LINE_VALIDATORS],
    )
    spoken = SelectField(_l("Language"), choices=spoken_choices, default=DEFAULT)
    access = SelectMultipleField(
        _l("Accessibility and language support"),
        choices=lambda: choices(formatting.ACCESS),
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    has_families = BooleanField(_l("Families are welcome"))
    preview = SubmitField(_l("Preview"))
    submit = SubmitField(_l("Save"))

    def validate(self, extra_validators: Any = None) -> bool:
        """Look at the fields, and then at the days that come of them all."""
        if not super().validate(extra_validators):
            return False
        meeting, zone = Meeting(**self.planned()), services().settings.timezone
        return self.accepts(
            field_errors(meeting, zone) or self._over(meeting.starts_on, "starts_on")
        )

    def planned(self) -> dict[str, Any]:
        """Return what was typed, by the columns of a meeting."""
        return {
            **{name: self[name].data for name in CHOSEN},
            **{name: self[name].data or "" for name in TYPED},
            "title": self.typed("title"),
            "exceptions": sorted(
                {str(read_day(each, request_language())) for each in self._typed_exceptions()}
            ),
            "is_open": self.is_open.data == "anyone",
        }

    def _typed_exceptions(self) -> list[str]:
        return (self.exceptions.data or "").split()

    def show(self, meeting: Meeting) -> None:
        """Fill the form with a meeting as it is."""
        for name in CHOSEN + TYPED:
            self[name].data = getattr(meeting, name)
        self.fill(title=meeting.title)
        days = [date.fromisoformat(each) for each in meeting.exceptions]
        self.exceptions.data = "\n".join(format_numeric(each, request_language()) for each in days)
        self.is_open.data = "anyone" if meeting.is_open else "members"


class DayForm(TimesForm):
    """One day of a meeting: at another time or place."""

    held_on = LocalDateField(_l("Date"), validators=[InputRequired(_l("Choose a date."))])
    submit = SubmitField(_l("Save"))

    def validate(self, extra_validators: Any = None) -> bool:
        if not super().validate(extra_validators):
            return False
        other, zone = self.other(), services().settings.timezone
        found = [*field_errors_of_day(other.held_on, other.starts_at, other.ends_at, zone)]
        return self.accepts(found or self._over(other.held_on, "held_on"))

    def other(self) -> DayOverride:
        """Return what was typed."""
        return DayOverride(
            held_on=cast("date", self.held_on.data),
            starts_at=cast("time", self.starts_at.data),
            ends_at=cast("time", self.ends_at.data),
            place=self.place.data or "",
            link=self.link.data or "",
        )


MOST_EXCEPTIONS = 40
FIFTH = 5


def field_errors(meeting: Meeting, zone: ZoneInfo) -> list[FieldError]:
    """Look a planned meeting through; where its days cannot be, nothing else is looked at."""
    return [*_check_edges(meeting)] or [*_check_rule(meeting)] or [*_check_days(meeting, zone)]


def field_errors_of_day(
    held_on: date, starts_at: time, ends_at: time, zone: ZoneInfo
) -> Iterator[FieldError]:
    """Look at one day's other time."""
    if not FIRST <= held_on <= LAST:
        yield FieldError("held_on", TOO_FAR)
        return
    if ends_at <= starts_at:
        yield FieldError("ends_at", ENDS_BEFORE_START)
    try:
        for clock in (starts_at, ends_at):
            recurrence.require_existing_clock_time(datetime.combine(held_on, clock, zone))
    except NonexistentLocalTime as error:
        yield FieldError("starts_at", SKIPPED_TIME, error.day)


OVER = gettext_noop("This day is over. Choose today or a later one.")
TOO_FAR = gettext_noop("Choose a date between 2020 and 2037.")
ENDS_BEFORE_START = gettext_noop("The end time must be later than the start time.")
SKIPPED_TIME = gettext_noop(
    "Clocks go forward on %(date)s, so this time doesn’t exist on that day."
)


def _check_edges(meeting: Meeting) -> Iterator[FieldError]:
    if not FIRST <= meeting.starts_on <= LAST:
        yield FieldError("starts_on", TOO_FAR)
    if meeting.until and not FIRST <= meeting.until <= LAST:
        yield FieldError("until", TOO_FAR)
    elif meeting.until and meeting.repeats == "once":
        yield FieldError(
            "until", gettext_noop("A one-time meeting doesn’t need an end date. Leave this empty.")
        )
    elif meeting.until and meeting.until < meeting.starts_on:
        yield FieldError("until", gettext_noop("This is before the first date."))
    if meeting.ends_at <= meeting.starts_at:
        yield FieldError("ends_at", ENDS_BEFORE_START)


def _check_rule(meeting: Meeting) -> Iterator[FieldError]:
    if meeting.repeats == "monthly" and recurrence.nth(meeting.starts_on) == FIFTH:
        words = gettext_noop(
            "Not every month has a fifth %(weekday)s. Choose “last” or another date."
        )
        yield FieldError("starts_on", words, meeting.starts_on)
    if meeting.repeats == "monthly-last" and not recurrence.is_last(meeting.starts_on):
        yield FieldError(
            "starts_on",
            gettext_noop("This date isn’t the last %(weekday)s of the month."),
            meeting.starts_on,
        )
    if len(meeting.exceptions) > MOST_EXCEPTIONS:
        yield FieldError("exceptions", gettext_noop("That’s too many dates. Enter 40 at most."))


def _check_days(meeting: Meeting, zone: ZoneInfo) -> Iterator[FieldError]:
    exceptions = [date.fromisoformat(each) for each in meeting.exceptions]
    whole = Meeting(
        starts_on=meeting.starts_on, repeats=meeting.repeats, until=meeting.until, exceptions=[]
    )
    for day in exceptions:
        if day not in recurrence.days(whole, day, day):
            yield FieldError(
                "exceptions", gettext_noop("There’s no meeting on %(date)s anyway."), day
            )
    if not recurrence.next_days(meeting, FIRST, 1):
        yield FieldError("exceptions", gettext_noop("With these exceptions, no dates are left."))
    try:
        recurrence.require_existing_time(meeting, zone)
    except NonexistentLocalTime as error:
        yield FieldError("starts_at", SKIPPED_TIME, error.day)
