"""Opening a connection to a relay: TLS without fallback, EHLO, AUTH."""

import smtplib
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from belong_mail.mail.line import Broken, Line
from belong_mail.mail.outcomes import Reply

_SERVICE_READY, _READY_FOR_TLS, _OK = 220, 220, 250


class Unreachable(Exception):
    """The message could not be handed over, and was certainly not accepted."""

    def __init__(self, phase: str, why: str, reply: Reply | None = None) -> None:
        super().__init__(f"{phase}: {why}")
        self.phase = phase
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Relay:
    """Where and how mail is handed over. Times are seconds."""

    scheme: str
    """smtp, smtps or lmtp."""

    host: str
    port: int
    ehlo: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca: str | None = None
    connections: int = 5
    pipelining: bool = True
    timeout: float = 300.0
    """For connecting and each command (RFC 5321 4.5.3.2); DATA and the body have a share of it."""
    dot_timeout: float = 600.0
    """For the answer to the final dot. A shorter one makes second copies (RFC 1047)."""


def connect(relay: Relay) -> Line:
    """Return a line that is greeted, secured and logged in, or raise Unreachable."""
    line = Line(
        relay.ehlo,
        timeout=relay.timeout,
        dot_timeout=relay.dot_timeout,
        is_lmtp=relay.scheme == "lmtp",
    )
    try:
        _open(line, relay)
    except (OSError, Broken) as error:
        line.close()
        if isinstance(error, ssl.SSLError):
            _trusting.cache_clear()  # what this machine trusts may have changed
        raise Unreachable(line.now, why(error)) from None
    except Unreachable:
        line.close()
        raise
    return line


def why(error: Exception) -> str:
    """Return words for an error that hold nothing the other side said."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is refused ({error.verify_message})"
    return str(error) if isinstance(error, Broken) else type(error).__name__


def _open(line: Line, relay: Relay) -> None:
    line.start_clock()
    line.phase("CONNECT")
    line.dial(relay.host, relay.port)
    if relay.tls == "implicit":
        line.wrap(_context(relay), relay.host)
    _expect(_SERVICE_READY, "CONNECT", *line.getreply())
    _greet(line)
    if relay.tls == "starttls":
        line.phase("STARTTLS")
        if not line.has_extn("starttls"):
            raise Broken("not offered")
        _expect(_READY_FOR_TLS, "STARTTLS", *line.docmd("STARTTLS"))
        line.wrap(_context(relay), relay.host)
        _greet(line)
    if relay.username:
        _log_in(line, relay)


def _context(relay: Relay) -> ssl.SSLContext:
    """Return what all connections trust, as long as the file of it stays as it is."""
    return _trusting(relay.ca, Path(relay.ca).stat().st_mtime_ns if relay.ca else 0)


@lru_cache(maxsize=1)
def _trusting(ca: str | None, _changed_at: int) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _greet(line: Line) -> None:
    line.phase(line.ehlo_msg.upper())
    _expect(_OK, line.now, *line.ehlo())


def _log_in(line: Line, relay: Relay) -> None:
    """Try one mechanism once: each wrong attempt brings the account nearer to being locked."""
    line.phase("AUTH")
    line.user, line.password = relay.username, relay.password
    offered = line.esmtp_features.get("auth", "").upper().split()
    try:
        if "PLAIN" in offered:
            line.auth("PLAIN", line.auth_plain)
        elif "LOGIN" in offered:
            line.auth("LOGIN", line.auth_login)
        else:
            raise Broken("neither PLAIN nor LOGIN is offered")
    except smtplib.SMTPAuthenticationError as error:
        _expect(None, "AUTH", error.smtp_code, error.smtp_error)
    except ValueError:
        raise Broken("a challenge that is not base64") from None


def _expect(wanted: int | None, phase: str, code: int, text: bytes | str) -> None:
    if code != wanted:
        words = text if isinstance(text, str) else text.decode("utf-8", "replace")
        raise Unreachable(phase, f"answered {code}", Reply(code, words, phase)) from None
