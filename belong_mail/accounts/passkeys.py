"""Passkeys (WebAuthn): add them to accounts, and verify an authenticator's response.

Only public keys are stored. Authenticators must verify their user. Callers use up the challenge
before they pass its response here.
"""

import json
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

from fido2 import cbor
from fido2.cose import CoseKey
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts.jobs import TellPasskeyChanged
from belong_mail.accounts.models import Account, Passkey
from belong_mail.accounts.signing_in import MAX_PASSKEYS, PasskeyRefused, passkeys_of
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.encryption import Sealer
from belong_mail.core.i18n import names

MAX_ANSWER_CHARACTERS = 16 * 1024
# Errors that a malformed response raises.
BROKEN = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    RecursionError,
    struct.error,
)


def _shown_name() -> str:
    """Return the name that devices show for a passkey: the same for all, as others may see it."""
    return names().site_name


def _server(base_url: str) -> Fido2Server:
    """Return a verifier that accepts responses made on our own pages only."""
    return _server_called(base_url, _shown_name())


@cache
def _server_called(base_url: str, name: str) -> Fido2Server:
    parts = urlsplit(base_url)
    origin = f"{parts.scheme}://{parts.netloc}".lower()
    party = PublicKeyCredentialRpEntity(id=parts.hostname, name=name)
    return Fido2Server(party, verify_origin=lambda given: given == origin)


def creation_options(
    session: Session, base_url: str, account: Account, challenge: bytes
) -> dict[str, Any]:
    """Return the browser's options for a new discoverable credential."""
    existing = [
        PublicKeyCredentialDescriptor(
            type=PublicKeyCredentialType.PUBLIC_KEY, id=each.credential_id
        )
        for each in passkeys_of(session, account)
    ]
    options, _state = _server(base_url).register_begin(
        PublicKeyCredentialUserEntity(
            id=_handle(account), name=_shown_name(), display_name=_shown_name()
        ),
        existing,
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=UserVerificationRequirement.REQUIRED,
        challenge=challenge,
    )
    return dict(options)


def request_options(base_url: str, challenge: bytes) -> dict[str, Any]:
    """Return the browser's options for signing in, which are the same for everyone."""
    options, _state = _server(base_url).authenticate_begin(
        user_verification=UserVerificationRequirement.REQUIRED, challenge=challenge
    )
    return dict(options)


def add(
    session: Session,
    sealer: Sealer,
    base_url: str,
    account: Account,
    challenge: bytes,
    answer: str,
    name: str,
) -> None:
    """Add a passkey to an account, and notify its owner. Raises PasskeyRefused."""
    try:
        said = RegistrationResponse.from_dict(_read(answer))
        made = _server(base_url).register_complete(_state(challenge), said)
        credential = made.credential_data
        usable = CoseKey.supported_algorithms()
        is_good = credential is not None and credential.public_key.ALGORITHM in usable
        is_good = is_good and not said.response.client_data.cross_origin
    except BROKEN as error:
        raise PasskeyRefused(account=account) from error
    if credential is None or not is_good or len(passkeys_of(session, account)) >= MAX_PASSKEYS:
        raise PasskeyRefused(account=account)
    taken = select(Passkey.id).where(Passkey.credential_id == credential.credential_id)
    if session.scalar(taken) is not None:
        raise PasskeyRefused(account=account)
    passkey = Passkey(
        account_id=account.id,
        credential_id=credential.credential_id,
        public_key=cbor.encode(dict(credential.public_key)),
        counter=made.counter,
        name=name,
    )
    session.add(passkey)
    session.flush()
    audit.record(session, Kind.PASSKEY_ADDED, account=account)
    TellPasskeyChanged(account.public_id, "added").ask(session, sealer)


def find_owner(session: Session, base_url: str, challenge: bytes, answer: str) -> Account:
    """Return the owner of the passkey that signed a challenge. Raises PasskeyRefused."""
    try:
        said = AuthenticationResponse.from_dict(_read(answer))
    except BROKEN as error:
        raise PasskeyRefused from error
    found = (
        select(Passkey, Account)
        .join(Account)
        .where(Passkey.credential_id == said.raw_id)
        .with_for_update(of=Passkey)  # no two responses with one counter are accepted
    )
    row = session.execute(found).first()
    if row is None:
        raise PasskeyRefused("passkey-unknown")
    passkey, account = row
    _verify(base_url, challenge, said, passkey, account)
    counter = said.response.authenticator_data.counter
    if (counter or passkey.counter) and counter <= passkey.counter:
        raise PasskeyRefused("passkey-copied", account)
    passkey.counter, passkey.used_at = counter, now()
    return account


def _verify(
    base_url: str, challenge: bytes, said: AuthenticationResponse, passkey: Passkey, owner: Account
) -> None:
    """Raise PasskeyRefused unless this passkey signed this challenge on our own page."""
    try:
        key = CoseKey.parse(cast("Mapping[int, Any]", cbor.decode(passkey.public_key)))
        known = AttestedCredentialData.create(Aaguid.NONE, passkey.credential_id, key)
        _server(base_url).authenticate_complete(_state(challenge), [known], said)
        is_good = said.response.user_handle == _handle(owner)
        is_good = is_good and not said.response.client_data.cross_origin
    except BROKEN as error:
        raise PasskeyRefused(account=owner) from error
    if not is_good:
        raise PasskeyRefused(account=owner)


def _handle(account: Account) -> bytes:
    """Return the user handle by which authenticators know an account."""
    return account.public_id.encode()


def _state(challenge: bytes) -> dict[str, object]:
    return {
        "challenge": websafe_encode(challenge),
        "user_verification": UserVerificationRequirement.REQUIRED,
    }


def _read(answer: str) -> Mapping[str, Any]:
    if len(answer) > MAX_ANSWER_CHARACTERS:
        raise ValueError
    said = json.loads(answer)
    if not isinstance(said, dict):
        raise TypeError
    return said
