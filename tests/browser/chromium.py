"""The browser: Debian's chromium, how it is started here, and who watches over it."""

import os
import shutil
from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Request, ViewportSize, WebError

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


@dataclass
class Watch:
    """Collects complaints; `expected` are statuses, or words, of messages that are meant."""

    complaints: list[str] = field(default_factory=list)
    expected: set[int | str] = field(default_factory=set)

    def over(self, context, url: str) -> None:
        def heard(message: ConsoleMessage) -> None:
            meant = [f"status of {e} " if isinstance(e, int) else e for e in self.expected]
            if not any(words in message.text for words in meant):
                self.complaints.append(f"{message.type}: {message.text}")

        def asked(request: Request) -> None:
            if not request.url.startswith((url + "/", "data:", "blob:")):
                self.complaints.append(f"asked for {request.url}")

        def failed(error: WebError) -> None:
            self.complaints.append(str(error.error))

        context.on("console", heard)
        context.on("request", asked)
        context.on("weberror", failed)
