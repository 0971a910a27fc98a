"""My groups: one answer for everybody, and a link that opens a short-lived list."""

import re
from datetime import date, timedelta

import pytest
import time_machine
from dateutil.relativedelta import relativedelta
from sqlalchemy import select, update

from belong_mail.core.db import now
from belong_mail.members import service as members
from belong_mail.members.models import Subscription
from tests.browser_client import Form, html_of, link_to, path_of, text_of
from tests.markers import on_both
from tests.scenario import ADA

NOBODY = "nobody@dpsk12.org"
BARRED = "barred@dpsk12.org"


def test_a_member_sees_each_group_behind_the_link_and_the_mail_names_none(mine):
    mine.join(ADA, "the-village", "lgbtq")
    mine.join("grace@dpsk12.org", "asian")
    page = mine.open(mine.link("ADA@dpsk12.org".lower()))
    assert 0 < page.text.index("LGBTQ") < page.text.index("The Village"), "as in the directory"
    assert "Asian" not in page.text
    assert ADA not in page.text
    assert '<meta name="robots" content="noindex">' in page.text
    [mail] = mine.relay.to(ADA)
    for words in (str(mail["Subject"]), text_of(mail), html_of(mail)):
        assert "Village" not in words
        assert "LGBTQ" not in words


def test_a_nonmember_is_told_so_five_times_an_hour_as_a_member_gets_a_link(mine):
    mine.join(ADA, "the-village")
    for address in (NOBODY, "nobody+x@dpsk12.org", ADA, ADA) * 5:
        mine.send("/my-groups", email=address)
    told = mine.mails(NOBODY)
    assert "This email address isn’t in any group" in " ".join(text_of(told[0]).split())
    assert len(told) == len(mine.relay.to(ADA)) == 5
    with time_machine.travel(now() + timedelta(hours=1, minutes=1)):
        assert "The Village" in mine.open(mine.link()).text


def test_an_outside_address_gets_the_link_only_as_a_member_and_a_suppressed_one_never(mine):
    mine.join(BARRED, "the-village")
    mine.suppress(BARRED)
    mine.send("/my-groups", email="somebody@example.org")
    mine.send("/my-groups", email=BARRED)
    mine.worker.drain()
    [mail] = mine.relay.accepted
    assert mail.recipient == BARRED
    assert "/email-me-again/" in text_of(mine.mails(BARRED)[0])
    assert "/my-groups/" not in text_of(mine.mails(BARRED)[0])
    mine.join("old@example.org", "the-village")
    assert mine.link("old@example.org").startswith("/my-groups/")


def test_the_link_works_as_often_as_wanted_for_half_an_hour(mine):
    link, start = mine.sheet(), now()
    with time_machine.travel(start + timedelta(minutes=29)):
        assert mine.open(link).status_code == 200
        assert mine.open(link).status_code == 200
    guessed = [f"/my-groups/{each}" for each in ("x", "x" * 43, "%00", "ä" * 40, "x" * 5000)]
    assert {mine.open(each).status_code for each in guessed} == {404}
    with time_machine.travel(start + timedelta(minutes=31)):
        for path in (link, f"{link}/erase", f"{link}/change-address"):
            page = mine.open(path)
            assert page.status_code == 404
            assert 'href="/my-groups' in page.text
        assert mine.press(f"{link}/copy").status_code == 404
        assert mine.follow(f"{link}/erase").status_code == 404


def card_of(page: str, public_id: str) -> str:
    after = page.partition(f'id="{public_id}"')[2]
    return re.split(r"</details>|</section>\s*(?=<details|<section|</div>)", after)[0]


def test_the_page_still_says_later_until_when_leaving_can_be_undone(mine):
    path, village = mine.belong("the-village")
    page = mine.open(path).text
    left_at = now()
    left = mine.visitor.choose(page, "Leave The Village Belong Group").location
    assert left.endswith("#done")
    assert 'id="done"' in mine.open(left).text
    page = mine.open(path).text
    until = (left_at + timedelta(hours=1)).astimezone(mine.services.settings.timezone)
    assert f", {until:%-I:%M %p} (Denver time)." in card_of(page, village)
    assert "Undo: keep me in The Village Belong Group" in page
    mine.visitor.choose(page, "Undo: keep me in The Village Belong Group")
    assert 'id="done"' not in mine.open(left).text, "it is so no more"
    for bent in ("done=leave&of=x", "done=x&of=" + village, "done=language&of=x&was=zz"):
        assert 'id="done"' not in mine.open(f"{path}?{bent}").text
    mine.visitor.choose(mine.open(path).text, "Leave The Village Belong Group")
    mine.execute(update(Subscription).values(ended_at=now() - timedelta(hours=2)))
    assert "You aren’t in any group now." in mine.open(path).text


def test_each_group_is_a_card_that_folds_and_the_first_or_the_changed_one_is_open(mine):
    path, village, lgbtq = mine.belong("the-village", "lgbtq")

    def opened(url: str) -> list[str]:
        found = re.findall(r'<details [^>]*id="([^"]+)"( open)?>', mine.open(url).text)
        assert {public_id for public_id, _ in found} == {village, lgbtq}
        return [public_id for public_id, is_open in found if is_open]

    page = mine.open(path).text
    for each in (village, lgbtq):
        forms = [form.partition("</form>")[0] for form in card_of(page, each).split("<form")[1:]]
        assert [f'name="membership" value="{each}"' in form for form in forms] == [True] * 5
    [first] = opened(path)
    [other] = {village, lgbtq} - {first}
    answer = mine.press(f"{path}/remind", membership=other, remind="yes")
    assert opened(answer.location) == [other]


def test_a_button_that_is_pressed_twice_says_the_same_twice(mine):
    path, village, lgbtq = mine.belong("the-village", "lgbtq")
    day = str((now() + timedelta(days=5)).date())
    for verb, said in {
        "pause": "Newsletters are paused.", "resume": "newsletters again", "leave": "You left",
        "undo": "Welcome back!",
    }.items():  # fmt: skip
        for _ in range(2):
            page = mine.follow(f"{path}/{verb}", **a_day(lgbtq, day)).text
            assert said in card_of(page, lgbtq).partition('id="done"')[2].partition("</p>")[0]
            assert 'id="done"' not in card_of(page, village)
        assert [mine.state(each)[0] for each in (village, lgbtq)] == [True, verb != "leave"]


def test_a_page_that_was_open_when_its_group_was_left_elsewhere_explains_and_changes_nothing(mine):
    path, village = mine.belong("the-village")
    mine.press(f"{path}/leave", membership=village)
    for verb, said in (
        ("pause", {"until": str((now() + timedelta(days=5)).date())}),
        ("remind", {"remind": "yes"}),
        ("language", {"language": "es"}),
        ("resume", {}),
    ):
        answer = mine.press(f"{path}/{verb}", membership=village, **said)
        assert "Nothing was changed." in mine.open(answer.location).text, verb
        page = mine.open(answer.location)
        assert page.status_code == 200, verb
        assert "You left this group." in page.text, verb
    assert mine.state(village) == (False, None, "en")


def test_a_button_acts_on_one_group_of_the_list_alone(mine):
    both = mine.join(ADA, "the-village", "lgbtq")
    [other] = mine.join("grace@dpsk12.org", "the-village")
    path = mine.link()
    for named in (other, "", "x"):
        assert mine.press(f"{path}/leave", membership=named).status_code == 404
    mine.press(f"{path}/leave", membership=both)
    assert [mine.state(each)[0] for each in (*both, other)] == [False, True, True]


def a_day(public_id: str, day: object) -> dict[str, str]:
    """Return what the button beside one group's day sends."""
    return {"membership": public_id, "until": str(day)}


def test_one_press_pauses_for_a_month_or_for_three(mine):
    both, zone = mine.join(ADA, "the-village", "lgbtq"), mine.services.settings.timezone
    path, today = mine.link(), now().astimezone(zone).date()
    for each, months in zip(both, (1, 3), strict=True):
        found = re.findall(
            'name="until" value="([^"]+)"[^>]*>Pause', card_of(mine.open(path).text, each)
        )
        days = [today + relativedelta(months=ahead) for ahead in (1, 3)]
        assert found == [str(day) for day in days]
        day = found[0] if months == 1 else found[1]
        mine.press(f"{path}/pause", **a_day(each, day))
        assert mine.state(each)[1].astimezone(zone).date() == date.fromisoformat(day)


def test_a_member_pauses_a_group_resumes_it_changes_its_language_and_is_reminded(mine):
    path, village, lgbtq = mine.belong("the-village", "lgbtq")

    def choose(page: str, group: str, words: str) -> str:
        return mine.open(mine.visitor.choose(card_of(page, group), words).location).text

    day = (now() + timedelta(days=40)).date()
    page = mine.follow(f"{path}/pause", **a_day(village, day)).text
    assert "You’re still a member" in page
    assert "Paused until" in card_of(page, village)
    paused_until = mine.state(village)[1]
    assert (
        paused_until.astimezone(mine.services.settings.timezone).isoformat()[:16] == f"{day}T00:00"
    )
    assert mine.state(lgbtq)[1] is None

    page = choose(page, village, "Resume newsletters")
    assert mine.state(village)[1] <= now()
    assert "You’re still a member" not in page

    page = choose(page, village, "Change to Español")
    assert "The language of your emails is changed." in card_of(page, village)
    assert re.findall('name="language" value="([^"]+)"', card_of(page, village)) == ["en"]
    assert mine.state(village)[2] == "es"
    assert mine.state(lgbtq)[2] == "en"

    for button, words in (
        ("Remind me", "You’ll get an email the day before each meeting."),
        ("Stop reminders", "You won’t get emails before meetings anymore."),
    ):
        page = choose(page, village, button)
        assert words in page
        wished = select(Subscription.is_reminded).where(Subscription.public_id == village)
        assert mine.query(wished) == [button == "Remind me"]


def test_a_day_that_cannot_be_today_or_beyond_a_year_is_asked_for_again(mine):
    path, village = mine.belong("the-village")
    odd = ("", "soon", "2026-13-01", "13/13/2026", "0001-01-01", "9999-12-31", "2026-11-24\0")
    for until in odd:
        page = mine.press(f"{path}/pause", **a_day(village, until))
        assert page.status_code == 422, until
        assert "<title>Problem" in page.text
        assert "Choose a date" in page.text
        pausing = page.text.partition('<form class="pausing"')[2].partition("</form>")[0]
        assert Form(f"<form{pausing}").fields["until"] == until.replace("\0", "\ufffd")
        assert "#group-" in page.text.partition('id="problem"')[2].partition("</div>")[0]
        assert page.text.count('aria-invalid="true"') == 1
        assert re.search(r'<input type="date"[^>]* aria-describedby="[^"]+-until-error"', pausing)
        [summary] = re.findall(r'<div class="problem"[^>]*>', page.text)
        assert " autofocus" in summary
    for code in ("", "xx", "EN"):
        answer = mine.press(f"{path}/language", membership=village, language=code)
        assert answer.status_code == 400, "nor do we speak any language"
    assert mine.state(village) == (True, None, "en")
    today = now().astimezone(mine.services.settings.timezone).date()
    for days, status in ((0, 422), (366, 422), (365, 303), (1, 303)):
        before, until = mine.state(village), str(today + timedelta(days=days))
        answer = mine.press(f"{path}/pause", **a_day(village, until))
        assert answer.status_code == status, days
        assert (mine.state(village) == before) is (status == 422)


# A pause acts at once, and an issue's books stay right.


GRACE = "grace@dpsk12.org"


def change(mine, public_id: str, *, pause: bool) -> None:
    """Pause a membership for a month, or resume it."""
    with mine.services.writing.begin() as session:
        member = members.get(session, public_id)
        if pause:
            member.paused_until = now() + timedelta(days=30)
        else:
            members.resume(member)


@on_both("claims")
@pytest.mark.parametrize("is_queued_first", [False, True])
def test_a_paused_member_gets_no_issue_until_the_pause_ends(mine, is_queued_first):
    """Not even one that was queued before, and is withdrawn before it is read ahead."""
    [ada] = mine.join(ADA, "the-village")
    mine.join(GRACE, "the-village")
    steps = [mine.queue_at_once, lambda: change(mine, ada, pause=True)]
    for step in steps if is_queued_first else reversed(steps):
        step()
    assert mine.mails() == []
    withdrawn = {"recipients": 2, "withdrawn": 1} if is_queued_first else {"recipients": 1}
    assert mine.books() == {"accepted": 1} | withdrawn
    with time_machine.travel(now() + timedelta(days=31)):
        mine.send_issue()
    assert len(mine.relay.to(ADA)) == 1


def test_a_member_who_resumes_gets_a_waiting_issue_only_if_it_was_queued_before_the_pause(mine):
    mine.join(GRACE, "the-village")
    [ada] = mine.join(ADA, "the-village")
    mine.join("zoe@dpsk12.org", "the-village")
    change(mine, ada, pause=True)
    mine.queue_at_once()
    change(mine, ada, pause=False)
    assert mine.mails() == []
    assert mine.books() == {"recipients": 2, "accepted": 2}
    with time_machine.travel(now() + timedelta(minutes=1)):
        mine.queue_at_once()
        mine.worker.step()
        change(mine, ada, pause=True)
        change(mine, ada, pause=False)
        assert len(mine.mails()) == 1


def test_a_member_who_joins_again_is_neither_paused_nor_reminded_any_more(mine):
    [ada] = mine.join(ADA, "the-village")
    change(mine, ada, pause=True)
    with mine.services.writing.begin() as session:
        members.leave(session, ada).is_reminded = True
    mine.visitor.join("the-village", ADA)
    mine.press(link_to(mine.mails()[0], "confirm"))
    assert mine.query(select(Subscription.is_reminded)) == [False]
    mine.queue_at_once()
    assert "This month with us" in mine.subjects()


def test_a_newsletter_lets_its_reader_leave_pause_or_change_language_in_that_group_only(mine):
    _village, other = mine.join(ADA, "the-village", "lgbtq")
    mine.queue_at_once()
    link = path_of(link_to(mine.mails()[0], "leave")).partition("?")[0]
    page = mine.open(link).text
    assert "Leave The Village Belong Group" in page
    assert "LGBTQ" not in page
    assert ADA not in page
    assert "my-groups" not in page.partition("<main")[2].partition("</main>")[0]

    wrong = mine.press(f"{link}/pause", until="2027-02-31")
    assert wrong.status_code == 422
    assert "Choose a date, like 12/31/2027" in wrong.text
    assert 'id="problem"' in wrong.text
    assert mine.press(f"{link}/language", language="xx").status_code == 400
    page = mine.follow(
        f"{link}/pause", until=f"{now() + timedelta(days=20):%Y-%m-%d}", membership=other
    ).text
    assert "Newsletters are paused." in page
    assert "You’ll get newsletters again." in mine.follow(f"{link}/resume").text
    mine.press(f"{link}/language", language="es", membership=other)
    with time_machine.travel(now() + timedelta(seconds=5)):
        mine.send_issue()
    assert '<html lang="es"' in html_of(mine.relay.to(ADA)[-1])
    [held] = mine.query(select(Subscription).where(Subscription.group.has(slug="lgbtq")))
    assert (held.is_active, held.pause, held.language) == (True, None, "en")
