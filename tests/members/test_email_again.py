"""“Never email me” is lifted by its owner alone: asked by email, granted by the link in it."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.core.db import PUBLIC_ID_LENGTH, now
from belong_mail.core.jobs import Job
from belong_mail.core.tokens import Purpose
from belong_mail.delivery import suppressions
from belong_mail.delivery.models import Suppression
from belong_mail.members import self_service as members_self_service
from belong_mail.members.jobs import NeverMail
from tests.browser_client import html_of, link_to, text_of
from tests.db_dump import dump_of, kept_of
from tests.factories import queue_issue
from tests.scenario import ADA, VILLAGE, drain_in

BOB = "bob@dpsk12.org"
PAGE = "/my-groups"


@pytest.fixture
def alone(scenario):
    """A scenario in which Ada, a member of two groups, has asked never to be emailed."""
    scenario.enter(slug="lgbtq")
    scenario.enter(slug="asian")
    scenario.visitor.follow(link_to(scenario.ask(), "not-me"), choice="never")
    scenario.worker.drain()
    return scenario


def ask(scenario, address: str = ADA) -> int:
    """Ask for an address, and return how many emails came of it."""
    before = len(scenario.relay.accepted)
    assert scenario.visitor.send(PAGE, email=address).location == f"{PAGE}/sent"
    scenario.worker.drain()
    return len(scenario.relay.accepted) - before


def is_alone(scenario) -> bool:
    with scenario.services.reading.begin() as session:
        return session.scalar(select(Suppression.reason)) is not None


def link(scenario) -> str:
    assert ask(scenario) == 1
    return link_to(scenario.relay.to(ADA)[-1], "email-me-again")


def test_the_owner_lifts_it_by_the_link_and_can_join_again(alone):
    url = link(alone)
    assert "once asked us not to email you" in alone.visitor.open(PAGE).text
    [mail] = alone.relay.to(ADA)[-1:]
    for part in (str(mail), text_of(mail), html_of(mail)):
        assert not any(name in part for name in ("LGBTQ", "Asian", "Village"))
    before = kept_of(alone.services)
    assert "May we email you again?" in alone.visitor.open(url).text
    assert kept_of(alone.services) == before
    assert "We can email you again" in alone.visitor.follow(url).text
    assert is_alone(alone)
    assert alone.rows("jobs") == 1
    for _ in range(2):
        assert "You already used this link" in alone.visitor.open(url).text
        alone.worker.drain()
    alone.visitor.follow(url)
    assert alone.rows("jobs") == 0
    assert not is_alone(alone)
    for slug, minutes in (("lgbtq", 0), ("asian", 0), (VILLAGE, 15)):
        with time_machine.travel(now() + timedelta(minutes=minutes), tick=True):
            assert not alone.is_member(slug=slug)
            alone.enter(slug=slug)
            assert alone.is_member(slug=slug)


def test_the_owner_gets_one_email_a_week_at_most_also_in_spanish(alone):
    alone.visitor.headers = {"Accept-Language": "es"}
    link(alone)
    assert "Alguna vez nos pediste" in text_of(alone.relay.to(ADA)[-1])
    for address in (ADA, ADA.upper(), "ada+list@dpsk12.org"):
        assert ask(alone, address) == 0
    with time_machine.travel(now() + timedelta(days=6)):
        assert ask(alone) == 0
    with time_machine.travel(now() + timedelta(days=8)):
        assert ask(alone) == 1


def test_the_link_ends_after_three_days_or_when_its_owner_again_asks_for_no_email(alone):
    url = link(alone)
    with time_machine.travel(now() + timedelta(hours=73)):
        over = alone.visitor.follow(url)
        assert over.status_code == 404
        assert "works for three days" in over.text
        assert f'href="{PAGE}?lang=en"' in over.text
    with alone.services.writing.begin() as session:
        session.scalars(select(Suppression)).one().since -= timedelta(days=1)
    alone.visitor.follow(url)
    alone.worker.drain()
    assert is_alone(alone)


def test_a_link_that_was_used_in_time_counts_though_the_worker_was_down_meanwhile(alone):
    url = link(alone)
    with time_machine.travel(now() + timedelta(hours=71)):
        alone.visitor.follow(url)
    drain_in(alone.worker, hours=90)
    assert not is_alone(alone)


def test_a_break_in_to_the_web_lifts_nothing(alone):
    """It has the secret key, knows every index in the database, and may ask the worker anything."""
    url = link(alone)
    token = url.rpartition("/")[2].partition("?")[0]
    real = alone.services.tokens.read(Purpose.EMAIL_AGAIN, token)
    bent = ("B" if real[0] == "A" else "A") + real[1:]
    with alone.services.writing.begin() as session:
        mark = session.scalars(select(Suppression.address_index)).one()
        other = alone.keyring.index.suppressed(BOB)
        session.add(Suppression(address_index=other, reason=suppressions.BY_REQUEST))
        for forged in ("", "x", "é", real[:-2], bent, real[::-1], mark.hex(), "=" * 4):
            members_self_service.ask_to_lift(session, alone.services.sealer, forged)
        session.add(Job(kind="lift", sealed=None))
    for _ in range(4):
        alone.worker.step()
    assert alone.rows("suppressions") == 2
    with time_machine.travel(now() + timedelta(days=5)):
        alone.do(members_self_service.ask_to_lift, alone.services.sealer, real)
        alone.worker.drain()
    assert alone.rows("suppressions") == 2


def test_a_link_to_an_address_that_is_not_left_alone_any_more_is_not_mailed(alone):
    alone.visitor.send(PAGE, email=ADA)
    alone.worker.read_jobs()
    got = len(alone.relay.to(ADA))
    with alone.services.writing.begin() as session:
        session.delete(session.scalars(select(Suppression)).one())
    assert len(alone.mails()) == got


# Somebody typed another person’s address: “this was not me”, “never mail me again”.


def test_never_mail_me_again_holds_in_every_group(scenario):
    """With a plus tag too."""
    scenario.enter(slug="lgbtq")
    asked = link_to(scenario.ask(slug="women-of-color"), "confirm")
    scenario.enter("adam@dpsk12.org", "asian")
    not_me = link_to(scenario.ask(slug="asian"), "not-me")
    done = scenario.visitor.follow(not_me, choice="never")
    assert "We won’t email you again" in done.text
    got = len(scenario.mails())
    [(mark, reason, since)] = dump_of(scenario.services)["suppressions"]
    assert mark == scenario.keyring.index.suppressed(ADA)
    assert (reason, since) == ("asked", now().date())

    scenario.do(queue_issue, "lgbtq")
    for slug in ("the-village", "asian", "lgbtq"):
        answer = scenario.visitor.join(slug, ADA.upper().replace("DPSK12.ORG", "dpsk12.org"))
        assert answer.location.startswith("/check-your-inbox/")
    assert len(scenario.mails()) == got
    assert not scenario.is_member(slug="lgbtq")
    assert scenario.visitor.follow(asked).status_code == 409
    scenario.visitor.join("the-village", "ada+new@dpsk12.org")
    assert len(scenario.mails()) == got
    assert scenario.is_member("adam@dpsk12.org", "asian")
    assert scenario.subscription(slug=VILLAGE) is None
    assert scenario.rows("jobs") == 0


def test_only_the_emailed_link_says_that_somebody_wants_no_email(scenario):
    """The web could ask for it in anybody's place, and would then guess unheard."""
    scenario.enter(slug="lgbtq")
    mailed = link_to(scenario.ask("ben@dpsk12.org"), "not-me").split("/not-me/")[1]
    other = scenario.services.tokens.read(Purpose.REFUSE, mailed.partition("?")[0])
    member = scenario.subscription(slug="lgbtq")
    own = scenario.services.tokens.sign(Purpose.REFUSE, member.public_id, now())
    assert "Don’t email me again" not in scenario.visitor.open(f"/not-me/{own}").text
    scenario.visitor.follow(f"/not-me/{own}", choice="never")
    with scenario.services.writing.begin() as session:
        for forged in ("", other[PUBLIC_ID_LENGTH:], member.public_id):
            asked = NeverMail(forged)
            asked.ask(session, scenario.services.sealer, subscription_id=member.id)
    scenario.worker.drain()
    assert scenario.rows("suppressions") == scenario.rows("jobs") == 0


def test_mail_that_already_waits_stays_here(scenario):
    scenario.enter(slug="lgbtq")
    not_me = link_to(scenario.ask(slug="asian"), "not-me")
    scenario.visitor.join(VILLAGE, ADA)
    scenario.worker.read_jobs()
    scenario.visitor.follow(not_me, choice="never")
    scenario.worker.read_jobs()
    got = len(scenario.relay.to(ADA))
    assert len(scenario.mails()) == got


def test_pressing_again_changes_nothing_and_leaves_one_request(scenario):
    not_me = link_to(scenario.ask(), "not-me")
    for choice in ("never", "never", "never", "forget"):
        assert scenario.visitor.follow(not_me, choice=choice).status_code == 200
    assert scenario.rows("jobs") == 1
    scenario.worker.drain()
    assert scenario.rows("suppressions") == 1
    assert not scenario.is_member()
