"""Mark words for the catalogs, in programs too that load no catalog."""


def gettext_noop(words: str) -> str:
    """Mark words for the catalogs that are translated where they are shown."""
    return words
