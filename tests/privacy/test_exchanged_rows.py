"""An intruder in the web exchanges rows, or parts of them, to learn what the worker can open.

They read and write the whole database, hold the web's keys, lead a group of their own and read what
comes to their mailboxes. None of it names a member of another group to them.
"""

from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from sqlalchemy import delete, select, update

from belong_mail.accounts.invitations import find_account
from belong_mail.accounts.jobs import SendSignInLink
from belong_mail.accounts.models import Account, Right
from belong_mail.accounts.proven import has_accepted
from belong_mail.accounts.service import find_right
from belong_mail.contact import service as contact
from belong_mail.core.db import Base, new_public_id, now, required
from belong_mail.core.jobs import Job
from belong_mail.delivery.models import Delivery
from belong_mail.groups import mailbox
from belong_mail.leads import mailbox as shared_mailbox
from belong_mail.members import self_service as members_self_service
from belong_mail.members import service as subscriptions
from belong_mail.members.jobs import ChangeAddress, Join, SendMyGroups, WaitForGroup
from belong_mail.members.models import PendingConfirmation, Subscription, WaitlistEntry
from belong_mail.members.wrapped_fields import wrap_field
from belong_mail.newsletters.models import Newsletter, RenderedIssue
from tests.browser_client import html_of, link_to, links_in, path_of, text_of
from tests.factories import change_group, group_named, make_member, queue_issue
from tests.scenario import Scenario, drain_in

ADA, ADAS_NAME = "ada@dpsk12.org", "Adalberta"
BOB = "bob@dpsk12.org"
LEAD = "lead@dpsk12.org"
MALLORY, BOX = "mallory@dpsk12.org", "mallorys-box@dpsk12.org"
STRANGER = "stranger@example.com"
# The group that the intruder leads, and the one whose members they want to know.
THEIRS, OURS = "asian", "lgbtq"
SECRETS = (ADA, ADAS_NAME, BOB)


@pytest.fixture
def scenario(scenario) -> Iterator[Scenario]:
    """Two members of one group, and a lead of another who broke into the web; all is quiet."""
    keyring = scenario.keyring
    scenario.invite_lead(LEAD, OURS)
    scenario.invite_lead(MALLORY, THEIRS)
    with scenario.services.writing.begin() as session:
        for address, slug, name in (
            (ADA, OURS, ADAS_NAME), (BOB, OURS, "Someone"), (MALLORY, THEIRS, "Someone"),
        ):  # fmt: skip
            member = make_member(session, keyring, address, slug)
            member.wrapped_name = wrap_field(keyring, name, "wrapped_name", member.public_id)
        mailbox.wrap_mailbox(keyring.opener, group_named(session, THEIRS), BOX)
    yield scenario
    scenario.worker.drain()
    for one in scenario.relay.accepted:
        if one.recipient in (ADA, BOB, LEAD):
            assert one.message["Reply-To"] not in (MALLORY, BOX)
        else:
            assert [word for word in SECRETS if word in all_of(one.message)] == []


def all_of(mail: EmailMessage) -> str:
    headers = (f"{name}: {value}" for name, value in mail.items())
    return "\n".join((*headers, text_of(mail), html_of(mail)))


def row(session, address: str, slug: str, scenario) -> Subscription:
    """Return the row that was made for an address; an intruder would try each."""
    index = scenario.keyring.index.member(group_named(session, slug).public_id, address)
    return session.scalars(select(Subscription).where(Subscription.address_index == index)).one()


def again(session, member: Subscription) -> Subscription:
    return session.get_one(Subscription, member.id)


def account(session, address: str, scenario) -> Account:
    return required(find_account(session, scenario.keyring.index, address), LookupError)


def exchange(session, one: Base, other: Base, *columns: str) -> None:
    """Give each row what the other has in some columns, past what must be unique."""
    kept = [{name: getattr(each, name) for name in columns} for each in (one, other)]
    for name, value in kept[0].items():
        if isinstance(value, bytes | str):
            unused = new_public_id()
            setattr(one, name, unused if isinstance(value, str) else unused.encode())
    session.flush()
    for each, values in zip((other, one), kept, strict=True):
        for name, value in values.items():
            setattr(each, name, value)
        session.flush()


def introduce(session, member: Subscription, lead: Account) -> None:
    session.add(Delivery(kind="introduce-member", account_id=lead.id, about_id=member.id))


def sign_up(session, scenario, slug: str, wanted: Join | WaitForGroup) -> None:
    group = group_named(session, slug)
    subscriptions.ask_to_join(session, scenario.services.sealer, group, wanted, now())


def typed_by_mallory(session, scenario) -> None:
    """Seal a sign-up of the intruder's own, with an introduction."""
    sign_up(session, scenario, THEIRS, Join(MALLORY, "en", first_name="M", is_introduced=True))


def grant_pending(session) -> None:
    """Confirm all that is pending, as the pages would on a forged link, and take what they hold."""
    for pending in session.scalars(select(PendingConfirmation)):
        pending.subscription.wrapped_introduction = pending.wrapped_introduction


def let_lead(session, scenario, slug: str = OURS) -> None:
    """Make the intruder a lead of a group by a row; with the proof of their own group, if any."""
    mallory = account(session, MALLORY, scenario)
    own = right_of(session, mallory, THEIRS)
    values = {name: getattr(own, name) for name in ("since", "accepted_at", "wrapped_proof")}
    values |= {"account_id": mallory.id, "group_id": group_named(session, slug).id}
    session.add(Right(**values))
    session.flush()


def right_of(session, person: Account, slug: str) -> Right:
    return required(find_right(session, person, group_named(session, slug)), LookupError)


@pytest.mark.parametrize("is_put_back", [False, True], ids=["left so", "put back"])
@pytest.mark.parametrize("way", ["their own lead", "made lead", "in their own group"])
def test_a_member_whose_index_is_the_intruders_for_a_while_is_not_introduced(
    scenario, way, *, is_put_back
):
    """As it was done (issue 11, B.2): the sign-up is the intruder's own, the row is another's."""
    is_colleague = way == "in their own group"
    with scenario.services.writing.begin() as session:
        own = row(session, MALLORY, THEIRS, scenario)
        if is_colleague:
            victim = make_member(session, scenario.keyring, BOB, THEIRS)
        else:
            victim = row(session, ADA, OURS, scenario)
        victim.ended_at = now()
        exchange(session, victim, own, "address_index", "group_id")
        typed_by_mallory(session, scenario)
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        grant_pending(session)
        victim, own = again(session, victim), again(session, own)
        victim.ended_at = None
        if is_put_back:
            exchange(session, victim, own, "address_index", "group_id")
        if way == "made lead":
            let_lead(session, scenario)
        introduce(session, victim, account(session, MALLORY, scenario))
    assert is_colleague or scenario.mails(MALLORY) == []


@pytest.mark.parametrize("is_with_proof", [False, True], ids=["a bare row", "with a stolen proof"])
def test_an_intruder_made_leader_by_a_row_is_not_told_of_new_members(scenario, *, is_with_proof):
    with scenario.services.writing.begin() as session:
        let_lead(session, scenario)
        if is_with_proof:
            mallory, lead = account(session, MALLORY, scenario), account(session, LEAD, scenario)
            true = right_of(session, lead, OURS)
            right_of(session, mallory, OURS).wrapped_proof = true.wrapped_proof
        waits, words = row(session, BOB, OURS, scenario), '{"first_name": "", "answers": []}'
        name = "wrapped_introduction"
        waits.wrapped_introduction = wrap_field(scenario.keyring, words, name, waits.public_id)
        introduce(session, waits, account(session, MALLORY, scenario))
        session.delete(row(session, ADA, OURS, scenario))
    scenario.enter(ADA, OURS, first_name=ADAS_NAME, introduce_me="y")
    assert len(scenario.relay.to(LEAD)) == 1
    assert scenario.relay.to(MALLORY) == []


def test_a_group_whose_id_is_the_offices_name_makes_no_leader_of_it_one_of_the_office(scenario):
    keys, new = scenario.keyring, "new@dpsk12.org"
    scenario.do(change_group, THEIRS, public_id="office")
    scenario.invite_lead(new, THEIRS)
    with scenario.services.writing.begin() as session:
        account = required(find_account(session, keys.index, new), ValueError)
        session.execute(update(Right).where(Right.account_id == account.id).values(group_id=None))
        session.expire_all()
        assert find_right(session, account, None) is not None
        assert not has_accepted(session, keys.opener, account, None)


def test_a_leader_under_a_name_that_has_their_group_in_it_is_not_of_the_office(scenario):
    with scenario.services.writing.begin() as session:
        mallory = account(session, MALLORY, scenario)
        right = right_of(session, mallory, THEIRS)
        mallory.public_id, right.group = right.key, None
        session.flush()
        assert not has_accepted(session, scenario.keyring.opener, mallory, None)


@pytest.mark.parametrize(
    "columns",
    [
        "wrapped_address", "public_id wrapped_address", "public_id wrapped_address address_index",
        "public_id",
    ],
)  # fmt: skip
def test_an_account_that_is_given_another_address_is_not_told_of_new_members(scenario, columns):
    with scenario.services.writing.begin() as session:
        lead, mallory = account(session, LEAD, scenario), account(session, MALLORY, scenario)
        session.delete(row(session, ADA, OURS, scenario))
        exchange(session, lead, mallory, *columns.split())
    scenario.enter(ADA, OURS, first_name=ADAS_NAME, introduce_me="y")
    assert scenario.relay.to(MALLORY) == []


def test_an_invitation_is_for_no_account_that_only_says_it_is_the_addresss(scenario, cli):
    """The office invites somebody, whose index stands in the intruder's row by then."""
    with scenario.services.writing.begin() as session:
        account(session, MALLORY, scenario).address_index = scenario.keyring.index.account(BOB)
    as_lead = ["lead", "invite", BOB, "--group"]
    for arguments in ([*as_lead, OURS], [*as_lead, THEIRS], ["office", "invite", BOB]):
        refused = cli.invoke(args=arguments)
        assert refused.exit_code == 1
        assert "account in the database" in refused.output
    with scenario.services.reading.begin() as session:
        led = select(Right.group_id).where(Right.group_id.is_not(None))
        assert sorted(session.scalars(led)) == sorted(
            group_named(session, slug).id for slug in (OURS, THEIRS)
        )


def test_groups_that_exchange_their_names_bring_no_lead_new_members(scenario):
    with scenario.services.writing.begin() as session:
        session.delete(row(session, ADA, OURS, scenario))
    link = scenario.confirm_link(ADA, OURS, first_name=ADAS_NAME, introduce_me="y")
    scenario.do(let_lead, scenario)
    scenario.visitor.press(link)
    with scenario.services.writing.begin() as session:
        exchange(session, group_named(session, OURS), group_named(session, THEIRS), "public_id")
    assert scenario.mails(MALLORY) == []


def test_a_sign_up_typed_for_one_group_joins_no_other(scenario):
    """A sealed introduction is moved to the intruder's group, and confirmed by them."""
    with scenario.services.writing.begin() as session:
        sign_up(session, scenario, OURS, Join(ADA, "en", first_name=ADAS_NAME, is_introduced=True))
        request = session.scalars(select(Job)).one()
        request.group_id = group_named(session, THEIRS).id
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        grant_pending(session)
        for member in session.scalars(select(Subscription)):
            member.confirmed_at = now()
            introduce(session, member, account(session, MALLORY, scenario))


def test_a_request_of_one_kind_is_not_answered_as_another(scenario):
    """A visitor's sealed request does not become something that they never asked for."""
    for kind in ("my-groups", "interest", "sign-in", "erase", "propose-mailbox"):
        scenario.execute(delete(Job))
        scenario.do(sign_up, scenario, OURS, Join(ADA, "en"))
        scenario.execute(update(Job).values(kind=kind))
        for _ in range(3):
            scenario.worker.step()
        assert scenario.query(select(Job.failures)) == [3], kind
        assert scenario.rows("waitlist_entries") == 0
        assert scenario.relay.accepted == []


@pytest.mark.parametrize("kind", ["my-copy", "my-groups", "erased", "confirm-mailbox"])
def test_a_mail_that_waits_is_not_made_one_of_another_kind(scenario, kind):
    """As it was done: “you are in no group” becomes the copy of what is held, of others' rows."""
    address = "mallory2@dpsk12.org"
    scenario.visitor.send("/my-groups", email=address)
    scenario.worker.read_jobs()
    with scenario.services.writing.begin() as session:
        assert session.scalars(select(Delivery.kind)).one() == "no-groups"
        session.execute(update(Delivery).values(kind=kind))
        victim = row(session, ADA, OURS, scenario)
        victim.address_index = scenario.keyring.index.member(victim.group.public_id, address)
    assert scenario.mails(address) == []


def test_a_copy_holds_and_erasing_takes_no_row_that_only_says_it_is_ones_own(scenario):
    """The intruder puts their own index, known from own sign-ups, into the rows of others."""
    link = _link_of_mallory(scenario)
    with scenario.services.writing.begin() as session:
        victim = row(session, ADA, OURS, scenario)
        index = victim.address_index
        victim.address_index = scenario.keyring.index.member(victim.group.public_id, MALLORY)
    scenario.visitor.press(f"{link}/copy")
    copy = all_of(scenario.mails(MALLORY)[-1])
    assert "Asian" in copy
    assert "LGBTQ" not in copy
    scenario.visitor.follow(f"{link}/erase")
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        again(session, victim).address_index = index
    drain_in(scenario.worker, days=2, minutes=2)
    assert scenario.is_member(ADA, OURS)
    assert not scenario.is_member(MALLORY, THEIRS)


def test_a_new_address_takes_no_membership_of_somebody_else_along(scenario):
    """The public id of the intruder's row is given to another row between asking and confirming."""
    new = "mallory.new@dpsk12.org"
    link = _link_of_mallory(scenario)
    scenario.visitor.send(f"{link}/change-address", email=new)
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        victim, own = row(session, ADA, OURS, scenario), row(session, MALLORY, THEIRS, scenario)
        exchange(session, victim, own, "public_id")
    scenario.visitor.press(link_to(scenario.relay.to(new)[-1], "change-address"))
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        exchange(session, again(session, victim), again(session, own), "public_id")
        queue_issue(session, OURS)
    assert len(scenario.mails(ADA)) == 1
    assert len(scenario.relay.to(new)) == 1


def test_a_note_of_somebody_else_is_not_listed_as_ones_own(scenario):
    scenario.wait_for(ADA)
    with scenario.services.writing.begin() as session:
        note = session.scalars(select(WaitlistEntry)).one()
        note.address_index = scenario.keyring.index.member(note.group.public_id, MALLORY)
        awaited = note.group.name
    link = _link_of_mallory(scenario)
    assert awaited not in all_of(scenario.relay.to(MALLORY)[-1])
    scenario.visitor.press(f"{link}/copy")
    assert awaited not in all_of(scenario.mails(MALLORY)[-1])


@pytest.mark.parametrize(
    "way", ["members move", "groups exchange names", "the issue moves", "names run together"]
)
def test_replies_to_an_issue_never_go_to_another_groups_mailbox(scenario, way):
    """The members of one group get no copy of an issue whose replies go to the intruder."""
    with scenario.services.writing.begin() as session:
        theirs, ours = group_named(session, THEIRS), group_named(session, OURS)
        joined = select(Subscription).where(Subscription.group_id == ours.id)
        members = session.scalars(joined).all()
        if way == "members move":
            for member in members:
                member.group_id = theirs.id
        elif way == "groups exchange names":
            exchange(session, ours, theirs, "public_id", "wrapped_mailbox")
        elif way == "names run together":
            theirs.public_id = f"b/{ours.public_id}"
            mailbox.wrap_mailbox(scenario.keyring.opener, theirs, BOX)
        issue = queue_issue(session, OURS if way == "groups exchange names" else THEIRS)
        issue.public_id = "a"
    scenario.worker._do_keys_fit = False  # as one that starts, it looks whether they do
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        if way == "groups exchange names":  # no member's address opens: nothing at all leaves
            assert scenario.worker.held_because == "keys"
        else:
            assert session.scalars(select(RenderedIssue)).first() is not None
        if way in {"the issue moves", "names run together"}:
            moved = session.get_one(Newsletter, issue.id)
            moved.group_id = ours.id
            moved.public_id = "a/b" if way == "names run together" else moved.public_id
            asked = {"kind": "newsletter", "newsletter_id": issue.id}
            session.add_all(Delivery(**asked, subscription_id=each.id) for each in members)
    assert [mail for who in (ADA, BOB) for mail in scenario.mails(who)] == []


@pytest.mark.parametrize(
    "columns",
    [
        "address_index", "wrapped_name", "wrapped_address", "public_id",
        "wrapped_address address_index", "public_id wrapped_address",
        "public_id wrapped_address wrapped_name",
        "public_id wrapped_address wrapped_name address_index",
    ],
)  # fmt: skip
def test_a_copy_of_an_issue_says_only_its_own_readers_name(scenario, columns):
    """When any two rows are exchanged, a first name goes only to its owner, in their own group."""
    with scenario.services.writing.begin() as session:
        victim, own = row(session, ADA, OURS, scenario), row(session, MALLORY, THEIRS, scenario)
        exchange(session, victim, own, *columns.split())
        for slug in (OURS, THEIRS):
            queue_issue(session, slug, text="Hello, {first_name}: come to tea.")
        for member in (victim, own):
            welcome(session, member)
            session.add(Delivery(kind="already-member", subscription_id=member.id))
    for mail in scenario.mails(ADA):
        assert "Someone" not in all_of(mail)
        assert "Asian" not in all_of(mail)
    for mail in scenario.relay.to(MALLORY):
        assert "LGBTQ" not in all_of(mail)


def test_a_mail_goes_to_no_member_whose_index_is_anothers(scenario):
    """Two of one group have exchanged theirs: the worker cannot tell who asked for what."""
    with scenario.services.writing.begin() as session:
        pair = row(session, ADA, OURS, scenario), row(session, BOB, OURS, scenario)
        exchange(session, *pair, "address_index")
        welcome(session, *pair)
    scenario.worker.drain()
    assert scenario.relay.accepted == []


def welcome(session, *members: Subscription) -> None:
    session.add_all(Delivery(kind="welcome-member", subscription_id=each.id) for each in members)


def test_whether_two_memberships_are_one_persons_is_not_tried_out(scenario):
    """Rows of one person, and of two, that exchange group and index fail alike."""
    columns = "group_id", "address_index"
    scenario.add_member(ADA, THEIRS)
    for address in (ADA, MALLORY):
        with scenario.services.writing.begin() as session:
            pair = row(session, ADA, OURS, scenario), row(session, address, THEIRS, scenario)
            exchange(session, *pair, *columns)
            welcome(session, *pair)
        scenario.worker.drain()
        with scenario.services.writing.begin() as session:
            exchange(session, again(session, pair[0]), again(session, pair[1]), *columns)
            assert set(session.scalars(select(Delivery.state))) == {"failed"}
    assert scenario.relay.accepted == []


def test_a_pending_confirmation_that_is_moved_to_another_row_is_of_no_use(scenario):
    with scenario.services.writing.begin() as session:
        session.delete(row(session, ADA, OURS, scenario))
    scenario.confirm_link(ADA, OURS, first_name=ADAS_NAME, introduce_me="y")
    with scenario.services.writing.begin() as session:
        own = row(session, MALLORY, THEIRS, scenario)
        pending = session.scalars(select(PendingConfirmation)).one()
        pending.subscription_id = own.id
        own.wrapped_introduction = pending.wrapped_introduction
        own.wrapped_name = pending.wrapped_name
        introduce(session, own, account(session, MALLORY, scenario))
        welcome(session, own)
    assert scenario.mails(MALLORY) == []


def test_a_forged_request_mails_nobody_outside_the_district(scenario):
    """Joining, waiting, moving, naming a mailbox, asking for a list, writing to the office."""
    seal, link = scenario.services.sealer, _link_of_mallory(scenario)
    secret = link.rpartition("/")[2]
    before = len(scenario.relay.accepted)
    with scenario.services.writing.begin() as session:
        theirs = group_named(session, THEIRS)
        for job in (Join, WaitForGroup):
            sign_up(session, scenario, THEIRS, job(STRANGER, "en"))
        members_self_service.ask_worker(
            session, seal, ChangeAddress, secret, new=STRANGER, language="en"
        )
        SendMyGroups(STRANGER, "en").ask(session, seal)
        lead = account(session, MALLORY, scenario)
        shared_mailbox.propose_mailbox(session, seal, theirs, lead, STRANGER, "en")
        written = contact.ContactData("join", "x", address=STRANGER)
        contact.receive(session, seal, contact.new_reference(), written, now())
    scenario.worker.drain()
    mailed = [one.recipient for one in scenario.relay.accepted[before:]]
    assert STRANGER not in mailed
    assert set(mailed) <= {"dps-belong@example.org", MALLORY}
    assert scenario.rows("waitlist_entries") == 0


@pytest.mark.parametrize("settings", [{"BELONG_COPY_TO_OFFICE": "yes"}])
def test_email_for_the_office_goes_to_no_address_in_a_row(scenario):
    scenario.queue_at_once(THEIRS)
    with scenario.services.writing.begin() as session:
        forged = scenario.services.sealer.seal(STRANGER.encode(), "deliveries.sealed_to")
        session.execute(update(Delivery).values(sealed_to=forged))
        session.add(Delivery(kind="alert", sealed_to=forged))
    assert scenario.mails(STRANGER) == []
    assert len(scenario.relay.to("dps-belong@example.org")) == 1


def test_a_lead_is_mailed_about_the_groups_they_lead_alone(scenario):
    with scenario.services.writing.begin() as session:
        let_lead(session, scenario)
        issue, group = queue_issue(session, OURS).id, group_named(session, OURS).id
        lead = account(session, MALLORY, scenario).id
        for kind, about in (
            ("newsletter-test", issue), ("issue-held", issue), ("office-acted", issue),
            ("mailbox-changed", group),
        ):  # fmt: skip
            session.add(Delivery(kind=kind, account_id=lead, about_id=about))
    assert scenario.mails(MALLORY) == []


@pytest.mark.parametrize("is_late", [False, True], ids=["from the first", "at the last button"])
def test_a_leader_made_by_a_row_or_removed_meanwhile_sets_no_mailbox(scenario, *, is_late):
    """Nor does somebody whose right is gone when the last link is pressed."""
    slug = THEIRS if is_late else OURS
    with scenario.services.writing.begin() as session:
        if not is_late:
            let_lead(session, scenario)
        group, lead = group_named(session, slug), account(session, MALLORY, scenario)
        box = "another-box@dpsk12.org"
        shared_mailbox.propose_mailbox(session, scenario.services.sealer, group, lead, box, "en")
    scenario.worker.drain()
    scenario.execute(delete(Right).where(Right.account_id == lead.id))
    for mail in [*scenario.relay.to(box), *scenario.relay.to(MALLORY)]:
        scenario.visitor.follow(link_to(mail, "confirm-mailbox"))
    scenario.worker.drain()
    with scenario.services.reading.begin() as session:
        assert mailbox.mailbox_of(scenario.keyring.opener, group_named(session, slug)) in ("", BOX)


def test_a_sign_in_link_goes_to_no_account_with_anothers_index(scenario):
    with scenario.services.writing.begin() as session:
        lead, mallory = account(session, LEAD, scenario), account(session, MALLORY, scenario)
        exchange(session, lead, mallory, "address_index")
        asked = SendSignInLink(MALLORY, "en", b"browser".hex())
        asked.ask(session, scenario.services.sealer)
    scenario.worker.drain()
    assert scenario.relay.accepted == []


def _link_of_mallory(scenario) -> str:
    scenario.visitor.send("/my-groups", email=MALLORY)
    [url] = [each for each in links_in(scenario.mails(MALLORY)[-1]) if "/my-groups/" in each]
    return path_of(url).partition("?")[0]
