"""The browser: Debian's chromium, and how it is started here."""

import os
import shutil

from playwright.sync_api import ViewportSize

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATH = shutil.which("chromium")
MISSING = (
    "NOT TESTED: the journeys in a browser, keyboard, axe, widths and weight (tests/browser)."
    " There is no chromium: apt-get install -y --no-install-recommends chromium"
)
IS_REQUIRED = os.environ.get("REQUIRE_BROWSER") == "1"
PHONE: ViewportSize = {"width": 360, "height": 740}
