"""Words of the whole site that no header of a discreet group's email may say.

They stand beside each group's own. The office writes them, in whatever languages, one a line.
"""

from collections.abc import Iterable

from sqlalchemy.orm import Session, object_session

from belong_mail.core import site_settings
from belong_mail.core.site_settings import SiteSetting
from belong_mail.groups.models import Group

NAME = "discreet_words"
# More are not looked for, whoever wrote them: each subject is compared with all of them.
MAX_WORDS, MAX_CHARACTERS = 200, 60


def site_words(session: Session) -> tuple[str, ...]:
    """List the words as they were typed."""
    with session.no_autoflush:
        found = session.get(SiteSetting, NAME)
    return _listed(found.value) if found is not None else ()


def _listed(value: str | None) -> tuple[str, ...]:
    lines = (value or "").splitlines()
    words = (each.strip()[:MAX_CHARACTERS] for each in lines)
    return tuple(each for each in words if each)[:MAX_WORDS]


def words_beside(group: Group) -> tuple[str, ...]:
    """List the words for a group that is in the database; none for one that is made up.

    A word that was taken from the list counts until the office was told.
    """
    session = object_session(group)
    if session is None:
        return ()
    words = site_words(session)
    found = session.get(SiteSetting, NAME)
    return (*words, *_listed(found.announced)) if found is not None else words


def change(session: Session, words: Iterable[str]) -> None:
    """Look for these words from now on."""
    site_settings.store(session, NAME, "\n".join(words) or None)
