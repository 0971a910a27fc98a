"""A personal address joins where a group allows it, after a code to a staff address."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.contact.service import ALPHABET
from belong_mail.core.db import PUBLIC_ID_LENGTH, new_public_id, now
from belong_mail.core.i18n import format_time
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import WorkerLimit
from belong_mail.delivery import suppressions
from belong_mail.delivery.models import Delivery, State
from belong_mail.members import self_service as members_self_service
from belong_mail.members import staff_codes
from belong_mail.members.jobs import ChangeAddress, Join, JoinByCode, SendStaffCode
from belong_mail.members.models import BarredAddress
from belong_mail.members.staff_codes import end_of_day
from tests.browser_client import Form, html_of, link_to, links_in, path_of, read, text_of
from tests.canary import stands_in
from tests.db_dump import dump_of
from tests.factories import change_group, group_named
from tests.markers import on_both, on_sqlite
from tests.scenario import ADA, VILLAGE, drain_in

DENVER = ZoneInfo("America/Denver")
HOME = "ada.lovelace@home.example"
OTHER = "someone@elsewhere.example"
ASK = f"/groups/{VILLAGE}/join/personal"
# Tables in which a worker says that it lives, and in what numbers email left.
ALIVE = {"hosts", "leases", "sent_per_minutes", "figures"}
CODE = re.compile(r"^[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{4}\r?$", re.MULTILINE)


@pytest.fixture
def allowing(scenario):
    allow(scenario)
    return scenario


def allow(scenario, *, is_allowed: bool = True, slug: str = VILLAGE) -> None:
    scenario.do(change_group, slug, allows_personal_addresses=is_allowed)


def ask_code(scenario, address: str = ADA, slug: str = VILLAGE) -> tuple[str, str]:
    """Ask for a code; return the page that takes it, and the code or nothing."""
    before = len(scenario.mails(address))
    answer = scenario.visitor.send(f"/groups/{slug}/join/personal", email=address)
    assert answer.status_code == 303
    mails = scenario.mails(address)[before:]
    return path_of(answer.location), code_in(text_of(mails[0])) if mails else ""


def code_in(text: str) -> str:
    [code] = CODE.findall(text)
    return str(code).strip()


def enter(scenario, page: str, code: str, address: str = HOME):
    answer = scenario.visitor.send(page, email=address, code=code)
    scenario.worker.drain()
    return answer


def forged(nonce: str, made_up: str = "2222222222") -> str:
    """Make up a code that no page can tell from a right one."""
    return staff_codes.with_check(made_up, nonce)


def nonce_of(page: str) -> str:
    return page.rpartition("/")[2].partition(".")[0][PUBLIC_ID_LENGTH:]


def write_join(
    scenario,
    nonce: str,
    code: str,
    address: str = HOME,
    slug: str = VILLAGE,
    job=JoinByCode,
    source: str = "",
) -> None:
    """Write a sign-up with a code as whoever broke into the web could."""
    with scenario.services.writing.begin() as session:
        group, code = group_named(session, slug), staff_codes.read_code(code)
        said = job(address, "en", group=group.public_id, code=code, nonce=nonce, source=source)
        said.ask(session, scenario.services.sealer, group_id=group.id)


def write_ask(scenario, address: str) -> None:
    """Ask for a code, from a source of its own, as whoever broke into the web could."""
    group = scenario.group(VILLAGE).public_id
    said = SendStaffCode(address, "en", group, new_public_id(), new_public_id())
    scenario.seal(said)


def test_staff_join_with_a_personal_address(allowing):
    """The whole way: a code, in any case and spacing, the form, a link to the personal one."""
    page, code = ask_code(allowing)
    assert enter(allowing, page, f"  {code.replace('-', ' ').lower()} ").status_code == 303
    [asked] = allowing.relay.to(HOME)
    allow(allowing, is_allowed=False)
    assert allowing.visitor.follow(link_to(asked, "confirm")).status_code == 200, "sent before"
    allow(allowing)
    assert allowing.is_member(HOME)
    assert not allowing.is_member(ADA)
    assert allowing.subscription(ADA) is None
    [_asked, welcome] = allowing.mails(HOME)
    assert "If you leave" not in text_of(welcome), "it outlasts the job"
    assert len(allowing.mails(ADA)) == 1
    enter(allowing, *ask_code(allowing))
    assert allowing.subjects(HOME)[2:] == ["About your request"], "who is in already hears so"
    assert link_to(allowing.relay.to(HOME)[-1], "leave")


@on_sqlite
def test_a_group_offers_personal_addresses_only_while_the_office_allows_them(scenario):
    for page in (f"/groups/{VILLAGE}", f"/groups/{VILLAGE}/join"):
        assert "personal" not in scenario.visitor.open(page).text, "off by default"
    allow(scenario, slug="asian")
    assert scenario.visitor.open(ASK).status_code == scenario.visitor.press(ASK).status_code == 404
    allow(scenario)
    for page in (f"/groups/{VILLAGE}", f"/groups/{VILLAGE}/join"):
        assert f'href="{ASK}' in scenario.visitor.open(page).text
    words = scenario.visitor.open(ASK).text
    assert "We never write them down together, but someone who has broken into" in words
    for page in (ASK, f"/groups/{VILLAGE}/join"):
        answer = scenario.visitor.send(page, email=HOME)
        assert answer.status_code == 422
        assert "Use a district email address." in answer.text
        assert Form(answer.text).fields["email"] == HOME
    told = "If only one group takes personal addresses, they can tell which one you asked for."
    for path in (ASK, "/privacy"):
        assert told in scenario.visitor.open(path).text
    page, _code = ask_code(scenario)
    words = scenario.visitor.open(page).text
    assert "After four codes, wait a day." in words
    assert "If you once asked us not to email your DPS address" in words
    assert 'href="/my-groups"' in words
    allow(scenario, is_allowed=False)
    visitor = scenario.visitor
    for answer in (visitor.open(page), visitor.open(ASK), visitor.press(ASK)):
        assert answer.status_code == 404
        assert "This group doesn’t take personal email addresses" in answer.text
        assert f'href="/groups/{VILLAGE}/join"' in answer.text


@on_sqlite
def test_the_email_with_the_code_names_no_group_has_no_link_and_speaks_as_the_page_does(allowing):
    ask_code(allowing)
    [mail] = allowing.relay.to(ADA)
    assert mail["Subject"] == "Your code from Belong"
    assert links_in(mail) == []
    for part in (mail.as_string(), text_of(mail), html_of(mail)):
        assert "village" not in part.lower()
        assert "group" not in part.lower()
    assert "Reply-To" not in mail
    assert code_in(text_of(mail)) in html_of(mail)
    allowing.visitor.headers["Accept-Language"] = "es"
    ask_code(allowing)
    assert allowing.relay.to(ADA)[1]["Subject"] == "Tu código de Belong"


def test_a_barred_or_suppressed_address_gets_no_code(allowing):
    allowing.enter("member@dpsk12.org")
    known = {"member@dpsk12.org": 1, "new@dpsk12.org": 1, "never@dpsk12.org": 0}
    known |= {"barred@dpsk12.org": 0, "barred+tag@dpsk12.org": 0}
    index = allowing.keyring.index
    with allowing.services.writing.begin() as session:
        suppressions.suppress(session, index, "never@dpsk12.org")
        group = group_named(session, VILLAGE)
        name = index.barred(group.public_id, "barred@dpsk12.org")
        session.add(BarredAddress(group_id=group.id, address_index=name))
    allowing.worker.drain()
    for address, comes in known.items():
        before = len(allowing.relay.accepted)
        ask_code(allowing, address)
        assert len(allowing.relay.accepted) == before + comes, address
    write_ask(allowing, OTHER)
    assert allowing.mails(OTHER) == [], "to staff alone, whatever the web wrote"
    allow(allowing, is_allowed=False)
    write_ask(allowing, ADA)
    assert allowing.mails(ADA) == []


@on_sqlite
def test_a_wrong_form_keeps_everything_typed(allowing):
    page, code = ask_code(allowing)
    slip = ("3" if code[0] != "3" else "4") + code[1:]
    wrong: dict[str, tuple[dict[str, str], str]] = {
        "no code": ({"code": ""}, "Enter the code."),
        "a slip": (
            {"code": slip},
            "This isn’t the code for this page.",
        ),
        "too short": ({"code": code[:-1]}, "This isn’t the code for this page."),
        "no address": ({"email": "ada"}, "Enter an email address like name@example.com."),
        "a staff address": ({"email": ADA}, "This email address is from DPS."),
    }
    for why, (typed, words) in wrong.items():
        given = {"code": code, "email": HOME, "first_name": "Ada", **typed}
        answer = allowing.visitor.send(page, **given)
        assert answer.status_code == 422, why
        assert words in answer.text, why
        fields = Form(answer.text).fields
        assert {name: fields[name] for name in given} == given, why
    assert allowing.rows("jobs") == 0
    near = allowing.visitor.send(page, email="ada@dpsk12.example", code=code)
    assert near.status_code == 303, "no staff address is suggested"


def test_nothing_is_sent_to_a_personal_address_without_a_right_code(allowing):
    """The page cannot tell this code from a right one, and answers as ever."""
    page, code = ask_code(allowing)
    for made_up in ("2222222222", "ZZZZZZZZZZ"):
        answer = enter(allowing, page, forged(nonce_of(page), made_up))
        assert answer.status_code == 303
    assert allowing.relay.to(HOME) == []
    assert allowing.subscription(HOME) is None
    assert enter(allowing, page, code).status_code == 303
    assert len(allowing.relay.to(HOME)) == 1


@on_both("races")
def test_a_code_works_once(allowing):
    """Uses are counted by days: the next day's beginning must not make it whole."""
    assert len(ALPHABET) ** staff_codes.SECRET_LENGTH > 2**47
    midnight = end_of_day(now()) + timedelta(days=1)
    with time_machine.travel(midnight - timedelta(minutes=20), tick=True) as clock:
        page, code = ask_code(allowing)
        enter(allowing, page, code)
        assert enter(allowing, page, code, OTHER).status_code == 303
        assert allowing.relay.to(OTHER) == []
        clock.shift(timedelta(minutes=40))
        enter(allowing, page, code, OTHER)
        assert allowing.relay.to(OTHER) == []
        assert len(allowing.relay.to(HOME)) == 1


def test_a_code_is_for_its_page_and_its_group_alone(allowing):
    """Another page says so at once; a web that says nothing is not believed."""
    allow(allowing, slug="asian")
    page, code = ask_code(allowing)
    other, _other_code = ask_code(allowing)
    assert enter(allowing, other, code).status_code == 422
    secret = staff_codes.read_code(code)[: staff_codes.SECRET_LENGTH]
    assert enter(allowing, other, forged(nonce_of(other), secret)).status_code == 303
    write_join(allowing, nonce_of(page), code, slug="asian")
    assert allowing.mails(HOME) == []
    enter(allowing, page, code)
    assert len(allowing.relay.to(HOME)) == 1


def test_the_worker_asks_no_personal_address_that_the_web_says_is_let_in(allowing):
    """Neither by a usual sign-up, nor a made-up code, nor for an address that pages refuse."""
    nonce = new_public_id()
    for job in (Join, JoinByCode):
        write_join(allowing, nonce, forged(nonce), job=job)
    odd = ("Ada <ada@home.example>", "a=?b@home.example", "a@HOME.example", "head@dpsk12.org")
    for number, address in enumerate(odd):
        page, code = ask_code(allowing, f"ada{number}@dpsk12.org")
        write_join(allowing, nonce_of(page), code, address)
        allowing.worker.drain()
        assert allowing.rows("subscriptions") == 0, address
    page, code = ask_code(allowing)
    allow(allowing, is_allowed=False)
    write_join(allowing, nonce_of(page), code)
    assert allowing.mails(HOME) == []


@pytest.mark.parametrize(
    ("minute", "sent_after", "read_after", "comes"),
    [(59, 180, 0, 1), (59, 240, 0, 0), (30, 205, 45, 1), (30, 205, 75, 0)],
    ids=["three hours", "four", "sent in time", "an hour back at most"],
)
def test_a_code_is_over_after_three_to_four_hours_by_when_its_form_was_sent(
    allowing, minute, sent_after, read_after, comes
):
    """The email says so in the local time. A row is believed an hour back at most."""
    start = now().replace(minute=minute, second=0, microsecond=0)
    with time_machine.travel(start, tick=True) as clock:
        page, code = ask_code(allowing)
        over = read(format_time(start.replace(minute=0) + timedelta(hours=4), "en", DENVER))
        assert f"until {over}, Denver time" in " ".join(text_of(allowing.relay.to(ADA)[0]).split())
        clock.shift(timedelta(minutes=sent_after))
        write_join(allowing, nonce_of(page), code)
        clock.shift(timedelta(minutes=read_after))
        assert len(allowing.mails(HOME)) == comes


@on_sqlite
@pytest.mark.parametrize("is_allowed", [True, False])
def test_words_that_were_typed_too_late_are_shown_again(allowing, is_allowed):
    """With a link that opens in a new tab: no form is sent, and nothing typed is lost."""
    page, code = ask_code(allowing)
    typed = {"email": HOME, "code": code, "first_name": "Ada"}
    fields = {**Form(allowing.visitor.open(page).text).fields, **typed}
    assert allowing.visitor.open("/join-with-code/nothing").status_code == 404
    allow(allowing, is_allowed=is_allowed)
    with time_machine.travel(now() + timedelta(hours=4 if is_allowed else 0, minutes=5), tick=True):
        before = "was open for too long" if is_allowed else "doesn’t take personal"
        assert before in allowing.visitor.open(page).text
        for _each in range(2):
            answer = allowing.visitor.press(page, **fields)
            assert answer.status_code == 422
            assert "This page was open for too long" in answer.text
            shown = Form(answer.text).fields
            assert {name: shown[name] for name in typed} == typed
            assert f'href="{ASK}"' in answer.text
    assert allowing.rows("jobs") == 0


def test_a_code_that_is_over_is_not_emailed(allowing):
    """After an outage: neither when the request is read late, nor when the email leaves late."""
    allowing.visitor.send(ASK, email=ADA)
    assert allowing.worker.read_jobs()
    allowing.visitor.send(ASK, email="ben@dpsk12.org")
    with time_machine.travel(now() + timedelta(hours=5), tick=True):
        assert allowing.mails(ADA) == allowing.mails("ben@dpsk12.org") == []
        [left] = allowing.query(select(Delivery))
        assert left.state == State.EXPIRED


def test_a_join_with_a_code_leaves_no_trace_of_where_it_came_from(allowing):
    """Else one keyed hash of a source would stand beside both addresses, for a day."""
    page, code = ask_code(allowing)
    write_join(allowing, nonce_of(page), code, source="somewhere")
    assert len(allowing.mails(HOME)) == 1
    index = allowing.keyring.index
    with allowing.services.reading.begin() as session:
        group = group_named(session, VILLAGE).public_id
        for use, *names in (("confirm-from", group, HOME), ("confirm-person-from", HOME)):
            assert session.get(WorkerLimit, index.limited(use, "", *names)) is not None
            assert session.get(WorkerLimit, index.limited(use, "somewhere", *names)) is None


def test_one_staff_address_gets_so_many_codes_a_day(allowing):
    """From one source four, from all sources ten; the answers stay the same."""
    for _each in range(6):
        ask_code(allowing)
    assert len(allowing.mails(ADA)) == 4
    for _each in range(15):
        write_ask(allowing, ADA)
    assert len(allowing.mails(ADA)) == 10
    ask_code(allowing, "ada+more@dpsk12.org")
    assert allowing.mails("ada+more@dpsk12.org") == []
    ask_code(allowing, "someone.else@dpsk12.org")
    assert len(allowing.mails("someone.else@dpsk12.org")) == 1
    with time_machine.travel(end_of_day(now()) + timedelta(minutes=1), tick=True):
        ask_code(allowing)
        assert len(allowing.mails(ADA)) == 11


def test_the_two_addresses_are_never_written_down_together(allowing, caplog):
    """Not in the clear, and when all is done not sealed either; no id and no hour joins them."""
    caplog.set_level("DEBUG")
    before = dump_of(allowing.services)
    answer = allowing.visitor.send(ASK, email=ADA)
    page = path_of(answer.location)
    first = added(before, dump_of(allowing.services))
    assert set(first) == {"jobs", "limits"}
    [request] = allowing.query(select(Job))
    assert (request.group_id, request.subscription_id) == (None, None)
    code = code_in(text_of(allowing.mails(ADA)[0]))
    enter(allowing, page, code)
    drain_in(allowing.worker, minutes=2)
    after = added(before, dump_of(allowing.services))
    assert set(after) == {"subscriptions", "pending_confirmations", "deliveries", "worker_limits"}
    [left] = allowing.query(select(Delivery))
    assert left.subscription_id is not None
    kept = (repr(after) + caplog.text).encode()
    for mark in (ADA, HOME, nonce_of(page), code, staff_codes.read_code(code)):
        assert not stands_in(kept, mark), "a mark was kept"


def added(before, after) -> dict[str, list[tuple[object, ...]]]:
    """List the rows that are new, by table, without what a worker writes to show that it lives."""
    found = {
        table: [row for row in rows if row not in before[table]] for table, rows in after.items()
    }
    return {table: rows for table, rows in found.items() if rows and table not in ALIVE}


def test_the_stored_limits_of_a_code_tell_the_day_and_not_the_hour(allowing):
    """A test of a staff address by its keyed hash tells the day, not the minute."""
    page, code = ask_code(allowing)
    enter(allowing, page, code)
    index, day = allowing.keyring.index, timedelta(days=1).total_seconds()
    end = end_of_day(now()).timestamp()
    assert 0 < end - now().timestamp() <= day
    nonce = nonce_of(page)
    with allowing.services.reading.begin() as session:
        group = group_named(session, VILLAGE).public_id
        used = session.get_one(WorkerLimit, index.limited("staff-code-used", group, nonce))
        asked = session.get_one(WorkerLimit, index.limited("staff-code-to", ADA))
        assert used.used_until == end + 2 * day
        assert asked.used_until == pytest.approx(end + day / 10)


def list_of_a_personal_address(allowing) -> str:
    """Let one join; return the path of its list of groups."""
    page, code = ask_code(allowing)
    enter(allowing, page, code)
    allowing.visitor.press(link_to(allowing.relay.to(HOME)[0], "confirm"))
    allowing.worker.drain()
    allowing.visitor.send("/my-groups", email=HOME)
    return path_of(link_to(allowing.mails(HOME)[-1], "my-groups")).partition("?")[0]


def test_a_member_with_a_personal_address_moves_to_no_other_one(allowing):
    """The pair would be written down: it is refused kindly, with the way to go instead."""
    sheet = list_of_a_personal_address(allowing)
    words = allowing.visitor.open(sheet).text
    assert "You get our emails at a personal address." in words
    assert "change-address" not in words
    assert "DPS email" not in words.partition("<main")[2].partition("</main>")[0]
    change = f"{sheet}/change-address"
    answers = [allowing.visitor.open(change)]
    answers += [allowing.visitor.press(change, email=new) for new in (ADA, OTHER)]
    assert [each.status_code for each in answers] == [200, 422, 422]
    for answer in answers:
        assert "You can’t change a personal email address here" in answer.text
        assert "Join each group with your new address first." in answer.text
    assert allowing.rows("jobs") == 0
    assert allowing.is_member(HOME)
    asked = ChangeAddress, sheet.rpartition("/")[2], now()
    typed = {"new": "new@dpsk12.org", "language": "en"}
    allowing.do(members_self_service.ask_worker, allowing.services.sealer, *asked, **typed)
    assert allowing.mails("new@dpsk12.org") == [], "nor does the worker, whatever the web wrote"
    assert allowing.rows("address_changes") == 0
