"""My groups: one answer for everybody, and a link that opens a short-lived list."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from dateutil.relativedelta import relativedelta
from sqlalchemy import func, select

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery import suppressions
from belong_mail.delivery.models import Delivery
from belong_mail.members.models import Subscription
from belong_mail.worker.loop import Worker
from tests.browser_client import Form, Visitor, html_of, text_of
from tests.counting import statements_of
from tests.servers.smtp import Server

ADA = "ada@dpsk12.org"
NOBODY = "nobody@dpsk12.org"
BARRED = "barred@dpsk12.org"
Sheet = Callable[..., str]
Join = Callable[..., list[str]]
Link = Callable[[str], str]


def state_of(services: Services, public_id: str) -> tuple[Any, ...]:
    with services.reading.begin() as session:
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
    join: Join, services: Services, keyring: Keyring, visitor: Visitor
) -> None:
    join(ADA, "the-village", "lgbtq")
    with services.writing.begin() as session:
        suppressions.suppress(session, keyring.index, BARRED, "asked")
    answers = set()
    for address in (ADA, NOBODY, BARRED, "somebody@example.org"):
        with statements_of(services.engine) as statements:
            sent = visitor.send("/my-groups", email=address)
            page = re.sub(r"[0-9a-f]{10}", "", visitor.open(sent.location).text)
        answers.add((sent.status_code, sent.location, sent.text, page, tuple(statements)))
    assert len(answers) == 1
    assert [each for each in statements if each.startswith("INSERT INTO jobs")]


@pytest.mark.parametrize("typed", ["", "   ", "\t", "ada", "a@b@dpsk12.org", "x" * 300])
def test_what_is_no_address_is_asked_for_again_and_kept(
    visitor: Visitor, services: Services, typed: str
) -> None:
    page = visitor.send("/my-groups", email=typed)
    assert page.status_code == 422
    assert "<title>Problem" in page.text
    assert Form(page.text).fields["email"] == typed.strip()
    with services.reading.begin() as session:
        assert session.scalars(select(Job)).all() == []


def test_who_has_no_group_is_told_so_as_often_as_a_member_gets_a_link(
    join: Join, visitor: Visitor, worker: Worker, relay: Server
) -> None:
    join(ADA, "the-village")
    for address in (NOBODY, ADA) * 10:
        visitor.send("/my-groups", email=address)
    worker.drain()
    told = relay.to(NOBODY)
    assert "It isn’t in any group" in " ".join(text_of(told[0]).split())
    assert len(told) == len(relay.to(ADA)) == 5


def test_strangers_elsewhere_and_whoever_wants_no_mail_get_none(
    join: Join,
    services: Services,
    keyring: Keyring,
    visitor: Visitor,
    worker: Worker,
    relay: Server,
) -> None:
    join(BARRED, "the-village")
    with services.writing.begin() as session:
        suppressions.suppress(session, keyring.index, BARRED, "asked")
    visitor.send("/my-groups", email="somebody@example.org")
    visitor.send("/my-groups", email=BARRED)
    worker.drain()
    assert relay.accepted == []
    with services.reading.begin() as session:
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
        assert visitor.follow(f"{link}/erase").status_code == 404


@pytest.mark.parametrize("secret", ["x", "x" * 43, "%00", "ä" * 40, "x" * 5000])
def test_a_guessed_secret_opens_nothing(sheet: Sheet, visitor: Visitor, secret: str) -> None:
    sheet("the-village")
    assert visitor.open(f"/my-groups/{secret}").status_code == 404


def test_pages_behind_the_link_are_kept_by_nobody(sheet: Sheet, visitor: Visitor) -> None:
    link = sheet()
    for path in (link, f"{link}/erase", f"{link}/change-address", "/my-groups/unknown"):
        page = visitor.open(path)
        assert page.headers["Cache-Control"] == "no-store"
        assert '<meta name="robots" content="noindex">' in page.text
        assert "Set-Cookie" not in page.headers


def card_of(page: str, public_id: str) -> str:
    """Return one group's card."""
    after = page.partition(f'id="{public_id}"')[2]
    return re.split(r"</details>|</section>\s*(?=<details|<section|</div>)", after)[0]


def undo_of(part: str) -> tuple[str, dict[str, list[str]]]:
    """Return where the Undo button of a notice leads, and what it sends."""
    notice = part.partition('id="done"')[2].partition("</div>")[0]
    action = notice.partition('action="')[2].partition('"')[0]
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', notice):
        fields.setdefault(name, []).append(value)
    return action, fields


def press_undo(visitor: Visitor, part: str) -> str:
    """Press the Undo button of a notice, and return the page that it leads to."""
    action, fields = undo_of(part)
    return visitor.open(visitor.press(action, **fields).location).text


LANGUAGES = pytest.mark.parametrize("code", ["en", "es"])
SAID = {
    "left": {
        "en": "You left The Village Belong Group. No one was told.",
        "es": 'Saliste del grupo <span lang="en">The Village</span>. No se le avisó a nadie.',
    },
    "back": {
        "en": "Welcome back! You’re in The Village Belong Group again, as before.",
        "es": 'Estás otra vez en el grupo <span lang="en">The Village</span>,',
    },
    "all left": {
        "en": "You left 2 groups. No one was told.",
        "es": "Saliste de 2 grupos. No se le avisó a nadie.",
    },
    "all paused": {
        "en": "Newsletters from 2 groups are paused until",
        "es": "Los boletines de 2 grupos están en pausa hasta el",
    },
    "language": {
        "en": "Emails from The Village Belong Group will come in Spanish.",
        "es": 'Los correos del grupo <span lang="en">The Village</span> llegarán en español.',
    },
}


@LANGUAGES
def test_a_member_leaves_one_group_and_undoes_it(
    join: Join, link: Link, visitor: Visitor, services: Services, code: str
) -> None:
    [village, lgbtq] = join(ADA, "the-village", "lgbtq")
    path = link(ADA)
    answer = visitor.press(f"{path}/leave?lang={code}", membership=village)
    assert answer.location.endswith("#done")
    page = visitor.open(answer.location).text
    assert SAID["left"][code] in card_of(page, village)
    assert 'id="done"' not in card_of(page, lgbtq)
    assert state_of(services, village)[0] is False
    assert state_of(services, lgbtq)[0] is True
    assert SAID["back"][code] in card_of(press_undo(visitor, page), village)
    assert state_of(services, village)[0] is True


def test_who_opens_the_page_later_finds_until_when_leaving_can_be_undone(
    join: Join, link: Link, visitor: Visitor, services: Services
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    left_at = now()
    visitor.press(f"{path}/leave", membership=village)
    page = visitor.open(path).text
    until = (left_at + timedelta(hours=1)).astimezone(services.settings.timezone)
    assert f", {until:%-I:%M %p} (Denver time)." in card_of(page, village)
    assert "Undo: keep me in The Village Belong Group" in page


def test_each_group_is_a_card_that_folds_and_the_first_or_the_changed_one_is_open(
    join: Join, link: Link, visitor: Visitor
) -> None:
    [village, lgbtq] = join(ADA, "the-village", "lgbtq")
    path = link(ADA)

    def opened(url: str) -> list[str]:
        found = re.findall(r'<details [^>]*id="([^"]+)"( open)?>', visitor.open(url).text)
        assert {public_id for public_id, _ in found} == {village, lgbtq}
        return [public_id for public_id, is_open in found if is_open]

    [first] = opened(path)
    [other] = {village, lgbtq} - {first}
    answer = visitor.press(f"{path}/remind", membership=other, remind="yes")
    assert opened(answer.location) == [other]
    again = visitor.press(f"{path}/remind", membership=other, remind="yes")
    assert again.location.endswith(f"#{other}")
    assert opened(again.location) == [other]


def test_what_changed_nothing_is_not_said_to_be_done(
    join: Join, link: Link, visitor: Visitor
) -> None:
    [village, lgbtq] = join(ADA, "the-village", "lgbtq")
    path = link(ADA)
    day = str((now() + timedelta(days=5)).date())
    for verb, said in {
        "undo": {}, "resume": {}, "language": {"language": "en"}, "remind": {"remind": "no"},
    }.items():  # fmt: skip
        answer = visitor.press(f"{path}/{verb}", membership=village, **said)
        assert 'id="done"' not in visitor.open(answer.location).text, verb
    for verb, said in (("leave", {}), ("pause", {f"{village}:until": day})):
        first = visitor.press(f"{path}/{verb}", membership=lgbtq, **{f"{lgbtq}:until": day})
        assert 'id="done"' in visitor.open(first.location).text, verb
        again = visitor.press(f"{path}/{verb}", membership=lgbtq, **{f"{lgbtq}:until": day}, **said)
        assert 'id="done"' not in visitor.open(again.location).text, verb
        visitor.press(f"{path}/undo", membership=lgbtq)


def test_a_page_that_was_open_when_its_group_was_left_elsewhere_explains_and_changes_nothing(
    join: Join, link: Link, visitor: Visitor, services: Services
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    visitor.press(f"{path}/leave", membership=village)
    for verb, said in (
        ("pause", {f"{village}:until": str((now() + timedelta(days=5)).date())}),
        ("remind", {"remind": "yes"}),
        ("language", {"language": "es"}),
        ("resume", {}),
    ):
        answer = visitor.press(f"{path}/{verb}", membership=village, **said)
        assert answer.status_code == 303, verb
        page = visitor.open(answer.location)
        assert page.status_code == 200, verb
        assert "You left this group." in page.text, verb
    assert state_of(services, village) == (False, None, "en")


def test_what_a_press_said_is_not_said_again_when_it_is_so_no_more(
    join: Join, link: Link, visitor: Visitor
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    left = visitor.press(f"{path}/leave", membership=village).location
    assert 'id="done"' in visitor.open(left).text
    visitor.press(f"{path}/undo", membership=village)
    assert 'id="done"' not in visitor.open(left).text
    for bent in ("done=leave&of=x", "done=x&of=" + village, "done=language&of=x&was=zz"):
        assert 'id="done"' not in visitor.open(f"{path}?{bent}").text


@LANGUAGES
def test_all_groups_are_left_after_one_question_and_come_back_together(
    join: Join, link: Link, visitor: Visitor, services: Services, code: str
) -> None:
    both = join(ADA, "the-village", "lgbtq")
    [other] = join("grace@dpsk12.org", "the-village")
    path = link(ADA)
    assert f"{path}/leave-all" in visitor.open(f"{path}?lang={code}").text
    asked = visitor.open(f"{path}/leave-all?lang={code}").text
    assert {state_of(services, each)[0] for each in both} == {True}
    assert all(name in asked for name in ("The Village", "LGBTQ"))
    [action] = re.findall(r'<form method="post" action="([^"]+)"', asked)
    named = re.findall(r'name="membership" value="([^"]+)"', asked)
    assert sorted(named) == sorted(both)
    page = visitor.open(visitor.press(action, membership=named).location).text
    assert SAID["all left"][code] in page
    assert {state_of(services, each)[0] for each in both} == {False}
    press_undo(visitor, page)
    assert {state_of(services, each)[0] for each in both} == {True}
    assert state_of(services, other)[0] is True
    assert visitor.press(f"{path}/leave", membership=[*both, other]).status_code == 404
    assert {state_of(services, each)[0] for each in (*both, other)} == {True}
    assert visitor.press(f"{path}/leave-all").status_code == 405


@LANGUAGES
def test_all_groups_pause_together_but_those_that_are_paused_already(
    join: Join, link: Link, visitor: Visitor, services: Services, code: str
) -> None:
    both = join(ADA, "the-village", "lgbtq")
    [paused] = join(ADA, "asian")
    path = link(ADA)
    first, later = (str((now() + timedelta(days=days)).date()) for days in (9, 40))
    visitor.press(f"{path}/pause", **a_day(paused, later))
    before = state_of(services, paused)
    answer = visitor.press(f"{path}/pause?lang={code}", **a_day("all", first))
    page = visitor.open(answer.location).text
    assert SAID["all paused"][code] in page
    zone = services.settings.timezone
    for each in both:
        assert state_of(services, each)[1].astimezone(zone).isoformat()[:10] == first
    assert state_of(services, paused) == before
    again = visitor.press(f"{path}/pause", **a_day("all", first))
    assert 'id="done"' not in visitor.open(again.location).text


def test_nothing_of_all_is_offered_to_who_is_in_one_group(
    join: Join, link: Link, visitor: Visitor
) -> None:
    join(ADA, "the-village")
    page = visitor.open(link(ADA)).text
    assert "All your groups" not in page
    assert "leave-all" not in page


def test_who_is_in_no_group_any_more_is_asked_nothing_about_all(
    join: Join, link: Link, visitor: Visitor
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    visitor.press(f"{path}/leave", membership=village)
    assert visitor.open(f"{path}/leave-all").location == path


def a_day(public_id: str, day: object) -> dict[str, str]:
    """Return what the button beside one group's day sends."""
    return {"membership": public_id, f"{public_id}:until": str(day)}


def test_one_press_pauses_for_a_month_or_for_three(
    join: Join, link: Link, visitor: Visitor, services: Services
) -> None:
    both, zone = join(ADA, "the-village", "lgbtq"), services.settings.timezone
    path, today = link(ADA), now().astimezone(zone).date()
    for each, months in zip(both, (1, 3), strict=True):
        found = re.findall(f'name="{each}:until" value="([^"]+)">Pause', visitor.open(path).text)
        days = [today + relativedelta(months=ahead) for ahead in (1, 3)]  # type: ignore[no-untyped-call]
        assert found == [str(day) for day in days]
        day = found[0] if months == 1 else found[1]
        visitor.press(f"{path}/pause", **a_day(each, day))
        assert state_of(services, each)[1].astimezone(zone).date() == date.fromisoformat(day)


@LANGUAGES
def test_a_member_pauses_a_group_resumes_it_and_changes_its_language(
    join: Join, link: Link, visitor: Visitor, services: Services, code: str
) -> None:
    [village, lgbtq] = join(ADA, "the-village", "lgbtq")
    path = link(ADA)
    day = (now() + timedelta(days=40)).date()
    answer = visitor.press(f"{path}/pause", **a_day(village, day))
    page = visitor.open(answer.location).text
    assert "You’re still a member" in page
    paused_until = state_of(services, village)[1]
    assert paused_until.astimezone(services.settings.timezone).isoformat()[:16] == f"{day}T00:00"
    assert state_of(services, lgbtq)[1] is None

    resumed = visitor.press(f"{path}/resume", membership=village)
    assert state_of(services, village)[1] <= now()
    assert "You’re still a member" not in visitor.open(resumed.location).text

    answer = visitor.press(f"{path}/language?lang={code}", membership=village, language="es")
    page = visitor.open(answer.location).text
    assert SAID["language"][code] in card_of(page, village)
    assert state_of(services, village)[2] == "es"
    assert state_of(services, lgbtq)[2] == "en"


def test_a_reminder_is_asked_for_and_ended_and_the_page_says_which(
    join: Join, link: Link, visitor: Visitor, services: Services
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)

    def is_reminded() -> bool:
        with services.reading.begin() as session:
            return session.scalars(select(Subscription.is_reminded)).one()

    for wish, words in (
        ("yes", "You’ll get an email the day before each meeting."),
        ("no", "You won’t get emails before meetings anymore."),
    ):
        answer = visitor.press(f"{path}/remind", membership=village, remind=wish)
        assert words in visitor.open(answer.location).text
        assert is_reminded() is (wish == "yes")


@pytest.mark.parametrize(
    "until", ["", "soon", "2026-13-01", "13/13/2026", "0001-01-01", "9999-12-31", "2026-11-24\0"]
)
def test_a_day_that_cannot_be_is_asked_for_again(
    join: Join, link: Link, visitor: Visitor, services: Services, until: str
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    page = visitor.press(f"{path}/pause", **a_day(village, until))
    assert page.status_code == 422
    assert "<title>Problem" in page.text
    assert "Choose a date" in page.text
    assert Form(page.text).fields[f"{village}:until"] == until
    assert visitor.open(f"{path}/pause?lang=es").location == f"{path}?lang=es"
    assert state_of(services, village)[1] is None


def test_every_day_that_was_typed_stays_in_another_language_and_after_an_error(
    join: Join, link: Link, visitor: Visitor, services: Services
) -> None:
    [village, lgbtq] = join(ADA, "the-village", "lgbtq")
    path = link(ADA)
    typed = {
        f"{village}:until": "2027-01-08", f"{lgbtq}:until": "2027-02-09", "all:until": "2027-03-10"
    }  # fmt: skip
    switched = visitor.press(f"{path}/pause?lang=es", **typed, switch_language="es")
    assert "Mis grupos" in switched.text
    assert Form(switched.text).fields == typed
    one = {**typed, f"{lgbtq}:until": ""}
    assert visitor.press(f"{path}/pause", **one, switch_language="es").status_code == 200
    page = visitor.press(f"{path}/pause", **{**typed, **a_day(village, "soon")}).text
    assert Form(page).fields == {**typed, f"{village}:until": "soon"}
    assert "#group-" in page.partition('id="problem"')[2].partition("</div>")[0]
    assert page.count('aria-invalid="true"') == 1
    assert state_of(services, village)[1] is state_of(services, lgbtq)[1] is None


def test_enter_pauses_the_group_whose_day_was_typed_and_guesses_nothing(
    join: Join, link: Link, visitor: Visitor, services: Services
) -> None:
    [village, lgbtq] = join(ADA, "the-village", "lgbtq")
    path, day = link(ADA), str((now() + timedelta(days=5)).date())
    page = visitor.press(f"{path}/pause", **{f"{village}:until": day, f"{lgbtq}:until": day})
    assert (page.status_code, page.text.count(f'value="{day}"')) == (422, 2)
    assert "Nothing has changed yet." in page.text
    assert state_of(services, village)[1] is state_of(services, lgbtq)[1] is None
    visitor.press(f"{path}/pause", **{f"{village}:until": "", f"{lgbtq}:until": day})
    assert state_of(services, village)[1] is None
    assert state_of(services, lgbtq)[1] is not None
    other = visitor.press(f"{path}/pause", **{"another:until": day})
    assert other.status_code == 404


def test_a_pause_ends_within_a_year_and_not_today(
    join: Join, link: Link, visitor: Visitor, services: Services
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    today = now().astimezone(services.settings.timezone).date()
    for days, is_wrong in ((0, True), (366, True), (365, False), (1, False)):
        until = str(today + timedelta(days=days))
        answer = visitor.press(f"{path}/pause", **a_day(village, until))
        assert (answer.status_code, "<title>Problem" in answer.text) == (
            (422, True) if is_wrong else (303, False)
        )
        assert (state_of(services, village)[1] is None) is is_wrong


def test_a_link_changes_nobody_elses_membership(
    join: Join, link: Link, visitor: Visitor, services: Services
) -> None:
    join(ADA, "the-village")
    [other] = join("grace@dpsk12.org", "the-village")
    path = link(ADA)
    before = state_of(services, other)
    day = str((now() + timedelta(days=5)).date())
    assert visitor.press(f"{path}/leave", membership=other).status_code == 404
    assert visitor.press(f"{path}/undo", membership=other).status_code == 404
    assert visitor.press(f"{path}/pause", **a_day(other, day)).status_code == 404
    assert visitor.press(f"{path}/language", membership=other, language="es").status_code == 404
    assert visitor.press(f"{path}/leave").status_code == 404
    assert state_of(services, other) == before


def test_a_language_we_do_not_speak_changes_nothing(
    join: Join, link: Link, visitor: Visitor, services: Services
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    for code in ("", "xx", "EN"):
        answer = visitor.press(f"{path}/language", membership=village, language=code)
        assert answer.status_code == 400
    assert state_of(services, village)[2] == "en"


def test_opening_changes_nothing(
    join: Join, link: Link, visitor: Visitor, services: Services
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    for verb in ("leave", "undo", "pause", "resume", "language", "remind", "copy"):
        answer = visitor.open(f"{path}/{verb}?membership={village}&language=es&remind=yes")
        assert (answer.status_code, answer.location) == (303, path)
        assert visitor.open("/my-groups/x/" + verb).location == "/my-groups/x"
    visitor.open(f"{path}/erase")
    visitor.open(f"{path}/leave-all")
    assert state_of(services, village) == (True, None, "en")


def test_the_page_says_in_spanish_too(sheet: Sheet, visitor: Visitor) -> None:
    said = visitor.open(f"{sheet()}?lang=es").text
    assert '<html lang="es"' in said
    assert re.search(r"Formas parte desde [a-z]+ de \d{4}<", said)
