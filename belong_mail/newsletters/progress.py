"""Describe an issue's progress and results: rounded for leaders, exact for the office."""

from datetime import timedelta

from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account
from belong_mail.core.db import now
from belong_mail.core.i18n import at_start, format_time, language_name, list_of
from belong_mail.core.translatable import gettext_noop
from belong_mail.delivery.models import State
from belong_mail.members.counts import COUNT_STEP, steady
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.checklist import (
    ChecklistItem,
    checklist,
    find_problems,
    render_each,
)
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.release import IssueStatus
from belong_mail.web.context import services
from belong_mail.web.language import format_number, request_language
from belong_mail.web.language import gettext as _

WHOLE = 100
# Stands for “a few”.
FEW = COUNT_STEP // 2
UNDELIVERED = gettext_noop(
    "It couldn’t be delivered to %(members)s members. You don’t need to do anything."
)
DOUBTFUL = gettext_noop(
    "We don’t know whether it reached %(members)s members: the connection broke at the last moment."
)
RESENT = gettext_noop(
    "%(members)s members may get it twice: the connection broke at the last moment, so we sent it"
    " again."
)


def delivery_findings(issue: Newsletter) -> list[tuple[str, str]]:
    """Return the checklist as (text, place); only an item that forbids sending has a place."""
    findings = checklist(issue, services().renderer, services().links)
    return [(_said(each), each.place if each.is_refusal else "") for each in findings]


def _said(finding: ChecklistItem) -> str:
    named = {"named": finding.named} if finding.named else {}
    if finding.language:
        named["language"] = language_name(finding.language, request_language())
    return _(finding.words, **named)


def unfit(issue: Newsletter, status: IssueStatus) -> list[str]:
    """Return the problems for which a held issue is not sent, or the gate refuses a paused one."""
    if status.state == "held":
        return [words for words, place in delivery_findings(issue) if place]
    if status.state != "paused":
        return []
    made = render_each(issue, services().renderer, services().links)
    return [_said(each) for each in find_problems(issue, made, services().links)]


def approximate_count(number: int, told: int | None = 0) -> str:
    """Round a number of people, to the group's shown number `told` if that is near."""
    near = steady(number, told or 0)
    return _("about %(number)s", number=format_number(near)) if near else _("a few")


def percent(status: IssueStatus, *, is_exact: bool) -> int:
    """Return the share that is sent; 100 means that nothing waits.

    For leaders it is computed from the rounded numbers of `report`, so that it reveals no more.
    """
    if is_exact or not status.waiting:
        return int(WHOLE * status.share)
    sent, waiting = (
        steady(number, 0) or FEW if number else 0
        for number in (status.counts[State.ACCEPTED], status.waiting)
    )
    return WHOLE * sent // (sent + waiting)


def exact_counts(issue: Newsletter, status: IssueStatus) -> list[tuple[str, int]]:
    """Count an issue's copies by outcome for the office, unrounded.

    People who asked for no email count with those who left.
    """
    if issue.queued_at is None:
        return []
    counts = status.counts
    by_words = (
        (_("Copies in all"), counts["recipients"]),
        (_("Accepted by the mail server"), counts[State.ACCEPTED]),
        (_("Waiting to be sent"), counts[State.QUEUED]),
        (_("Being sent right now"), counts[State.SENDING]),
        (_("Waiting for another try"), counts[State.DEFERRED]),
        (_("Bounced"), counts[State.BOUNCED]),
        (_("Refused by the mail server"), counts[State.FAILED]),
        (_("Given up after two days"), counts[State.EXPIRED]),
        (_("Maybe arrived: the connection broke"), counts[State.UNCERTAIN]),
        (_("Not sent"), counts[State.WITHDRAWN] + counts[State.SUPPRESSED]),
        (_("Maybe arrived twice"), counts["resent"]),
    )
    return [(words, number) for at, (words, number) in enumerate(by_words) if number or not at]


def report(issue: Newsletter, status: IssueStatus) -> list[str]:
    """Describe an issue's results in sentences; none before it was queued.

    If all or almost all got it, the number is the one that the group's pages show.
    """
    counts, told = status.counts, issue.group.members_shown
    everybody = counts["recipients"]
    is_over = status.state in {"sent", "stopped"}
    said = []
    if handed := counts[State.ACCEPTED]:
        is_whole = is_over and everybody - handed < COUNT_STEP
        near = approximate_count(handed, told if is_whole else 0)
        said.append(_("Sent to %(members)s members.", members=near))
    elif status.state in {"stopped", "paused"}:
        said.append(_("It wasn’t sent to anyone."))
    if waiting := status.waiting:
        near = approximate_count(waiting, told if waiting == everybody else 0)
        said.append(
            _(
                "It may still reach %(members)s members: their copies were already on the way.",
                members=near,
            )
            if status.state == "stopped"
            else _("Not sent yet to %(members)s members.", members=near)
        )
    return said + _in_doubt(status) + _not_sent(status, told)


def _in_doubt(status: IssueStatus) -> list[str]:
    """Describe copies that were undelivered, uncertain, or maybe sent twice."""
    counts = status.counts
    failed = counts[State.FAILED] + counts[State.BOUNCED] + counts[State.EXPIRED]
    numbers = {UNDELIVERED: failed, DOUBTFUL: counts[State.UNCERTAIN], RESENT: counts["resent"]}
    return [
        at_start(_(words, members=approximate_count(number)))
        for words, number in numbers.items()
        if number
    ]


def credits_of(session: Session, issue: Newsletter, reader: Account) -> list[str]:
    """Return the sentences that name an issue's writers and its sender, as far as known."""
    language, said = request_language(), []
    if writers := newsletters.writers_of(session, issue):
        people = list_of([_called(each, reader) for each in writers], language)
        said.append(_("Written by %(people)s.", people=people))
    sender = session.get(Account, issue.released_by) if issue.released_by else None
    if sender and issue.queued_at:
        is_own = sender.id == reader.id
        said.append(
            _("You sent it.")
            if is_own
            else _("Sent by %(people)s.", people=_called(sender, reader))
        )
    return said


def other_writers(session: Session, issue: Newsletter, reader: Account) -> list[str]:
    people = newsletters.writers_of(session, issue)
    return [_called(each, reader) for each in people if each.id != reader.id]


def _called(person: Account, reader: Account) -> str:
    """Return a person's name as the office wrote it, or “you” for the reader."""
    return _("you") if person.id == reader.id else person.name or _("a group leader")


def _not_sent(status: IssueStatus, told: int | None) -> list[str]:
    """Describe withdrawn copies; after a stop they are not only of people who left."""
    number = status.counts[State.WITHDRAWN] + status.counts[State.SUPPRESSED]
    if not number:
        return []
    if status.state != "stopped":
        return [_("Members who left or paused while it was sending got nothing more.")]
    is_whole = status.counts["recipients"] - number < COUNT_STEP
    words = _(
        "It wasn’t sent to %(members)s members, because it was stopped or because they had left or"
        " paused.",
        members=approximate_count(number, told if is_whole else 0),
    )
    return [words]


def progress(issue: Newsletter, status: IssueStatus, send_rate: int | None) -> str:
    """Say where an issue stands, and how long it will take."""
    if status.state == "sending":
        left = _time_left(issue, status, send_rate)
        return (
            _("Sending. About %(minutes)s more minutes.", minutes=left)
            if left
            else _("Sending. It’ll be done in about a minute.")
        )
    if unfit(issue, status):
        return _("Not sent: something in it has to change first.")
    moment, zone = issue.queued_at or issue.due_at or now(), services().settings.timezone
    time = format_time(moment, request_language(), zone)
    said = {
        "draft": _("This is a draft. Nothing has been sent."),
        "scheduled": _(
            "Scheduled for %(time)s, %(time_place)s time. Until then, you can cancel it.", time=time
        ),
        "held": _("Not sent at the scheduled time. What would you like to do?"),
        "paused": _("Paused. Nothing more will be sent until you resume."),
        "stopped": _("Stopped. Members who hadn’t received it won’t get it.")
        if status.counts[State.WITHDRAWN]
        else _("Stopped, but no copies were left to stop."),
        "sent": _("Sent on %(time)s, %(time_place)s time.", time=time)
        if status.counts["recipients"]
        else _("The group had no members to send it to."),
    }
    return said[status.state]


def _time_left(issue: Newsletter, status: IssueStatus, send_rate: int | None) -> int:
    """Estimate the minutes that an issue still takes; 0 for less than two."""
    left = round((1 - status.share) * status.counts["recipients"])
    if send_rate:
        return left // send_rate if left > 2 * send_rate else 0
    if issue.queued_at is None or status.share <= 0:
        return 0
    spent = now() - issue.queued_at
    rest = spent * (1 / status.share - 1)
    return rest // timedelta(minutes=1) if rest > timedelta(minutes=2) else 0
