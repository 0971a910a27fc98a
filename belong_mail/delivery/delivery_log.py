"""Log results of deliveries once a minute: failures one by one, and the totals by state."""

import logging
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

from belong_mail.core import logs
from belong_mail.delivery.models import State
from belong_mail.delivery.outcomes import STALE, Outcome

MINUTE_SECONDS: Final = 60.0
# Failures logged one by one in a minute; the others are only counted.
MAX_LINES: Final = 20
GIVEN_BACK: Final = "given_back"
# A database, a relay or a processor is too slow; a check says the same.
MORE_GIVEN_BACK: Final = "More messages are claimed and given back than are sent"
NO_FAILURES: Final = (None, State.ACCEPTED)

log = logging.getLogger(__name__)


class DeliveryLog:
    """Counts results that are stored."""

    def __init__(self) -> None:
        self._counts = Counter[State | None]()
        self._lines = self._stale = 0
        self._told_at = time.monotonic()

    def note(self, results: Iterable[tuple[int, Outcome]]) -> None:
        """Count results; log a failure with delivery id, reply code and known phrase."""
        for delivery_id, outcome in results:
            self._counts[outcome.state] += 1
            self._stale += outcome is STALE
            if outcome.state in NO_FAILURES or self._lines >= MAX_LINES:
                continue
            self._lines += 1
            code = outcome.enhanced or outcome.code or ""
            said = {"delivery": delivery_id, "code": code, "reason": outcome.phrase}
            logs.event(log, logging.INFO, f"delivery {outcome.state}", **said)

    def tell(self, *, is_last: bool = False) -> None:
        """Log the totals once a minute, and when the worker ends."""
        if not is_last and time.monotonic() - self._told_at < MINUTE_SECONDS:
            return
        if self._counts:
            said = {state or GIVEN_BACK: number for state, number in self._counts.items()}
            logs.event(log, logging.INFO, "deliveries", **said)
        if self._stale > self._counts.total() - self._counts[None]:
            log.warning("%s. See “A slow database” in the operators’ guide.", MORE_GIVEN_BACK)
        self._counts.clear()
        self._lines, self._stale, self._told_at = 0, 0, time.monotonic()
