"""What several forms share: strip, check_address, a form without cookies, the robots' trap."""

from datetime import date, datetime, time, timedelta
from typing import Any, cast
from unicodedata import category
from urllib.parse import urlsplit

from flask import request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    DateField,
    Field,
    Form,
    StringField,
    SubmitField,
    TimeField,
    ValidationError,
)
from wtforms.csrf.core import CSRF, CSRFTokenField
from wtforms.validators import InputRequired

from belong_mail.current import parts
from belong_mail.db import new_public_id, now
from belong_mail.mail.address import AddressRefused, check, domain
from belong_mail.tokens import BadToken, Purpose

LONGEST_PAUSE = timedelta(days=365)
SWITCH = "switch_language"
"""Name of the button that shows the page in another language, with everything kept."""
BREAKS = "\t\n\r"
HIDDEN = {"Cc", "Co", "Cs"}
"""Unicode's controls, private characters and halves of characters."""
TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that show the words after them in another order."""


def strip(value: str | None) -> str | None:
    return value.strip() if value else value


class OpenedAt(CSRF):
    """A signed time in place of a cookie's token: the form was opened here, within a day.

    Other sites' forms are refused by `headers`; whoever posts without opening the form, or long
    after, is asked to press once more.
    """

    def generate_csrf_token(self, _field: CSRFTokenField) -> str:
        return parts().tokens.sign(Purpose.FORM, new_public_id(), now())

    def validate_csrf_token(self, _form: Form, field: CSRFTokenField) -> None:
        try:
            parts().tokens.read(Purpose.FORM, field.data or "")
        except BadToken as error:
            raise ValidationError(_("Please press the button once more.")) from error


class KeptForm(FlaskForm):
    """A form that the language button shows again, with everything that was typed."""

    @property
    def is_turned(self) -> bool:
        """Tell whether the language button sent the form."""
        return SWITCH in request.form

    def is_submitted(self) -> bool:
        """Tell whether the form was sent to be acted on."""
        return SWITCH not in request.form and bool(super().is_submitted())  # type: ignore[no-untyped-call]


class OpenForm(KeptForm):
    """A form that anyone may fill in: no cookie, a trap for robots, nothing typed is lost."""

    class Meta:
        csrf = True
        csrf_class = OpenedAt

    trap = StringField(_l("Leave this empty"))
    """For robots: people do not see it. Named so that no browser fills it in."""

    def validate_trap(self, field: Field) -> None:
        if field.data:
            field.data = ""
            raise ValidationError(_("Please press the button once more."))

    def is_sent(self) -> bool:
        """Tell whether the form was sent to be acted on, and is right."""
        return bool(self.validate_on_submit())


def well_formed(_form: Form, field: Field) -> None:
    """Leave the address in the one spelling we use."""
    field.data = _checked(field.data or "")


def staff_address(_form: Form, field: Field) -> None:
    """Accept the addresses of the district's staff, and leave them in the one spelling we use."""
    address = _checked(field.data or "")
    settings = parts().settings
    if domain(address) not in settings.allowed_domains:
        raise ValidationError(
            _(
                "Use your DPS work address: it ends in @%(domain)s.",
                domain=settings.allowed_domains[0],
            )
        )
    refused = settings.refused_local_parts
    if refused and refused.search(address.rpartition("@")[0]):
        raise ValidationError(_("This is not a staff address. Use your own DPS work address."))
    field.data = address


def _checked(typed: str) -> str:
    """Return an address that neither envelope nor header can misread (RFC 2047)."""
    refused = _("Enter an email address like name@dpsk12.org.")
    if "=?" in typed:
        raise ValidationError(refused)
    try:
        return check(typed)
    except AddressRefused as error:
        raise ValidationError(refused) from error


def plain_text(_form: Form, field: Field) -> None:
    """Accept words in which nothing hides: no controls but tab and line break."""
    text = field.data or ""
    if any(c in TURNS or (category(c) in HIDDEN and c not in BREAKS) for c in text):
        raise ValidationError(_("This holds a character that cannot be read. Type it again."))


def one_line(form: Form, field: Field) -> None:
    """Accept plain words without a line break of any kind."""
    plain_text(form, field)
    if "\t" in (field.data or "") or len((field.data or "").splitlines()) > 1:
        raise ValidationError(_("This holds a character that cannot be read. Type it again."))


def https_only(_form: Form, field: Field) -> None:
    parts = urlsplit(field.data or "")
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        raise ValidationError(_("Enter an address that begins with https://."))


class Day(DateField):
    """A day, or an error in words that help."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        try:
            super().process_formdata(valuelist)  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise ValueError(_("Choose a day, like 2027-01-31.")) from error


class Clock(TimeField):
    """A time of day, or an error in words that help."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        try:
            super().process_formdata(valuelist)  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise ValueError(_("Enter a time, like 16:30.")) from error


class PauseForm(KeptForm):
    """Until when no issues are to come. The link of its page is its authority."""

    class Meta:
        csrf = False

    until = Day(_l("No newsletters until"), validators=[InputRequired(_l("Choose a day."))])
    resume = SubmitField(_l("Send them again"))

    @property
    def is_resume(self) -> bool:
        return bool(self.resume.data)

    @property
    def first(self) -> date:
        return _today() + timedelta(days=1)

    @property
    def last(self) -> date:
        return _today() + LONGEST_PAUSE

    @property
    def moment(self) -> datetime:
        """The chosen day's first moment, in local time."""
        day = cast("date", self.until.data)
        return datetime.combine(day, time(), parts().settings.timezone)

    def validate_until(self, field: Field) -> None:
        if field.data is not None and not self.first <= field.data <= self.last:
            raise ValidationError(_("Choose a day after today, within a year."))


def _today() -> date:
    return now().astimezone(parts().settings.timezone).date()
