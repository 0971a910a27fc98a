"""The release form: now, with time to undo, or later."""

from datetime import datetime, timedelta

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateTimeLocalField, RadioField, SelectChoice, SubmitField, ValidationError
from wtforms.validators import StopValidation

from belong_mail.current import parts
from belong_mail.db import now
from belong_mail.forms import KeptForm
from belong_mail.releases.service import UNDO_MINUTES, NoSuchTime, local_moment


class PressForm(FlaskForm):
    """One button."""


class Moment(DateTimeLocalField):
    """A local date and time, or an error in words that help."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise ValueError(_("Choose a date and a time.")) from error


class ReleaseForm(KeptForm):
    when = RadioField(
        _l("When?"),
        choices=lambda: [SelectChoice("now", _("Now")), SelectChoice("later", _("Later"))],
        default="now",
    )
    minutes = RadioField(
        _l("Time to undo"),
        description=_l("For so long nothing leaves, and you can take it back."),
        choices=lambda: [
            SelectChoice(str(UNDO_MINUTES[0]), _("1 minute")),
            SelectChoice(str(UNDO_MINUTES[1]), _("10 minutes")),
            SelectChoice(str(UNDO_MINUTES[2]), _("1 hour")),
        ],
        default=str(UNDO_MINUTES[1]),
    )
    at = Moment(
        _l("Date and time, for “later”"),
        description=_l("Denver time. Of an hour that comes twice in autumn, the first is taken."),
        format=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"],
    )
    submit = SubmitField(_l("Release"))

    def validate_at(self, field: Moment) -> None:
        """Look at the moment only if it is wanted; what stands there otherwise does not matter."""
        if self.when.data != "later":
            field.errors = []  # type: ignore[assignment]
            raise StopValidation
        if field.data is None:
            field.errors = []  # type: ignore[assignment]
            raise StopValidation(_("Choose a date and a time."))
        try:
            moment, _is_twice = local_moment(field.data, parts().settings.timezone)
        except NoSuchTime as error:
            raise ValidationError(
                _(
                    "The clocks go forward that night, and this time does not exist."
                    " How about %(time)s?",
                    time=f"{error.instead:%H:%M}",
                )
            ) from error
        if moment < now():
            raise ValidationError(_("This time has passed."))

    def due_at(self) -> datetime:
        """Return the moment at which the issue is to go out."""
        if self.when.data == "later":
            return local_moment(self.at.data, parts().settings.timezone)[0]
        return now() + timedelta(minutes=int(self.minutes.data))
