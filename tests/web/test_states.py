"""Pages show in which state things are, and show nothing of it before."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from belong_mail.accounts import invitations
from belong_mail.accounts.models import INVITATION, Account, Right
from belong_mail.contact import service as contact
from belong_mail.contact import threads
from belong_mail.contact.models import Thread
from belong_mail.core.db import now
from belong_mail.delivery.models import Chunk, Delivery, State
from belong_mail.groups import mailbox
from belong_mail.groups.models import Group, Question
from belong_mail.meetings import service as meetings
from belong_mail.members import imports
from belong_mail.members.address_list import AddressList
from belong_mail.newsletters import approval, archive
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import hold
from belong_mail.ops.host_state import HostState
from tests.factories import change_group, group_named, plan_meeting
from tests.markers import on_sqlite
from tests.scenario import SOON, VILLAGE

LEAD, INVITED = f"lead-of-{VILLAGE}@dpsk12.org", "two@dpsk12.org"
STATES: list[Any] = []


def shows(rows: str) -> Callable[..., Any]:
    """Say what pages show from then on (+), no longer (-), or neither before nor then (!).

    With `A → B`, the page before is A and the one then is B: perhaps with something typed.
    """
    return lambda happens: STATES.append(pytest.param(happens, rows, id=happens.__name__))


@pytest.fixture
def ids(office, scenario) -> dict[str, str]:
    """Return ids by name. The office's colleague leads The Village; someone is invited to."""
    with scenario.services.writing.begin() as session:
        group = group_named(session, VILLAGE)
        draft, held = (newsletters.draft(session, group, each, "Come.") for each in ("A", "B"))
        held.held_at = now()
        invitations.ask(session, scenario.keyring, group, INVITED)
        said = contact.ContactData("", "Where?")
        thread = threads.start_thread(session, contact.new_reference(), threads.new_code(), said)
    scenario.add_members(3)
    return {
        "draft": draft.public_id, "held": held.public_id, "thread": thread.reference,
        "queued": scenario.queue_at_once().public_id,
        "invited": scenario.account(INVITED).public_id,
        "past": "/lead/groups/the-village/newsletters",
        "own": scenario.account(LEAD).public_id,
    }  # fmt: skip


@shows("""
/ + Groups that are coming to an end
/groups/the-village + This group is coming to an end.
/groups/the-village - Join this group
/groups/the-village - What you get
/groups/the-village/join - href="/groups/the-village"
/lead/ + This group’s last day is
/office/groups/the-village + No one can join. Until then
/office/groups/the-village - Import a list …
/office/groups/the-village - End this group …
/office/groups/the-village/end + Its last day is already set
/office/groups/the-village/import + No one can join this group now
""")
def the_end_of_a_group_is_set(scenario):
    scenario.do(change_group, VILLAGE, ends_at=now() + timedelta(days=9))


@shows("""
/groups/autoimmune + It won’t start
/groups/autoimmune - Tell me when it starts
/groups/autoimmune - Starts this year
/groups/autoimmune - This group is starting soon
/groups/autoimmune - Help start this group
""")
def the_end_of_a_group_that_has_not_begun_is_set(scenario):
    scenario.do(change_group, SOON, ends_at=now() + timedelta(days=9))


@shows("""
/ - Groups that start this year
/groups/autoimmune + Join this group
/groups/autoimmune + Have a question first?
/groups/autoimmune + Who can see that I joined?
/groups/autoimmune - Tell me when it starts
/office/groups - Upcoming
/office/groups/autoimmune - Upcoming
/office/groups/autoimmune - Asked to be notified
/office/groups/autoimmune + Import a list …
/office/groups/autoimmune/end - the requests to be notified are deleted
/office/groups/autoimmune/end + fewer than 10 memberships are deleted
""")
def all_groups_have_begun(scenario):
    scenario.execute(update(Group).values(established_at=now() - timedelta(days=1)))


@shows("""
/lead/ - Fewer than 10 members
/lead/ + About 30 members
/lead/newsletters/{draft}/release - fewer than 10 members of
/lead/newsletters/{draft}/release + about 30 members of
/office/newsletters/{held}/send - fewer than 10 members of
/office/newsletters/{held}/send + about 30 members of
/office/groups/the-village/end - fewer than 10 memberships are deleted
/office/groups/the-village/end + about 30 memberships are deleted
""")
def a_group_has_many_members(scenario):
    scenario.execute(update(Group).values(members_shown=30))


@shows("""
/lead/ - You lead it alone.
/lead/ - You’re its only leader
/lead/groups/the-village/page - needs at least two leaders before
/lead/groups/the-village/page + one leader asks and another has to approve
/office/groups - Fewer than two
/office/groups/the-village - With fewer than two people
/office/leads/{invited} - Withdraw the invitation
/office/leads/{invited} + Invite someone in their place first
/office/leads/{invited} + Until
/office/leads/{invited} + Sign them out everywhere
/office - Groups with fewer than two leaders
""")
def a_second_leader_accepts(scenario):
    scenario.execute(update(Group).where(Group.slug != VILLAGE).values(retired_at=now()))
    scenario.invite_lead(INVITED)


@shows("""
/lead/groups/the-village/page + You’re the only leader, so no one can approve.
/lead/groups/the-village/page - can be sent by any of its leaders alone
/lead/newsletters/{draft}/release + >Ask the office</a> to invite another leader
/lead/newsletters/{draft}/release - id="main-form"
/lead/newsletters/{draft}/release - name="switch_language"
/lead/newsletters/{held}/sending + It needs a second leader’s OK, and no one approved
/office/newsletters/{held} + Ask the group’s leaders, or cancel it.
/office/newsletters/{held} - Send it now
/office/newsletters/{held} + Not sent: it needs a second leader’s OK.
/lead/newsletters/{held}/sending + Not sent: it needs a second leader’s OK.
""")
def a_group_wants_a_second_ok(scenario):
    scenario.do(change_group, VILLAGE, approval_rule=approval.ALWAYS)


@shows("""
/lead/ + Edit the template
/lead/ + Start from the group’s template
""")
def a_group_has_a_template(scenario):
    scenario.do(lambda session: archive.save_as_template(session, session.get_one(Newsletter, 1)))


@shows("""
/lead/newsletters/{queued}/sending - You can close this page.
/lead/newsletters/{queued}/sending + Ask the office before you resume
/lead/newsletters/{queued}/sending + because no email could go out
/lead/newsletters/{queued}/sending + >Resume<
/office/newsletters/{queued} + Ask the people who run this site
/office/newsletters/{queued} + >Resume<
""")
def a_newsletter_is_paused_by_itself(scenario):
    set_of_queued(scenario, paused_at=now(), is_refused=True, is_late=True)


@shows("""
/lead/newsletters/{queued}/sending - You can close this page.
/lead/newsletters/{queued}/sending + >Resume<
/office/newsletters + Paused
/lead/newsletters/{queued}/sending ! because mail servers refuse it
/lead/newsletters/{queued}/sending ! because no email could go out
""")
def a_newsletter_is_paused(scenario):
    set_of_queued(scenario, paused_at=now())


@shows("""
/lead/newsletters/{queued}/sending + It wasn’t sent to anyone.
/lead/newsletters/{queued}/sending - Stop for good
/lead/newsletters/{queued}/sending - >Pause<
/office/newsletters/{queued} - The group’s leaders get an email about what you do here.
{past} + Stopped
/office/newsletters/{queued} + You sent it.
""")
def a_newsletter_is_stopped(scenario):
    set_of_queued(scenario, stopped_at=now(), released_by=scenario.account(LEAD).id)


@shows("""
/lead/ → /lead/?done=accepted + Thank you! You’ve accepted
/lead/ → /lead/?done=stopped + You don’t lead that group anymore.
/lead/ → /lead/?done=deleted + Deleted.
/lead/ → /calendar + aria-current="page">Calendar
/lead/ → /contact + aria-current="page">Contact
/lead/newsletters/{draft} → /lead/newsletters/{draft}?done=added + below your text
/lead/newsletters/{draft} → /lead/newsletters/{draft}?done=copied + This is a new draft.
/lead/newsletters/{draft} → /lead/newsletters/{draft}?done=saved + role="status">Saved.
/lead/newsletters/{draft} → /lead/newsletters/{draft}?done=template + New newsletters can start
/lead/newsletters/{draft} → /lead/newsletters/{draft}?done=undone + This is a draft.
/lead/newsletters/{draft} → /lead/newsletters/{draft}?overtaken=1 + Please select the button again.
/lead/newsletters/{draft}/release → /lead/newsletters/{draft}/release?done=all + the test copies
/lead/newsletters/{draft}/release → /lead/newsletters/{draft}/release?done=me + you a test copy
/lead/groups/the-village/page → /lead/groups/the-village/page?done=saved + Saved: Edit the page
/lead/groups/the-village/page → /lead/groups/the-village/page?done=undone + Undone.
/office → /office?done=resent + We’re sending them again.
/office/health → /office/health?done=retry + We’re trying the waiting email now.
/office/health → /office/health?done=accept + are out of their groups
/office/addresses → /office/addresses?done=entered + Done in a minute
/office/groups → /office/groups?done=renewed + Renewed for a year.
/office/groups/the-village/questions → /office/groups/the-village/questions?done=added + added.
/office/groups/the-village/questions → /office/groups/the-village/questions?done=removed + removed.
/office/groups/the-village/import → /office/groups/the-village/import?done=discarded + No one was
/office/newsletters → /office/newsletters?done=canceled + Canceled.
/office/newsletters/{held} → /office/newsletters/{held}?done=done + Done.
/office/leads/{invited} → /office/leads/{invited}?done=saved + Saved.
/office/settings → /office/settings?done=saved + Saved. Pages show it now
/office/threads/{thread} → /office/threads/{thread}?done=answered + Your answer is posted.
/office/audit → /office/audit?lang=en + name="lang"
/office/audit → /office/audit?kind=role + Show all
/office/audit → /office/audit?since=x + Problem:
/office/audit → /office/audit?since=2090-01-01 + Nothing matches.
/office/audit → /office/audit?since=2090-01-01 + <details class="quiet" open>
/office/audit → /office/audit?before=2 + >Newest<
/office/settings → /office/settings?done=last ! class="notice done"
/office/settings → /office/settings?done=invited + class="notice done" role="status">We’re emailing
/office/settings → /office/settings?done=last + class="notice" role="status">Nothing has changed
/office/leads/invite → /office/leads/invite?group=the-village + >The Village</a></p>
/office/leads/invite → /office/leads/invite?group=the-village + Invite someone to lead The Village
/office/leads/invite → /office/leads/invite?group=office + ">Settings</a></p>
{past} → {past}?words=month + 1 newsletter found
{past} → {past}?words=zebra + these words.
{past} ! >Newer<
{past} ! >Older<
/office/newsletters ! Newer newsletters
/office/newsletters?page=2 ! >Waiting<
/office/leads/{invited} → /office/leads/{own} + This is you.
/lead/ → /accessibility + aria-current="page">Accessibility
/lead/ → /my-groups + aria-current="page">My groups
/lead/ → /new-colleagues + aria-current="page">New colleagues
/lead/ → /privacy + aria-current="page">Privacy
/office → /lead/newsletters/{held}/sending + aria-current="page">Groups I lead
/office → /lead/newsletters/{queued}/stop + aria-current="page">Groups I lead
/office → /lead/newsletters/{held}/read + aria-current="page">Groups I lead
/office → /office/newsletters/{held} + aria-current="page">Newsletters
/office → /office/newsletters/{queued}/stop + aria-current="page">Newsletters
/office → /office/newsletters/{held}/read + aria-current="page">Newsletters
/lead/ → /office/newsletters/{held} + aria-current="page">Office
/office → /office/leads/{invited} + aria-current="page">Groups</a>
/office ! href="/">Groups</a>
/lead/newsletters/{draft} ! <details open>
/office/leads/invite → /office/leads/invite email=x + <div class="field wrong">
/office/leads/invite → /office/leads/invite email=x + id="email-error"
/office/leads/invite → /office/leads/invite email=x + aria-describedby="email-error"
/office/leads/invite → /office/leads/invite email=x + <fieldset class="field wrong"
/office/leads/invite → /office/leads/invite email=x + Problem: Invite someone
/office/leads/{invited} → /office/leads/{invited} name= + <details class="quiet" open>
/office/threads/{thread} → /office/threads/{thread} answer= + Problem:
{past} → {past}?lang=en + name="lang"
/lead/groups/the-village/page → /lead/groups/the-village/page second_ok=y + id="second_ok-error"
""")
def a_page_is_opened_in_another_way(_scenario):
    pass


@shows("""
/office - Message ·
/office + Request support ·
/office/threads/{thread} + Request support.
/office/threads/{thread} - <p class="lead">Waiting since
""")
def somebody_had_a_topic(scenario):
    scenario.execute(update(Thread).values(topic="need"))


@shows("""
/office - Needs an answer
/office + Answered
/office/threads/{thread} - Waiting since
/office/threads/{thread} + Answer again
/office + Last message on
""")
def somebody_is_answered(scenario):
    scenario.do(lambda session: threads.add_entry(session, session.get_one(Thread, 1), "Here.",
                                                  is_office=True))  # fmt: skip


@shows("""
/office/groups/the-village/questions - Remove this question
/office/groups/the-village/questions + No questions yet.
""")
def a_group_asks_nothing(scenario):
    scenario.execute(delete(Question))


@shows("""
/groups/the-village - No meetings are planned right now.
/calendar?group=the-village - This group has no meetings planned yet.
/lead/ - This group has no meetings planned yet.
/lead/groups/the-village/meetings - No meetings are planned yet.
/lead/groups/the-village/meetings + Change or cancel one date
/office/groups/the-village - <dd>–</dd>
/calendar?group=the-village + group=the-village" aria-current="page"
/calendar?group=the-village ! group=asian" aria-current="page"
""")
def a_meeting_is_planned(scenario):
    for slug in (VILLAGE, "asian"):
        scenario.do(plan_meeting, slug, repeats="weekly")


@shows("""
/office/groups/the-village/import + What’s in the file
/office/groups/the-village/import + 2 people will be asked.
/office/groups/the-village/import + 1 row repeats an address.
/office/groups/the-village/import + 1 row has an address that isn’t a staff address. Row: 4
/office/groups/the-village/import + 195 rows have no address that we can read. Rows: 5, 6, 7, 8, 9
/office/groups/the-village/import + …</li>
/office/groups/the-village/import + Ask these people
/office/groups/the-village/import + First send this text to the old list
/office/groups/the-village/import - Checking asks no one.
/office/groups/the-village ! On its way
/office/groups/the-village/import ! <progress
""")
def a_file_was_checked(scenario):
    found = AddressList(["a@dpsk12.org", "b@dpsk12.org"], "A", [3], [4], [*range(5, 200)])
    scenario.do(store, scenario.services.sealer, found)


@shows("""
/office/groups/the-village/import + The addresses are in column A.
/office/groups/the-village/import + Delete the file
/office/groups/the-village/import ! Ask these people
/office/groups/the-village/import ! First send this text
/office/groups/the-village/import ! rows repeat
/office/groups/the-village/import ! staff address
/office/groups/the-village/import ! that we can read
""")
def a_file_without_anyone_to_ask_was_checked(scenario):
    scenario.do(store, scenario.services.sealer, AddressList())


@shows("""
/calendar + Canceled
/calendar ! Add to my calendar
/calendar?group=the-village ! Room 4
/groups/the-village + Canceled
/groups/the-village ! Add to my calendar
/groups/the-village ! Room 4
/lead/groups/the-village/meetings + Canceled
/lead/groups/the-village/meetings ! Change or cancel one date
""")
def a_meeting_is_canceled(scenario):
    scenario.do(lambda session: meetings.cancel(plan_meeting(session, repeats="weekly")))


@shows("""
/calendar + Canceled
/calendar + Add to my calendar
/lead/groups/the-village/meetings + is canceled.
/lead/groups/the-village/meetings + Change or cancel one date
""")
def a_date_of_a_meeting_is_canceled(scenario):
    with scenario.services.writing.begin() as session:
        meeting = plan_meeting(session, repeats="weekly")
        meetings.cancel_day(meeting, meeting.starts_on)


@shows("""
/lead/groups/the-village/meetings - No meetings are planned yet.
/lead/groups/the-village/meetings ! Change or cancel one date
""")
def a_meeting_is_planned_once(scenario):
    scenario.do(plan_meeting)


@shows("""
/office/groups/the-village + On its way
/office/groups/the-village/import + <progress
/office/groups/the-village/import + about 20 people
/office/groups/the-village/import + Stop, and delete the rest of the file
/office/groups/the-village/import ! Ask these people
/office/groups/the-village/import ! The last file is done
/office/groups/the-village/import - Checking asks no one.
""")
def people_of_a_file_are_asked(scenario):
    found = AddressList([f"member{each}@dpsk12.org" for each in range(20)])
    scenario.do(start, scenario.services.sealer, found)


@shows("""
/office/groups/the-village/import + The last file is done: fewer than 10 people.
/office/groups/the-village ! On its way
/office/groups/the-village/import ! <progress
/office/groups/the-village/import ! >Delete the file<
/office/groups/the-village/import → /office/groups/the-village/import ! The addresses are in column
""")
def people_of_a_file_were_asked(scenario):
    found = AddressList(["a@dpsk12.org"])
    scenario.do(start, scenario.services.sealer, found)
    scenario.execute(delete(imports.ImportBatch))


@shows("""
/office + couldn’t be delivered
/office + Not delivered
/office/groups/the-village + couldn’t be delivered
/office/leads/{invited} + couldn’t be delivered
""")
def an_invitation_comes_back(scenario):
    scenario.execute(update(Delivery).where(Delivery.kind == INVITATION).values(state=State.FAILED))


@shows("""
/office/groups - (invited)
/office/groups/the-village + Stopped leading on
/office/leads/{invited} + Stopped leading on
/office/leads/{invited} + >Undo<
/office/leads/{invited} ! Remove now
/office/leads/{invited} - Withdraw the invitation
/office/leads/{invited} → /office/leads/{invited}?role=the-village + Being restored …
/office/leads/{invited} → /office/leads/{invited}?role=the-village ! >Undo<
/office/leads/{invited} → /office/leads/{invited}?role=asian + >Undo<
""")
def somebody_stops_leading(scenario):
    ends_at = now() + timedelta(days=5)
    scenario.execute(update(Right).where(is_invited()).values(ends_at=ends_at))


@shows("""
/office/groups + role ends within 60 days.
/office/groups + Renew them
/office/groups + class="button quiet" href="/office/leads/invite"
""")
def a_role_ends_soon(scenario):
    ending = update(Right).where(Right.group_id.is_not(None), Right.accepted_at.is_not(None))
    scenario.execute(ending.values(ends_at=now() + timedelta(days=30)))


@shows("""
/lead/newsletters/{held}/sending - Waiting since
/lead/newsletters/{held}/sending - >Send or schedule<
/lead/newsletters/{held}/sending - Move it back to drafts
/lead/newsletters/{held}/sending - Read this newsletter
/lead/newsletters/{held}/sending + Keep writing
/office/newsletters - >Waiting<
/office/groups/the-village - >Waiting<
""")
def a_held_newsletter_becomes_a_draft(scenario):
    scenario.execute(update(Newsletter).values(held_at=None))


@shows("""
/lead/newsletters/{held}/sending - >Send or schedule<
/lead/newsletters/{held}/sending ! Not sent: it needs a second leader’s OK.
/lead/newsletters/{queued}/sending ! >Resume<
/office/newsletters/{held} - Send it now
/office/newsletters/{held} ! It needs a second leader’s OK
""")
def newsletters_name_their_group(scenario):
    scenario.do(change_group, VILLAGE, is_discreet=True, approval_rule=approval.ALWAYS)
    scenario.execute(update(Newsletter).values(subject={"en": "The Village meets"}))
    set_of_queued(scenario, paused_at=now())


@shows("""
/lead/newsletters/{draft} + Template of The Village
/lead/newsletters/{draft} + The template itself is never sent.
/lead/newsletters/{draft} + Delete the group’s template …
/lead/newsletters/{draft} - Save as the group’s template
/lead/newsletters/{draft} - >Send or schedule<
""")
def a_draft_is_a_template(scenario):
    scenario.execute(
        update(Newsletter).where(Newsletter.held_at.is_(None)).values(is_template=True)
    )


@shows("""
/lead/newsletters/{draft}/approve - No one is asking for your OK.
/lead/newsletters/{draft}/approve + wants to send this newsletter to The Village
/lead/newsletters/{draft}/approve + This will go to fewer than 10 members of
/lead/newsletters/{draft}/approve + It will be sent 10 minutes after the OK.
/lead/newsletters/{draft}/approve + Approve and send
/lead/newsletters/{draft}/approve ! Withdraw the request
""")
def another_leader_asks_for_an_ok(scenario):
    scenario.invite_lead(INVITED)
    scenario.do(ask, scenario.account(INVITED), None)


@shows("""
/lead/newsletters/{draft}/approve + You asked the group’s other leaders to approve
/lead/newsletters/{draft}/approve + This will go to about 30 members of
/lead/newsletters/{draft}/approve + It will be sent on
/lead/newsletters/{draft}/approve + Withdraw the request
/lead/newsletters/{draft}/approve ! Approve and send
""")
def an_ok_is_asked_for(scenario):
    scenario.invite_lead(INVITED)
    scenario.execute(update(Group).values(members_shown=30))
    scenario.do(ask, scenario.account(LEAD), now() + timedelta(days=2))


@shows("""
/lead/ - Past newsletters
/lead/ + No newsletters yet.
{past} - role="search"
{past} + No newsletter has been sent yet.
{past}?words=zebra ! sent yet.
/office/newsletters + No newsletter has been sent yet.
""")
def all_newsletters_are_deleted(scenario):
    for table in (Chunk, Newsletter):
        scenario.execute(delete(table))


@shows("""
/groups/the-village - For those who act
/groups/the-village - Our mission
/groups/the-village - What we do
/office/groups/the-village - <p class="lead">For those
""")
def a_group_says_nothing_of_itself(scenario):
    scenario.do(change_group, VILLAGE, summary={}, mission={}, activities={}, audience={}, note={})


@shows("""
/office/groups/the-village + Discreet ·
""")
def a_group_is_discreet(scenario):
    scenario.do(change_group, VILLAGE, is_discreet=True)


@shows("""
/lead/ + Not started yet.
/lead/ + Fewer than 10 people have asked about it so far.
/lead/ - Write a newsletter
/lead/ - >Newsletters<
/lead/ - Fewer than 10 members
/lead/newsletters/{queued}/read - Duplicate as a draft
""")
def a_group_has_not_begun(scenario):
    scenario.do(change_group, VILLAGE, established_at=None)


@shows("""
/lead/newsletters/{draft} + <details open>
""")
def a_draft_is_in_two_languages(scenario):
    scenario.execute(update(Newsletter).values(text={"en": "Come.", "es": "Ven."}))


@shows("""
/lead/groups/the-village/page + need a second leader’s OK
/lead/groups/the-village/page ! no one can approve
""")
def a_group_of_two_wants_a_second_ok(scenario):
    scenario.invite_lead(INVITED)
    scenario.do(change_group, VILLAGE, approval_rule=approval.ALWAYS)


@shows("""
/lead/ + Sending is on hold.
/office + Sending is on hold.
""")
def sending_is_on_hold(scenario):
    scenario.do(hold.start_hold, "asked", HostState("folder"))


@shows("""
/account + <p class="lead">Ada Lovelace</p>
/lead/ + Ada Lovelace (you)
/lead/ - Someone who hasn’t signed in yet (you)
""")
def a_leader_is_named(scenario):
    scenario.execute(update(Account).values(name="Ada Lovelace"))


@shows("""
/lead/groups/the-village/page - : to the office
/lead/groups/the-village/page + : to your shared inbox
/contact + Group leaders can’t answer you without an email address.
/contact + If you choose a group’s leaders
""")
def a_group_has_a_mailbox(scenario):
    with scenario.services.writing.begin() as session:
        group = group_named(session, VILLAGE)
        mailbox.wrap_mailbox(scenario.keyring.opener, group, "shared@dpsk12.org")


def ask(session, account: Account, due_at: datetime | None) -> None:
    approval.ask(session, session.get_one(Newsletter, 1), account, due_at, 10)


def store(session, sealer, found: AddressList) -> imports.Import:
    return imports.store(session, sealer, group_named(session, VILLAGE), found, "en")


def set_of_queued(scenario, **values: object) -> None:
    scenario.execute(update(Newsletter).where(Newsletter.queued_at.is_not(None)).values(values))


def start(session, sealer, found: AddressList) -> None:
    imports.start(session, store(session, sealer, found))


def is_invited():
    return Right.accepted_at.is_(None)


def look(office, page: str) -> str:
    """Open a page; with `field=typed` behind its address, send its form."""
    address, _, typed = page.partition(" ")
    answer = office.forge(address, **dict([typed.split("=")])) if typed else office.open(address)
    return str(answer.text)


@on_sqlite
@pytest.mark.parametrize(("happens", "rows"), STATES)
def test_pages_show_a_state_from_then_on(happens, rows, office, scenario, ids):
    wanted = [
        re.split(" ([-+!]) ", row.format(**ids), maxsplit=1) for row in rows.strip().splitlines()
    ]
    pages = [page.split(" → ") for page, _, _ in wanted]
    before = [look(office, each[0]) for each in pages]
    happens(scenario)
    after = [look(office, each[-1]) for each in pages]
    wrong = [
        (page, sign, words)
        for (page, sign, words), was, then in zip(wanted, before, after, strict=True)
        if (words in was, words in then) != (sign == "-", sign == "+")
    ]
    assert not wrong, "\n".join(map(str, wrong))
