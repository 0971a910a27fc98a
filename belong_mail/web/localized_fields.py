"""Form fields for a text in each language."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from difflib import SequenceMatcher
from typing import Any, ClassVar

from babel.support import LazyProxy
from wtforms import BooleanField, Field, Form, StringField
from wtforms.validators import DataRequired, Optional

from belong_mail.core.i18n import DEFAULT, NAMES, LocalizedText, language_name, text_direction
from belong_mail.core.translatable import gettext_noop
from belong_mail.web.forms import Validator, VersionedForm, strip
from belong_mail.web.language import gettext, lazy_gettext, request_language

# The label of a field for another language than the default.
SAME = gettext_noop("The same in %(language)s")
# Fields, each with the pieces of two compared texts: the tag that marks a piece, and its words.
Differences = list[tuple[Field, list[tuple[str, str]]]]
# Passages are matched by their words and the breaks between lines, not by other blanks.
TOKEN, BLANKS = re.compile(r"\s*\n\s*|\S+[^\S\n]*"), re.compile(r"[^\S\n]")
# Words shown around a difference; most of two texts that are compared, which takes 0.3 s.
WORDS_AROUND, MOST_COMPARED = 12, 20_000


class LocalizedFields:
    """Declares a field for each language, in the order of `NAMES`.

    `summary` becomes `summary_en` and `summary_es`; with `is_bare` the first is just `summary`.
    """

    def __init__(self, make: Callable[[str], Any], *, is_bare: bool = False) -> None:
        self.is_bare = is_bare
        # Created now, as WTForms shows fields in the order of their creation.
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
        """Return a text's fields by language, the default first."""
        return {code: self[field] for code, field in self.field_names[name].items()}

    def typed(self, name: str) -> LocalizedText:
        """Return a text by the languages in which it was typed."""
        return {code: field.data for code, field in self.fields_of(name).items() if field.data}

    @classmethod
    def flat(cls, **words: LocalizedText) -> dict[str, str]:
        """Return texts by field name."""
        return {
            field: words[name].get(code, "")
            for name in words
            for code, field in cls.field_names[name].items()
        }

    def fill(self, **words: LocalizedText) -> None:
        for field, said in self.flat(**words).items():
            self[field].data = said


class SharedForm(VersionedForm, LocalizedForm):
    """A form for stored words, which someone else may change meanwhile."""

    def columns(self) -> dict[str, Any]:
        """Return the input, by column."""
        return {name: self.typed(name) for name in self.field_names}

    def show(self, stored: Mapping[str, Any]) -> None:
        """Fill the form with stored columns."""
        self.fill(**{name: stored[name] for name in self.field_names})

    def fields_of_words(self) -> list[Field]:
        return [field for name in self.field_names for field in self.fields_of(name).values()]

    def newer(self, stored: Mapping[str, Any]) -> Differences:
        """Return what someone else changed, as `differing` does; sent again, the form wins."""
        words = json.dumps(stored, sort_keys=True)
        is_stale = self.is_stale(hashlib.sha256(words.encode()).hexdigest())
        return self.differing(stored) if is_stale else []

    def differing(self, stored: Mapping[str, Any]) -> Differences:
        """Return the fields in which something else is typed, compared with what is stored."""
        shown = type(self)(formdata=None)
        shown.show(stored)
        pairs = zip(self.fields_of_words(), shown.fields_of_words(), strict=True)
        compared = [(mine, compare(_said(mine), _said(theirs))) for mine, theirs in pairs]
        return [each for each in compared if each[1]]


def _said(field: Field) -> str:
    if isinstance(field, BooleanField):
        return gettext("Yes") if field.data else gettext("No")
    return field.data or ""


def compare(mine: str, theirs: str) -> list[tuple[str, str]]:
    """Return where two texts differ: pieces with the tag `del` (mine), `ins` (theirs) or none."""
    mine, theirs = ("\n".join(each.splitlines()).strip() for each in (mine, theirs))
    if mine == theirs:
        return []
    old, new = TOKEN.findall(mine), TOKEN.findall(theirs)
    was, now = ([BLANKS.sub("", each) for each in tokens] for tokens in (old, new))
    if was == now or len(was) + len(now) > MOST_COMPARED:
        return [("del", mine), ("ins", theirs)]
    marked: list[tuple[str, str]] = []
    for passage in SequenceMatcher(None, was, now).get_grouped_opcodes(WORDS_AROUND):
        marked.append(("", "… " if passage[0][3] and not marked else ""))
        for tag, old_at, old_end, new_at, new_end in passage:
            if tag != "equal":
                marked.append(("del", "".join(old[old_at:old_end])))
            marked.append(("" if tag == "equal" else "ins", "".join(new[new_at:new_end])))
        marked.append(("", "…\n" if new_end < len(new) else ""))
    return [(tag, piece) for tag, piece in marked if piece]


def _marked(field: Any, code: str) -> Any:
    """Mark another language's field for screen readers and keyboards."""
    if code != DEFAULT:
        direction = {"dir": "rtl"} if text_direction(code) == "rtl" else {}
        field.kwargs["render_kw"] = {"lang": code, **direction}
    return field


def label(code: str, first: str, other: str) -> LazyProxy:
    """Return a field's label: `first` in the default language; `other` contains %(language)s.

    For readers of another language, the first label names its language, too.
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
    """Declare a text field for each language, with labels as `label` makes them.

    Only the default language's field has a hint, and is required, with the error `needed`.
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
