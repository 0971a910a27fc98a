"""Two transactions of PostgreSQL, statement by statement, in every order or in many."""

import random
import threading
import time
from collections.abc import Callable
from itertools import combinations
from math import comb
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

Actor = Callable[[Session], object]
SECONDS = 20
# Between looks whether an actor that does not come waits for a lock.
LOOK_SECONDS = 0.005
IS_BLOCKED = "SELECT cardinality(pg_blocking_pids(%s)) > 0"


class Gate:
    """Where one actor waits before each statement and before its commit, until it may go on."""

    def __init__(self) -> None:
        self._may_go, self._has_come = threading.Semaphore(0), threading.Event()
        self.backend = self.arrivals = 0
        self.is_over = self.is_open = False

    def arrive(self, backend: int) -> None:
        self.backend = backend
        self.arrivals += 1
        if not self.is_open:
            self._has_come.set()
            assert self._may_go.acquire(timeout=SECONDS)

    def end(self) -> None:
        self.is_over = True
        self._has_come.set()

    def has_come(self, seconds: float) -> bool:
        """Wait so long at most; tell whether the actor is at the gate, or has ended."""
        return self._has_come.wait(seconds)

    def let_through(self) -> None:
        if not self.is_over:
            self._has_come.clear()
            self._may_go.release()

    def open(self) -> None:
        self.is_open = True
        self._may_go.release()


GATES: dict[int, Gate] = {}


class GatedCursor(psycopg.Cursor[Any]):
    """A cursor that waits at its thread's gate before each statement."""

    def execute(self, *arguments: Any, **options: Any) -> "GatedCursor":
        _arrive(self.connection.info.backend_pid)
        super().execute(*arguments, **options)
        return self


class GatedDatabase:
    """Connections whose statements take turns, to one PostgreSQL database."""

    def __init__(self, url: str, most_orders: int) -> None:
        self.most_orders = most_orders
        self._engine = create_engine(url, connect_args={"cursor_factory": GatedCursor})
        event.listen(self._engine, "commit", _arrive_to_commit)
        self.sessions = sessionmaker(self._engine, expire_on_commit=False)
        plain: Engine = create_engine(url, isolation_level="AUTOCOMMIT")
        self._watching, self._plain = plain.connect(), plain

    def close(self) -> None:
        self._watching.close()
        self._plain.dispose()
        self._engine.dispose()

    def count(self, actor: Actor) -> int:
        """Run an actor alone, take it back, and return how many statements and commits it makes."""
        gate = Gate()
        gate.is_open = True
        GATES[threading.get_ident()] = gate
        try:
            with self.sessions() as session:
                actor(session)
                session.flush()
                session.rollback()
        finally:
            del GATES[threading.get_ident()]
        return gate.arrivals + 1

    def run(self, actors: tuple[Actor, Actor], order: tuple[int, ...]) -> list[BaseException]:
        """Run two actors' transactions: 0 and 1 in the order name whose statement comes next.

        One that is held up by the other's lock goes on as soon as it can. Returned is what was
        raised.
        """
        raised: list[BaseException] = []
        gates = [Gate(), Gate()]
        threads = [
            threading.Thread(target=self._act, args=(actor, gate, raised))
            for actor, gate in zip(actors, gates, strict=True)
        ]
        for thread, gate in zip(threads, gates, strict=True):
            thread.start()
            self._wait(gate)
        for turn in order:
            if self._wait(gates[turn]):
                gates[turn].let_through()
                self._wait(gates[turn])
        for gate in gates:
            gate.open()
        for thread in threads:
            thread.join(SECONDS)
            assert not thread.is_alive(), "an actor never ended"
        return raised

    def _act(self, actor: Actor, gate: Gate, raised: list[BaseException]) -> None:
        GATES[threading.get_ident()] = gate
        try:
            with self.sessions.begin() as session:
                actor(session)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)
        finally:
            del GATES[threading.get_ident()]
            gate.end()

    def _wait(self, gate: Gate) -> bool:
        """Wait until an actor is at its gate, and tell so; False: the other's lock holds it up."""
        until = time.monotonic() + SECONDS
        while not gate.has_come(LOOK_SECONDS):
            assert time.monotonic() < until, "an actor neither came nor waits for a lock"
            driver: Any = self._watching.connection.driver_connection
            if gate.backend and driver.execute(IS_BLOCKED, (gate.backend,)).fetchone()[0]:
                return False
        return True


def orders(first: int, second: int, most: int) -> list[tuple[int, ...]]:
    """Return the orders of so many statements of one and of another.

    Where there are more than `most`, some are chosen; one after the other is always among them.
    """
    steps = first + second
    if comb(steps, first) <= most:
        chosen = list(combinations(range(steps), first))
    else:
        chance = random.Random(steps)
        chosen = [tuple(range(first)), tuple(range(second, steps))]
        chosen += [tuple(chance.sample(range(steps), first)) for _ in range(most - 2)]
    return [tuple(0 if step in turns else 1 for step in range(steps)) for turns in chosen]


def _arrive(backend: int) -> None:
    gate = GATES.get(threading.get_ident())
    if gate is not None:
        gate.arrive(backend)


def _arrive_to_commit(connection: Any) -> None:
    _arrive(connection.connection.driver_connection.info.backend_pid)
