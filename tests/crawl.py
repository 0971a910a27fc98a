"""A walk past every page and every mailed link that there is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import time_machine
from flask import Flask, template_rendered
from sqlalchemy import select
from werkzeug.test import TestResponse

from belong_mail.accounts import invitations
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account, Right
from belong_mail.accounts.proof import FRESH_PROOF_AGE
from belong_mail.contact import service as contact
from belong_mail.contact import threads
from belong_mail.contact.service import ContactData
from belong_mail.core.db import new_public_id, now
from belong_mail.core.tokens import Purpose
from belong_mail.delivery import suppressions
from belong_mail.groups import service as groups
from belong_mail.leads import mailbox
from belong_mail.mail.smtp.transport import FolderTransport
from belong_mail.members import self_service, staff_codes
from belong_mail.members.models import Subscription
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Flyer, Image
from belong_mail.pages import dev_mailbox
from belong_mail.web.access import Access
from tests.browser_client import Form, Visitor, link_to, path_of
from tests.clients import signed_in
from tests.factories import group_named, let_work_for_office, make_member, plan_meeting, queue_issue
from tests.letters import letter
from tests.web.rights.table import rights_table

GUEST = "guest@dpsk12.org"
MEMBER = "member@dpsk12.org"
MOVED = "moved@dpsk12.org"
ALONE = "alone@dpsk12.org"
LEAD = "walking.lead@dpsk12.org"
SHARED = "shared@dpsk12.org"
INVITED = "invited@dpsk12.org"
SLUG = "the-village"
PLAIN = (
    "/", "/privacy", "/check-your-inbox", "/contact", "/contact/answer", "/healthz", "/readyz",
    "/accessibility", "/robots.txt", "/.well-known/security.txt", "/favicon.ico", "/too-long",
    "/my-groups", "/my-groups/sent", "/sign-in", "/sign-in/sent", "/noted",
    "/forget-note/done", "/my-groups/deleted", "/confirm-mailbox/done",
)  # fmt: skip
# The value of the page that takes a code, and a code that it cannot tell from a right one.
NONCE = new_public_id()
STAFF_CODE = staff_codes.with_check("2222222222", NONCE)
MAIL = b"Subject: Hello\r\n\r\nHello\r\n"


@dataclass(frozen=True)
class Stop:
    """A page on the walk; `is_private` is one that a mailed link opens."""

    name: str
    url: str
    is_private: bool = False


def mailed_links(scenario) -> dict[str, str]:
    visitor, services, keyring = scenario.visitor, scenario.services, scenario.keyring
    with services.writing.begin() as session:
        make_member(session, keyring, MEMBER)
        queue_issue(session)
        group_named(session, SLUG).allows_personal_addresses = True
    visitor.join("lgbtq", GUEST)
    [asked], [issue] = scenario.mails(GUEST), scenario.mails(MEMBER)
    gone = make_member_who_left(services, keyring)
    invite(services, keyring)
    visitor.send("/sign-in", email=LEAD)
    visitor.send("/groups/autoimmune/tell-me", email=MEMBER)
    visitor.send("/my-groups", email=MEMBER)
    sent = scenario.mails(MEMBER)[-1]
    sheet = link_to(sent, "my-groups")
    visitor.send(f"{bare(sheet)}/change-address", email=MOVED)
    return {
        "sign-in": link_to(scenario.mails(LEAD)[-1], "sign-in"),
        "my-groups": sheet,
        "forget-note": link_to(sent, "forget-note"),
        "email-me-again": again_link(scenario),
        "change-address": link_to(scenario.mails(MOVED)[-1], "change-address"),
        "confirm": link_to(asked, "confirm"),
        "not-me": link_to(asked, "not-me"),
        "leave": link_to(issue, "leave"),
        "one-click": issue["List-Unsubscribe"].strip("<>"),
        "welcome": page_of(services, "welcome", Purpose.WELCOME, gone),
        "join-with-code": code_page(services),
        "my-calendar": calendar_link(services),
        "confirm-mailbox": mailbox_link(scenario),
        "invitation": invitation_link(scenario),
    }


def make_member_who_left(services, keyring) -> str:
    with services.writing.begin() as session:
        gone = make_member(session, keyring, "gone@dpsk12.org")
        gone.ended_at = now()
        return gone.public_id


def page_of(services, page: str, purpose: Purpose, public_id: str) -> str:
    token = services.tokens.sign(purpose, public_id, now())
    return f"{services.settings.base_url}/{page}/{token}?lang=en"


def code_page(services) -> str:
    with services.reading.begin() as session:
        name = staff_codes.page_name(group_named(session, SLUG), NONCE)
    return page_of(services, "join-with-code", Purpose.STAFF_CODE, name)


def calendar_link(services) -> str:
    with services.reading.begin() as session:
        active = select(Subscription).where(Subscription.is_active)
        name = self_service.calendar_name(session.scalars(active).first() or Subscription())
    return page_of(services, "my-calendar", Purpose.MEMBER_CALENDAR, name)


def mailbox_link(scenario) -> str:
    with scenario.services.writing.begin() as session:
        group = group_named(session, SLUG)
        [lead] = accounts.leads_of(session, group)
        mailbox.propose_mailbox(session, scenario.services.sealer, group, lead, SHARED, "en")
    return link_to(scenario.mails(SHARED)[-1], "confirm-mailbox")


def invitation_link(scenario) -> str:
    with scenario.services.writing.begin() as session:
        invitations.ask(session, scenario.keyring, group_named(session, SLUG), INVITED)
    return link_to(scenario.mails(INVITED)[-1], "invitation")


def again_link(scenario) -> str:
    with scenario.services.writing.begin() as session:
        suppressions.suppress(session, scenario.keyring.index, ALONE)
    scenario.visitor.send("/my-groups", email=ALONE)
    return link_to(scenario.mails(ALONE)[-1], "email-me-again")


def bare(url: str) -> str:
    return path_of(url).partition("?")[0]


def calendar_stops(services) -> Iterator[Stop]:
    with services.writing.begin() as session:
        meeting = plan_meeting(session, SLUG)
    month = f"{meeting.starts_on:%Y-%m}"
    for path in ("/calendar", f"/calendar/{month}"):
        yield Stop("calendar", path)
        yield Stop("calendar of a group", f"{path}?group={SLUG}")
    event = f"/meetings/{meeting.public_id}/{meeting.starts_on}.ics"
    yield Stop("feed", "/calendar.ics")
    for path in (f"/groups/{SLUG}/calendar.ics", event):
        yield Stop("feed of a group", path)


def mailbox_stops(services) -> Iterator[Stop]:
    """List the pages of the development mailbox, with one mail in it."""
    folder = services.settings.state_folder / "mailbox"
    FolderTransport(folder).keep(letter("b@example.org", GUEST, MAIL), lambda: None)
    [kept] = dev_mailbox.newest_mails(folder, 1)
    yield Stop("mailbox", "/dev/mailbox")
    yield Stop("mail", f"/dev/mailbox/{kept.name}")
    yield Stop("html", f"/dev/mailbox/{kept.name}/html")


def stops(services, links: dict[str, str], reference: str) -> Iterator[Stop]:
    for path in PLAIN:
        yield Stop(path, path)
    with services.reading.begin() as session:
        for group in groups.listed(session):
            yield Stop("group", f"/groups/{group.slug}")
            if group.is_open:
                yield Stop("join", f"/groups/{group.slug}/join")
                if group.allows_personal_addresses:
                    yield Stop("personal", f"/groups/{group.slug}/join/personal")
            else:
                yield Stop("tell-me", f"/groups/{group.slug}/tell-me")
            yield Stop("poster", f"/groups/{group.slug}/poster")
    yield from calendar_stops(services)
    yield Stop("received", f"/contact/received/{reference}")
    yield from mailbox_stops(services)
    for path in ("", "/sheet"):
        yield Stop("new-colleagues", f"/new-colleagues{path}")
    yield Stop("short", "/g/1")
    for name in ("belong.css", "colors.css", "month.css", "paper.css", "logo.svg", "compose.js",
                 "autosave.js", "paste.js", "progress.js", "passkey.js"):  # fmt: skip
        yield Stop("style", f"/static/{name}")
    for name in ("change-address", "erase"):
        yield Stop(name, f"{bare(links['my-groups'])}/{name}", is_private=True)
    yield Stop("nowhere", "/nowhere")
    for name, url in links.items():
        yield Stop(name, url, is_private=True)
        yield Stop(f"bent {name}", url.replace(f"/{name}/", f"/{name}/x"), is_private=True)
        unknown = services.tokens.sign(Purpose.LEAVE, new_public_id(), now())
        yield Stop(f"unknown {name}", f"/{name}/{unknown}", is_private=True)


def reference_of(visitor) -> str:
    typed = {"message": "Where is the library?", "topic": "need", "email": GUEST}
    answer = visitor.send("/contact", **typed)
    return answer.location.rpartition("/")[2].partition("?")[0]


def pressed(visitor, links: dict[str, str]) -> Iterator[tuple[str, TestResponse]]:
    """Press the button of every mailed link, and open what is private of where that leads."""
    for name, answer in presses(visitor, links):
        yield name, answer
        if answer.location and bare(answer.location) not in PLAIN:
            yield f"after {name}", visitor.open(answer.location)


def presses(visitor, links: dict[str, str]) -> Iterator[tuple[str, TestResponse]]:
    """Press each button, in an order in which each does something."""
    yield "confirm", visitor.press(links["confirm"])
    yield "forget-note", visitor.press(links["forget-note"])
    until = f"{now() + timedelta(days=9):%Y-%m-%d}"
    leave, sheet = bare(links["leave"]), bare(links["my-groups"])
    for verb in ("", "/undo"):
        yield f"a newsletter's leave{verb}", visitor.press(f"{leave}{verb}")
    yield "a newsletter's language", visitor.press(f"{leave}/language", language="es")
    for wish in ("yes", "no"):
        yield "a newsletter's reminder", visitor.press(f"{leave}/remind", remind=wish)
    yield "a newsletter's pause", visitor.press(f"{leave}/pause", until=until)
    [membership] = set(re.findall(r'name="membership" value="([^"]+)"', visitor.open(sheet).text))
    for verb, said in {
        "remind": {"remind": "yes"}, "resume": {}, "pause": {"until": until},
        "language": {"language": "en"},
    }.items():  # fmt: skip
        yield f"my-groups {verb}", visitor.press(f"{sheet}/{verb}", membership=membership, **said)
    for verb in ("leave", "undo"):
        yield f"my-groups {verb}", visitor.press(f"{sheet}/{verb}", membership=membership)
    yield "my-groups copy", visitor.press(f"{sheet}/copy")
    yield "change-address", visitor.press(links["change-address"])
    yield "email-me-again", visitor.press(links["email-me-again"])
    yield "confirm-mailbox", visitor.press(links["confirm-mailbox"])
    yield "one-click", visitor.press(links["one-click"], **{"List-Unsubscribe": "One-Click"})
    yield "my-groups erase", visitor.press(f"{sheet}/erase")
    yield "leave", visitor.press(links["leave"])
    yield "not-me", visitor.press(links["not-me"], choice="never")
    yield "confirm again", visitor.press(links["confirm"])


def used(scenario) -> Iterator[TestResponse]:
    """Open links that have been used: one that joined, and one whose request was canceled."""
    for address, page in (("joined@dpsk12.org", "confirm"), ("canceled@dpsk12.org", "not-me")):
        asked = scenario.ask(address, "asian")
        scenario.visitor.press(link_to(asked, page), choice="forget")
        for name in ("confirm", "not-me"):
            yield scenario.visitor.open(link_to(asked, name))


def invite(services, keyring) -> None:
    """Let somebody lead the group through which the walk goes."""
    with services.writing.begin() as session:
        group = group_named(session, SLUG)
        invitations.invite(session, keyring, group, LEAD)
        let_work_for_office(session, keyring, LEAD)


def sign_in(app, keyring) -> Visitor:
    """Return a browser in which somebody is signed in who leads a group and is of the office."""
    invite(app.extensions["belong"], keyring)
    return signed_in(app, keyring, LEAD)


def lead_stops(app, services) -> Iterator[str]:
    """List every page that only leads and the office can open.

    It is for a group and a draft of the lead's own, and for an issue that is being sent.
    """
    with services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, SLUG), "Tea on Friday", "Come.")
        sent = queue_issue(session)
        newsletters.plan(session, sent)
        meeting = plan_meeting(session, SLUG)
        own = {
            "slug": SLUG,
            "account_id": find_leader(session),
            "meeting_id": meeting.public_id,
            "reference": begin_thread(session, services),
            "day": meeting.starts_on.isoformat(),
            **with_files(session, issue),
        }
        gone = own | with_files(session, sent)
    for route in rights_table(app):
        if Access.PUBLIC not in route.marks and route.method == "GET":
            yield route.path(gone if route.address.startswith("/office/") else own)


def ended_group(services) -> str:
    slug = "ended"
    with services.writing.begin() as session:
        if groups.find_of_any_age(session, slug) is None:
            ended = groups.add(session, slug, "Ended", "", is_upcoming=False)
            ended.ends_at = ended.announced_end = ended.emptied_at = now()
            groups.mark_retired(session, ended)
    return slug


def find_leader(session) -> str:
    """Return the public id of who leads the group of this walk, or a made-up one."""
    found = (
        select(Account.public_id)
        .join(Right)
        .where(Right.group_id == group_named(session, SLUG).id, accounts.IS_HELD)
        .order_by(Account.id)
    )
    return session.scalars(found).first() or "nobody"


def with_files(session, issue) -> dict[str, object]:
    """Enclose a picture and a flyer; return what addresses name an issue and these by."""
    image = Image(
        newsletter_id=issue.id, description="Tea", media_type="image/png", content=b"PNG",
        width=1, height=1,
    )  # fmt: skip
    flyer = Flyer(
        newsletter_id=issue.id, title="Tea", content=b"%PDF-1.7", size=8, pages=1, is_tagged=True
    )
    session.add_all([image, flyer])
    session.flush()
    files = {"picture_id": image.public_id, "flyer_id": flyer.public_id}
    return {"public_id": issue.public_id, **files}


def open_thread(visitor, services) -> TestResponse:
    code = threads.new_code()
    with services.writing.begin() as session:
        begin_thread(session, services, code)
    return visitor.send("/contact/answer", code=code)


def begin_thread(session, services, code: str = "") -> str:
    reference = contact.new_reference()
    written = ContactData("need", "Where is the library?", thread=reference)
    threads.start_thread(session, reference, code or threads.new_code(), written)
    contact.receive(session, services.sealer, reference, written, now())
    return reference


def all_of_a_lead(lead, services) -> Iterator[TestResponse]:
    """Open every page of a lead, with an issue that is a draft and one that is released."""
    places = list(lead_stops(lead.client.application, services))
    for place in (*places, f"/office/groups/{ended_group(services)}", "/office/groups?order=1"):
        yield lead.open(place)
    [release] = [place for place in places if place.endswith("/release")]
    yield lead.send(release, when="10")
    for place in places:
        yield lead.open(place)
    token = Form(lead.open("/sign-in").text).fields["csrf_token"]
    yield lead.press("/sign-in/passkey/finish", csrf_token=token)
    token = Form(lead.open("/lead/").text).fields["csrf_token"]
    yield lead.press(release.replace("/release", "/undo"), csrf_token="of an earlier session")
    yield lead.press(release.replace("/release", "/undo"), csrf_token=token)


def prove_again(lead, scenario) -> Iterator[TestResponse]:
    """Press what wants a fresh proof, a while after signing in, and prove who it is by a link."""
    with time_machine.travel(now() + FRESH_PROOF_AGE):
        token = Form(lead.open("/lead/").text).fields["csrf_token"]
        video = "https://video.example.org"
        yield lead.press("/office/settings", csrf_token=token, video_url=video)
        link = link_to(scenario.mails(LEAD)[-1], "sign-in")
        yield lead.open(link)
        yield lead.press(link)
        yield lead.open("/account/proof")


def record_templates(app, names: set[str]) -> None:

    def note(_app: Flask, template: object, **_: object) -> None:
        names.add(str(getattr(template, "name", "")))

    template_rendered.connect(note, app, weak=False)
