"""Re-encode an uploaded picture or PDF in a sandboxed child process.

The child gets only the file's bytes: no environment, so no keys. It has limits of memory, time and
output; after reading the file it can open no file or socket, and on Linux seccomp allows it few
system calls. One child runs at a time, and its result is checked. `image_program` and
`flyer_program` are the children.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from json import JSONDecodeError
from subprocess import DEVNULL, PIPE, Popen
from threading import Lock, Timer
from typing import Any, ClassVar, Final, TypeVar

from belong_mail.core.environment import LIBRARY
from belong_mail.core.translatable import gettext_noop

# Bytes of an uploaded and of a stored file; the latter is also the limit of an issue's flyers.
MAX_FILE: Final = 5_000_000
MAX_WIDTH, MAX_HEIGHT = 1200, 2400
MAX_PAGES: Final = 20
MAGIC_BYTES: Final = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"RIFF", "WEBP"))
TYPES: Final = {"image/png": MAGIC_BYTES[0][0], "image/jpeg": MAGIC_BYTES[1][0]}
PDF_SIGN: Final = b"%PDF-"
# The magic bytes of a PDF must come within this many bytes, as readers expect.
SIGN_WITHIN: Final = 1024
_PROGRAM: Final = (sys.executable, "-B", "-m")
IMAGE_PROGRAM: Final = (*_PROGRAM, "belong_mail.newsletters.image_program")
FLYER_PROGRAM: Final = (*_PROGRAM, "belong_mail.newsletters.flyer_program")
# Seconds until a child is killed; the largest picture takes two.
SECONDS: Final = 30.0
# Seconds to wait for another child; meanwhile the request keeps one of only two threads.
WAIT_SECONDS: Final = 1.0
# Bytes read of a child's answer, and of its first line, which says what the file is.
MAX_ANSWER: Final = 8_000_000
MAX_LINE: Final = 200
# Bytes of memory, seconds of CPU, no core dump, no file written. Without a free descriptor it can
# open no file and no connection.
LIMITS: Final = (
    (resource.RLIMIT_AS, 768 * 1024 * 1024),
    (resource.RLIMIT_CPU, 20),
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_FSIZE, 0),
    (resource.RLIMIT_NOFILE, 0),
)
# System calls needed to read a file, by their numbers on x86-64 and ARM64.
SYSTEM_CALLS: Final = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214),
    "mremap": (25, 216), "madvise": (28, 233), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sched_yield": (24, 124),
    "futex": (202, 98), "clock_gettime": (228, 113), "getrandom": (318, 278),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
# By machine name: the column of SYSTEM_CALLS, and the kernel's number of the machine.
MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
# Arguments of prctl(2): PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER.
NO_NEW_PRIVILEGES, SET_FILTER, FILTER_MODE = 38, 22, 2
# A filter in BPF (linux/filter.h) loads a word of the call, jumps if it equals another, and
# returns: allow, or EPERM. The call's number is at offset 0, the machine's at 4.
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
CALL, ARCHITECTURE = 0, 4
ALLOWED, REFUSED = 0x7FFF0000, 0x00050001


_one_at_a_time = Lock()


class RefusedFile(ValueError):
    """A refused file; the error's text is for readers, to be translated."""

    refusals: ClassVar[Mapping[str, str]]

    def __init__(self, reason: str) -> None:
        super().__init__(self.refusals[reason])
        self.reason = reason


BUSY: Final = gettext_noop("We’re busy with other files. Try again in a minute.")


class InvalidImage(RefusedFile):
    refusals: ClassVar = {
        "large": gettext_noop("This picture is larger than 5 MB. Choose a smaller one."),
        "strange": gettext_noop("We can’t use this file. Upload a JPEG, PNG or WebP."),
        "damaged": gettext_noop("This picture is damaged. Save it again, or choose another one."),
        "many pixels": gettext_noop(
            "This picture has more than 25 million pixels. Make it smaller first."
        ),
        "many pixels to unpack": gettext_noop(
            "This picture has more than 9 million pixels. Make it smaller first, or save it as a"
            " regular JPEG."
        ),
        "busy": BUSY,
    }


class InvalidFlyer(RefusedFile):
    refusals: ClassVar = {
        "large": gettext_noop(
            "The flyers of a newsletter can total 5 MB. Save this PDF smaller, or remove another"
            " flyer."
        ),
        "strange": gettext_noop("This file isn’t a PDF. Save or export your flyer as a PDF."),
        "damaged": gettext_noop("This PDF is damaged. Save or export it again."),
        "locked": gettext_noop(
            "This PDF is protected by a password or against changes. Save it without protection."
        ),
        "acts": gettext_noop(
            "This PDF can do things by itself, such as run a script, play media or send a form. Use"
            " “Print” and “Save as PDF” to make a plain copy, and upload that."
        ),
        "carries": gettext_noop(
            "This PDF has other files inside. Use “Print” and “Save as PDF” to make a plain copy,"
            " and upload that."
        ),
        "comments": gettext_noop(
            "This PDF has comments, added text boxes or form fields, which wouldn’t be sent. Use"
            " “Print” and “Save as PDF” to make a plain copy, and upload that."
        ),
        "pages": gettext_noop("A flyer can have up to 20 pages."),
        "heavy": gettext_noop(
            "This PDF unpacks to more than many phones can open. Save it with smaller pictures."
        ),
        "busy": BUSY,
    }


@dataclass(frozen=True, slots=True)
class EncodedImage:
    media_type: str
    content: bytes
    width: int
    height: int

    def is_sound(self) -> bool:
        """Return whether a picture has a kind that we send and a size that we make."""
        sign = TYPES.get(self.media_type) if isinstance(self.media_type, str) else None
        sizes = ((self.width, MAX_WIDTH), (self.height, MAX_HEIGHT))
        return (
            sign is not None
            and self.content.startswith(sign)
            and all(type(size) is int and 0 < size <= most for size, most in sizes)
        )


@dataclass(frozen=True, slots=True)
class CleanFlyer:
    """A rewritten PDF."""

    content: bytes
    pages: int
    # Whether it is a tagged PDF, as screen readers need.
    is_tagged: bool

    def is_sound(self) -> bool:
        return (
            self.content.startswith(PDF_SIGN)
            and isinstance(self.is_tagged, bool)
            and type(self.pages) is int
            and 0 < self.pages <= MAX_PAGES
        )


Remade = TypeVar("Remade", EncodedImage, CleanFlyer)


def kind_of(file: bytes) -> str:
    """Return a picture's format, by its magic bytes. Raises InvalidImage."""
    if len(file) > MAX_FILE:
        raise InvalidImage("large")
    kind = next((kind for magic, kind in MAGIC_BYTES if file.startswith(magic)), "")
    if not kind or (kind == "WEBP" and file[8:12] != b"WEBP"):
        raise InvalidImage("strange")
    return kind


def require_pdf(file: bytes) -> None:
    """Raise InvalidFlyer if a file is too large, or does not begin like a PDF."""
    if len(file) > MAX_FILE:
        raise InvalidFlyer("large")
    if PDF_SIGN not in file[:SIGN_WITHIN]:
        raise InvalidFlyer("strange")


def reencode_image(
    file: bytes, command: Sequence[str] = IMAGE_PROGRAM, seconds: float = SECONDS
) -> EncodedImage:
    """Re-encode a picture from its pixels. Raises InvalidImage, whatever the file does."""
    kind_of(file)
    return _remade(EncodedImage, InvalidImage, file, command, seconds)


def read_flyer(
    file: bytes, command: Sequence[str] = FLYER_PROGRAM, seconds: float = SECONDS
) -> CleanFlyer:
    """Rewrite a PDF from what its pages show. Raises InvalidFlyer, whatever the file does."""
    require_pdf(file)
    return _remade(CleanFlyer, InvalidFlyer, file, command, seconds)


def _remade(
    kind: type[Remade],
    refused: type[RefusedFile],
    file: bytes,
    command: Sequence[str],
    seconds: float,
) -> Remade:
    """Run a child while no other one runs, and check its answer."""
    if not _one_at_a_time.acquire(timeout=WAIT_SECONDS):
        raise refused("busy")
    try:
        line, _, content = ask(file, command, seconds).partition(b"\n")
    finally:
        _one_at_a_time.release()
    try:
        said = json.loads(line[:MAX_LINE])
        if "refused" in said:
            raise refused(said["refused"])
        remade = kind(content=content, **said)
    except (KeyError, TypeError, UnicodeDecodeError, JSONDecodeError) as error:
        raise refused("damaged") from error
    if len(content) > MAX_FILE or not remade.is_sound():
        raise refused("damaged")
    return remade


def ask(file: bytes, command: Sequence[str], seconds: float) -> bytes:
    """Send a file to a child; return its answer, of at most MAX_ANSWER bytes, within a time."""
    with Popen(  # noqa: S603 - no shell, our own command
        command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd=LIBRARY,
        env={},
        start_new_session=True,
    ) as child:
        alarm = Timer(seconds, end, (child,))
        alarm.start()
        try:
            assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 - pipes
            with suppress(BrokenPipeError):
                child.stdin.write(file)
                child.stdin.close()
            return child.stdout.read(MAX_ANSWER)
        finally:
            alarm.cancel()
            end(child)


def end(child: Popen[bytes]) -> None:
    """Kill a child, and anything it may have started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def answer(make: Callable[[bytes], EncodedImage | CleanFlyer]) -> None:
    """In the child: read a file from standard input, and print the result."""
    file = sys.stdin.buffer.read(MAX_FILE + 1)
    confine()
    try:
        said: dict[str, Any] = asdict(make(file))
    except RefusedFile as refusal:
        said = {"refused": refusal.reason}
    content = said.pop("content", b"")
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n" + content)


def confine() -> None:
    """In the child: irrevocably drop the rights that parsing a file does not need."""
    for limit, most in LIMITS:
        resource.setrlimit(limit, (most, most))
    filter_system_calls()


def filter_system_calls() -> bool:
    """Have the kernel refuse all but SYSTEM_CALLS (seccomp(2)); return whether it does.

    Otherwise the child could remove a file, signal its user's processes and read their memory.
    """
    if platform.machine() not in MACHINES:
        return False
    column, architecture = MACHINES[platform.machine()]
    allowed = [numbers[column] for numbers in SYSTEM_CALLS.values()]
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_IF_EQUAL, 0, len(allowed) + 1, architecture),
        (LOAD, 0, 0, CALL),
        *((JUMP_IF_EQUAL, len(allowed) - at, 0, call) for at, call in enumerate(allowed)),
        (RETURN, 0, 0, REFUSED),
        (RETURN, 0, 0, ALLOWED),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HP", len(steps), ctypes.addressof(code))
    prctl = ctypes.CDLL(None).prctl
    is_bound = prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    return bool(is_bound and prctl(SET_FILTER, FILTER_MODE, program, 0, 0) == 0)
