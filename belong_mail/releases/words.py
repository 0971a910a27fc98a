"""What a lead reads about an issue: sentences and rounded numbers, never an exact one."""

from datetime import timedelta

from flask_babel import gettext as _

from belong_mail.current import parts
from belong_mail.db import now
from belong_mail.newsletters.models import Newsletter
from belong_mail.releases.service import Standing, rounded
from belong_mail.sending.models import State
from belong_mail.writing.checking import check

STEP = 5
"""Percent; finer steps would count single members of a small group."""
WHOLE = 100


def findings(issue: Newsletter) -> list[tuple[str, bool]]:
    """Return the checklist in the reader's words, each with whether it forbids the release."""
    return [
        (
            _(finding.words, named=finding.named) if finding.named else _(finding.words),
            finding.is_refusal,
        )
        for finding in check(issue, parts().renderer)
    ]


def about(number: int) -> str:
    """Say a number of people, rounded."""
    near = rounded(number)
    return _("about %(number)s", number=near) if near else _("a few")


def percent(standing: Standing) -> int:
    """Return the done share in steps of five percent; 100 means that all is done."""
    if standing.share >= 1:
        return WHOLE
    return min(int(standing.share * WHOLE) // STEP * STEP, WHOLE - STEP)


def report(standing: Standing) -> list[str]:
    """Say what became of an issue; nothing before it has begun."""
    counts, said = standing.counts, []
    if standing.state == "sent" and not counts["recipients"]:
        said.append(_("The group had no members to write to when it went out."))
    if counts[State.ACCEPTED]:
        said.append(
            _("Handed to the mail server for %(members)s.", members=about(counts[State.ACCEPTED]))
        )
    waiting = counts[State.QUEUED] + counts[State.SENDING] + counts[State.DEFERRED]
    if waiting:
        said.append(_("Still to go: %(members)s.", members=about(waiting)))
    failed = counts[State.FAILED] + counts[State.BOUNCED] + counts[State.EXPIRED]
    if failed:
        said.append(
            _(
                "It could not be delivered to %(members)s; you need do nothing.",
                members=about(failed),
            )
        )
    if counts[State.UNCERTAIN] or counts["resent"]:
        said.append(
            _(
                "For %(members)s the connection broke at the last moment: they may get it twice,"
                " or not at all.",
                members=about(counts[State.UNCERTAIN] + counts["resent"]),
            )
        )
    if counts[State.WITHDRAWN] + counts[State.SUPPRESSED]:
        said.append(_("Who left or paused in the meantime got nothing more."))
    return said


def progress(issue: Newsletter, standing: Standing, send_rate: int | None) -> str:
    """Say where an issue stands, and how long it will take."""
    if standing.state == "sending":
        left = _time_left(issue, standing, send_rate)
        return (
            _("On its way. It will take about %(minutes)s more minutes.", minutes=left)
            if left
            else _("On its way. It will be done in about a minute.")
        )
    said = {
        "draft": _("This is a draft. Nothing has been sent."),
        "scheduled": _("Released. Nothing has left yet: you can still undo it."),
        "held": _("Its time passed while the site was down, so it was not sent. What now?"),
        "paused": _("Paused. Nothing more is sent until you go on."),
        "stopped": _("Stopped. What had not left was not sent."),
        "sent": _("Done."),
    }
    return said[standing.state]


def _time_left(issue: Newsletter, standing: Standing, send_rate: int | None) -> int:
    """Estimate the minutes that an issue still takes; 0 for less than two."""
    left = round((1 - standing.share) * standing.counts["recipients"])
    if send_rate:
        return left // send_rate if left > 2 * send_rate else 0
    if issue.queued_at is None or standing.share <= 0:
        return 0
    spent = now() - issue.queued_at
    rest = spent * (1 / standing.share - 1)
    return rest // timedelta(minutes=1) if rest > timedelta(minutes=2) else 0
