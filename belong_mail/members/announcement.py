"""The text that the owner of an old list sends to it before its people are asked."""

from collections.abc import Iterator

from belong_mail.core.i18n import catalog, gettext_noop, group_in_sentence
from belong_mail.core.links import Links
from belong_mail.groups.models import Group

# The subject of the email that they are to look for: that of `emails/invited-to-confirm`.
ASKING_SUBJECT = gettext_noop("Do you want to stay on an email list of %(site_name)s?")
LINES = (
    gettext_noop("Our email list is moving"),
    gettext_noop("Hello,"),
    gettext_noop(
        "The email list of %(group)s is moving to %(site_name)s. The new list has only people who"
        " say yes, so please look for one email in the next days."
    ),
    gettext_noop("It comes from %(sender)s, and its subject is “%(subject)s”"),
    gettext_noop(
        "To stay on the list, open the link in it and select the button. If you don’t want to, you"
        " don’t need to do anything: you get one reminder, and after three days your address is"
        " deleted."
    ),
    gettext_noop("You can also join at any time on the group’s page: %(url)s"),
    gettext_noop("If you joined there already, you won’t get that email."),
)


def announcement(group: Group, links: Links, sender: str, language: str) -> list[str]:
    """Return the text in a language: its subject, then its paragraphs."""
    say = catalog(language).gettext
    said = {
        "group": group_in_sentence(group.name, language),
        "sender": sender,
        "subject": say(ASKING_SUBJECT),
        "url": links.page("subscriptions.join", language, slug=group.slug),
    }
    return list(_filled([say(each) for each in LINES], said))


def _filled(lines: list[str], said: dict[str, str]) -> Iterator[str]:
    for line in lines:
        yield line % said
