"""Writing to the office, and coming back by the code."""

import re

ASKED, ANSWERED, AGAIN = "Where is the ramp?", "At the east door.", "And on Sundays?"
CODE = re.compile(r"<code>((?:[2-9A-HJKMNP-TV-Z]{4}-){4}[2-9A-HJKMNP-TV-Z]{4})</code>")


def write(visitor, **typed: str) -> str:
    """Write to the office without an address, and return the code of the page that thanks."""
    page = visitor.send("/contact", topic="access", message=ASKED, **typed)
    assert page.status_code == 200
    [code] = CODE.findall(page.text)
    return str(code)
