"""The secrets that mail and cookies carry stand nowhere in the database, and join nobody's rows."""

import itertools
from http.cookies import SimpleCookie

from flask.sessions import SecureCookieSessionInterface

from belong_mail.core.db import now
from belong_mail.core.tokens import MAX_TOKEN_CHARACTERS, Purpose
from tests.browser_client import link_to, links_in
from tests.canary import stands_in
from tests.crawl import bare, sign_in
from tests.db_dump import Dump, dump_of
from tests.privacy.doors import OFFICE, guess
from tests.privacy.journey import cells_of

ADA = "ada@dpsk12.org"
GROUPS = ("the-village", "lgbtq", "asian")
# Octets; two rows that have so many in common could be joined by them.
COMMON = 8
# Characters; a shorter secret could be guessed.
LEAST = 16
LEAD, NEW, MOVED = "lead@dpsk12.org", "new@dpsk12.org", "moved@dpsk12.org"
# Emailed links that sign in or prove, with what the web signs of them, and who gets one below.
SIGNED = {
    "/sign-in/": (Purpose.SIGN_IN, OFFICE),
    "/invitation/": (Purpose.INVITATION, LEAD),
    "/confirm/": (Purpose.CONFIRM, NEW),
    "/change-address/": (Purpose.CHANGE_ADDRESS, MOVED),
}


def test_neither_a_manage_sessions_nor_a_browser_sessions_secret_is_in_the_database(
    app, visitor, scenario
):
    scenario.add_member(ADA)
    visitor.send("/my-groups", email=ADA)
    sheet = bare(link_to(scenario.mails(ADA)[-1], "my-groups")).rpartition("/")[2]
    lead = sign_in(app, scenario.keyring)
    rows = b"\n".join(cells_of([dump_of(scenario.services)]))
    assert len(sheet) >= 40
    assert not stands_in(rows, sheet)
    assert not stands_in(rows, token_of(app, lead))


def test_the_database_and_the_webs_keys_open_no_emailed_link(scenario):
    """A row has a hash of the link's secret, which stands in the email alone."""
    scenario.invite_office(OFFICE)
    guess(scenario, "invite", LEAD)
    scenario.enter()
    scenario.ask(NEW)
    scenario.visitor.send("/sign-in", email=OFFICE)
    scenario.visitor.send("/my-groups", email=ADA)
    sheet = bare(link_to(scenario.mails()[-1], "my-groups"))
    scenario.visitor.send(f"{sheet}/change-address", email=MOVED)
    scenario.worker.drain()
    assert scenario.visitor.open(sheet).status_code == 200
    cells = cells_of([dump_of(scenario.services)])
    names = {cell.decode() for cell in cells if cell.isascii()} | {cell.hex() for cell in cells}
    names = {name for name in names if LEAST <= len(name) <= MAX_TOKEN_CHARACTERS}
    paths = [f"/my-groups/{name}" for name in names]
    for door, (purpose, to) in SIGNED.items():
        links = [link for mail in scenario.relay.to(to) for link in links_in(mail)]
        [genuine] = [link for link in links if door in link]
        assert scenario.visitor.open(genuine).status_code == 200
        sign = scenario.services.tokens.signer(purpose, now())
        paths += [f"{door}{sign(name)}" for name in names]
    assert [path for path in paths if scenario.visitor.open(path).status_code != 404] == []


def token_of(app, lead) -> str:
    """Read a session's token from the cookie, as whoever has the browser could."""
    cookie = SimpleCookie(lead.open("/lead/").headers["Set-Cookie"])["belong"].value
    signer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert signer is not None
    return str(signer.loads(cookie)["session"])


def test_two_memberships_cannot_be_linked_before_during_or_after_their_manage_session(
    visitor, scenario
):
    for slug in GROUPS:
        scenario.add_member(ADA, slug)
        scenario.add_member("grace@dpsk12.org", slug)
    seen = [dump_of(scenario.services)]
    visitor.send("/my-groups", email=ADA)
    seen.append(dump_of(scenario.services))
    scenario.worker.read_jobs()
    seen.append(dump_of(scenario.services))
    scenario.worker.drain()
    seen.append(dump_of(scenario.services))
    sheet = bare(link_to(scenario.relay.to(ADA)[-1], "my-groups"))
    visitor.send(f"{sheet}/change-address", email="ada.new@dpsk12.org")
    visitor.press(f"{sheet}/copy")
    seen.append(dump_of(scenario.services))
    scenario.worker.drain()
    seen.append(dump_of(scenario.services))
    for dump in seen:
        assert joined(dump) == []
    visitor.follow(f"{sheet}/erase")
    scenario.worker.drain()
    assert joined(dump_of(scenario.services)) == []


def test_two_notes_of_one_person_have_nothing_in_common(scenario):
    for slug in ("autoimmune", "people-with-disabilities"):
        scenario.wait_for(ADA, slug)
    one, other = dump_of(scenario.services)["waitlist_entries"]
    assert not windows_of(one) & windows_of(other)


def joined(dump: Dump) -> list[str]:
    """List what would tell that two memberships are one person's, within a table or across."""
    rows = dump["subscriptions"]
    found = [
        f"{one[0]} and {other[0]} share octets"
        for one, other in itertools.combinations(rows, 2)
        if windows_of(one) & windows_of(other)
    ]
    ids = {str(cell): row[0] for row in rows for cell in row if isinstance(cell, str) and cell}
    names = {text: owner for text, owner in ids.items() if len(text) > COMMON}
    for table, others in dump.items():
        for row in others if table != "subscriptions" else []:
            told = {
                owner
                for text, owner in names.items()
                if any(text in str(cell) for cell in row if isinstance(cell, str | bytes))
            }
            if len(told) > 1:
                found.append(f"a row of {table} names {len(told)}")
    return found


def windows_of(row: tuple[object, ...]) -> set[bytes]:
    """Return what stands in a row's indexes, and in wrapped cells behind the name of their key."""
    cells = [cell if len(cell) <= 16 else cell[16:] for cell in row if isinstance(cell, bytes)]
    return {cell[at : at + COMMON] for cell in cells for at in range(len(cell) - COMMON + 1)}
