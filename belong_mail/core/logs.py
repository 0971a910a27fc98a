"""Log each event on one line, as text or JSON: time, level, program, event, fields.

Callers never pass an address, a token, or a path, as some contain the secret of a link.
"""

import json
import logging
import os
import secrets
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

TEXT, JSON = "text", "json"
FORMATS: Final = (TEXT, JSON)
FIELDS: Final = "fields"
NOTED: Final = "logs.noted"
# Start of the traceback that granian appends to an error's message, with the error's values.
TRACEBACK: Final = "Traceback (most recent call last)"
# Id of the request being answered; empty outside of one.
_request_id: ContextVar[str] = ContextVar("request_id", default="")


def configure(style: str, program: str) -> None:
    """Log to standard error: our own events from INFO on, and warnings of libraries."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter_of(style, program))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("belong_mail").setLevel(logging.INFO)


def formatter_of(style: str, program: str) -> "LineFormatter":
    return JsonFormatter(program) if style == JSON else TextFormatter(program)


def web_server_formatter() -> "LineFormatter":
    """Return the formatter of the web server's own lines, to which its `--log-config` refers."""
    return formatter_of(os.environ.get("BELONG_LOG_FORMAT", TEXT), "web")


def event(log: logging.Logger, level: int, what: str, **fields: object) -> None:
    """Log an event with its fields; fields without a value are left out."""
    log.log(level, what, extra={FIELDS: {key: each for key, each in fields.items() if each != ""}})


def note(info: dict[Any, Any], name: str, number: int) -> None:
    """Note a field in `Session.info`, to be logged when the transaction has committed."""
    info.setdefault(NOTED, {}).setdefault(name, []).append(number)


def noted(info: dict[Any, Any]) -> dict[str, str]:
    """Return the fields that were noted in a transaction."""
    return {name: ",".join(map(str, all_)) for name, all_ in info.get(NOTED, {}).items()}


def begin_request() -> None:
    """Give the further log lines of this thread a new request id."""
    _request_id.set(secrets.token_hex(4))


def end_request() -> None:
    _request_id.set("")


class LineFormatter(logging.Formatter):
    """Formats a line; of an exception it shows only the type."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def parts(self, record: logging.LogRecord) -> dict[str, object]:
        found: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "program": self._program,
            "event": " ".join(record.getMessage().partition(TRACEBACK)[0].split()),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            found["error"] = record.exc_info[0].__name__
        if request_id := _request_id.get():
            found["request"] = request_id
        return found


class TextFormatter(LineFormatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = self.parts(record)
        time, level, program, what = (
            fields.pop(key) for key in ("time", "level", "program", "event")
        )
        said = [f"{key}={_quoted(str(each))}" for key, each in fields.items()]
        return " ".join([str(time), str(level).upper(), f"{program}:", str(what), *said])


class JsonFormatter(LineFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.parts(record), ensure_ascii=False, default=str)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if {" ", '"', "\n"} & set(value) else value
