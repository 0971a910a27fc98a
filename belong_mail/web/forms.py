"""Shared by all forms: filters, validators, fields, a form without cookies, a trap for robots."""

from collections.abc import Callable
from typing import Any
from unicodedata import category
from urllib.parse import urlsplit

from babel.support import LazyProxy
from flask import request
from flask_wtf import FlaskForm
from flask_wtf.form import SUBMIT_METHODS
from markupsafe import Markup, escape
from werkzeug.datastructures import CombinedMultiDict, MultiDict
from wtforms import (
    DateField,
    EmailField,
    Field,
    FileField,
    Form,
    HiddenField,
    RadioField,
    SelectChoice,
    StringField,
    TextAreaField,
    TimeField,
    ValidationError,
)
from wtforms.csrf.core import CSRF, CSRFTokenField
from wtforms.validators import Length
from wtforms.widgets.core import Input, clean_key

from belong_mail.core.db import new_public_id, now
from belong_mail.core.i18n import DEFAULT, NAMES, TextIn, read_day
from belong_mail.core.tokens import BadToken, Purpose
from belong_mail.mail.address import InvalidAddress, Staff, check_typed, correct_domain, domain
from belong_mail.web.access import ProofNeeded
from belong_mail.web.context import is_only_read, is_shown_again, services
from belong_mail.web.language import format_number, request_language
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l

Validator = Callable[[Form, Field], object]
# The button that shows the page in another language, keeping what was typed.
LANGUAGE_SWITCH = "switch_language"
# The button that accepts a suggested address; its value is the field's name.
USE_SUGGESTION = "use_suggestion"
# The hidden field with the address for which a correction was suggested.
AS_TYPED = "as_typed"
LINE_BREAKS = "\t\n\r"
# Unicode categories: control characters, private use, surrogates.
HIDDEN_CHARACTERS = {"Cc", "Co", "Cs"}
# Characters that change the direction of the text after them.
BIDI_CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _attributes(**given: object) -> Markup:
    """Write an input's attributes as WTForms does, which would take most of a form's time."""
    written = []
    for key, value in sorted(given.items()):
        if value is not False:
            said = str(escape(value)).replace('"', "&quot;")
            written.append(clean_key(key) + ("" if value is True else f'="{said}"'))
    return Markup(" ".join(written))  # noqa: S704 - each value is escaped


# All of its inputs ask their class for the function.
Input.html_params = staticmethod(_attributes)


def strip(value: str | None) -> str | None:
    return value.strip() if value else value


class TimedCSRF(CSRF):
    """A signed time instead of a cookie's token: the form was opened here within a day.

    `web.security_headers` refuses other sites' forms; an expired form has to be sent once more.
    """

    def generate_csrf_token(self, _field: CSRFTokenField) -> str:
        return services().tokens.sign(Purpose.FORM, new_public_id(), now())

    def validate_csrf_token(self, _form: Form, field: CSRFTokenField) -> None:
        try:
            services().tokens.read(Purpose.FORM, field.data or "")
        except BadToken as error:
            raise ValidationError(_("Please select the button again.")) from error


class BaseForm(FlaskForm):
    """A form that the language button shows again, with everything that was typed."""

    class Meta(FlaskForm.Meta):
        """Read a request's texts, and files for fields of files alone; no JSON."""

        def wrap_formdata(self, form: Form, formdata: Any) -> Any:
            if formdata is None or isinstance(formdata, MultiDict):
                return formdata
            if request.method not in SUBMIT_METHODS:
                return None
            files = [
                (name, file)
                for name, file in request.files.items()
                if name in form and isinstance(form[name], FileField)
            ]
            return CombinedMultiDict([request.form, MultiDict(files)]) or None

    @property
    def is_turned(self) -> bool:
        """Return whether the language button was pressed."""
        return LANGUAGE_SWITCH in request.form

    def is_submitted(self) -> bool:
        """Return whether the form was sent to be acted on, not to be shown again."""
        is_shown = {LANGUAGE_SWITCH, USE_SUGGESTION} & request.form.keys() or is_shown_again()
        return not is_shown and bool(super().is_submitted())  # type: ignore[no-untyped-call]

    def validate(self, *args: Any, **kwargs: Any) -> bool:
        """Validate the form. Raises ProofNeeded if it is valid, but needs a fresh proof first."""
        is_right = bool(super().validate(*args, **kwargs))  # type: ignore[no-untyped-call]
        if is_right and is_only_read():
            raise ProofNeeded
        return is_right

    def is_sent(self) -> bool:
        """Return whether the form was sent to be acted on, and is valid."""
        return bool(self.validate_on_submit())

    def process(self, *args: Any, **kwargs: Any) -> None:
        """Read the input; an accepted suggestion replaces what was typed."""
        super().process(*args, **kwargs)  # type: ignore[no-untyped-call]
        name = request.form.get(USE_SUGGESTION, "")
        if name in self and isinstance(self[name].data, str):
            self[name].data = _suggestion(self[name].data) or self[name].data


class VersionedForm(BaseForm):
    """A form that notices when someone else has changed the object meanwhile."""

    # The object's version when the page was opened.
    seen = HiddenField()

    def is_stale(self, version: str) -> bool:
        """Return whether the object has changed meanwhile; sent again, the form overwrites it."""
        is_older = self.is_submitted() and self.seen.data != version
        if is_older or not self.seen.data:
            self.seen.data = version
        return is_older


class PublicForm(BaseForm):
    """A form for anyone: without a cookie, with a trap for robots."""

    class Meta:
        csrf = True
        csrf_class = TimedCSRF

        @property
        def locales(self) -> tuple[str, ...]:
            """Return the language of WTForms' own error messages."""
            return request_language(), DEFAULT

    # Hidden from people; its name matches nothing that browsers fill in.
    trap = StringField(_l("Leave this empty"))

    def validate_trap(self, field: Field) -> None:
        if field.data:
            field.data = ""
            raise ValidationError(_("Please select the button again."))


def well_formed(_form: Form, field: Field) -> None:
    """Normalise an address; ask once about a domain that looks mistyped."""
    typed = field.data or ""
    if request.form.get(AS_TYPED) != typed:
        vars(field)["as_typed"] = typed
        _refuse_typo(field, _l("Did you mean %(domain)s? If not, send the form again as it is."))
    field.data = _checked(typed)


def staff_address(_form: Form, field: Field) -> None:
    """Accept staff addresses only, and normalise them."""
    _refuse_typo(field, _l("Did you mean %(domain)s?"))
    address = _checked(field.data or "")
    settings = services().settings
    if domain(address) not in settings.allowed_domains:
        raise ValidationError(
            _(
                "Use a district email address. It ends in @%(domain)s.",
                domain=settings.allowed_domains[0],
            )
        )
    if Staff(refused=settings.refused_local_parts).refuses(address):
        raise ValidationError(_("This isn’t a staff member’s own email address."))
    field.data = address


def personal_address(_form: Form, field: Field) -> None:
    """Accept and normalise an address outside of the district.

    Suggests no correction, as that would be an address of the district.
    """
    field.data = _checked(field.data or "", _("Enter an email address like name@example.com."))
    if domain(field.data) in services().settings.allowed_domains:
        raise ValidationError(
            _(
                "This email address is from %(district_short)s. Enter a personal one, or join with"
                " your %(district_short)s address."
            )
        )


def _suggestion(typed: str) -> str | None:
    return correct_domain(typed, services().settings.allowed_domains)


def _refuse_typo(field: Field, words: LazyProxy) -> None:
    """Ask whether the district's domain was meant, with a button that corrects it."""
    meant = _suggestion(field.data or "")
    if meant is not None:
        vars(field)["suggestion"] = meant
        raise ValidationError(str(words) % {"domain": domain(meant)})


def _checked(typed: str, refused: str = "") -> str:
    """Return a checked address, or raise ValidationError."""
    try:
        return check_typed(typed)
    except InvalidAddress as error:
        words = refused or _(
            "Enter an email address like name@%(domain)s.",
            domain=services().settings.allowed_domains[0],
        )
        raise ValidationError(words) from error


def plain_text(_form: Form, field: Field) -> None:
    """Accept text whose only control characters are tabs and line breaks."""
    text = field.data or ""
    if any(
        c in BIDI_CONTROLS or (category(c) in HIDDEN_CHARACTERS and c not in LINE_BREAKS)
        for c in text
    ):
        raise ValidationError(_("This contains a character we can’t read. Please retype it."))


def one_line(form: Form, field: Field) -> None:
    """Accept plain text without line breaks and tabs."""
    plain_text(form, field)
    if "\t" in (field.data or "") or len((field.data or "").splitlines()) > 1:
        raise ValidationError(_("This contains a character we can’t read. Please retype it."))


def https_only(form: Form, field: Field) -> None:
    one_line(form, field)
    parts = urlsplit(field.data or "")
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        raise ValidationError(_("Enter a web address that starts with https://."))


def at_most(characters: int) -> Length:
    """Limit a field's length, with an error that says the number."""
    number = LazyProxy(format_number, characters, enable_cache=False)
    return Length(max=characters, message=_l("Use at most %(number)s characters.", number=number))


def email_field(
    label: LazyProxy, required: Validator, check: Validator, description: object = ""
) -> EmailField:
    """Return a field for an address; `required` gives the error for an empty one."""
    validators = [required, at_most(254), check]
    return EmailField(label, description=description, filters=[strip], validators=validators)


def line_field(
    label: object, required: Validator, most: int, *more: Validator, hint: object = ""
) -> StringField:
    """Return a field for one line of plain text, of at most so many characters.

    `required` is `Optional()`, or gives the error for an empty one.
    """
    validators = [required, at_most(most), one_line, *more]
    return StringField(label, description=hint, filters=[strip], validators=validators)


def text_field(
    label: object,
    required: Validator,
    most: int,
    *more: Validator,
    hint: object = "",
    clean: Callable[[str | None], str | None] = strip,
) -> TextAreaField:
    """Return a field for plain text of several lines, as `line_field` does for one."""
    validators = [required, at_most(most), plain_text, *more]
    return TextAreaField(label, description=hint, filters=[clean], validators=validators)


def message_field(label: LazyProxy, required: Validator) -> TextAreaField:
    """Return a field for a message to the office, or for its answer."""
    return text_field(label, required, 5000)


def language_field(label: LazyProxy, default: Callable[[], str]) -> RadioField:
    """Return radio buttons for our languages, each labeled in itself."""
    choices = [SelectChoice(code, TextIn(name, code)) for code, name in NAMES.items()]
    return RadioField(label, choices=choices, default=default)


class LocalDateField(DateField):
    """A date as browsers send it or people type it, with an error that shows an example."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        if not valuelist:
            return
        self.data = None
        try:
            self.data = read_day(" ".join(valuelist).strip(), request_language())
        except ValueError as error:
            raise ValueError(_("Choose a date, like 12/31/2027.")) from error


class LocalTimeField(TimeField):
    """A time as browsers send it or people type it, with an error that shows an example."""

    def __init__(self, label: object, **named: Any) -> None:
        super().__init__(label, format=["%H:%M", "%I:%M%p"], **named)  # type: ignore[no-untyped-call]

    def process_formdata(self, valuelist: list[Any]) -> None:
        compact = ["".join(each.split()).replace(".", "").upper() for each in valuelist]
        try:
            super().process_formdata(compact)  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise ValueError(_("Enter a time, like 4:30 PM.")) from error
