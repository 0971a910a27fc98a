"""What each kind of email is given by the function that writes it, in each of its cases."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from markupsafe import Markup

from belong_mail.contact.models import ContactMessage
from belong_mail.core import i18n
from belong_mail.core.district import HelpLine, HelpLines
from belong_mail.core.email_templates import Renderer
from belong_mail.core.links import Links
from belong_mail.core.tokens import Tokens
from belong_mail.groups.models import Group
from belong_mail.mail.message import markdown
from belong_mail.meetings.formatting import MeetingView
from belong_mail.newsletters.models import Flyer

Contexts = dict[str, list[dict[str, Any]]]
AT = datetime(2026, 3, 3, 23, 0, tzinfo=UTC)
ROOT = "https://belong.example.org"
VILLAGE, ASIAN = "The Village", "Asian"
HELP = HelpLines(
    (HelpLine("Line", "2", "https://a.example"),), HelpLine("Line", "3", "https://b.example")
)
# What an email may link to besides our own pages.
PHONES_AND_SITES = frozenset((
    "tel:911", "tel:2", "tel:3", "https://a.example", "https://b.example",
))  # fmt: skip


def renderer() -> Renderer:
    links, address = Links(ROOT, Tokens(("a key",))), "1860 Lincoln St, Denver"
    settings: Any = SimpleNamespace(
        names=i18n.names(), mail_from="DPS Belong", postal_address=address,
        contact_inbox="o@example.org", help_lines=HELP,
    )  # fmt: skip
    return Renderer(settings, links)


def contexts(say=str) -> Contexts:
    """Return the cases of each kind; `say` gives every word that a person has written."""
    return {
        **_of_members(say),
        **_of_self_service(say),
        **_of_meetings(say),
        **_of_sign_in(say),
        **_of_rights(say),
        **_of_leaders(say),
        **_of_contact(say),
    }


def url(name: str) -> str:
    """Return a link of ours, as long as a signed one is."""
    return f"{ROOT}/{name}/{'x1' * 40}?lang=es&at=1"


def _of_members(say) -> Contexts:
    group, led = say(VILLAGE), Group(name=say(VILLAGE))
    asking = {"group": group, "confirm_url": url("confirm"), "expires": AT}
    asking["not_me_url"] = url("not-me")
    joined = {**asking, "slug": "the-village"}
    answers = [[say("What can you bring?"), say("Tea.\n  And cake.")], [say("Since?"), say("May")]]
    return {
        "confirm-subscription": [asking],
        "invited-to-confirm": [asking],
        "invited-to-confirm-again": [joined],
        "group-starts": [joined],
        "already-member": [{"group": group, "leave_url": url("leave")}],
        "introduce-member": [
            {"group": led, "address": "ada@example.org", "first_name": name, "answers": answered}
            for name, answered in ((say("Ada"), answers), ("", []))
        ],
        "removed-by-office": [{"group": group}],
    }


def _of_self_service(say) -> Contexts:
    notes = [(say(VILLAGE), url("forget")), (say(ASIAN), url("forget-2"))]
    whole = {
        "group": say(VILLAGE), "first_name": say("Ada"), "language": "English",
        "requested_at": AT, "confirmed_at": AT, "ended_at": AT, "is_unreachable": False,
        "paused_until": AT, "is_reminded": True, "is_introduced": True,
    }  # fmt: skip
    bare = {**dict.fromkeys(whole), "group": say(ASIAN), "requested_at": AT, "language": "English"}
    held = [whole, bare, {**whole, "is_unreachable": True}]
    written = [ContactMessage(reference=name, received_at=AT) for name in ("5K2F", "7Q3D")]
    kept = {"address": "ada@example.org", "held": held, "messages": written}
    return {
        "my-groups": [{"secret": "x1" * 21, "notes": each} for each in (notes, [])],
        "no-groups": [{"notes": each} for each in (notes, [])],
        "my-copy": [
            {**kept, "notes": [(say(VILLAGE), AT), (say(ASIAN), AT)]},
            {"address": "ada@example.org", "held": [], "messages": [], "notes": []},
        ],
        "email-again": [{"url": url("again"), "expires": AT}],
        "erased": [{}],
        "change-address": [{"url": url("confirm"), "expires": AT}],
        "address-changed": [{}],
        "staff-code": [{"code": "ABCD-EFGH", "expires": AT}],
    }


def _meeting(say, **typed: str) -> MeetingView:
    return MeetingView(
        meeting_id="m1", day=date(2026, 3, 3), held_on=date(2026, 3, 3),
        date="Tuesday, March 3, 2026", clock="4:00 – 5:00 PM",
        when="Tuesday, March 3, 2026, 4:00 – 5:00 PM", month_short="Mar", weekday_short="Tue",
        iso="2026-03-03T16:00", title=say("Tea"), place=typed.get("place", ""),
        link=typed.get("link", ""), contact=typed.get("contact", ""),
        details=[("people", "Families welcome"), ("spoken", "In English")],
        is_cancelled=False, is_changed=False, is_for_members=False,
    )  # fmt: skip


def _of_meetings(say) -> Contexts:
    full = _meeting(say, place=say("Library"), contact=say("Grace"), link=url("meet"))
    group = Group(name=say(VILLAGE))
    shown = {"group": group, "leave_url": url("leave")}
    welcome = {**shown, "calendar_url": url("calendar")}
    return {
        "meeting-reminder": [{**shown, "meeting": each} for each in (full, _meeting(say))],
        "welcome-member": [
            {
                **welcome,
                "first_name": say("Ada"),
                "is_staff": True,
                "words": say("Hello!\n\n  We meet *often*."),
                "meetings": [full, _meeting(say)],
            },
            {**welcome, "first_name": "", "is_staff": False, "words": "", "meetings": []},
        ],
    }


def _of_sign_in(say) -> Contexts:
    return {
        "sign-in": [{"url": url("sign-in")}, {"url": url("sign-in"), "is_proof": True}],
        "identity-linked": [{}],
        "passkey-changed": [{"what": each} for each in ("added", "removed")],
        "let-in": [
            {"is_own": is_own, "name": name}
            for is_own, name in ((True, ""), (False, say("Ada")), (False, ""))
        ],
    }


def _of_rights(say) -> Contexts:
    groups = [say(VILLAGE), say(ASIAN)]
    invited = {"url": url("accept"), "expires": AT}
    of_both = {"groups": groups, "is_for_office": True}
    changed = [
        {**of_both, "what": what, "name": name, "is_you": is_you}
        for what in ("invited", "accepted", "ended", "removed", "restored", "stopped")
        for name in (say("Ada"), "")
        for is_you in (what not in ("invited", "accepted"), False)
    ]
    people = [(say("Ada"), groups[:1]), ("", [])]
    renewed = {"what": "renewed", "renewed": people, "groups": [], "is_for_office": False}
    renewed |= {"name": "", "is_you": False}
    return {
        "invitation": [
            {**invited, "groups": groups[:1], "is_for_office": False},
            {**invited, **of_both},
            {**invited, "groups": [], "is_for_office": True},
        ],
        "rights-changed": [*changed, {**changed[0], "groups": [], "what": "invited"}, renewed],
        "right-ends": [{}],
        "bar-changed": [{"group": say(VILLAGE), "is_barred": each} for each in (True, False)],
        "settings-changed": [{"is_office": each} for each in (True, False)],
        "alert": [
            {"trouble": "Email waits", "words": say("For 20 minutes."), "todo": "Look.",
             "seen_at": AT},
        ],
    }  # fmt: skip


def _of_leaders(say) -> Contexts:
    group = Group(name=say(VILLAGE))
    issue = {"group": say(VILLAGE), "issue_url": url("issue")}
    going_on = {"group": say(VILLAGE), "last_day": None, "has_ended": False, "kept_until": None}
    ending = {**going_on, "last_day": AT, "kept_until": AT + timedelta(days=30)}
    return {
        "approve-issue": [{**issue, "until": "Tuesday, March 3, 2026"}],
        "issue-held": [
            {**issue, "why": why}
            for why in ("paused", "unapproved", "late", "declined", "unfit")
        ],
        "office-acted": [
            {**issue, "done": done, "newsletter": say("Tea"), "at": AT}
            for done in ("paused", "resumed", "stopped", "sent", "canceled")
        ],
        "group-ends": [going_on, {**ending, "has_ended": True}, ending],
        "confirm-mailbox": [{"group": say(VILLAGE), "confirm_url": url("c"), "expires": AT}],
        "mailbox-changed": [{"group": say(VILLAGE), "is_lead": each} for each in (True, False)],
        "newsletter": list(_newsletters(say, group)),
    }  # fmt: skip


def _newsletters(say, group) -> list[dict[str, Any]]:
    html, text = markdown.to_html_and_text("# Tea\n\nCome to **tea**.\n\n- Cake", {}, "Picture")
    issue = {
        "title": say("Tea"), "preview": say("And cake"), "html": Markup(html),  # noqa: S704 - cleaned
        "text": text, "words_language": "en", "group": group, "leave_url": url("leave"),
        "have_leads_replies": True, "copy_for": "", "flyers": [],
    }  # fmt: skip
    flyers = [Flyer(title=say("Poster"), pages=1), Flyer(title=say("Map"), pages=2)]
    other = {"copy_for": "office", "have_leads_replies": False, "preview": "", "flyers": flyers}
    return [issue, {**issue, **other}, {**issue, "copy_for": "lead"}]


def _of_contact(say) -> Contexts:
    message = {
        "reference": "5K2F", "is_thread": False, "topic": "I need something", "leads_of": "",
        "is_with_leads": False, "writer_name": say("Ada"), "writer_address": "ada@example.org",
        "message": say("Hello,\n\n  [tea](https://example.org)?\n\nAda"), "received_at": AT,
    }  # fmt: skip
    anonymous = {"writer_name": "", "writer_address": ""}
    return {
        "contact-message": [
            message,
            {**message, **anonymous, "is_thread": True},
            {**message, **anonymous, "leads_of": say(VILLAGE)},
            {**message, "leads_of": say(VILLAGE), "is_with_leads": True},
        ],
        "contact-received": [{"reference": "5K2F"}],
    }
