"""Mark strings for translation in modules that load no catalog."""


def gettext_noop(words: str) -> str:
    """Mark a string for translation; it is translated where it is shown."""
    return words
