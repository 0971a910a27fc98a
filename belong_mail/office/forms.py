"""The form for the office's answer."""

from flask_babel import lazy_gettext as _l
from wtforms import SubmitField, TextAreaField
from wtforms.validators import DataRequired, Length

from belong_mail.forms import KeptForm, plain_text, strip


class AnswerForm(KeptForm):
    answer = TextAreaField(
        _l("Your answer"),
        filters=[strip],
        validators=[
            DataRequired(_l("Write your answer.")),
            Length(max=5000, message=_l("Use at most 5,000 characters.")),
            plain_text,
        ],
    )
    submit = SubmitField(_l("Put the answer there"))
