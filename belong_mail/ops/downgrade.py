"""Undo steps of the schema, where nothing that protects people or that waits is lost by it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alembic.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import Connection, Engine, bindparam, text

from belong_mail.ops import schema
from belong_mail.ops.metrics import UNREADABLE

WAITING = (
    "SELECT count(*) FROM deliveries WHERE kind IN :kinds"
    " AND (state = 'sending' OR (state IN ('queued', 'deferred', 'uncertain')"
    " AND due_at IS NOT NULL))"
)
# Sealed in the form of this version; those that cannot be read anyway do not count.
UNREAD = f"SELECT count(*) FROM requests WHERE failures < {UNREADABLE}"  # noqa: S608 - a number


class CannotGoBack(Exception):
    """Says why a step is not undone; nothing was changed."""


class NoSuchStep(Exception):
    """Says that the step to go back to is not an earlier one."""


@dataclass(frozen=True, slots=True)
class WayBack:
    """Steps that would be undone, the newest first, and the step that the database is at then."""

    steps: list[Script]
    target: str

    @property
    def losses(self) -> list[str]:
        """Say what is lost, a line for each step that loses something."""
        return [f"{step.revision}: {step.module.loses}" for step in self.steps if step.module.loses]


def way_back(engine: Engine, target: str | None) -> WayBack:
    """Look which steps lie between here and a step, by default the one before this.

    Raises NoSuchStep, and CannotGoBack.
    """
    with engine.connect() as connection:
        steps = _between(connection, target)
        require_clear(connection, steps)
    return WayBack(steps, str(steps[-1].down_revision))


def go_back(engine: Engine, way: WayBack) -> None:
    """Undo the steps, in one transaction, in which nothing stands in the way of one of them."""
    schema.downgrade(engine, way.target, lambda reader: require_clear(reader, way.steps))


def _between(connection: Connection, target: str | None) -> list[Script]:
    here = MigrationContext.configure(connection).get_current_revision()
    known = schema.steps()
    names = [step.revision for step in known]
    if here not in names:
        raise CannotGoBack(schema.UNKNOWN if here else "The database has no schema yet.")
    below = known[names.index(here) :]
    if target is None:
        return below[:1]
    found = [step.revision for step in below]
    if target not in found[1:]:
        raise NoSuchStep(f"The database is at step {here}. Name an earlier one, like {names[-1]}.")
    return below[: found.index(target)]


def require_clear(connection: Connection, steps: Sequence[Script]) -> None:
    """Raise CannotGoBack for the first step that is never undone, or not now."""
    for step in steps:
        if reason := next(_obstacles(connection, step), ""):
            raise CannotGoBack(f"Step {step.revision} cannot be undone. {reason}")
    if unread := connection.scalar(text(UNREAD)):
        raise CannotGoBack(
            f"Requests that no worker has read: {unread}. An older version may not be able to."
            " Stop the web, and run `worker --drain` first."
        )


def _obstacles(connection: Connection, step: Script) -> Iterator[str]:
    """Say what the step itself says, and whether email waits that the one before cannot write."""
    if reason := getattr(step.module, "one_way", ""):
        yield reason
    look = getattr(step.module, "obstacle", None)
    if reason := look(connection) if look else "":
        yield reason
    counted = text(WAITING).bindparams(bindparam("kinds", expanding=True))
    kinds = list(getattr(step.module, "brings", ()))
    if kinds and (waiting := connection.scalar(counted, {"kinds": kinds})):
        yield (
            f"Email of kinds that the version before does not know: {waiting}. Run"
            " `worker --drain` first, so that none is lost."
        )
