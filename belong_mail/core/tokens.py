"""Sign and verify ids in links, with itsdangerous; each purpose has a salt and a lifetime."""

import hashlib
from base64 import urlsafe_b64encode
from binascii import b2a_base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum

from itsdangerous import BadSignature, SignatureExpired, TimestampSigner
from itsdangerous.encoding import base64_encode, int_to_bytes

from belong_mail.core import encryption

HOUR_SECONDS = 3600
# The shortest secret key.
MIN_SECRET_CHARACTERS = 32
# Most difference between the clocks of our hosts.
CLOCK_SKEW = timedelta(seconds=60)
URL_SAFE = bytes.maketrans(b"+/", b"-_")
# Longer tokens are refused before any cryptography.
MAX_TOKEN_CHARACTERS = 200


class BadToken(Exception):
    """The link does not work. The subclasses say why; pages often do not."""


class TokenExpired(BadToken):
    """The signature is valid, but too old; `public_id` is the signed id."""

    def __init__(self, public_id: str = "") -> None:
        super().__init__()
        self.public_id = public_id


class TokenInvalid(BadToken):
    pass


class NothingLeft(BadToken):
    """The signature is valid, but the row was deleted."""


class Purpose(Enum):
    """Purposes of tokens, each with its lifetime in seconds (None: forever)."""

    CONFIRM = ("confirm", 72 * HOUR_SECONDS)
    REFUSE = ("refuse", None)
    LEAVE = ("leave", None)
    ONE_CLICK = ("one-click", None)
    SIGN_IN = ("sign-in", HOUR_SECONDS // 6)
    INVITATION = ("invitation", 7 * 24 * HOUR_SECONDS)
    KNOWN_BROWSER = ("known-browser", 400 * 24 * HOUR_SECONDS)
    CHANGE_ADDRESS = ("change-address", 24 * HOUR_SECONDS)
    CONFIRM_MAILBOX = ("confirm-mailbox", 72 * HOUR_SECONDS)
    EMAIL_AGAIN = ("email-again", 72 * HOUR_SECONDS)
    FORGET_NOTE = ("forget-note", None)
    MEMBER_CALENDAR = ("member-calendar", None)
    CHECK_INBOX = ("check-inbox", 48 * HOUR_SECONDS)
    # Short: the welcome email tells new members the same, and its link works longer.
    WELCOME = ("welcome", HOUR_SECONDS)
    STAFF_CODE = ("staff-code", 4 * HOUR_SECONDS)
    FORM = ("form", 24 * HOUR_SECONDS)

    def __init__(self, salt: str, max_age: int | None) -> None:
        self.salt = salt
        self.max_age = max_age


def secret_hash(secret: str) -> bytes:
    """Return the hash under which a row stores a random secret."""
    return hashlib.sha256(secret.encode()).digest()


def link_hash(secret: str) -> str:
    """Return the hash that is the public id of a link's row."""
    return urlsafe_b64encode(secret_hash(secret)[:16]).decode().rstrip("=")


class _Signer(TimestampSigner):
    """Signs with a given time instead of the current one, so that a retried email is identical."""

    default_digest_method = staticmethod(hashlib.sha256)
    default_key_derivation = "hmac"

    def __init__(self, secret_keys: tuple[str, ...], purpose: Purpose, at: datetime) -> None:
        super().__init__(secret_keys, salt=f"belong/{purpose.salt}/v1")
        self._at = int(at.timestamp())
        stamp = base64_encode(int_to_bytes(self._at))
        self._stamp = b"." + stamp
        self._tag = encryption.hmac_signer(self.derive_key())

    def get_timestamp(self) -> int:
        return self._at

    def sign_text(self, text: str) -> str:
        """Sign as `sign` does, but do once the work that is the same for all ids."""
        stamped = text.encode() + self._stamp
        signature = b2a_base64(self._tag(stamped), newline=False).translate(URL_SAFE)
        return (stamped + b"." + signature.rstrip(b"=")).decode()


class Tokens:
    def __init__(self, secret_keys: tuple[str, ...]) -> None:
        """Take the secret keys, oldest first: the newest signs, all verify."""
        self._secret_keys = secret_keys

    def sign(self, purpose: Purpose, public_id: str, at: datetime) -> str:
        """Sign an id; the token's age counts from `at`."""
        return self.signer(purpose, at)(public_id)

    def signer(self, purpose: Purpose, at: datetime) -> Callable[[str], str]:
        """Return a function that signs ids for one purpose and time."""
        return _Signer(self._secret_keys, purpose, at).sign_text

    def read(self, purpose: Purpose, token: str) -> str:
        """Return the id that was signed. Raises TokenExpired or TokenInvalid (both BadToken)."""
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise TokenInvalid
        signer = _Signer(self._secret_keys, purpose, datetime.now(UTC) + CLOCK_SKEW)
        max_age = None if purpose.max_age is None else purpose.max_age + CLOCK_SKEW.seconds
        try:
            return signer.unsign(token, max_age=max_age).decode()
        except SignatureExpired as error:
            raise TokenExpired((error.payload or b"").decode()) from error
        except (BadSignature, UnicodeDecodeError) as error:
            raise TokenInvalid from error
