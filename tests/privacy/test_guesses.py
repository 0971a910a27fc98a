"""A thief of the web's keys and the database, with a full list of guesses, confirms nobody."""

import base64
import hashlib
import hmac
import itertools
from collections.abc import Iterator
from urllib.parse import quote

from belong_mail.core import encryption
from belong_mail.core.db import new_public_id, now
from belong_mail.core.tokens import Purpose
from tests.factories import make_member
from tests.privacy.journey import BYSTANDER, CANARY, MAIN, WEB_KEYS, cells_of

DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s")
# Octets; whoever kept fewer of a digest would confuse people.
SHORTEST = 8


def guesses() -> Iterator[str]:
    """Members' addresses in each spelling."""
    for address in (CANARY, BYSTANDER):
        yield from {address, address.lower(), address.upper(), address.partition("@")[0].lower()}


def messages(evidence) -> Iterator[bytes]:
    """Hashes of a guess by a careless program: alone, salted, scoped to a group."""
    [group] = [row for row in evidence.rows[-1]["groups"] if MAIN in row]
    scopes = ["", *(str(cell) for cell in group[:4])]
    uses = ["", "member", "suppress", "limit", "account", "lead", "confirm", "join", "source"]
    uses += [purpose.salt for purpose in Purpose]
    for guess in guesses():
        yield guess.encode()
        for use, scope, mark in itertools.product(uses, scopes, ["\x00", ":", "/", ""]):
            yield f"{use}{mark}{scope}{mark}{guess}".encode()
            yield f"{guess}{mark}{scope}{mark}{use}".encode()


def web_secrets(evidence) -> list[bytes]:
    secret, public = (evidence.environment[name] for name in WEB_KEYS)
    salted = [hashlib.sha256(f"{purpose.salt}{secret}".encode()).digest() for purpose in Purpose]
    return [b"", secret.encode(), public.encode(), encryption.decode(public), *salted]


def test_no_hash_of_a_guess_stands_in_the_database(evidence):
    cells = b"\n".join(set(cells_of(evidence.rows)))
    octets, letters = (
        {cells[at : at + size] for at in range(len(cells) - size + 1)}
        for size in (SHORTEST, 2 * SHORTEST)
    )
    tried = 0
    for message in set(messages(evidence)):
        for digest in digests(message, web_secrets(evidence)):
            tried += 1
            assert digest[:SHORTEST] not in octets, message
            assert digest.hex()[: 2 * SHORTEST].encode() not in letters, message
            assert base64.urlsafe_b64encode(digest)[:SHORTEST] not in octets, message
    assert tried > 50_000


def digests(message: bytes, secrets: list[bytes]) -> Iterator[bytes]:
    for name in DIGESTS:
        yield hashlib.new(name, message).digest()
    for key in secrets:
        for name in ("sha1", "sha256", "sha512"):
            yield hmac.digest(key, message, name)


def test_the_length_of_what_is_kept_tells_no_member_from_another(evidence):
    """The canary's address is longer than the bystander's, and has a name beside it."""
    assert len(CANARY) != len(BYSTANDER)
    by_column: dict[str, set[int]] = {}
    for dump in evidence.rows:
        for table in ("subscriptions", "jobs", "pending_confirmations"):
            for row in dump[table]:
                for position, cell in enumerate(row):
                    if isinstance(cell, bytes) and cell[:1] in {b"\x01", b"\x02"}:
                        by_column.setdefault(f"{table}.{position}", set()).add(len(cell))
    assert len(by_column) >= 3
    lengths = {column: sizes for column, sizes in by_column.items() if "subscriptions" in column}
    assert all(len(sizes) == 1 for sizes in lengths.values()), by_column


def test_a_token_signed_for_a_guess_answers_like_one_for_nobody(visitor, services, keyring):
    """A thief of the secret key can sign anything, but has no name to sign."""
    with services.writing.begin() as session:
        make_member(session, keyring, CANARY)
        make_member(session, keyring, BYSTANDER, "lgbtq")
    pages = {
        "confirm": Purpose.CONFIRM,
        "not-me": Purpose.REFUSE,
        "leave": Purpose.LEAVE,
        "one-click": Purpose.ONE_CLICK,
        "forget-note": Purpose.FORGET_NOTE,
    }
    names = [*guesses(), "1", "2", *(sha(guess) for guess in guesses())]
    for page, purpose in pages.items():
        nobody = services.tokens.sign(purpose, new_public_id(), now())
        for name in names:
            token = services.tokens.sign(purpose, name, now())
            for act in (visitor.open, lambda url: visitor.press(url, **{"List-Unsubscribe": "x"})):
                guessed, none = act(f"/{page}/{token}"), act(f"/{page}/{nobody}")
                assert guessed.status_code == none.status_code
                said = guessed.text.replace(quote(token), nobody).replace(token, nobody)
                assert said == none.text


def sha(guess: str) -> str:
    digest = hashlib.sha256(guess.lower().encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
