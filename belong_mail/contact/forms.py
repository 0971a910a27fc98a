"""The contact form: a topic and some words; name and address may be left out."""

from typing import cast

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import EmailField, SelectChoice, SelectField, StringField, SubmitField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional

from belong_mail.contact.service import TOPICS, Written
from belong_mail.forms import OpenForm, one_line, plain_text, strip, well_formed


class ContactForm(OpenForm):
    topic = SelectField(
        _l("What is it about?"),
        choices=lambda: [SelectChoice(key, _(words)) for key, words in TOPICS.items()],
        default="join",
    )
    message = TextAreaField(
        _l("Your message"),
        filters=[strip],
        validators=[
            DataRequired(_l("Write your message.")),
            Length(max=5000, message=_l("Use at most 5,000 characters.")),
            plain_text,
        ],
    )
    name = StringField(
        _l("Your name"),
        filters=[strip],
        validators=[
            Optional(),
            Length(max=100, message=_l("Use at most 100 characters.")),
            one_line,
        ],
    )
    email = EmailField(
        _l("Your email address"),
        description=_l("Only so that we can answer you."),
        filters=[strip],
        validators=[Optional(), Length(max=254), well_formed],
    )
    submit = SubmitField(_l("Send to DPS Belong"))

    def written(self) -> Written:
        return Written(
            topic=cast("str", self.topic.data),
            message=cast("str", self.message.data),
            name=self.name.data or "",
            address=self.email.data or "",
        )
