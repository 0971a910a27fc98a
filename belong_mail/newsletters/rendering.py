"""An issue's words as a mail: the same for sending, for a test and for the preview."""

from dataclasses import dataclass

from markupsafe import Markup

from belong_mail.groups.models import Group
from belong_mail.languages import DEFAULT
from belong_mail.mail import markdown
from belong_mail.mail.message import clean, slot
from belong_mail.newsletters.placeholders import open_slots
from belong_mail.outbox.rendering import Rendered, Renderer


@dataclass(frozen=True, slots=True)
class Words:
    """What a lead wrote; without a Spanish text, everybody gets the other."""

    subject: str
    text: str
    subject_es: str = ""
    text_es: str = ""

    def of(self, language: str) -> tuple[str, str, str]:
        """Return subject, text and the language they are in, for a reader of a language."""
        if language == "es" and self.text_es.strip():
            return self.subject_es or self.subject, self.text_es, "es"
        return self.subject, self.text, DEFAULT


def render(renderer: Renderer, group: Group, words: Words, language: str) -> Rendered:
    """Render an issue for the readers of a language; what is each one's own stays a slot."""
    subject, text, words_language = words.of(language)
    source = open_slots(clean(text), group.name)
    return renderer.render(
        "newsletter",
        language,
        subject=open_slots(clean(subject), group.name),
        html=Markup(markdown.to_html(source)),  # noqa: S704 - sanitised by to_html
        text=markdown.to_text(source),
        words_language=words_language,
        group=group,
        leave_url=slot("leave_url"),
    )
