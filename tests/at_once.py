"""Trials that do little but wait, all at once."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor


def at_once(trials: Mapping[str, Callable[[], None]], most: int = 64) -> None:
    """Run trials, so many at a time, each in a thread; raise what failed, each with its name."""
    with ThreadPoolExecutor(min(len(trials), most)) as pool:
        begun = {name: pool.submit(trial) for name, trial in trials.items()}
    failed = []
    for name, trial in begun.items():
        if (error := trial.exception()) is not None:
            error.add_note(f"in the trial: {name}")
            failed.append(error)
    if failed:
        raise BaseExceptionGroup(f"{len(failed)} of {len(trials)} trials failed", failed)
