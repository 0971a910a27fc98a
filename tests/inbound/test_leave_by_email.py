"""A newsletter is left by an email to the address in its head: the address is the authority."""

import json
import re
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.inbound.pipe import is_forged
from tests.db_dump import kept_of
from tests.inbound.mail import apple, bounce, complaint
from tests.inbound.scenario import ADA
from tests.markers import on_sqlite
from tests.smtp_raw import check_form

STRANGER = "eve@elsewhere.example.org"


@pytest.fixture
def settings() -> dict[str, str]:
    return {"BELONG_INBOUND_PIPE": "yes"}


def letter(to: str, text: str = "", **headers: str) -> bytes:
    """Write an email as a mail program sends it when somebody selects “unsubscribe”."""
    message = EmailMessage(policy=SMTP)
    given_headers = {"From": ADA, "To": to, "Subject": "unsubscribe", **headers}
    for name, value in given_headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def ways_out(copy) -> list[str]:
    return re.findall(r"<([^<>]+)>", copy.message["List-Unsubscribe"])


def address_in(copy) -> str:
    [_, mailto] = ways_out(copy)
    found = re.fullmatch(r"mailto:(b\+[0-9a-f]{52}@example\.org)\?subject=unsubscribe", mailto)
    assert found, mailto
    return found[1]


@pytest.fixture
def address(scenario) -> str:
    """The address in Ada's copy of an issue, which Ben got as well; she is in two groups."""
    scenario.add(ADA, "ben@dpsk12.org")
    scenario.add(ADA, slug="asian")
    scenario.issue()
    return address_in(scenario.copies()[-1])


def standing(scenario) -> tuple[int, int]:
    return scenario.members(), scenario.members("asian")


@on_sqlite
def test_the_unsubscribe_header_has_https_first_then_an_address_for_each_member(scenario):
    """RFC 8058 wants https; what stands behind it is for programs that press no links."""
    scenario.add(ADA, "ben@dpsk12.org")
    scenario.issue()
    found = set()
    for copy in scenario.relay.accepted:
        assert check_form(copy.data)["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        link, mailto = ways_out(copy)
        assert "/one-click/" in link
        assert mailto.startswith("mailto:")
        local, _, _ = address_in(copy).partition("@")
        assert len(local) <= 64
        assert local == local.lower()
        found.add(local)
    assert len(found) == 2


@on_sqlite
@pytest.mark.parametrize("settings", [{}])
def test_the_unsubscribe_header_has_no_address_without_a_way_for_email_to_come_in(scenario):
    scenario.add(ADA)
    scenario.issue()
    assert len(ways_out(scenario.copies()[0])) == 1


def test_an_email_to_it_ends_that_membership_alone_and_once(address, scenario):
    scenario.take(address, letter(address))
    assert standing(scenario) == (1, 1)
    before = kept_of(scenario.services)
    scenario.take(address, letter(address))
    assert kept_of(scenario.services) == before
    assert len(scenario.relay.accepted) == 2, "nothing is answered"
    scenario.pass_days(31)
    assert scenario.purge()["subscriptions"] == 1, "who has left is forgotten"
    scenario.take(address, letter(address))
    assert standing(scenario) == (1, 1)


@on_sqlite
@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Subject": ""}, {"Subject": "Bitte nehmt mich heraus"}, {"From": STRANGER},
        {"Auto_Submitted": "no"}, {"To": "undisclosed-recipients:;", "Delivered_To": "{address}"},
    ],
    ids=["as asked", "empty", "any words", "another sender", "a person says so", "handed on"],
)  # fmt: skip
def test_the_mailbox_finds_it_in_the_headers_whoever_sent_it(headers, address, scenario):
    spelt = {name: value.format(address=address.upper()) for name, value in headers.items()}
    scenario.take("", letter(address, **spelt))
    assert standing(scenario) == (1, 1)


@on_sqlite
def test_apples_button_ends_it_though_it_is_marked_as_a_reply(address, scenario):
    scenario.take(address, apple(address))
    assert standing(scenario) == (1, 1)


@on_sqlite
@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "auto-generated; type=x", "Subject": "Thank you"},
        {"Return_Path": "<>"},
        {"From": "MAILER-DAEMON@mx.example.org"},
        {"Precedence": "bulk"},
        {"X_Autoreply": "yes", "Subject": "Re: unsubscribe"},
        {"Subject": "Automatic reply: unsubscribe"},
        {"List_Id": "<talk.example.org>"},
    ],
    ids=["reply", "generated", "null path", "daemon", "bulk", "responder", "away", "list"],
)
def test_automatic_email_ends_no_membership(headers, address, scenario):
    before = kept_of(scenario.services)
    for message in (letter(address, **headers), bounce(address, ADA), complaint(address)):
        scenario.take(address, message)
    assert kept_of(scenario.services) == before


@on_sqlite
def test_a_forged_address_ends_nothing_and_is_refused_at_the_door(address, scenario, services):
    names = VerpAddresses(services.settings.secret_keys, services.settings.mail_domain)
    before = kept_of(services)
    for place in (2, 30, 53):
        bent = "0" if address[place] != "0" else "1"
        forged = address[:place] + bent + address[place + 1 :]
        assert is_forged(names, forged)
        scenario.take("", letter(forged))
    assert kept_of(services) == before
    assert not is_forged(names, address)


@on_sqlite
def test_it_is_explained_as_a_wish_to_leave(address, scenario, cli, tmp_path):
    (tmp_path / "one.eml").write_bytes(letter(address, Subject="x"))
    (tmp_path / "two.eml").write_bytes(letter("b+00@example.org", Subject="x"))
    files = [str(tmp_path / name) for name in ("one.eml", "two.eml")]
    done = cli.invoke(args=["inbound", "explain", *files])
    kinds = [json.loads(line)["kind"] for line in done.output.splitlines()]
    assert kinds == ["unsubscribe", "other"]
    assert standing(scenario) == (2, 1)
