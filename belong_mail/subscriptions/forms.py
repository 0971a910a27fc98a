"""The sign-up form: one field that matters, and the group's own questions."""

from typing import Any, cast

from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    EmailField,
    Field,
    RadioField,
    SelectChoice,
    SelectMultipleField,
    StringField,
    SubmitField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import DataRequired, Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from belong_mail import languages
from belong_mail.forms import OpenForm, one_line, plain_text, staff_address, strip
from belong_mail.groups.models import Group, Question
from belong_mail.subscriptions.service import Wanted


def not_a_link(_form: OpenForm, field: Field) -> None:
    """A name is shown in mail: no address of the web, no markup."""
    if any(mark in (field.data or "") for mark in ("://", "www.", "<", ">", "@", "{", "}")):
        raise ValidationError(_("Enter just a first name."))


class JoinForm(OpenForm):
    """What every group's form asks; `form_for` adds the group's own questions."""

    email = EmailField(
        _l("Your work email address"),
        description=_l("Best is an address that only you read. We mail you a link to confirm."),
        filters=[strip],
        validators=[DataRequired(_l("Enter your email address.")), Length(max=254), staff_address],
    )
    language = RadioField(
        _l("Language of our mails"),
        choices=[SelectChoice(code, name) for code, name in languages.NAMES.items()],
        default=lambda: str(get_locale()),
    )
    first_name = StringField(
        _l("First name"),
        filters=[strip],
        validators=[
            Optional(),
            Length(max=60, message=_l("Use at most 60 characters.")),
            one_line,
            not_a_link,
        ],
    )
    submit = SubmitField(_l("Send me the link"))
    question_names: tuple[tuple[str, str], ...] = ()

    @property
    def question_fields(self) -> list[Field]:
        return [self[name] for name, _label in self.question_names]

    def wanted(self) -> Wanted:
        """Return what was typed; answers only where the leads are to see them."""
        is_introduced = "introduce_me" in self and bool(self["introduce_me"].data)
        return Wanted(
            address=cast("str", self.email.data),
            language=languages.known(self.language.data),
            first_name=self.first_name.data or "",
            is_introduced=is_introduced,
            answers=self._answers() if is_introduced else [],
        )

    def _answers(self) -> list[list[str]]:
        given = [(label, _in_words(self[name])) for name, label in self.question_names]
        return [[label, answer] for label, answer in given if answer]


def form_for(group: Group, *, has_leads: bool) -> JoinForm:
    """Build a group's form; without a lead there is nobody to be introduced to."""
    language = str(get_locale())
    fields: dict[str, Any] = {}
    names = []
    approved = [question for question in group.questions if question.approved_at]
    for question in approved if has_leads else ():
        name = f"question-{question.position}"
        label = question.label.get(language) or question.label["en"]
        fields[name] = _field(question, label, language)
        names.append((name, label))
    if has_leads:
        fields["introduce_me"] = BooleanField(
            _l("Introduce me to the leads"),
            description=_l(
                "When you confirm, the leads get your name, your address and your answers by"
                " mail. We keep no copy; their mailbox does."
            ),
        )
    form = type("GroupJoinForm", (JoinForm,), {**fields, "question_names": tuple(names)})
    return cast("JoinForm", form())


def _field(question: Question, label: str, language: str) -> Any:
    needed = DataRequired(_l("Answer this question.")) if question.is_required else Optional()
    choices = [
        SelectChoice(str(number), option.get(language) or option["en"])
        for number, option in enumerate(question.options)
    ]
    if question.kind == "choice":
        return RadioField(label, choices=choices, validators=[needed], validate_choice=True)
    if question.kind == "choices":
        return SelectMultipleField(
            label,
            choices=choices,
            validators=[needed],
            widget=ListWidget(prefix_label=False),
            option_widget=CheckboxInput(),
        )
    if question.kind == "consent":
        return BooleanField(label, validators=[needed])
    long = Length(max=500, message=_l("Use at most 500 characters."))
    return TextAreaField(label, filters=[strip], validators=[needed, long, plain_text])


def _in_words(field: Field) -> str:
    """Return an answer as a person would read it; empty for none."""
    if isinstance(field, BooleanField):
        return _("Yes") if field.data else ""
    if isinstance(field, RadioField | SelectMultipleField):
        chosen = field.data if isinstance(field.data, list) else [field.data]
        labels = {choice.value: str(choice.label) for choice in field.choices}
        return ", ".join(labels[each] for each in chosen if each in labels)
    return field.data or ""
