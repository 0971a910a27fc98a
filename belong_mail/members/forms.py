"""The forms of sign-up, waiting list and self-service."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any, cast

from babel.support import LazyProxy
from dateutil.relativedelta import relativedelta
from sqlalchemy.orm import Session
from wtforms import (
    BooleanField,
    EmailField,
    Field,
    Form,
    SelectField,
    StringField,
    SubmitField,
    ValidationError,
)
from wtforms.validators import DataRequired, InputRequired, Optional

from belong_mail.core import i18n
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import localized
from belong_mail.groups.questions import answer_in_words, asked, field_for
from belong_mail.members import service as members
from belong_mail.members import staff_codes
from belong_mail.members.jobs import Join, JoinByCode, Signup, WaitForGroup
from belong_mail.members.models import LONGEST_PAUSE, Subscription
from belong_mail.web.context import services, today
from belong_mail.web.forms import (
    BaseForm,
    LocalDateField,
    PublicForm,
    Validator,
    email_field,
    language_field,
    line_field,
    personal_address,
    staff_address,
    strip,
    well_formed,
)
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l
from belong_mail.web.language import request_language


def not_a_link(_form: Form, field: Field) -> None:
    """Refuse web addresses and markup, as names appear in emails."""
    if any(mark in (field.data or "") for mark in ("://", "www.", "<", ">", "@", "{", "}")):
        raise ValidationError(_("Enter only a first name, without symbols."))


def _address(label: LazyProxy, description: LazyProxy, check: Validator) -> EmailField:
    """Return a required field for an email address."""
    required = DataRequired(_l("Enter your email address."))
    return email_field(label, required, check, description)


class JoinForm(PublicForm):
    """The fields of every group's sign-up form; `form_for` adds the group's questions."""

    email = _address(
        _l("Your work email address"),
        _l("Use your own address, not a shared one. We’ll email you a link to confirm."),
        staff_address,
    )
    language = language_field(_l("Language for our emails"), request_language)
    first_name = line_field(_l("First name"), Optional(), 60, not_a_link)
    submit = SubmitField(_l("Send me the link"))
    question_names: tuple[tuple[str, str], ...] = ()
    job: type[Signup] = Join

    @property
    def question_fields(self) -> list[Field]:
        return [self[name] for name, _label in self.question_names]

    def wanted(self) -> Signup:
        """Return the input, with answers only if they are for the leaders."""
        is_introduced = "introduce_me" in self and bool(self["introduce_me"].data)
        return self.job(
            address=cast("str", self.email.data),
            language=i18n.known_language(self.language.data),
            first_name=self.first_name.data or "",
            is_introduced=is_introduced,
            answers=self._answers() if is_introduced else [],
        )

    def _answers(self) -> list[list[str]]:
        given = [(label, answer_in_words(self[name])) for name, label in self.question_names]
        return [[label, answer] for label, answer in given if answer]


class StaffCodeForm(PublicForm):
    """Asks for a staff address; the next page asks for the personal one."""

    email = _address(
        _l("Your work email address"),
        _l("We’ll email a code to it. The email doesn’t name a group."),
        staff_address,
    )
    submit = SubmitField(_l("Send me a code"))


class PersonalJoinForm(JoinForm):
    """A group's sign-up form for a personal address, with a staff code."""

    code = StringField(
        _l("The code"),
        description=_l(
            "12 letters and numbers, in 3 groups of 4. Capitals and hyphens don’t matter."
        ),
        filters=[strip],
        validators=[DataRequired(_l("Enter the code."))],
    )
    email = _address(
        _l("Your personal email address"),
        _l("Use your own address, not a shared one. We’ll email you a link to confirm."),
        personal_address,
    )
    job = JoinByCode
    # The page's nonce; the code is valid on this page only.
    nonce = ""

    def validate_code(self, field: Field) -> None:
        if not staff_codes.is_typed_right(staff_codes.read_code(field.data or ""), self.nonce):
            raise ValidationError(
                _("This isn’t the code for this page. Check it against our newest email.")
            )

    def wanted(self) -> Signup:
        code = staff_codes.read_code(self.code.data or "")
        return replace(super().wanted(), code=code, nonce=self.nonce)


def form_for(group: Group, nonce: str = "", *, has_leads: bool) -> JoinForm:
    """Build a group's form, for a personal address if there is a nonce.

    Questions and introduction are left out if the group has no leaders.
    """
    language = request_language()
    fields: dict[str, Any] = {}
    names = []
    for question in asked(group) if has_leads else ():
        name = f"question-{question.position}"
        label = localized(question.label, language)
        fields[name] = field_for(question, label, language)
        names.append((name, label))
    if has_leads:
        fields["introduce_me"] = BooleanField(
            _l("Introduce me to the group leaders"),
            description=_l(
                "When you confirm, we email your name, email address, and answers to the group"
                " leaders. We don’t keep a copy, but their inboxes do."
            ),
        )
    fields |= {"question_names": tuple(names), "nonce": nonce}
    form = type("GroupJoinForm", (PersonalJoinForm if nonce else JoinForm,), fields)
    return cast("JoinForm", form())


class AskForm(PublicForm):
    """Takes any address, as someone may have joined with one that we no longer accept."""

    email = _address(
        _l("Your email address"),
        _l("The address where you get our newsletters."),
        well_formed,
    )
    submit = SubmitField(_l("Send me the link"))


class MoveForm(BaseForm):
    """Takes a new address; the secret in the URL is the authority.

    Staff addresses only: a personal address joins each group with a code of its own.
    """

    class Meta:
        csrf = False

    email = _address(
        _l("Your new %(district_short)s email address"),
        _l("We’ll email a link to it. Nothing changes until you open it and select the button."),
        staff_address,
    )
    submit = SubmitField(_l("Email a link to the new address"))


class TellMeForm(PublicForm):
    email = _address(
        _l("Your work email address"),
        _l("Use your own address, not a shared one."),
        staff_address,
    )
    language = language_field(_l("Language for our emails"), request_language)
    submit = SubmitField(_l("Tell me when it starts"))

    def wanted(self) -> Signup:
        return WaitForGroup(
            address=self.email.data or "", language=i18n.known_language(self.language.data)
        )


class PressForm(BaseForm):
    """A member's button; the token in the URL is the authority."""

    class Meta:
        csrf = False

    until = LocalDateField(
        _l("Or choose a day: no newsletters until"),
        validators=[InputRequired(_l("Choose a date."))],
    )
    language = SelectField(choices=tuple(i18n.NAMES))
    remind = SelectField(choices=("yes", "no"))

    def __init__(self, verb: str, **named: Any) -> None:
        super().__init__(**named)  # type: ignore[no-untyped-call]
        self.verb = verb
        for field, of in (("until", "pause"), ("language", "language"), ("remind", "remind")):
            if verb != of:
                del self[field]

    @property
    def first(self) -> date:
        return today() + timedelta(days=1)

    @property
    def last(self) -> date:
        return today() + LONGEST_PAUSE

    @property
    def offers(self) -> list[tuple[str, date]]:
        """Return the usual pauses as (label of the button, date)."""
        words = {1: _("Pause for one month"), 3: _("Pause for three months")}
        return [(said, _in_months(months)) for months, said in words.items()]

    def validate_until(self, field: Field) -> None:
        if field.data is not None and not self.first <= field.data <= self.last:
            raise ValidationError(_("Choose a date after today and within a year."))

    def act(self, session: Session, one: Subscription) -> None:
        """Apply the button to a locked membership; one that has ended can only be restored."""
        match self.verb:
            case "leave":
                members.leave(session, one.public_id)
            case "undo":
                members.undo_leave(one)
            case _ if not one.is_active:
                pass
            case "pause":
                day = cast("date", self.until.data)
                one.paused_until = datetime.combine(day, time(), services().settings.timezone)
            case "resume":
                members.resume(one)
            case "language":
                one.language = self.language.data
            case "remind":
                one.is_reminded = self.remind.data == "yes"


def _in_months(months: int) -> date:
    day: date = today() + relativedelta(months=months)  # type: ignore[no-untyped-call]
    return day
