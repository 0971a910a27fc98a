"""Fields in which the same words are typed in each language."""

from collections.abc import Callable
from typing import Any, ClassVar

from babel.support import LazyProxy
from wtforms import Field, Form, StringField
from wtforms.validators import DataRequired, Optional

from belong_mail.core.i18n import DEFAULT, NAMES, LocalizedText, language_name, text_direction
from belong_mail.core.translatable import gettext_noop
from belong_mail.web.forms import Validator, strip
from belong_mail.web.language import gettext, lazy_gettext, request_language

# The label of a field below the default language's own.
SAME = gettext_noop("The same in %(language)s")


class LocalizedFields:
    """Declares fields of a form: one for each language, in the list's order.

    Those of `summary` are named `summary_en` and `summary_es`; with `is_bare` the first has no
    ending.
    """

    def __init__(self, make: Callable[[str], Any], *, is_bare: bool = False) -> None:
        self.is_bare = is_bare
        # Created here, because a form shows its fields and errors in the order of their creation.
        self.made = {code: _marked(make(code), code) for code in NAMES}


class LocalizedForm(Form):
    """A form that may declare LocalizedFields."""

    field_names: ClassVar[dict[str, dict[str, str]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        declared = {
            name: each for name, each in vars(cls).items() if isinstance(each, LocalizedFields)
        }
        for name, each in declared.items():
            names = {code: f"{name}_{code}" for code in NAMES}
            if each.is_bare:
                names[DEFAULT] = name
            cls.field_names = {**cls.field_names, name: names}
            for code, field in each.made.items():
                setattr(cls, names[code], field)

    def fields_of(self, name: str) -> dict[str, Field]:
        """Return the fields for the same words, by language, the default first."""
        return {code: self[field] for code, field in self.field_names[name].items()}

    def typed(self, name: str) -> LocalizedText:
        """Return what was typed, in each language that has any."""
        return {code: field.data for code, field in self.fields_of(name).items() if field.data}

    @classmethod
    def flat(cls, **words: LocalizedText) -> dict[str, str]:
        """Return words by the names of their fields."""
        return {
            field: words[name].get(code, "")
            for name in words
            for code, field in cls.field_names[name].items()
        }

    def fill(self, **words: LocalizedText) -> None:
        """Fill the fields with what is stored."""
        for field, said in self.flat(**words).items():
            self[field].data = said


def _marked(field: Any, code: str) -> Any:
    """Mark a field of another language than the default, for screen readers and keyboards."""
    if code != DEFAULT:
        direction = {"dir": "rtl"} if text_direction(code) == "rtl" else {}
        field.kwargs["render_kw"] = {"lang": code, **direction}
    return field


def label(code: str, first: str, other: str) -> LazyProxy:
    """Return a field's label: `first` for the default language; `other` has a %(language)s.

    For a reader of another language, the first one's says which language it is.
    """
    if code == DEFAULT:
        return LazyProxy(_first, first, enable_cache=False)
    return lazy_gettext(other, language=LazyProxy(_named, code, enable_cache=False))


def _first(words: str) -> str:
    reader, said = request_language(), gettext(words)
    return said if reader == DEFAULT else f"{said} ({language_name(DEFAULT, reader)})"


def _named(code: str) -> str:
    return language_name(code, request_language())


def words_field(
    kind: type[StringField],
    first: str,
    *validators: Validator,
    other: str = SAME,
    hint: object = "",
    needed: LazyProxy | None = None,
    clean: Callable[[str | None], str | None] = strip,
    is_bare: bool = False,
) -> LocalizedFields:
    """Declare a text field for each language, labeled as `label` does.

    Only the default language's field has a hint, and requires words with the error `needed`; others
    may stay empty.
    """

    def make(code: str) -> StringField:
        is_first = code == DEFAULT
        required = DataRequired(needed) if needed and is_first else Optional()
        return kind(
            label(code, first, other),
            description=hint if is_first else "",
            filters=[clean],
            validators=[required, *validators],
        )

    return LocalizedFields(make, is_bare=is_bare)
