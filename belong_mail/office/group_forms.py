"""The office's forms about a group, and about a question on its sign-up form."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, cast

from wtforms import (
    BooleanField,
    Field,
    Form,
    HiddenField,
    RadioField,
    SelectChoice,
    StringField,
    SubmitField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import DataRequired, InputRequired

from belong_mail.core.i18n import DEFAULT, LocalizedText, language_name
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.header_words import MAX_CHARACTERS, MAX_WORDS
from belong_mail.groups.questions import QUESTION_TYPES, asks_sensitive
from belong_mail.leads.forms import (
    LINE_VALIDATORS,
    MISSION_VALIDATORS,
    in_one_line,
    lines,
    one_a_line,
    with_newlines,
)
from belong_mail.newsletters import approval
from belong_mail.web.context import services, today
from belong_mail.web.forms import (
    BaseForm,
    LocalDateField,
    at_most,
    line_field,
    one_line,
    plain_text,
    strip,
)
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l
from belong_mail.web.language import request_language
from belong_mail.web.localized_fields import (
    LocalizedFields,
    LocalizedForm,
    SharedForm,
    label,
    words_field,
)

NAME_LENGTH = 60
# Days from today to a group's last day: by default, minimum, maximum.
USUAL_END, FIRST_END, LAST_END = timedelta(days=30), timedelta(days=7), timedelta(days=365)


def short_list(_form: Form, field: Field) -> None:
    """Limit lines to those that are compared with headers; further ones would be ignored."""
    words = (field.data or "").splitlines()
    if len(words) > MAX_WORDS or any(len(each) > MAX_CHARACTERS for each in words):
        raise ValidationError(_("Use at most 200 lines, each with at most 60 characters."))


class GroupForm(SharedForm):
    name = line_field(
        _l("Name"),
        DataRequired(_l("Enter the group’s name.")),
        NAME_LENGTH,
        hint=_l("As it’s written in a list, without “%(program_name)s Group”."),
    )
    summary = words_field(
        TextAreaField,
        gettext_noop("The group in one line"),
        *LINE_VALIDATORS,
        hint=_l("For the list of groups and the top of its page."),
        clean=in_one_line,
    )
    mission = words_field(
        TextAreaField,
        gettext_noop("Its mission"),
        *MISSION_VALIDATORS,
        hint=_l("Why the group exists. Its leaders can change these words later."),
        clean=with_newlines,
    )
    audience = words_field(
        StringField,
        gettext_noop("Who is welcome"),
        at_most(160),
        one_line,
        hint=_l(
            "One line, like “All staff are welcome.” Ask the group first: people decide by this"
            " line whether they may join. Leave it empty to say nothing."
        ),
    )
    is_discreet = BooleanField(
        _l("Discreet: the name says something private about its members"),
        description=_l(
            "Then calendars show “%(program_name)s meeting” only, and no email shows in its"
            " subject or sender what the group is about."
        ),
    )
    identifying_words = words_field(
        TextAreaField,
        gettext_noop("Words that reveal the group"),
        at_most(1000),
        plain_text,
        short_list,
        other=gettext_noop("Words in %(language)s"),
        hint=_l(
            "One per line: short forms of its name, what people call it, what it’s about. The"
            " subject of a newsletter can’t have them. Its names are already on the list."
        ),
        clean=one_a_line,
    )
    allows_personal_addresses = BooleanField(
        _l("Staff may join with a personal email address"),
        description=_l(
            "They first prove that they’re staff with a code that we email to their"
            " %(district_short)s address. The email names no group, but if only one group allows"
            " this, people who can read that email can tell which one. If you end this later,"
            " people who joined this way stay members, and links that we already emailed still let"
            " people join for up to 72 hours."
        ),
    )
    submit = SubmitField(_l("Save"))

    in_one_language = ("name", "is_discreet", "allows_personal_addresses")

    def columns(self) -> dict[str, Any]:
        return {**super().columns(), **{name: self[name].data for name in self.in_one_language}}

    def fields_of_words(self) -> list[Field]:
        return [*(self[name] for name in self.in_one_language), *super().fields_of_words()]

    def show(self, stored: Mapping[str, Any]) -> None:
        super().show(stored)
        for name in self.in_one_language:
            self[name].data = stored[name]

    def refuse_name(self) -> None:
        said = _("Another group has this name, or had it. Choose a different name.")
        self.name.errors = (said,)


class ChangeGroupForm(GroupForm):
    # The rule when the page was opened.
    shown_rule = HiddenField()
    approval_rule = RadioField(
        _l("When do newsletters need a second leader’s OK?"),
        description=_l(
            "One leader asks, another approves exactly these words, and only then is a newsletter"
            " sent."
        ),
        choices=lambda: [
            SelectChoice(approval.AUTO, _("If the group is discreet and has two leaders or more")),
            SelectChoice(approval.ALWAYS, _("Always")),
            SelectChoice(approval.NEVER, _("Never")),
        ],
        validators=[InputRequired(_l("Choose one."))],
    )


class EndForm(BaseForm):
    last_day = LocalDateField(
        _l("Last day"),
        description=_l("At least a week from today, so that its leaders can say goodbye."),
        default=lambda: today() + USUAL_END,
        validators=[InputRequired(_l("Choose a date."))],
    )
    submit = SubmitField(_l("End the group"))

    @property
    def first(self) -> date:
        return today() + FIRST_END

    @property
    def last(self) -> date:
        return today() + LAST_END

    @property
    def moment(self) -> datetime:
        """Return the moment after the last day, in local time."""
        day = cast("date", self.last_day.data) + timedelta(days=1)
        return datetime.combine(day, time(), services().settings.timezone)

    def validate_last_day(self, field: Field) -> None:
        if field.data is not None and not self.first <= field.data <= self.last:
            raise ValidationError(_("Choose a date at least a week from today, within a year."))


class NewGroupForm(GroupForm):
    """A new group's name, summary and mark as discreet; the group's own page has the rest."""

    submit = SubmitField(_l("Add the group"))


def no_sensitive_topics(_form: Form, field: Field) -> None:
    if asks_sensitive(field.data or ""):
        raise ValidationError(
            _(
                "Please ask something else. No one has to say who they are to belong: none of our"
                " forms ask about identity, health, pronouns, religion, race or orientation."
            )
        )


# Options of one question.
MIN_OPTIONS, MAX_OPTIONS = 2, 10
OPTION_LENGTH = at_most(90)
QUESTION_LENGTH = at_most(1000)


def _short(field: Field) -> None:
    if any(len(line) > OPTION_LENGTH.max for line in lines(field.data)):
        raise ValidationError(OPTION_LENGTH.message)


def list_fits_kind(form: "QuestionForm", field: Field) -> None:
    """Require options for types of questions that have them, and none for others."""
    number, chosen = len(lines(field.data)), QUESTION_TYPES.get(form.kind.data)
    has_options = chosen is not None and chosen.has_options
    if has_options and not MIN_OPTIONS <= number <= MAX_OPTIONS:
        raise ValidationError(_("Write 2 to 10 answers, one per line."))
    if not has_options and number:
        raise ValidationError(_("This kind of question has no list. Leave it empty."))
    _short(field)


def as_many_options(code: str) -> Callable[["QuestionForm", Field], None]:
    """Return a validator: options in another language are as many as in the first, or none."""

    def check(form: "QuestionForm", field: Field) -> None:
        number, reader = len(lines(field.data)), request_language()
        if number and number != len(lines(form.fields_of("options")[DEFAULT].data)):
            raise ValidationError(
                _(
                    "Write as many answers in %(language)s as in %(default)s, or none.",
                    language=language_name(code, reader),
                    default=language_name(DEFAULT, reader),
                )
            )
        _short(field)

    return check


def _options_field(code: str) -> TextAreaField:
    words = label(
        code,
        gettext_noop("The list, one answer per line"),
        gettext_noop("The list in %(language)s, in the same order"),
    )
    hint = _l("Only for answers from a list: 2 to 10 lines.") if code == DEFAULT else ""
    fits = list_fits_kind if code == DEFAULT else as_many_options(code)
    validators = [QUESTION_LENGTH, plain_text, no_sensitive_topics, fits]
    return TextAreaField(words, description=hint, filters=[strip], validators=validators)


class QuestionForm(BaseForm, LocalizedForm):
    label = words_field(
        StringField,
        gettext_noop("The question"),
        OPTION_LENGTH,
        one_line,
        no_sensitive_topics,
        needed=_l("Write the question."),
    )
    kind = RadioField(
        _l("How people answer"),
        choices=lambda: [SelectChoice(key, _(each.name)) for key, each in QUESTION_TYPES.items()],
        default="text",
    )
    options = LocalizedFields(_options_field)
    submit = SubmitField(_l("Add the question"))

    def typed_options(self) -> list[LocalizedText]:
        """Return each option in the languages in which it was typed."""
        listed = {code: lines(words) for code, words in self.typed("options").items()}
        return [
            {code: listed[code][number] for code in listed if listed[code]}
            for number in range(len(listed.get(DEFAULT, ())))
        ]
