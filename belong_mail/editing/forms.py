"""The form for a group's page."""

from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    EmailField,
    Field,
    FieldList,
    Form,
    FormField,
    StringField,
    SubmitField,
    TextAreaField,
)
from wtforms.validators import DataRequired, Length, Optional

from belong_mail.editing.service import Page
from belong_mail.forms import KeptForm, https_only, plain_text, staff_address, strip
from belong_mail.groups.models import Words

RESOURCES = 4
LINE = [Optional(), Length(max=160, message=_l("Use at most 160 characters.")), plain_text]
NOTE = [Optional(), Length(max=60, message=_l("Use at most 60 characters.")), plain_text]
LETTER = [Optional(), Length(max=600, message=_l("Use at most 600 characters.")), plain_text]


class ResourceForm(Form):
    """A link of the page; the form around it guards against other sites."""

    title_en = StringField(_l("Title"), filters=[strip], validators=LINE)
    title_es = StringField(_l("Title in Spanish"), filters=[strip], validators=LINE)
    url = StringField(
        _l("Address"),
        filters=[strip],
        validators=[
            Optional(),
            Length(max=500, message=_l("This address is too long.")),
            https_only,
        ],
    )


class PageForm(KeptForm):
    summary_en = StringField(
        _l("What the group is for"),
        filters=[strip],
        validators=[DataRequired(_l("Say what the group is for.")), *LINE[1:]],
    )
    summary_es = StringField(_l("The same in Spanish"), filters=[strip], validators=LINE)
    note_en = StringField(_l("A note on the card"), filters=[strip], validators=NOTE)
    note_es = StringField(_l("The note in Spanish"), filters=[strip], validators=NOTE)
    welcome_en = TextAreaField(
        _l("Your words in the welcome mail"), filters=[strip], validators=LETTER
    )
    welcome_es = TextAreaField(_l("The same in Spanish"), filters=[strip], validators=LETTER)
    resources = FieldList(FormField(ResourceForm), min_entries=RESOURCES, max_entries=RESOURCES)
    mailbox = EmailField(
        _l("Shared mailbox of the leads"),
        description=_l(
            "It gets replies to your newsletters and messages to the group, once it has been"
            " confirmed there and by you. Left empty, it stays as it is."
        ),
        filters=[strip],
        validators=[Optional(), Length(max=254), staff_address],
    )
    without_mailbox = BooleanField(_l("Remove the shared mailbox"))
    submit = SubmitField(_l("Save"))

    def page(self) -> Page:
        """Return what was typed."""
        return Page(
            summary=_words(self.summary_en, self.summary_es),
            note=_words(self.note_en, self.note_es),
            welcome=_words(self.welcome_en, self.welcome_es),
            resources=[
                {"title": _words(each.title_en, each.title_es), "url": each.url.data}
                for each in self.resources
                if each.url.data and each.title_en.data
            ],
        )

    def show(self, page: Page) -> None:
        """Fill the form with what is on the page now."""
        for name in ("summary", "note", "welcome"):
            for language in ("en", "es"):
                self[f"{name}_{language}"].data = getattr(page, name).get(language, "")
        for entry, resource in zip(self.resources, page.resources, strict=False):
            entry.url.data = resource["url"]
            entry.title_en.data = resource["title"].get("en", "")
            entry.title_es.data = resource["title"].get("es", "")


def _words(english: Field, spanish: Field) -> Words:
    given = {"en": english.data or "", "es": spanish.data or ""}
    return {language: words for language, words in given.items() if words}
