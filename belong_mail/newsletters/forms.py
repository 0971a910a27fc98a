"""The composer's form: an issue's words, in English and perhaps in Spanish."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField, SubmitField, TextAreaField
from wtforms.validators import Length, Optional, Regexp

from belong_mail.forms import plain_text, strip
from belong_mail.newsletters.service import MAX_SUBJECT, MAX_TEXT

SUBJECT = [
    Optional(),
    Length(max=MAX_SUBJECT, message=_l("Use at most 200 characters.")),
    Regexp(r"^[^\n\t]*$", message=_l("A subject is one line.")),
    plain_text,
]
TEXT = [
    Optional(),
    Length(max=MAX_TEXT, message=_l("Use at most 100,000 characters.")),
    plain_text,
]


class WriteForm(FlaskForm):
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

    submit = SubmitField(_l("Save"))
