"""The office's forms for the settings of the site: one value, and a list of words."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import (
    Field,
    RadioField,
    SelectChoice,
    StringField,
    SubmitField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import DataRequired, InputRequired, Length, Optional

from belong_mail.core import site_settings
from belong_mail.core.email_templates import fixed_words
from belong_mail.core.i18n import gettext_noop
from belong_mail.groups.header_words import MAX_CHARACTERS, MAX_WORDS, found_phrase
from belong_mail.leads.forms import one_a_line
from belong_mail.web.context import services
from belong_mail.web.forms import (
    BaseForm,
    email_field,
    one_line,
    plain_text,
    staff_address,
    strip,
)

# What each setting is, and what it must be.
LABELS = {
    "video_url": gettext_noop("Link to the office’s video"),
    "safe2tell_phone": gettext_noop("Student safety: phone number"),
    "safe2tell_url": gettext_noop("Student safety: website"),
    "lifeline_phone": gettext_noop("Crisis line: phone number"),
    "lifeline_url": gettext_noop("Crisis line: website"),
    "postal_address": gettext_noop("Postal address below each email"),
}
HINTS = {
    "video_url": gettext_noop("On the list of groups. It begins with https://."),
    "safe2tell_phone": gettext_noop("On the contact page and in its email, like 800-555-0100."),
    "safe2tell_url": gettext_noop("On the contact page and in its email. It begins with https://."),
    "lifeline_phone": gettext_noop("On the contact page and in its email, like 988."),
    "lifeline_url": gettext_noop("On the contact page and in its email. It begins with https://."),
    "postal_address": gettext_noop("One line, without a link or an email address."),
}
REFUSALS = {
    "phone": gettext_noop("Enter a phone number, like 800-555-0100."),
    "url": gettext_noop("Enter a web address that starts with https://."),
    "address": gettext_noop("Enter one line, without a link or an email address."),
}


def fits(form: "SettingForm", field: Field) -> None:
    """Accept what the environment could give, and links by https alone."""
    value, kind = field.data or "", form.name.rpartition("_")[2]
    try:
        site_settings.parse(services().settings, form.name, value)
        is_right = kind != "url" or value.startswith("https://")
    except ValueError:
        is_right = False
    if not is_right:
        raise ValidationError(_(REFUSALS[kind]))


class SettingForm(BaseForm):
    value = StringField(
        _l("Value"),
        filters=[strip],
        validators=[
            DataRequired(_l("Enter a value, or go back to the default below.")),
            Length(max=200, message=_l("Use at most 200 characters.")),
            one_line,
            fits,
        ],
    )
    submit = SubmitField(_l("Save"))

    def __init__(self, name: str, **named: Any) -> None:
        self.name = name
        super().__init__(**named)  # type: ignore[no-untyped-call]
        self.value.label.text = _(LABELS[name])
        self.value.description = _(HINTS[name])


class CopiesForm(BaseForm):
    copies = RadioField(
        _l("Copy each newsletter to the office’s inbox?"),
        choices=lambda: [
            SelectChoice("yes", _("Yes")),
            SelectChoice("no", _("No. Copies end three days after everyone was told.")),
        ],
        validators=[InputRequired(_l("Choose one."))],
    )
    submit = SubmitField(_l("Save"))


class AlertAddressForm(BaseForm):
    email = email_field(
        _l("Who also gets alerts"),
        DataRequired(_l("Enter their email address.")),
        staff_address,
        _l(
            "One %(district_short)s email address. It takes the place of one that the"
            " office entered before."
        ),
    )
    submit = SubmitField(_l("Send alerts there, too"))


class WordsForm(BaseForm):
    """The words that no subject of a discreet group may say, one a line."""

    words = TextAreaField(
        _l("Words, one per line"),
        description=_l(
            "In English, Spanish or both. A star at the end stands for all words that begin this"
            " way, as in “sunris*”."
        ),
        filters=[one_a_line],
        validators=[
            Optional(),
            Length(max=4000, message=_l("Use at most 4,000 characters.")),
            plain_text,
        ],
    )
    submit = SubmitField(_l("Save"))

    def listed(self) -> list[str]:
        """Return what was typed, word by word."""
        return (self.words.data or "").splitlines()

    def validate_words(self, _field: Field) -> None:
        words = self.listed()
        if len(words) > MAX_WORDS or any(len(each) > MAX_CHARACTERS for each in words):
            raise ValidationError(_("Use at most 200 lines, each with at most 60 characters."))
        for ours in (services().settings.mail_from, *sorted(fixed_words())):
            if found := found_phrase(words, ours):
                said = _(
                    "The subjects of our own emails say “%(word)s”, so no email to a discreet group"
                    " could be sent. Remove this word.",
                    word=found,
                )
                raise ValidationError(said)
