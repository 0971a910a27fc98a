"""The form for a new question."""

from typing import cast

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    Field,
    RadioField,
    SelectChoice,
    StringField,
    SubmitField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import DataRequired, Length, Optional

from belong_mail.forms import KeptForm, one_line, plain_text, strip
from belong_mail.groups.models import Words
from belong_mail.languages import marked
from belong_mail.questions.checking import asks_too_much

KINDS = {
    "text": marked("An answer in their own words"),
    "choice": marked("One of a list"),
    "choices": marked("Any of a list"),
    "consent": marked("A tick: they agree, or not"),
}
WITH_OPTIONS = {"choice", "choices"}
FEWEST, MOST = 2, 10
"""Options of one question."""
SHORT = Length(max=90, message=_l("Use at most 90 characters."))
LONG = Length(max=1000, message=_l("Use at most 1,000 characters."))


def harmless(_form: FlaskForm, field: Field) -> None:
    if asks_too_much(field.data or ""):
        raise ValidationError(
            _(
                "Please ask something else. Nobody has to say who they are to belong: no form of"
                " ours asks about identity, health, pronouns, religion, race or orientation."
            )
        )


def lines(text: str | None) -> list[str]:
    """Split into the lines that say something."""
    return [" ".join(line.split()) for line in (text or "").splitlines() if line.strip()]


class QuestionForm(KeptForm):
    label_en = StringField(
        _l("Your question"),
        filters=[strip],
        validators=[DataRequired(_l("Write your question.")), SHORT, one_line, harmless],
    )
    label_es = StringField(
        _l("The same in Spanish"),
        filters=[strip],
        validators=[Optional(), SHORT, one_line, harmless],
    )
    kind = RadioField(
        _l("How people answer"),
        choices=lambda: [SelectChoice(key, _(words)) for key, words in KINDS.items()],
        default="text",
    )
    options_en = TextAreaField(
        _l("The list, one answer a line"),
        description=_l("Only for answers from a list: 2 to 10 lines."),
        filters=[strip],
        validators=[LONG, plain_text, harmless],
    )
    options_es = TextAreaField(
        _l("The list in Spanish, in the same order"),
        filters=[strip],
        validators=[LONG, plain_text, harmless],
    )
    submit = SubmitField(_l("Propose this question"))

    def validate_options_en(self, field: Field) -> None:
        number = len(lines(field.data))
        if self.kind.data in WITH_OPTIONS and not FEWEST <= number <= MOST:
            raise ValidationError(_("Write 2 to 10 answers, one a line."))
        if self.kind.data not in WITH_OPTIONS and number:
            raise ValidationError(_("This kind of question has no list. Leave it empty."))
        if any(len(line) > SHORT.max for line in lines(field.data)):
            raise ValidationError(SHORT.message)

    def validate_options_es(self, field: Field) -> None:
        number = len(lines(field.data))
        if number and number != len(lines(self.options_en.data)):
            raise ValidationError(_("Write as many answers in Spanish as in English, or none."))
        if any(len(line) > SHORT.max for line in lines(field.data)):
            raise ValidationError(SHORT.message)

    def label(self) -> Words:
        return _words(cast("str", self.label_en.data), self.label_es.data or "")

    def options(self) -> list[Words]:
        english, spanish = lines(self.options_en.data), lines(self.options_es.data)
        spanish = spanish or [""] * len(english)
        return [_words(*pair) for pair in zip(english, spanish, strict=True)]


def _words(english: str, spanish: str) -> Words:
    return {"en": english, "es": spanish} if spanish else {"en": english}
