"""`dev.py lint`, `test` and `bench`."""

import ast
import re
import subprocess
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


def test_arguments_go_to_pytest_and_to_a_benchmark_as_they_are(ready):
    answer = ready.dev("test", "-k", "a or b", "--help", STAND_IN_COMPLAINS="mypy")
    assert answer.returncode == 0
    assert answer.stdout.startswith("pytest -k a or b --help of")
    folder = ready.root / "tests" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pace.py").write_text("import sys\nprint(sys.argv[1:])\nsys.exit(7)\n")
    paced = ready.dev("bench", "pace", "--rounds", "--help")
    assert (paced.returncode, paced.stdout) == (7, "['--rounds', '--help']\n")


def test_wrong_use_and_an_older_python_are_told(checkout):
    for arguments in ((), ("serve",), ("lint", "more"), ("run", "--open")):
        answer = checkout.dev(*arguments)
        assert (answer.returncode, answer.stdout[:13]) == (2, "usage: dev.py")
    ast.parse((ROOT / "dev.py").read_text(), feature_version=(3, 7))
    older = "import runpy, sys; sys.version, sys.version_info = '3.8.2 (old)', (3, 8, 2)\n"
    code = f"{older}runpy.run_path({str(checkout.root / 'dev.py')!r}, run_name='__main__')"
    told = subprocess.run([checkout.python, "-c", code], capture_output=True, check=False)
    assert told.stderr == b"Belong Mail needs Python 3.11 or newer; this is 3.8.2.\n"


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
