"""Lock the list of memberships that an emailed link opens: with the link's secret alone."""

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

from belong_mail.core import encryption
from belong_mail.core.tokens import BadToken
from belong_mail.members.models import Subscription

LINK_MAX_AGE = timedelta(minutes=30)
LIST_COLUMN = "manage_sessions.locked"
# Octets to which a list is filled up: its length does not tell how many memberships it holds.
PADDED_OCTETS = 2048


def lock_list(secret: str, held: list[Subscription], permit: bytes, *, is_personal: bool) -> bytes:
    """Close a list, of rows as they are now, so that only the secret opens it again."""
    content = {
        "indexes": {each.public_id: each.address_index.hex() for each in held},
        "slip": base64.b64encode(permit).decode(),
        "is_personal": is_personal,
    }
    data = json.dumps(content).encode()
    padded = data + b" " * (-len(data) % PADDED_OCTETS)
    return encryption.encrypt_with_secret(secret, padded, LIST_COLUMN)


def unlock_list(secret: str, locked: bytes) -> dict[str, Any]:
    """Open what the secret locks, or raise BadToken."""
    try:
        data = encryption.decrypt_with_secret(secret, locked, LIST_COLUMN)
        content: dict[str, Any] = json.loads(data)
    except encryption.UnlockError as error:
        raise BadToken from error
    return content


def digest(secret: str) -> bytes:
    """Name a secret in the database, where it does not stand."""
    return hashlib.sha256(secret.encode()).digest()
