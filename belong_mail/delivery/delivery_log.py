"""Log results of deliveries once a minute: failures one by one, and the totals by state."""

import logging
import time
from collections import Counter
from collections.abc import Collection
from typing import Final

from belong_mail.core import logs
from belong_mail.delivery.models import State
from belong_mail.delivery.outcomes import Outcome

MINUTE_SECONDS: Final = 60.0
# Failures logged one by one in a minute; the others are only counted.
MAX_LINES: Final = 20
NO_FAILURES: Final = (State.ACCEPTED, None)

log = logging.getLogger(__name__)


class DeliveryLog:
    """Counts results that are stored."""

    def __init__(self) -> None:
        self._counts = Counter[State | None]()
        self._lines = 0
        self._told_at = time.monotonic()

    def note(self, results: Collection[tuple[int, Outcome]]) -> None:
        """Count results; log a failure with delivery id, reply code and known phrase."""
        self._counts.update(outcome.state for _, outcome in results)
        for delivery_id, outcome in results:
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
            said = {state or "given_back": number for state, number in self._counts.items()}
            logs.event(log, logging.INFO, "deliveries", **said)
        self._counts.clear()
        self._lines, self._told_at = 0, time.monotonic()
