"""`dev.py lint`, `test` and `bench`."""

import re
import tomllib

import pytest

from tests.dev.checkout import ROOT

LOCKS = {name: ROOT / "requirements" / f"{name}.txt" for name in ("run", "build", "test")}


def test_every_check_has_its_say_even_when_one_complains(ready):
    answer = ready.dev("lint", STAND_IN_COMPLAINS="mypy djlint")
    assert answer.returncode == 1
    assert "mypy speaks" in answer.stdout
    assert "djlint templates emails --lint speaks" in answer.stdout
    assert answer.stdout.endswith("Not clean: mypy, djlint.\n")
    quiet = ready.dev("lint")
    assert (quiet.returncode, quiet.stdout) == (0, "Clean.\n")


@pytest.mark.parametrize(("more", "words"), [((), ""), (("--night",), " --night")])
def test_the_whole_suite_and_the_night_begin_with_the_checks(ready, more, words):
    answer = ready.dev("test", *more, STAND_IN_PYTEST="5")
    assert answer.returncode == 5
    first, last = answer.stdout.splitlines()
    assert first == "Clean."
    assert last.startswith(f"pytest -n auto{words} of")


@pytest.mark.parametrize("check", ["lint-imports", "pytest"])
def test_where_a_check_complains_the_suite_is_not_run(ready, check):
    answer = ready.dev("test", STAND_IN_COMPLAINS=check)
    assert answer.returncode == 1
    assert "pytest -n auto" not in answer.stdout


def test_our_locks_name_no_index_and_hold_what_runs():
    pins = {
        name: set(re.findall(r"^\S+==[^\s;]+", file.read_text(), re.MULTILINE))
        for name, file in LOCKS.items()
    }
    assert pins["run"] < pins["test"]
    assert pins["build"] < pins["test"]
    backend = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert {each.partition(">")[0] for each in backend["requires"]} <= {
        each.partition("==")[0] for each in pins["build"]
    }
    for file in LOCKS.values():
        assert not re.search(r"^-|://|\s/", file.read_text(), re.MULTILINE)
