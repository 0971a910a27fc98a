"""Watches over a browser: what it complains of, and what it asks of other sites."""

from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, WebError


@dataclass
class Watch:
    """Collects complaints; `expected` are statuses, or words, of messages that are meant."""

    complaints: list[str] = field(default_factory=list)
    expected: set[int | str] = field(default_factory=set)

    def over(self, context: BrowserContext, url: str) -> None:
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
