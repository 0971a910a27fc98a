"""Tests that wait for the night: tests marked `night`, and repeats on PostgreSQL without `on_both`.

The last lines say how many were left, and why. A test that is named by itself
(`tests/file.py::test_name`) runs at any time.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Generator
from zlib import crc32

import pytest

# A slice is a fifth of the night; one that takes too long on a slow machine ends by itself.
SLICES = 5
SLICE_SECONDS = 40 * 60
LEFT: Counter[str] = Counter()
STARTED = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("night")
    group.addoption("--night", action="store_true", help="run everything, also what is dear")
    group.addoption(
        "--night-slice",
        metavar="COMMIT",
        help="run a fifth of the night, picked by a commit's hash",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "night(why): too dear for each change")
    config.addinivalue_line("markers", "one_by_day(why, of): one case a value for each change")
    config.addinivalue_line("markers", "on_both(why): for each change on PostgreSQL, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not asked for, and count it by its reason."""
    commit: str | None = config.option.night_slice
    if config.option.night:
        return
    by_day = cases_by_day(items)
    chosen: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        why = "" if item in by_day else reason(item)
        if commit is not None:
            is_chosen = bool(why) and slice_of(item) == picked(commit)
        else:
            is_chosen = not why or is_named(item)
        (chosen if is_chosen else left).append(item)
        if why and not is_chosen:
            LEFT[why] += 1
    items[:] = chosen
    config.hook.pytest_deselected(items=left)


def reason(item: pytest.Item) -> str:
    """Say why a test waits for the night; an empty text if it does not."""
    if mark := item.get_closest_marker("night") or item.get_closest_marker("one_by_day"):
        return str(mark.args[0])
    return "repeats on PostgreSQL" if is_repeat(item) else ""


def cases_by_day(items: list[pytest.Item]) -> set[pytest.Item]:
    """Return of tests marked `one_by_day` one case for each value of the parameter `of`.

    The other parameters go through their values in turn.
    """
    tests: defaultdict[str, defaultdict[str, list[pytest.Item]]]
    tests = defaultdict(lambda: defaultdict(list))
    for item in items:
        mark = item.get_closest_marker("one_by_day")
        if mark and not is_repeat(item):
            value = parameters(item).get(mark.kwargs.get("of", ""))
            tests[item.nodeid.partition("[")[0]][repr(value)].append(item)
    return {
        cases[turn % len(cases)]
        for values in tests.values()
        for turn, cases in enumerate(values.values())
    }


def parameters(item: pytest.Item) -> dict[str, object]:
    return getattr(getattr(item, "callspec", None), "params", {})


def is_repeat(item: pytest.Item) -> bool:
    """Tell whether a fixture gives a test its second database, for which no `on_both` asks."""
    if item.get_closest_marker("on_both"):
        return False
    chosen = " ".join(str(mark.args[0]) for mark in item.iter_markers("parametrize"))
    values = parameters(item).items()
    return any(value == "postgresql" and name not in chosen for name, value in values)


def is_named(item: pytest.Item) -> bool:
    return any("::" in each and item.nodeid.startswith(each) for each in item.config.args)


def slice_of(item: pytest.Item) -> int:
    """Keep a file in one slice: its tests share what is dear to make."""
    return crc32(item.nodeid.partition("::")[0].encode()) % SLICES


def picked(commit: str) -> int:
    return int(commit[:12], 16) % SLICES


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Run one process more than there are cores: where two tests wait, a third one works."""
    return (yield) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.config.option.night_slice and time.monotonic() - STARTED > SLICE_SECONDS:
        pytest.skip("The slice of the night took its 40 minutes; this is left for another.")


@pytest.hookimpl
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that reports what this one left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left"] = dict(LEFT)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Hear of it from each process; all collect the same."""
    LEFT.update(getattr(node, "workeroutput", {}).get("left", {}) if not LEFT else {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    if config.option.night_slice is not None:
        number = picked(config.option.night_slice) + 1
        terminalreporter.write_line(f"Slice {number} of {SLICES} of the night, by the commit.")
    elif LEFT:
        parts = ", ".join(f"{number:,} {why}" for why, number in sorted(LEFT.items()))
        terminalreporter.write_line(f"Left for the night (dev.py test --night): {parts}.")
