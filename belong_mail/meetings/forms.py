"""Forms for a meeting and for one of its days."""

from collections.abc import Iterable, Iterator
from datetime import date, time
from typing import Any, cast
from urllib.parse import urlsplit

from wtforms import (
    BooleanField,
    Field,
    Form,
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
from belong_mail.mail.message.linter import is_redirected
from belong_mail.meetings import formatting, recurrence
from belong_mail.meetings.models import Meeting
from belong_mail.meetings.recurrence import LAST
from belong_mail.web.context import services, today
from belong_mail.web.forms import (
    LocalDateField,
    LocalTimeField,
    VersionedForm,
    at_most,
    https_only,
    line_field,
    one_line,
    strip,
)
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l
from belong_mail.web.language import request_language
from belong_mail.web.localized_fields import LocalizedForm, words_field

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
URL_LENGTH = Length(max=500, message=_l("This link is too long."))


def choices(named: dict[str, str]) -> list[SelectChoice]:
    return [SelectChoice(key, _(said)) for key, said in named.items()]


def spoken_choices() -> list[SelectChoice]:
    """List the languages in which a meeting can be held."""
    reader = request_language()
    return [SelectChoice(key, formatting.spoken_text(key, reader)) for key in formatting.SPOKEN]


def without_address(_form: Form, field: Field) -> None:
    """Refuse an email address, as calendars are copied everywhere."""
    if "@" in (field.data or ""):
        raise ValidationError(
            _("Leave out email addresses. People can write to you through this website.")
        )


def direct(_form: Form, field: Field) -> None:
    """Refuse a link through a redirecting site, as in newsletters."""
    if is_redirected(field.data or ""):
        raise ValidationError(
            _(
                "A link goes through “%(named)s”, which sees who follows it. Use the address it"
                " leads to.",
                named=urlsplit(field.data or "").hostname,
            )
        )


def listed_days(_form: Form, field: Field) -> None:
    """Accept dates, one a line, as people type them."""
    for line in (field.data or "").splitlines():
        try:
            for each in line.split():
                read_day(each, request_language())
        except ValueError as error:
            said = _(
                "“%(word)s” isn’t a date. Enter one date per line, like 12/31/2027.",
                word=line.strip(),
            )
            raise ValidationError(said) from error


def to_come(form: Form, field: Field) -> None:
    """Accept a date from today to LAST, or an unchanged past date."""
    day = field.data
    if day and day > LAST:
        raise ValidationError(TOO_FAR)
    if day and day < today() and day != cast("TimesForm", form).day_before:
        raise ValidationError(_("This day is over. Choose today or a later one."))


TOO_FAR = _l("Choose a date before 2038.")
MOST_EXCEPTIONS = 40
FIFTH = 5


class TimesForm(VersionedForm):
    """Fields that a meeting and one of its days have in common."""

    starts_at = LocalTimeField(
        _l("Starts at"), validators=[InputRequired(_l("Enter when it starts, like 4:30 PM."))]
    )
    ends_at = LocalTimeField(
        _l("Ends at"), validators=[InputRequired(_l("Enter when it ends, like 5:30 PM."))]
    )
    place = line_field(_l("Location"), Optional(), 200, without_address)
    link = StringField(
        _l("Link to join online"),
        filters=[strip],
        validators=[Optional(), URL_LENGTH, https_only, direct],
    )

    # The stored date; None for a new meeting.
    day_before: date | None = None

    def __iter__(self) -> Iterator[Field]:
        """Yield name and date first, as on the page: a summary lists errors in this order."""
        first = "title", "starts_on", "held_on"
        fields = super().__iter__()  # type: ignore[no-untyped-call]
        return iter(sorted(fields, key=lambda each: not each.name.startswith(first)))

    def validate_ends_at(self, field: Field) -> None:
        if self.starts_at.data and field.data and field.data <= self.starts_at.data:
            raise ValidationError(_("The end time must be later than the start time."))

    def _refuse_skipped(self, days: Iterable[date]) -> None:
        """Refuse a time that a change to daylight saving skips on one of the days."""
        clocks = cast("time", self.starts_at.data), cast("time", self.ends_at.data)
        skipped = recurrence.skipped_day(days, clocks, services().settings.timezone)
        if skipped:
            words = _(
                "Clocks go forward on %(date)s, so this time doesn’t exist on that day.",
                date=format_day(skipped, request_language(), "long"),
            )
            self.starts_at.errors = (words,)


class MeetingForm(TimesForm, LocalizedForm):
    title = words_field(
        StringField,
        gettext_noop("Name of the meeting"),
        at_most(90),
        one_line,
        without_address,
        hint=_l("If you leave this empty, it’s called “%(program_name)s meeting.”"),
    )
    starts_on = LocalDateField(
        _l("First date"), validators=[InputRequired(_l("Choose a date.")), to_come]
    )
    repeats = SelectField(_l("How often?"), choices=lambda: choices(REPEAT_CHOICES), default="once")
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
    contact = line_field(
        _l("Contact person"),
        Optional(),
        90,
        without_address,
        hint=_l("A name or an office. Anyone can also write to you through this website."),
    )
    spoken = SelectField(_l("Language"), choices=spoken_choices, default=DEFAULT)
    access = SelectMultipleField(
        _l("Accessibility and language support"),
        choices=lambda: choices(formatting.ACCESS),
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    has_families = BooleanField(_l("Families are welcome"))
    submit = SubmitField(_l("Save"))

    def validate_starts_on(self, field: Field) -> None:
        if not field.data:
            return
        weekday = format_weekday(field.data, request_language())
        if self.repeats.data == "monthly" and recurrence.nth(field.data) == FIFTH:
            raise ValidationError(
                _(
                    "Not every month has a fifth %(weekday)s. Choose “last” or another date.",
                    weekday=weekday,
                )
            )
        if self.repeats.data == "monthly-last" and not recurrence.is_last(field.data):
            raise ValidationError(
                _("This date isn’t the last %(weekday)s of the month.", weekday=weekday)
            )

    def validate_until(self, field: Field) -> None:
        if not field.data:
            return
        if field.data > LAST:
            raise ValidationError(TOO_FAR)
        if self.repeats.data == "once":
            raise ValidationError(
                _("A one-time meeting doesn’t need an end date. Leave this empty.")
            )
        if self.starts_on.data and field.data < self.starts_on.data:
            raise ValidationError(_("This is before the first date."))

    def validate(self, extra_validators: Any = None) -> bool:
        """Validate the fields, then the days that result from them."""
        if super().validate(extra_validators):
            meeting = Meeting(**self.planned())
            self.exceptions.errors = tuple(self._wrong_exceptions(meeting))
            self._refuse_skipped(recurrence.days(meeting))
        return not self.errors

    def _wrong_exceptions(self, meeting: Meeting) -> Iterator[str]:
        """Yield errors for exceptions that are not days of the meeting, or that leave none."""
        if len(meeting.exceptions) > MOST_EXCEPTIONS:
            yield str(TOO_MANY)
            return
        days = {str(day) for day in recurrence.days(Meeting(**self.planned() | {"exceptions": []}))}
        for each in sorted(set(meeting.exceptions) - days):
            day = format_day(date.fromisoformat(each), request_language(), "long")
            yield _("There’s no meeting on %(date)s anyway.", date=day)
        if days <= set(meeting.exceptions):
            yield _("With these exceptions, no dates are left.")

    def planned(self) -> dict[str, Any]:
        """Return the input as columns of Meeting."""
        return {
            **{name: self[name].data for name in CHOSEN},
            **{name: self[name].data or "" for name in TYPED},
            "title": self.typed("title"),
            "exceptions": sorted(
                {
                    str(read_day(each, request_language()))
                    for each in (self.exceptions.data or "").split()
                }
            ),
            "is_open": self.is_open.data == "anyone",
        }

    def show(self, meeting: Meeting) -> None:
        """Fill the form with a stored meeting."""
        for name in CHOSEN + TYPED:
            self[name].data = getattr(meeting, name)
        self.fill(title=meeting.title)
        days = [date.fromisoformat(each) for each in meeting.exceptions]
        self.exceptions.data = "\n".join(format_numeric(each, request_language()) for each in days)
        self.is_open.data = "anyone" if meeting.is_open else "members"


class DayForm(TimesForm):
    """Moves one day of a meeting to another date, time or place."""

    held_on = LocalDateField(_l("Date"), validators=[InputRequired(_l("Choose a date.")), to_come])
    submit = SubmitField(_l("Save"))

    def validate(self, extra_validators: Any = None) -> bool:
        if super().validate(extra_validators):
            self._refuse_skipped([cast("date", self.held_on.data)])
        return not self.errors

    def planned(self) -> dict[str, Any]:
        """Return the input as columns of MeetingChange."""
        names = ("held_on", "starts_at", "ends_at", "place", "link")
        return {name: self[name].data or "" for name in names}
