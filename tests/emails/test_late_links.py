"""After an outage no dead link leaves: it is signed anew, or its email has expired."""

import re
from datetime import datetime, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.core.i18n import format_date
from belong_mail.delivery import suppressions
from belong_mail.delivery.models import Delivery
from tests.browser_client import link_to, read, text_of
from tests.clients import sign_in
from tests.scenario import VILLAGE

DENVER = ZoneInfo("America/Denver")
SOMEBODY, NEW, LEAD = "somebody@dpsk12.org", "new@dpsk12.org", "lead-of-the-village@dpsk12.org"
MAILBOX, INVITED = "village-leads@dpsk12.org", "invited@dpsk12.org"
DOWN = "535 5.7.8 Authentication credentials invalid"
# The recipient of each link, and the hours after which it still leaves, and does not.
STILL_SENT: dict[str, tuple[str, tuple[float, ...], tuple[float, ...]]] = {
    "confirm": (SOMEBODY, (70, 160), ()),
    "sign-in": (LEAD, (0.9,), (1.5,)),
    "my-groups": (SOMEBODY, (0.45,), (0.9,)),
    "change-address": (NEW, (23, 160), ()),
    "confirm-mailbox": (MAILBOX, (47,), (70,)),
    "invitation": (INVITED, (160,), ()),
}


@pytest.fixture
def seat(app, scenario):
    return sign_in(app, scenario.keyring, VILLAGE)


def ask(about: str, scenario, seat, cli) -> None:
    visitor = scenario.visitor
    if about == "confirm":
        visitor.join("asian", SOMEBODY)
    elif about == "sign-in":
        seat.send("/sign-in", email=LEAD)
    elif about == "email-me-again":
        index = scenario.keyring.index
        scenario.do(suppressions.suppress, index, SOMEBODY)
        visitor.send("/my-groups", email=SOMEBODY)
    elif about == "confirm-mailbox":
        typed = {"summary_en": "Standing by our students.", "mailbox": MAILBOX}
        assert seat.send(f"/lead/groups/{VILLAGE}/page", **typed).status_code == 303
    elif about == "invitation":
        assert cli.invoke(args=["lead", "invite", INVITED, "--group", "asian"]).exit_code == 0
    else:
        scenario.add_member(SOMEBODY)
        visitor.send("/my-groups", email=SOMEBODY)
        if about == "change-address":
            sheet = link_to(scenario.mails(SOMEBODY)[-1], "my-groups").partition("?")[0]
            visitor.send(f"{sheet}/change-address", email=NEW)


@pytest.mark.parametrize(
    ("about", "hours"),
    [(about, hours) for about, (_, *late) in STILL_SENT.items() for hours in chain(*late)],
)
def test_a_link_that_leaves_late_works_or_its_email_has_expired(about, hours, scenario, seat, cli):
    to, late, _ = STILL_SENT[about]
    if about == "change-address":
        ask(about, scenario, seat, cli)
        scenario.relay.always("MAIL", DOWN)
    else:
        scenario.relay.always("MAIL", DOWN)
        ask(about, scenario, seat, cli)
    before = len(scenario.mails(to))
    scenario.relay.usual()
    with time_machine.travel(now() + timedelta(hours=hours)):
        mails = scenario.mails(to)[before:]
        assert len(mails) == (hours in late)
        with scenario.services.reading.begin() as session:
            states = set(session.scalars(select(Delivery.state)))
        assert states <= ({"accepted"} if mails else {"accepted", "expired", "withdrawn"})
    if mails:
        with time_machine.travel(now() + timedelta(hours=hours, minutes=8)):
            scenario.purge()
            reader = seat if about == "sign-in" else scenario.visitor
            assert reader.open(link_to(mails[0], about)).status_code == 200


@pytest.mark.parametrize(
    ("about", "to"),
    [
        ("change-address", NEW),
        ("confirm-mailbox", MAILBOX),
        ("invitation", INVITED),
        ("email-me-again", SOMEBODY),
    ],
)
def test_a_link_works_until_the_time_that_its_email_says(about, to, scenario, seat, cli):
    ask(about, scenario, seat, cli)
    mail = scenario.mails(to)[-1]
    [said] = re.findall(r"until (\w+, \w+ \d+, \d+, \d+:\d+.[AP]M)", text_of(mail))
    said = said.replace("\u202f", " ")
    until = datetime.strptime(said, "%A, %B %d, %Y, %I:%M %p").replace(tzinfo=DENVER)
    for minutes, status in ((-1, 200), (3, 404)):
        with time_machine.travel(until + timedelta(minutes=minutes)):
            assert scenario.visitor.open(link_to(mail, about)).status_code == status


@pytest.mark.usefixtures("clock")
def test_a_confirmation_says_the_day_on_which_its_link_ends(scenario, seat, cli):
    ask("confirm", scenario, seat, cli)
    last = read(format_date(now() + timedelta(hours=72), "en", DENVER))
    assert f"until {last}." in text_of(scenario.mails(SOMEBODY)[-1])


def test_a_confirmation_is_kept_as_long_as_its_late_link_works(scenario, seat, cli):
    scenario.relay.always("MAIL", DOWN)
    ask("confirm", scenario, seat, cli)
    scenario.worker.drain()
    scenario.relay.usual()
    with time_machine.travel(now() + timedelta(days=6)):
        link = link_to(scenario.mails(SOMEBODY)[-1], "confirm")
        with time_machine.travel(now() + timedelta(hours=71)):
            scenario.purge()
            assert scenario.visitor.follow(link).status_code == 200


def test_a_sign_in_request_that_waited_a_day_for_a_worker_sends_no_email(scenario, seat):
    before = len(scenario.mails(LEAD))
    seat.send("/sign-in", email=LEAD)
    with time_machine.travel(now() + timedelta(days=1)):
        assert len(scenario.mails(LEAD)) == before
        assert scenario.rows("jobs") == 0
