"""TLS and log-in: never without a verified certificate, never a password in the open."""

import re
import ssl
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from belong_mail.mail.smtp.connection import Relay, RelayUnavailable, connect
from belong_mail.mail.smtp.replies import ReplyClass, classify_reply
from tests.mail.conftest import PATIENCE
from tests.processes import ROOT, SECONDS, surroundings
from tests.servers.actions import Action
from tests.servers.smtp import Server, drip, drop, hang, reset, write
from tests.servers.tls import Authority

DAY = timedelta(days=1)
PASSWORD = "canary-password"
USERS = {"belong": PASSWORD}
TRUST_EACH = """
import os, shutil, sys
from belong_mail.mail.smtp.connection import Relay, RelayUnavailable, connect

for trusted in sys.argv[2:]:
    shutil.copy(trusted, os.environ["SSL_CERT_FILE"])
    try:
        connect(Relay("smtps", "127.0.0.1", int(sys.argv[1]), "belong", tls="implicit")).close()
        print("greeted")
    except RelayUnavailable as error:
        print(error)
"""


@pytest.fixture
def relay(authority) -> Relay:
    return Relay(
        scheme="smtp",
        host="127.0.0.1",
        port=0,
        ehlo="belong.example.org",
        username="belong",
        password=PASSWORD,
        ca=str(authority.file),
        timeout=PATIENCE,
    )


def greet(server, relay: Relay) -> None:
    line = connect(replace(relay, port=server.port))
    assert isinstance(line.sock, ssl.SSLSocket)
    assert line.sock.version() in ("TLSv1.2", "TLSv1.3")
    line.close()


def refusal(
    relay: Relay, verb: str = "", answer: Action | str = "", **server: Any
) -> tuple[RelayUnavailable, list[str]]:
    """Greet in vain a server that answers so to a verb; return why, and what it heard."""
    with Server(**server) as standing:
        if answer:
            standing.always(verb, answer)
        with pytest.raises(RelayUnavailable) as unreachable:
            greet(standing, relay)
    return unreachable.value, standing.commands


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN", "CRAM-MD5 PLAIN", "login plain"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_verified_relay_gets_the_password(authority, relay, tls, mechanisms, host):
    context = authority.server()
    with Server(tls=tls, context=context, users=USERS, mechanisms=mechanisms) as server:
        greet(server, replace(relay, tls=tls, host=host))
        verbs = [command.split(" ")[0].upper() for command in server.commands]
    assert verbs[: verbs.index("AUTH")] == (
        ["EHLO", "STARTTLS", "EHLO"] if tls == "starttls" else ["EHLO"]
    )


CERTIFICATES = {
    "self-signed": {"is_self_signed": True},
    "of another host": {"hosts": ("relay.example.org",)},
    "expired": {"starts_in": -9 * DAY, "ends_in": -DAY},
    "not yet valid": {"starts_in": DAY},
}


@pytest.mark.parametrize("kind", [*CERTIFICATES, "of an unknown authority"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_certificate_that_proves_nothing_is_refused(authority, relay, tls, kind):
    context = authority.server(**CERTIFICATES.get(kind, {}))  # type: ignore[arg-type]
    if kind == "of an unknown authority":
        relay = replace(relay, ca=None)
    error, heard = refusal(replace(relay, tls=tls), tls=tls, context=context, users=USERS)
    step = "STARTTLS" if tls == "starttls" else "CONNECT"
    assert re.fullmatch(rf"{step}: the certificate is refused \(.*\)", str(error))
    assert "AUTH" not in "".join(heard).upper()


def test_a_relay_is_not_used_without_the_authorities_that_its_url_names(relay):
    """Only the worker connects, and it alone may read the file: the start does not try."""
    error, heard = refusal(replace(relay, tls="starttls", ca="/nowhere"), tls="starttls")
    assert str(error) == "STARTTLS: FileNotFoundError"
    assert "AUTH" not in "".join(heard).upper()


def test_trusted_authorities_are_read_again_when_their_file_changes(authority, relay, tmp_path):
    """A worker that runs for months sees that an authority has gone, and that another has come."""
    (tmp_path / "other").mkdir()
    other = Authority.make(tmp_path / "other")
    trusted = tmp_path / "trusted.pem"
    relay = replace(relay, tls="implicit", ca=str(trusted))
    with Server(tls="implicit", context=authority.server(), users=USERS) as server:
        for known in (authority, other, authority):
            trusted.write_bytes(known.file.read_bytes())
            if known is authority:
                greet(server, relay)
                continue
            with pytest.raises(RelayUnavailable, match="certificate"):
                greet(server, relay)


def test_the_machines_trusted_authorities_are_read_again_after_a_refusal(authority, tmp_path):
    """Where the relay's URL names no authorities, those of the system count."""
    (tmp_path / "other").mkdir()
    files = (Authority.make(tmp_path / "other").file, authority.file)
    with Server(tls="implicit", context=authority.server()) as server:
        ended = subprocess.run(
            [sys.executable, "-c", TRUST_EACH, str(server.port), *map(str, files)], cwd=ROOT,
            env=surroundings({"SSL_CERT_FILE": str(tmp_path / "trusted.pem")}), text=True,
            capture_output=True, timeout=SECONDS, check=True,
        )  # fmt: skip
    assert re.fullmatch("CONNECT: .*certificate.*\\ngreeted\\n", ended.stdout)


def test_old_tls_is_refused(authority, relay):
    context = authority.server()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    error, _ = refusal(replace(relay, tls="implicit"), tls="implicit", context=context)
    assert error.phase == "CONNECT"


def test_a_relay_without_starttls_gets_nothing(relay):
    error, heard = refusal(relay, users=USERS)
    assert (str(error), len(heard)) == ("STARTTLS: not offered", 1)


INJECTED = b"220 Go ahead\r\n250-INJECTED\r\n250 AUTH PLAIN\r\n"
STARTTLS_FAULTS: dict[str, Action | str] = {
    "454": "454 4.7.0 TLS not available",
    "501": "501 5.5.4 No",
    "drop": drop(),
    "reset": reset,
    "hang": hang(),
    "half": drop(b"22"),
    "garbage": drop(b"\xff\xfe\r\n"),
    "drip": drip("220 " + "o" * 1500, every=0.1),
    "injected bytes": write(INJECTED),
    "no handshake": drop(b"220 Go ahead\r\n"),
    "a handshake of garbage": drop(b"220 Go ahead\r\n\x00\x01garbage"),
}


@pytest.mark.parametrize("fault", STARTTLS_FAULTS)
def test_without_tls_there_is_no_password(authority, relay, fault):
    timeout = 5.0 if fault in ("hang", "drip") else PATIENCE
    tls = {"tls": "starttls", "context": authority.server(), "users": USERS}
    hasty = replace(relay, timeout=timeout)
    error, heard = refusal(hasty, "STARTTLS", STARTTLS_FAULTS[fault], **tls)
    assert error.phase == "STARTTLS"
    assert "AUTH" not in "".join(heard).upper()


def test_a_handshake_that_never_ends_is_given_up(relay):
    hasty = replace(relay, tls="implicit", timeout=1.0)
    error, _ = refusal(hasty, "CONNECT", hang(), tls="none")
    assert error.phase == "CONNECT"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("535 5.7.8 No", ReplyClass.CREDENTIALS),
        ("534 5.7.9 No", ReplyClass.CREDENTIALS),
        ("454 4.7.0 Later", ReplyClass.HOST),
        ("421 4.7.0 Bye", ReplyClass.HOST),
        ("500 What?", ReplyClass.CREDENTIALS),
    ],
)
def test_a_refused_password_is_tried_once_and_named_nowhere(authority, relay, answer, verdict):
    tls = {"tls": "implicit", "context": authority.server(), "users": USERS}
    words = f"{answer}: {PASSWORD} is wrong"
    error, heard = refusal(replace(relay, tls="implicit"), "AUTH", words, **tls)
    assert [line[:4] for line in heard].count("AUTH") == 1
    assert error.phase == "AUTH"
    assert error.reply is not None
    assert classify_reply(error.reply) is verdict
    assert PASSWORD not in str(error) + repr(error) + repr(relay)
    assert error.__cause__ is None


@pytest.mark.parametrize(
    ("mechanisms", "challenge"),
    [
        ("CRAM-MD5", None), ("GSSAPI XOAUTH2", None), ("LOGIN", "334 not base64!"),
        ("LOGIN", "334 ===="), ("LOGIN", "334 \u00ff"), ("LOGIN", "250 What?"),
    ],
)  # fmt: skip
def test_a_relay_that_wants_another_log_in_or_asks_strangely_is_unreachable(
    authority, relay, mechanisms, challenge
):
    tls = {"tls": "implicit", "context": authority.server(), "users": USERS}
    asked = replace(relay, tls="implicit")
    error, _ = refusal(asked, "AUTH", challenge or "", mechanisms=mechanisms, **tls)
    assert error.phase == "AUTH"
