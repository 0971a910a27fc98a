"""Delivery takes nothing but what a gate gave, and no newsletter passes by a gate of another."""

from typing import TYPE_CHECKING

import pytest

from belong_mail.core.db import now
from belong_mail.delivery.mailer import Email, _AutomaticMessage
from belong_mail.delivery.models import Delivery
from belong_mail.mail.message.headers import InvalidMessage
from belong_mail.mail.message.mime import Copy, GatedMessage
from belong_mail.mail.smtp.protocol import OutgoingMessage
from belong_mail.newsletters.checklist import FitMessage
from belong_mail.newsletters.issue_mailer import IssueTemplate
from tests.emails.given import contexts
from tests.markers import on_sqlite
from tests.processes import ROOT

if TYPE_CHECKING:
    # Each is a way around a gate that mypy refuses: where it does not, it calls `ignore` unused.
    class _Unasked(FitMessage): ...  # type: ignore[misc]

    class _Anything(_AutomaticMessage): ...  # type: ignore[misc]

    class _Loose(Copy): ...  # type: ignore[misc]

    class _Gateless(GatedMessage): ...

    def _exchange(fit: FitMessage, copy: Copy, sent: OutgoingMessage, issue: IssueTemplate) -> None:
        _Gateless(fit.template)  # type: ignore[abstract]
        OutgoingMessage(1, fit)  # type: ignore[arg-type]
        fit.template = fit.template  # type: ignore[misc]
        fit.fill = fit.fill  # type: ignore[misc]
        fit.end = b""  # type: ignore[misc]
        fit.is_verified = True  # type: ignore[misc]
        copy.return_path = ""  # type: ignore[misc]
        copy.recipient = ""  # type: ignore[misc]
        copy.message = b""  # type: ignore[misc]
        copy.end = b""  # type: ignore[misc]
        copy.is_verified = True  # type: ignore[misc]
        sent.copy = copy  # type: ignore[misc]
        issue.message = fit  # type: ignore[misc]


def test_there_are_two_gates():
    """No other module names what they give, not even one that is rarely loaded."""
    sources = (ROOT / "belong_mail").rglob("*.py")
    named = {each.stem for each in sources if "GatedMessage" in each.read_text()}
    assert named == {"mime", "mailer", "checklist"}
    gates = [each for each in GatedMessage.__subclasses__() if "tests" not in each.__module__]
    assert gates == [_AutomaticMessage, FitMessage]


@on_sqlite
def test_no_newsletter_leaves_as_an_automatic_email(worker):
    [context, *_] = contexts()["newsletter"]
    delivery = Delivery(id=1, kind="newsletter", created_at=now())
    with pytest.raises(InvalidMessage):
        worker._mailer.write(delivery, Email("ada@dpsk12.org", "en", context))
