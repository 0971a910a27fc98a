"""The composer's form: an issue's words, in English and perhaps in Spanish."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import Field, Form, HiddenField, StringField, SubmitField, TextAreaField
from wtforms import ValidationError as Invalid
from wtforms.validators import Length, Optional, Regexp

from belong_mail.forms import KeptForm, plain_text, strip
from belong_mail.mail.header import HeaderRefused, refuse_controls
from belong_mail.newsletters import placeholders
from belong_mail.newsletters.service import MAX_SUBJECT, MAX_TEXT


def fillable(_form: Form, field: Field) -> None:
    """Accept no word in braces that we cannot fill in."""
    for word in placeholders.unknown(field.data or ""):
        raise Invalid(
            _(
                "“{%(word)s}” is nothing that we can fill in."
                " Use {first_name} or {group}, or leave the braces out.",
                word=word,
            )
        )


def fit_for_a_header(_form: Form, field: Field) -> None:
    """Accept a subject that hides no line end, not even as an encoded word (RFC 2047)."""
    try:
        refuse_controls("Subject", field.data or "")
    except HeaderRefused as error:
        raise Invalid(_("This holds a character that cannot be read. Type it again.")) from error


SUBJECT = [
    Optional(),
    Length(max=MAX_SUBJECT, message=_l("Use at most 200 characters.")),
    Regexp(r"^[^\n\t]*$", message=_l("A subject is one line.")),
    plain_text,
    fit_for_a_header,
    fillable,
]
TEXT = [
    Optional(),
    Length(max=MAX_TEXT, message=_l("Use at most 100,000 characters.")),
    plain_text,
    fillable,
]


class WriteForm(KeptForm):
    subject = StringField(_l("Subject"), filters=[strip], validators=SUBJECT)
    text = TextAreaField(
        _l("Text"),
        description=_l("{first_name} becomes the reader’s first name, {group} the group’s name."),
        filters=[strip],
        validators=TEXT,
    )
    subject_es = StringField(_l("Subject in Spanish"), filters=[strip], validators=SUBJECT)
    text_es = TextAreaField(_l("Text in Spanish"), filters=[strip], validators=TEXT)
    seen = HiddenField()
    """When the issue was last changed, as this page knows it."""

    def problem(self) -> str:
        """Say what is wrong first."""
        return str(next(iter(self.errors.values()))[0]) if self.errors else ""

    submit = SubmitField(_l("Save"))
