"""Pictures inside a message (RFC 2387, RFC 2392): nothing is fetched from anywhere."""

import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final

from belong_mail.mail.header import MessageRefused

_LINE: Final = 57
"""Octets that make a line of 76 in base64 (RFC 2045 6.8)."""
_FILES: Final = {"image/jpeg": "picture.jpg", "image/png": "picture.png"}
_CID = re.compile(r"[A-Za-z0-9_-]{1,60}@[a-z0-9.-]{1,100}")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that the HTML names as “cid:” and its `cid`."""

    cid: str
    media_type: str
    content: bytes = field(repr=False)


def leaf(picture: Picture) -> bytes:
    """Write a picture's headers and its bytes in base64, or raise MessageRefused."""
    if picture.media_type not in _FILES or not _CID.fullmatch(picture.cid) or not picture.content:
        raise MessageRefused("A picture is a JPEG or PNG with a plain name.")
    file = _FILES[picture.media_type]
    head = (
        f'Content-Type: {picture.media_type}; name="{file}"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-ID: <{picture.cid}>\r\n"
        f'Content-Disposition: inline; filename="{file}"\r\n\r\n'
    )
    content = picture.content
    lines = (content[at : at + _LINE] for at in range(0, len(content), _LINE))
    return head.encode() + b"\r\n".join(map(b64encode, lines))
