"""The forms for a meeting, and for one day of it."""

from collections.abc import Iterable
from datetime import date, time
from typing import Any, cast

from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
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

from belong_mail.current import parts
from belong_mail.forms import Clock, Day, KeptForm, https_only, one_line, strip
from belong_mail.languages import marked
from belong_mail.meetings import words
from belong_mail.meetings.models import Meeting
from belong_mail.planning.checking import Problem, is_day, problems, problems_of_day
from belong_mail.planning.service import OtherTime

REPEATS = {
    "once": marked("Once"),
    "weekly": marked("Every week, on the weekday of the first day"),
    "weekly-2": marked("Every second week"),
    "weekly-3": marked("Every third week"),
    "weekly-4": marked("Every fourth week"),
    "monthly": marked("Every month, as in “first Thursday”"),
    "monthly-last": marked("Every month, on the last such weekday"),
}
WHO = {"members": marked("Members"), "anyone": marked("Anyone")}
CHOSEN = ("starts_on", "starts_at", "ends_at", "repeats", "until", "spoken", "access",
          "has_families")  # fmt: skip
TYPED = ("place", "link", "contact")
TOO_MANY = _l("These are too many days: name 40 at most.")
SHORT = Length(max=90, message=_l("Use at most 90 characters."))
LENGTH = Length(max=500, message=_l("This address is too long."))
PLACE = Length(max=200, message=_l("Use at most 200 characters."))


def offered(named: dict[str, str]) -> list[SelectChoice]:
    return [SelectChoice(key, _(said)) for key, said in named.items()]


def without_address(_form: Form, field: Field) -> None:
    """Accept no mail address: what stands in a calendar is copied everywhere."""
    if "@" in (field.data or ""):
        raise ValidationError(
            _("Leave mail addresses out. People can write to you through this website.")
        )


def listed_days(_form: Form, field: Field) -> None:
    """Accept days, one a line, in the spelling of the calendar."""
    for line in (field.data or "").split():
        if not is_day(line):
            raise ValidationError(
                _("“%(word)s” is no day. Write one a line, like 2027-01-31.", word=line)
            )


LINE = [Optional(), SHORT, one_line, without_address]


class Hours(KeptForm):
    """What a meeting and one day of it have in common."""

    starts_at = Clock(_l("Begins at"), validators=[InputRequired(_l("Enter a time, like 16:30."))])
    ends_at = Clock(_l("Ends at"), validators=[InputRequired(_l("Enter a time, like 16:30."))])
    place = StringField(
        _l("Place"), filters=[strip], validators=[Optional(), PLACE, one_line, without_address]
    )
    link = StringField(
        _l("Link to take part online"),
        filters=[strip],
        validators=[Optional(), LENGTH, https_only],
    )

    seen = HiddenField()
    """How often the meeting had been changed when this page was opened."""

    def is_stale(self, meeting: Meeting) -> bool:
        """Tell whether somebody changed the meeting meanwhile; saved again, these words win."""
        is_older = self.is_submitted() and self.seen.data != str(meeting.sequence)
        if is_older or not self.seen.data:
            self.seen.data = str(meeting.sequence)
        return is_older

    def accepts(self, found: Iterable[Problem]) -> bool:
        """Say at their fields what is wrong, and tell whether nothing is."""
        wrong = list(found)
        for each in wrong:
            day = {"date": words.in_words(each.day, str(get_locale()))} if each.day else {}
            self[each.field].errors = [*self[each.field].errors, _(each.words, **day)]
        return not wrong


class MeetingForm(Hours):
    title_en = StringField(
        _l("Name of the meeting"),
        description=_l("Without one it is “Belong meeting”."),
        filters=[strip],
        validators=LINE,
    )
    title_es = StringField(_l("The same in Spanish"), filters=[strip], validators=LINE)
    starts_on = Day(_l("First day"), validators=[InputRequired(_l("Choose a day."))])
    repeats = RadioField(_l("How often?"), choices=lambda: offered(REPEATS), default="once")
    until = Day(_l("Until"), validators=[Optional()])
    exceptions = TextAreaField(
        _l("Not on these days"),
        description=_l("One a line, like 2027-01-31."),
        filters=[strip],
        validators=[Optional(), Length(max=2000, message=TOO_MANY), listed_days],
    )
    is_open = RadioField(
        _l("Who may see place, link and whom to ask?"),
        choices=lambda: offered(WHO),
        default="members",
    )
    contact = StringField(
        _l("Whom to ask"),
        description=_l("A name or an office. Anyone can also write to you through this website."),
        filters=[strip],
        validators=LINE,
    )
    spoken = SelectField(_l("Language"), choices=lambda: offered(words.SPOKEN), default="en")
    access = SelectMultipleField(
        _l("What there is"),
        choices=lambda: offered(words.ACCESS),
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    has_families = BooleanField(_l("Families are welcome"))
    preview = SubmitField(_l("See it in words"))
    submit = SubmitField(_l("Save"))

    def validate(self, extra_validators: Any = None) -> bool:
        """Look at the fields, and then at the days that come of them all."""
        is_right = super().validate(extra_validators)  # type: ignore[no-untyped-call]
        zone = parts().settings.timezone
        return is_right and self.accepts(problems(Meeting(**self.planned()), zone))

    def planned(self) -> dict[str, Any]:
        """Return what was typed, by the columns of a meeting."""
        title = {"en": self.title_en.data or "", "es": self.title_es.data or ""}
        return {
            **{name: self[name].data for name in CHOSEN},
            **{name: self[name].data or "" for name in TYPED},
            "title": {language: said for language, said in title.items() if said},
            "exceptions": sorted(set((self.exceptions.data or "").split())),
            "is_open": self.is_open.data == "anyone",
        }

    def show(self, meeting: Meeting) -> None:
        """Fill the form with a meeting as it is."""
        for name in CHOSEN + TYPED:
            self[name].data = getattr(meeting, name)
        self.title_en.data = meeting.title.get("en", "")
        self.title_es.data = meeting.title.get("es", "")
        self.exceptions.data = "\n".join(meeting.exceptions)
        self.is_open.data = "anyone" if meeting.is_open else "members"


class DayForm(Hours):
    """One day of a meeting: at another time or place."""

    held_on = Day(_l("Day"), validators=[InputRequired(_l("Choose a day."))])
    submit = SubmitField(_l("Save"))

    def validate(self, extra_validators: Any = None) -> bool:
        if not super().validate(extra_validators):  # type: ignore[no-untyped-call]
            return False
        other, zone = self.other(), parts().settings.timezone
        found = problems_of_day(other.held_on, other.starts_at, other.ends_at, zone)
        return self.accepts(found)

    def other(self) -> OtherTime:
        """Return what was typed."""
        return OtherTime(
            held_on=cast("date", self.held_on.data),
            starts_at=cast("time", self.starts_at.data),
            ends_at=cast("time", self.ends_at.data),
            place=self.place.data or "",
            link=self.link.data or "",
        )
