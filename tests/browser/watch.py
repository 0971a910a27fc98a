"""Watches over a browser: what it complains of, and what it asks of other sites."""

from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, WebError


@dataclass
class Watch:
    """Collects complaints; `expected` are the statuses whose console message is meant to be."""

    complaints: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def over(self, context: BrowserContext, url: str) -> None:
        def heard(message: ConsoleMessage) -> None:
            if not any(f"status of {status} " in message.text for status in self.expected):
                self.complaints.append(f"{message.type}: {message.text}")

        def asked(request: Request) -> None:
            if not request.url.startswith((url + "/", "data:", "blob:")):
                self.complaints.append(f"asked for {request.url}")

        def failed(error: WebError) -> None:
            self.complaints.append(str(error.error))

        context.on("console", heard)
        context.on("request", asked)
        context.on("weberror", failed)
