"""Two workers who do the same at the same moment."""

import threading
from collections.abc import Callable

from sqlalchemy.orm import Session


def do_twice_at_once(services, act: Callable[[Session], object]) -> None:
    """Begin a second transaction before the first is done, and end both; raise what either met."""
    failures: list[BaseException] = []

    def second() -> None:
        try:
            with services.writing.begin() as session:
                act(session)
        except BaseException as error:  # noqa: BLE001 - raised by the main thread
            failures.append(error)

    other = threading.Thread(target=second)
    with services.writing.begin() as session:
        act(session)
        session.flush()
        other.start()
        other.join(timeout=0.5)  # whoever has to wait for the first does so now
    other.join()
    for failure in failures:
        raise failure
