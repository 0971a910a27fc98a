"""Mark words for the catalogs, even in programs that load no catalog."""


def gettext_noop(words: str) -> str:
    """Mark words for the catalogs; they are translated where they are shown."""
    return words
