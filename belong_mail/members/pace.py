"""Space out what takes long, so that it takes a small share of the time however much there is."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Pace:
    """Remembers how long each thing took; none takes more than a hundredth of the time."""

    # Seconds of rest for each second that something took; chores rest for a minute anyway.
    REST, CHORES_REST = 99, 60.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due_at: dict[int, float] = {}

    def is_due(self, key: int) -> bool:
        return self._clock() >= self._due_at.get(key, 0.0)

    @contextmanager
    def measured(self, key: int) -> Iterator[None]:
        """Measure something, and let it rest."""
        began = self._clock()
        yield
        ended = self._clock()
        self._due_at[key] = ended + self.REST * (ended - began) - self.CHORES_REST
