"""My groups: one answer for everybody, and a link that opens a short-lived list."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import event, func, select

from belong_mail.db import now
from belong_mail.outbox import suppressions
from belong_mail.parts import Parts
from belong_mail.sending.models import Delivery
from belong_mail.subscriptions.models import Request, Subscription
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.people import Form, Visitor, html_of, text_of
from tests.servers.smtp import Server

ADA = "ada@dpsk12.org"
NOBODY = "nobody@dpsk12.org"
BARRED = "barred@dpsk12.org"
Sheet = Callable[..., str]
Join = Callable[..., list[str]]
Link = Callable[[str], str]


def state_of(parts: Parts, public_id: str) -> tuple[Any, ...]:
    with parts.reading.begin() as session:
        found = select(Subscription).where(Subscription.public_id == public_id)
        one = session.scalars(found).one()
        return one.is_active, one.paused_until, one.language


def test_a_member_sees_each_group_behind_the_link_and_the_mail_names_none(
    join: Join, link: Link, visitor: Visitor, relay: Server
) -> None:
    join(ADA, "the-village", "lgbtq")
    join("grace@dpsk12.org", "asian")
    page = visitor.open(link("ADA@dpsk12.org".lower()))
    assert "The Village" in page.text
    assert "LGBTQ" in page.text
    assert "Asian" not in page.text
    assert ADA not in page.text
    [mail] = relay.to(ADA)
    for words in (str(mail["Subject"]), text_of(mail), html_of(mail)):
        assert "Village" not in words
        assert "LGBTQ" not in words


def test_the_page_answers_alike_in_the_same_statements_for_every_address(
    join: Join, parts: Parts, keyring: Keyring, visitor: Visitor
) -> None:
    join(ADA, "the-village", "lgbtq")
    with parts.writing.begin() as session:
        suppressions.add(session, keyring.index, BARRED, "asked")
    statements: list[str] = []
    engine = parts.writing.kw["bind"]

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    answers = []
    for address in (ADA, NOBODY, BARRED, "somebody@example.org"):
        statements.clear()
        sent = visitor.send("/my-groups", email=address)
        page = re.sub(r"[0-9a-f]{10}", "", visitor.open(sent.location).text)
        answers.append((sent.status_code, sent.location, sent.text, page, tuple(statements)))
    event.remove(engine, "before_cursor_execute", note)
    assert len(set(answers)) == 1
    assert [each for each in statements if each.startswith("INSERT INTO requests")]


@pytest.mark.parametrize("typed", ["", "   ", "\t", "ada", "a@b@dpsk12.org", "x" * 300])
def test_what_is_no_address_is_asked_for_again_and_kept(
    visitor: Visitor, parts: Parts, typed: str
) -> None:
    page = visitor.send("/my-groups", email=typed)
    assert page.status_code == 422
    assert "<title>Problem" in page.text
    assert Form(page.text).fields["email"] == typed.strip()
    with parts.reading.begin() as session:
        assert session.scalars(select(Request)).all() == []


def test_who_has_no_group_is_told_so_once_a_day_at_most(
    visitor: Visitor, worker: Worker, relay: Server
) -> None:
    for _ in range(3):
        visitor.send("/my-groups", email=NOBODY)
    worker.drain()
    [mail] = relay.to(NOBODY)
    assert "member of none" in " ".join(text_of(mail).split())
    with time_machine.travel(now() + timedelta(days=1, minutes=5)):
        visitor.send("/my-groups", email=NOBODY)
        worker.drain()
    assert len(relay.to(NOBODY)) == 2


def test_strangers_elsewhere_and_whoever_wants_no_mail_get_none(
    join: Join, parts: Parts, keyring: Keyring, visitor: Visitor, worker: Worker, relay: Server
) -> None:
    join(BARRED, "the-village")
    with parts.writing.begin() as session:
        suppressions.add(session, keyring.index, BARRED, "asked")
    visitor.send("/my-groups", email="somebody@example.org")
    visitor.send("/my-groups", email=BARRED)
    worker.drain()
    assert relay.accepted == []
    with parts.reading.begin() as session:
        assert session.scalar(select(func.count(Delivery.id))) == 0


def test_a_member_with_an_address_that_could_not_join_today_gets_the_link(
    join: Join, link: Link
) -> None:
    join("old@example.org", "the-village")
    assert link("old@example.org").startswith("/my-groups/")


def test_asking_often_mails_five_links_an_hour_and_locks_nobody_out(
    join: Join, link: Link, visitor: Visitor, worker: Worker, relay: Server
) -> None:
    join(ADA, "the-village")
    for _ in range(40):
        visitor.send("/my-groups", email=ADA)
    worker.drain()
    assert len(relay.to(ADA)) == 5
    with time_machine.travel(now() + timedelta(hours=1, minutes=1)):
        assert "The Village" in visitor.open(link(ADA)).text


def test_the_link_works_as_often_as_wanted_for_half_an_hour(sheet: Sheet, visitor: Visitor) -> None:
    link, start = sheet(), now()
    with time_machine.travel(start + timedelta(minutes=29)):
        assert visitor.open(link).status_code == 200
        assert visitor.open(link).status_code == 200
    with time_machine.travel(start + timedelta(minutes=31)):
        for path in (link, f"{link}/erase", f"{link}/change-address"):
            page = visitor.open(path)
            assert page.status_code == 404
            assert 'href="/my-groups' in page.text
        assert visitor.press(f"{link}/copy").status_code == 404
        assert visitor.press(f"{link}/erase").status_code == 404


@pytest.mark.parametrize("secret", ["x", "x" * 43, "%00", "ä" * 40, "x" * 5000])
def test_a_guessed_secret_opens_nothing(sheet: Sheet, visitor: Visitor, secret: str) -> None:
    sheet("the-village")
    assert visitor.open(f"/my-groups/{secret}").status_code == 404


def test_pages_behind_the_link_are_kept_by_nobody(sheet: Sheet, visitor: Visitor) -> None:
    link = sheet()
    for path in (link, f"{link}/erase", f"{link}/change-address", "/my-groups/unknown"):
        page = visitor.open(path)
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert '<meta name="robots" content="noindex">' in page.text
        assert "Set-Cookie" not in page.headers


def test_a_member_leaves_one_group_and_undoes_it(
    join: Join, link: Link, visitor: Visitor, parts: Parts
) -> None:
    [village, lgbtq] = join(ADA, "the-village", "lgbtq")
    path = link(ADA)
    answer = visitor.press(f"{path}/leave", membership=village)
    page = visitor.open(answer.location).text
    assert "Done: you have left" in page
    assert "keep me in The Village" in page
    assert state_of(parts, village)[0] is False
    assert state_of(parts, lgbtq)[0] is True
    visitor.press(f"{path}/undo", membership=village)
    assert state_of(parts, village)[0] is True


def a_day(public_id: str, day: object) -> dict[str, str]:
    """Return what the button beside one group's day sends."""
    return {"membership": public_id, f"{public_id}:until": str(day)}


def test_a_member_pauses_a_group_resumes_it_and_changes_its_language(
    join: Join, link: Link, visitor: Visitor, parts: Parts
) -> None:
    [village, lgbtq] = join(ADA, "the-village", "lgbtq")
    path = link(ADA)
    day = (now() + timedelta(days=40)).date()
    answer = visitor.press(f"{path}/pause", **a_day(village, day))
    assert "You are still a member" in visitor.open(answer.location).text
    paused_until = state_of(parts, village)[1]
    assert paused_until.astimezone(parts.settings.timezone).isoformat()[:16] == f"{day}T00:00"
    assert state_of(parts, lgbtq)[1] is None

    visitor.press(f"{path}/pause", **{"membership": village, f"{village}:resume": "yes"})
    assert state_of(parts, village)[1] <= now()
    assert "You are still a member" not in visitor.open(path).text

    visitor.press(f"{path}/language", membership=lgbtq, language="es")
    assert state_of(parts, lgbtq)[2] == "es"
    assert state_of(parts, village)[2] == "en"


@pytest.mark.parametrize(
    "until", ["", "soon", "2026-13-01", "31/12/2026", "0001-01-01", "9999-12-31", "2026-11-24\0"]
)
def test_a_day_that_cannot_be_is_asked_for_again(
    join: Join, link: Link, visitor: Visitor, parts: Parts, until: str
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    page = visitor.press(f"{path}/pause", **a_day(village, until))
    assert page.status_code == 422
    assert "<title>Problem" in page.text
    assert "Choose a day" in page.text
    assert state_of(parts, village)[1] is None


def test_every_day_that_was_typed_stays_in_another_language_and_after_an_error(
    join: Join, link: Link, visitor: Visitor, parts: Parts
) -> None:
    [village, lgbtq] = join(ADA, "the-village", "lgbtq")
    path = link(ADA)
    typed = {f"{village}:until": "2027-01-08", f"{lgbtq}:until": "2027-02-09"}
    switched = visitor.press(f"{path}/pause?lang=es", **typed, switch_language="es")
    assert "Tus grupos" in switched.text
    assert Form(switched.text).fields == typed
    one = {**typed, f"{lgbtq}:until": ""}
    assert visitor.press(f"{path}/pause", **one, switch_language="es").status_code == 200
    wrong = visitor.press(f"{path}/pause", **{**typed, **a_day(village, "soon")})
    assert wrong.status_code == 422
    assert Form(wrong.text).fields == {**typed, f"{village}:until": "soon"}
    assert state_of(parts, village)[1] is state_of(parts, lgbtq)[1] is None


def test_enter_pauses_the_group_whose_day_was_typed_and_guesses_nothing(
    join: Join, link: Link, visitor: Visitor, parts: Parts
) -> None:
    [village, lgbtq] = join(ADA, "the-village", "lgbtq")
    path, day = link(ADA), str((now() + timedelta(days=5)).date())
    both = visitor.press(f"{path}/pause", **{f"{village}:until": day, f"{lgbtq}:until": day})
    assert (both.status_code, both.text.count(f'value="{day}"')) == (200, 2)
    assert state_of(parts, village)[1] is state_of(parts, lgbtq)[1] is None
    visitor.press(f"{path}/pause", **{f"{village}:until": "", f"{lgbtq}:until": day})
    assert state_of(parts, village)[1] is None
    assert state_of(parts, lgbtq)[1] is not None
    other = visitor.press(f"{path}/pause", **{"another:until": day})
    assert other.status_code == 404


def test_a_pause_ends_within_a_year_and_not_today(
    join: Join, link: Link, visitor: Visitor, parts: Parts
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    today = now().astimezone(parts.settings.timezone).date()
    for days, status in ((0, 422), (366, 422), (365, 303), (1, 303)):
        until = str(today + timedelta(days=days))
        answer = visitor.press(f"{path}/pause", **a_day(village, until))
        assert answer.status_code == status


def test_a_link_changes_nobody_elses_membership(
    join: Join, link: Link, visitor: Visitor, parts: Parts
) -> None:
    join(ADA, "the-village")
    [other] = join("grace@dpsk12.org", "the-village")
    path = link(ADA)
    before = state_of(parts, other)
    day = str((now() + timedelta(days=5)).date())
    assert visitor.press(f"{path}/leave", membership=other).status_code == 404
    assert visitor.press(f"{path}/undo", membership=other).status_code == 404
    assert visitor.press(f"{path}/pause", **a_day(other, day)).status_code == 404
    assert visitor.press(f"{path}/language", membership=other, language="es").status_code == 404
    assert visitor.press(f"{path}/leave").status_code == 404
    assert state_of(parts, other) == before


def test_a_language_we_do_not_speak_changes_nothing(
    join: Join, link: Link, visitor: Visitor, parts: Parts
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    for code in ("", "xx", "EN"):
        answer = visitor.press(f"{path}/language", membership=village, language=code)
        assert answer.status_code == 400
    assert state_of(parts, village)[2] == "en"


def test_opening_changes_nothing(join: Join, link: Link, visitor: Visitor, parts: Parts) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    for verb in ("leave", "undo", "pause", "language", "copy"):
        assert visitor.open(f"{path}/{verb}?membership={village}").status_code == 405
    visitor.open(f"{path}/erase")
    assert state_of(parts, village) == (True, None, "en")


def test_the_page_says_in_spanish_too(sheet: Sheet, visitor: Visitor) -> None:
    said = visitor.open(f"{sheet()}?lang=es").text
    assert '<html lang="es"' in said
    assert re.search(r"Formas parte desde [a-z]+ de \d{4}<", said)
