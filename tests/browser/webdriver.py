"""Firefox and WebKit, as Debian has them, driven by the commands of WebDriver (W3C).

WebKit's driver takes them over HTTP. Firefox takes them by Marionette, its own protocol: Debian has
no geckodriver, which would translate.
"""

import json
import os
import shutil
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection
from tempfile import TemporaryDirectory
from typing import Any, Self

from tests.browser.site import PATIENCE
from tests.servers.ports import free_port
from tests.waiting import daemon, wait_until

# The commands over HTTP.
PATHS = {
    "NewSession": "session",
    "Navigate": "url",
    "Back": "back",
    "Refresh": "refresh",
    "FindElement": "element",
    "ElementClick": "element/{id}/click",
    "ElementSendKeys": "element/{id}/value",
    "ExecuteScript": "execute/sync",
}

# The production stage has an authority of its own.
TRUSTING = {"alwaysMatch": {"acceptInsecureCerts": True}}


class Refused(Exception):
    """A browser could not do what it was told."""


class Driven:
    """A browser; starts within `with`, ends when left, and waits for what it looks for."""

    programs: tuple[str, ...]

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            self.ends = ends
            self.home = ends.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
            self.port = free_port()
            self.start()
            self.ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.ends.close()

    @classmethod
    def missing(cls) -> str:
        """Say what is not tested without its programs; an empty text where they are."""
        lacks = " and no ".join(each for each in cls.programs if shutil.which(each) is None)
        return lacks and (
            f"NOT TESTED: the journeys in {cls.__name__} (tests/browser). There is no {lacks}:"
            " apt-get install -y --no-install-recommends firefox-esr webkit2gtk-driver xvfb"
        )

    def start(self) -> None:
        raise NotImplementedError

    def command(self, name: str, **arguments: Any) -> Any:
        """Give a command by the name that it has in Marionette, and return its value."""
        raise NotImplementedError

    def run(self, *program: str, ports: tuple[int, ...] = (), **settings: str) -> None:
        """Start a program, which ends with us."""
        env = os.environ | settings | {"HOME": self.home}
        self.ends.enter_context(daemon(*program, ports=ports, env=env))

    def go(self, url: str) -> None:
        self.command("Navigate", url=url)

    def find(self, xpath: str) -> str:
        """Wait for an element, also while another page loads, and return its id."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                [element] = self.command("FindElement", using="xpath", value=xpath).values()
                return str(element)
            except Refused:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def press(self, words: str) -> None:
        """Press the button, link or choice in the main part that has these words."""
        named = f"[self::a or self::button or self::label][normalize-space()='{words}']"
        self.command("ElementClick", id=self.find(f"//main//*{named}"))

    def type(self, name: str, words: str) -> None:
        self.command("ElementSendKeys", id=self.find(f"//main//*[@name='{name}']"), text=words)

    def heading(self, words: str) -> None:
        self.find(f"//h1[normalize-space()='{words}']")

    def value(self, name: str) -> str:
        script = f"return document.querySelector('main [name={name}]').value"
        return str(self.command("ExecuteScript", script=script, args=[]))


class Firefox(Driven):
    programs = ("firefox-esr",)

    def start(self) -> None:
        Path(self.home, "user.js").write_text(f'user_pref("marionette.port", {self.port});\n')
        self.run("firefox-esr", "--headless", "--marionette", "--profile", self.home)
        wait_until(self._connect)
        self._answer()
        self.command("NewSession", acceptInsecureCerts=True)

    def _connect(self) -> bool:
        wire = create_connection(("127.0.0.1", self.port))
        self._wire = self.ends.enter_context(wire).makefile("rwb")
        return True

    def command(self, name: str, **arguments: Any) -> Any:
        asked = json.dumps([0, 0, f"WebDriver:{name}", arguments]).encode()
        self._wire.write(b"%d:%b" % (len(asked), asked))
        self._wire.flush()
        _, _, error, result = self._answer()
        if error:
            raise Refused(error)
        return result.get("value")

    def _answer(self) -> Any:
        size = b"".join(iter(lambda: self._wire.read(1), b":"))
        return json.loads(self._wire.read(int(size)))


class WebKit(Driven):
    programs = ("WebKitWebDriver", "Xvfb")

    def start(self) -> None:
        # A screen that nobody looks at; the next free number is no display of others.
        number = f":{self.port}"
        self.run("Xvfb", number, "-nolisten", "tcp")
        driver = "WebKitWebDriver", f"--port={self.port}"
        self.run(*driver, ports=(self.port,), DISPLAY=number)
        self._session = ""
        self._session = f"session/{self.command('NewSession', capabilities=TRUSTING)['sessionId']}/"
        self.ends.callback(self._ask, "DELETE", self._session[:-1])

    def command(self, name: str, **arguments: Any) -> Any:
        path = PATHS[name].format(id=arguments.pop("id", ""))
        return self._ask("POST", self._session + path, json.dumps(arguments))

    def _ask(self, method: str, path: str, body: str = "") -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE * 2)
        connection.request(method, f"/{path}", body)
        answer = connection.getresponse()
        value = json.loads(answer.read())["value"]
        connection.close()
        if answer.status != 200:
            raise Refused(value)
        return value
