"""Tell one's devices apart in two words, from what a browser says of itself."""

# The first name that stands in a User-Agent counts: browsers also name those they descend from.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "Chromebook"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)


def device_of(user_agent: str) -> str:
    """Name browser and system, such as “Firefox/Windows”; what is unknown is left out.

    No version and no model is kept: they would tell more than which device it is.
    """
    return f"{_first(BROWSERS, user_agent)}/{_first(SYSTEMS, user_agent)}"


def parts_of(device: str) -> tuple[str, str]:
    """Return browser and system of what `device_of` named; either may be empty."""
    browser, _, system = device.partition("/")
    return browser, system


def _first(names: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for sign, name in names if sign in user_agent), "")
