"""Take from a photograph's octets what says where, when and with what it was taken."""

import struct
from collections.abc import Iterator
from typing import Final

# Of a JPEG's own segments (ITU T.81, B.1.1.3) these two say how its colors are meant.
JFIF, ADOBE = 0xE0, 0xEE
_APPLICATION: Final = range(0xE0, 0xF0)
_MARK, _COMMENT, _SCAN, _END = 0xFF, 0xFE, 0xDA, 0xD9
# What follows 0xFF within a scan and begins no segment: a stuffed octet, and restarts.
_WITHIN_SCAN: Final = frozenset((0x00, _MARK, *range(0xD0, 0xD8)))
# Boxes of a JPEG 2000 file (ISO 15444-1, I.4) that hold words, or anything at all.
_WORDY: Final = frozenset((b"xml ", b"uuid", b"uinf", b"jp2i"))


def bare_jpeg(file: bytes) -> bytes:
    """Return a JPEG without comments, EXIF, XMP and what comes after its end; or ValueError."""
    if not file.startswith(b"\xff\xd8"):
        raise ValueError("no JPEG")
    return b"\xff\xd8" + b"".join(_segments(file)) + b"\xff\xd9"


def _segments(file: bytes) -> Iterator[bytes]:
    at = 2
    while at + 4 <= len(file):
        if file[at] != _MARK:
            raise ValueError("no segment")
        marker = file[at + 1]
        if marker == _MARK:
            at += 1
            continue
        if marker == _END:
            return
        end = at + 2 + struct.unpack_from(">H", file, at + 2)[0]
        if marker == _SCAN:
            end = _end_of_scan(file, end)
        is_ours = marker not in _APPLICATION or marker in {JFIF, ADOBE}
        if is_ours and marker != _COMMENT:
            yield file[at:end]
        at = end


def _end_of_scan(file: bytes, begin: int) -> int:
    """Return where the next segment begins; of a file that is cut off, its end."""
    at = file.find(b"\xff", begin)
    while 0 <= at < len(file) - 1:
        if file[at + 1] not in _WITHIN_SCAN:
            return at
        at = file.find(b"\xff", at + (1 if file[at + 1] == _MARK else 2))
    return len(file)


def bare_jpeg_2000(file: bytes) -> bytes:
    """Return a JPEG 2000 without boxes of words; a bare code stream has none. Or ValueError."""
    if file.startswith(b"\xff\x4f"):
        return file
    return b"".join(_boxes(file))


def _boxes(file: bytes) -> Iterator[bytes]:
    at = 0
    while at + 8 <= len(file):
        size, kind = struct.unpack_from(">I4s", file, at)
        if size == 1:
            [size] = struct.unpack_from(">Q", file, at + 8)
        size = size or len(file) - at
        if size < 8:  # noqa: PLR2004 - its own head
            raise ValueError("no box")
        if kind not in _WORDY:
            yield file[at : at + size]
        at += size
