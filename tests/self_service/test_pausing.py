"""A pause acts at once, and an issue's books stay right."""

import time
from collections.abc import Callable
from datetime import timedelta

import time_machine
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.core.services import Services
from belong_mail.delivery import dispatcher
from belong_mail.members import service as members
from belong_mail.members.models import Subscription
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor, html_of, link_to, path_of
from tests.factories import queue_issue
from tests.markers import on_both, one_connection
from tests.servers.smtp import Server

ADA, GRACE = "ada@dpsk12.org", "grace@dpsk12.org"
OTHERS = [f"other{number}@dpsk12.org" for number in range(3)]
Join = Callable[..., list[str]]


def in_days(days: int) -> str:
    return str((now() + timedelta(days=days)).date())


def pause(services: Services, public_id: str) -> None:
    with services.writing.begin() as session:
        members.pause(session, public_id, now() + timedelta(days=30))


def resume(services: Services, public_id: str) -> None:
    with services.writing.begin() as session:
        members.resume(session, public_id)


def issue(services: Services) -> None:
    with services.writing.begin() as session:
        queue_issue(session)


def books(services: Services) -> dict[str, int]:
    """Return the only issue's counts that are not 0, after checking that they add up."""
    with services.reading.begin() as session:
        counts = newsletters.report(session, session.scalars(select(Newsletter)).one())
    states = {
        name: number for name, number in counts.items() if name not in {"recipients", "resent"}
    }
    assert counts["recipients"] == sum(states.values())
    assert min(states.values()) >= 0
    return {name: number for name, number in counts.items() if number}


def test_a_paused_member_gets_no_issue_until_the_pause_ends(
    join: Join, services: Services, worker: Worker, relay: Server
) -> None:
    [ada] = join(ADA, "the-village")
    join(GRACE, "the-village")
    pause(services, ada)
    issue(services)
    worker.drain()
    assert relay.to(ADA) == []
    assert books(services) == {"recipients": 1, "accepted": 1}
    with time_machine.travel(now() + timedelta(days=31)):
        issue(services)
        worker.drain()
    assert len(relay.to(ADA)) == 1


@on_both("claims")
def test_a_pause_before_the_issue_is_read_ahead_withdraws_it(
    join: Join, services: Services, worker: Worker, relay: Server
) -> None:
    [ada] = join(ADA, "the-village")
    join(GRACE, "the-village")
    issue(services)
    pause(services, ada)
    worker.drain()
    assert relay.to(ADA) == []
    assert books(services) == {"recipients": 2, "accepted": 1, "withdrawn": 1}


@one_connection
def test_a_pause_in_the_middle_of_an_issue_acts_within_two_seconds(
    join: Join, services: Services, worker: Worker, relay: Server
) -> None:
    """Copies read ahead are checked again by then; one leaves, one more may have been begun."""
    reading = [join(each, "the-village")[0] for each in (ADA, GRACE, *OTHERS)]

    def pause_and_dawdle(_command: str) -> None:
        if reading:
            while reading:
                pause(services, reading.pop())
            time.sleep(dispatcher.STALE_SECONDS + 0.1)

    relay.on("DOT", pause_and_dawdle)
    issue(services)
    worker.drain()
    left = len(relay.accepted)
    assert 1 <= left <= 2
    assert books(services) == {"recipients": 5, "accepted": left, "withdrawn": 5 - left}


def test_who_resumes_while_an_issue_waits_does_not_upset_its_books(
    join: Join, services: Services, worker: Worker, relay: Server
) -> None:
    join(GRACE, "the-village")
    [ada] = join(ADA, "the-village")
    join("zoe@dpsk12.org", "the-village")
    pause(services, ada)
    issue(services)
    resume(services, ada)
    worker.drain()
    assert relay.to(ADA) == []
    assert books(services) == {"recipients": 2, "accepted": 2}


def test_who_resumes_after_the_issue_was_read_ahead_still_gets_it(
    join: Join, services: Services, worker: Worker, relay: Server
) -> None:
    [ada] = join(ADA, "the-village")
    issue(services)
    worker.step()
    pause(services, ada)
    resume(services, ada)
    worker.drain()
    assert len(relay.to(ADA)) == 1


def test_who_joins_again_is_not_paused_any_more(
    join: Join, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    [ada] = join(ADA, "the-village")
    pause(services, ada)
    with services.writing.begin() as session:
        members.leave(session, ada)
    visitor.join("the-village", ADA)
    worker.drain()
    visitor.press(link_to(relay.to(ADA)[0], "confirm"))
    issue(services)
    worker.drain()
    assert "This month with us" in {mail["Subject"] for mail in relay.to(ADA)}


def test_a_newsletter_lets_its_reader_leave_pause_or_change_language_in_that_group_only(
    join: Join, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    join(ADA, "the-village", "lgbtq")
    issue(services)
    worker.drain()
    link = path_of(link_to(relay.to(ADA)[0], "leave")).partition("?")[0]
    page = visitor.open(link).text
    assert "Leave The Village Belong Group" in page
    assert "LGBTQ" not in page
    assert ADA not in page
    assert "my-groups" not in page.partition("<main")[2].partition("</main>")[0]

    answer = visitor.press(f"{link}/pause", until=in_days(20))
    page = visitor.open(answer.location).text
    assert "Newsletters are paused." in page
    answer = visitor.press(f"{link}/resume")
    assert "You’ll get newsletters again." in visitor.open(answer.location).text
    visitor.press(f"{link}/language", language="es")
    with time_machine.travel(now() + timedelta(seconds=5)):
        issue(services)
        worker.drain()
    assert '<html lang="es"' in html_of(relay.to(ADA)[-1])

    visitor.press(link)
    for verb, said in (("pause", {"until": in_days(20)}), ("language", {"language": "en"})):
        answer = visitor.press(f"{link}/{verb}", **said)
        assert "You’ve left the group" in visitor.open(answer.location).text
    with services.reading.begin() as session:
        [left] = session.scalars(
            select(Subscription).where(Subscription.group.has(slug="the-village"))
        )
        assert (left.is_active, left.pause, left.language) == (False, None, "es")


def test_bad_input_from_a_newsletter_changes_nothing(
    join: Join, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    join(ADA, "the-village")
    issue(services)
    worker.drain()
    link = path_of(link_to(relay.to(ADA)[0], "leave")).partition("?")[0]
    for until in ("", "tomorrow", "2027-02-31", in_days(-1), in_days(400)):
        page = visitor.press(f"{link}/pause", until=until)
        assert page.status_code == 422
        assert "Choose a date" in page.text
        assert ("like 12/31/2027" in page.text) == (until in {"tomorrow", "2027-02-31"})
    assert visitor.press(f"{link}/language", language="xx").status_code == 400
    assert visitor.open(f"{link}/pause").status_code == 405
    assert visitor.press(f"{link}x/pause", until=in_days(3)).status_code == 404
    assert "no newsletters until" in visitor.open(link).text
