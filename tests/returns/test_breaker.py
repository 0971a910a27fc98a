"""When very many addresses are said not to exist at once, it is the mail system that errs."""

from datetime import timedelta
from typing import Any

import pytest

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.ops import health
from belong_mail.ops.metrics import exposition, gather_metrics
from belong_mail.worker.loop import make_worker
from tests.browser_client import Visitor, link_to, text_of
from tests.factories import queue_issue
from tests.markers import on_sqlite
from tests.returns.mail import SPAM, UNKNOWN, bounce
from tests.returns.village import ADA, Village

MANY = 100
OPERATOR = "operator@example.org"
ALARM = pytest.mark.parametrize("settings", [{"BELONG_ALERT_ADDRESS": OPERATOR}])


def enter(village: Village, number: int, domain: str = "dpsk12.org") -> None:
    village.enter(*(f"member{each}@{domain}" for each in range(number)))


def refuse_all(village: Village) -> None:
    """Send an issue while the directory of the mail system is out of order."""
    village.relay.always("RCPT", "550 5.1.1 User unknown")
    village.issue()
    village.relay.usual()


def test_a_hundred_unknown_at_once_are_not_believed(village: Village) -> None:
    """On neither of two days, and of those within the hour nobody is lost either."""
    enter(village, MANY)
    refuse_all(village)
    village.pass_days(1)
    refuse_all(village)
    assert village.members() == MANY
    village.pass_days(1)
    issue = village.issue()
    assert village.books(issue) == {"recipients": MANY, "accepted": MANY}


@on_sqlite
def test_reports_that_come_later_are_counted_in_the_same_way(village: Village) -> None:
    enter(village, 30)
    for day in (0, 1):
        village.pass_days(day)
        village.issue()
        for number in range(30):
            village.send_back(f"member{number}@dpsk12.org")
    assert village.members() == 30


@on_sqlite
def test_a_flood_is_over_two_hours_after_its_end(village: Village, cli: Any) -> None:
    enter(village, MANY)
    refuse_all(village)
    village.pass_days(1.5 / 24)
    assert cli.invoke(args=["bounce", "status"]).exit_code == 1
    village.pass_days(0.6 / 24)
    assert cli.invoke(args=["bounce", "status"]).exit_code == 0


@on_sqlite
def test_a_usual_number_is_believed(village: Village) -> None:
    enter(village, 19)
    refuse_all(village)
    village.pass_days(1)
    refuse_all(village)
    assert village.members() == 0


@pytest.mark.parametrize(("comes_again", "ended"), [(False, 30), (True, 0)])
def test_an_operator_says_that_they_do_not_exist(
    village: Village, cli: Any, ended: int, *, comes_again: bool
) -> None:
    """After a summer many colleagues have gone at once; who has had mail since has not."""
    enter(village, 30)
    for day in (0, 1):
        village.pass_days(day)
        refuse_all(village)
    if comes_again:
        village.issue()
    status = cli.invoke(args=["bounce", "status"])
    assert (status.exit_code, "bounce accept" in status.output) == (1, True)
    accepted = cli.invoke(args=["bounce", "accept"])
    assert accepted.output == f"Memberships ended: {ended}.\n"
    assert village.members() == 30 - ended
    assert cli.invoke(args=["bounce", "status"]).exit_code == 0


@ALARM
@on_sqlite
def test_the_operator_hears_of_it_once(
    village: Village, services: Services, keyring: Keyring
) -> None:
    enter(village, MANY)
    refuse_all(village)
    for _ in range(2):
        worker = make_worker(services, keyring)
        worker.drain()
        worker.engine.close()
    [mail] = village.relay.to(OPERATOR)
    assert "bounce status" in text_of(mail)
    assert "dpsk12.org" not in mail.as_string()


@ALARM
@on_sqlite
def test_the_operator_hears_that_mail_comes_back_because_of_us(
    village: Village, services: Services, keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    village.enter(ADA)
    village.issue()
    village.send_back(why=SPAM)
    worker = make_worker(services, keyring)
    worker.drain()
    worker.engine.close()
    assert [mail["Subject"] for mail in village.relay.to(OPERATOR)] == ["Emails are bouncing"]
    assert "spam or reputation" in caplog.text
    assert "dpsk12.org" not in caplog.text


@on_sqlite
def test_doctor_and_figures_say_so_while_it_lasts(village: Village) -> None:
    def wrong() -> list[str]:
        with village.services.reading.begin() as session:
            figures = gather_metrics(session, None)
        said = [each.words for each in health.check_work(figures, has_relay=False) if each.is_wrong]
        assert f"belong_coming_back {int(bool(said))}\n" in exposition(figures)
        return said

    enter(village, MANY)
    assert wrong() == []
    refuse_all(village)
    assert ["bounce status" in words for words in wrong()] == [True]
    village.pass_days(1)
    assert wrong() == []


@ALARM
@on_sqlite
@pytest.mark.parametrize(("to", "why"), [(ADA, UNKNOWN), ("ada@elsewhere.example.org", SPAM)])
def test_nobody_is_alarmed_by_one_who_has_gone_or_forwards_to_where_we_are_not_liked(
    to: str, why: tuple[str, str], village: Village, services: Services, keyring: Keyring
) -> None:
    village.enter(ADA)
    village.issue()
    path = village.copies()[0].return_path
    village.take(path, bounce(path, to, why))
    worker = make_worker(services, keyring)
    worker.drain()
    worker.engine.close()
    assert village.relay.to(OPERATOR) == []


@pytest.mark.parametrize(
    "settings", [{"BELONG_ALLOWED_DOMAINS": "dpsk12.org, schools.example.org"}]
)
def test_an_operator_undoes_what_happened_between_two_times(village: Village, cli: Any) -> None:
    village.enter(ADA, "ben@dpsk12.org", "cleo@schools.example.org")
    village.enter("dan@dpsk12.org")
    for day in (0, 1):
        village.pass_days(day)
        village.issue()
        for address in (ADA, "cleo@schools.example.org"):
            village.send_back(address)
    assert village.members() == 2
    assert cli.invoke(args=["bounce", "status"]).output.startswith(f"{now().date()}\t2\n")
    hour = timedelta(hours=1)
    zone = village.services.settings.timezone
    since, until = (f"{(now() + d).astimezone(zone):%Y-%m-%dT%H:%M:%S}" for d in (-hour, hour))
    early = cli.invoke(args=["bounce", "undo", "--since", "2020-01-01", "--until", since])
    assert early.output == "Memberships restored: 0.\n"
    args = ["bounce", "undo", "--since", since, "--until", until]
    assert cli.invoke(args=[*args, "--domain", "DPSK12.org"]).output == "Memberships restored: 1.\n"
    assert village.members() == 3
    assert cli.invoke(args=args).output == "Memberships restored: 1.\n"
    assert village.members() == 4


def test_who_is_brought_back_while_an_issue_waits_is_not_in_it(village: Village, cli: Any) -> None:
    """It was planned without them, and its books must stay right; the next one comes."""
    village.enter("ada0@dpsk12.org", ADA, "ben@dpsk12.org")
    for day in (0, 1):
        village.pass_days(day)
        village.issue()
        village.send_back()
    with village.services.writing.begin() as session:
        issue = queue_issue(session).public_id
    undone = cli.invoke(args=["bounce", "undo", "--since", "2020-01-01"])
    assert undone.output == "Memberships restored: 1.\n"
    village.worker.drain()
    assert village.books(issue) == {"recipients": 2, "accepted": 2}
    assert village.books(village.issue()) == {"recipients": 3, "accepted": 3}


@on_sqlite
def test_who_left_is_not_brought_back_by_an_operator(
    village: Village, visitor: Visitor, cli: Any
) -> None:
    village.enter(ADA)
    for day in (0, 1):
        village.pass_days(day)
        village.issue()
        village.send_back(why=UNKNOWN)
    assert village.members() == 0
    visitor.press(link_to(village.copies()[0].message, "leave"))
    assert (
        cli.invoke(args=["bounce", "undo", "--since", "2020-01-01"]).output
        == "Memberships restored: 0.\n"
    )
