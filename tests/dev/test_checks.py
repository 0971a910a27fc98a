"""`dev.py lint`, `test`, `bench`, `docs` and `lock`."""

import re
import subprocess
import tomllib

import pytest

from tests.dev.checkout import ROOT, Checkout

LOCKS = {name: ROOT / "requirements" / f"{name}.txt" for name in ("run", "build", "test")}
A_UV = """
echo "$@" >> var/uv-was-told
for last in "$@"; do :; done
[ "$UV_FAILS_AT" = "$last" ] && echo No solution found && exit 1
echo "# renewed" >> "$last"
"""


def test_every_check_has_its_say_even_when_one_complains(ready: Checkout) -> None:
    answer = ready.dev("lint", STAND_IN_COMPLAINS="mypy djlint")
    assert answer.returncode == 1
    assert "mypy speaks" in answer.stdout
    assert "djlint templates emails --lint speaks" in answer.stdout
    assert answer.stdout.endswith("Not clean: mypy, djlint.\n")


@pytest.mark.parametrize("name", ["ruff", "mypy", "lint-imports", "djlint"])
def test_no_check_complains_in_vain(ready: Checkout, name: str) -> None:
    assert ready.dev("lint", STAND_IN_COMPLAINS=name).returncode == 1


def test_checks_that_have_nothing_to_say_are_quiet(ready: Checkout) -> None:
    answer = ready.dev("lint")
    assert (answer.returncode, answer.stdout) == (0, "Clean.\n")


def test_the_whole_suite_begins_with_the_checks_and_ends_with_pytest(ready: Checkout) -> None:
    answer = ready.dev("test", STAND_IN_PYTEST="5")
    assert answer.returncode == 5
    first, last = answer.stdout.splitlines()
    assert first == "Clean."
    assert last.startswith("pytest -n auto of")


def test_the_night_begins_with_the_checks_too(ready: Checkout) -> None:
    first, last = ready.dev("test", "--night").stdout.splitlines()
    assert first == "Clean."
    assert last.startswith("pytest -n auto --night of")


def test_where_a_check_complains_the_suite_is_not_run(ready: Checkout) -> None:
    answer = ready.dev("test", STAND_IN_COMPLAINS="lint-imports")
    assert answer.returncode == 1
    assert "pytest" not in answer.stdout


def test_arguments_go_to_pytest_as_they_are(ready: Checkout) -> None:
    answer = ready.dev("test", "-k", "a or b", "--help", STAND_IN_COMPLAINS="mypy")
    assert answer.returncode == 0
    assert answer.stdout.startswith("pytest -k a or b --help of")


def test_benchmarks_are_listed_and_run_by_name(ready: Checkout) -> None:
    folder = ready.root / "tests" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pace.py").write_text("import sys, requirements\nprint('paced')\nsys.exit(7)\n")
    (folder / "_shared.py").touch()
    (folder / "test_pace.py").touch()
    assert ready.dev("bench").stdout == "Benchmarks: pace.\n"
    assert ready.dev("bench", "pace").returncode == 7
    unknown = ready.dev("bench", "../../dev")
    assert (unknown.returncode, unknown.stdout) == (2, "Benchmarks: pace.\n")


def test_arguments_go_to_a_benchmark_as_they_are(ready: Checkout) -> None:
    folder = ready.root / "tests" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pace.py").write_text("import sys\nprint(sys.argv[1:])\n")
    assert ready.dev("bench", "pace", "--rounds", "2", "--help").stdout == (
        "['--rounds', '2', '--help']\n"
    )


def test_settings_are_written_down_by_config_itself(ready: Checkout) -> None:
    (ready.root / "config.py").write_text(
        "import sys, requirements\nprint('written')\nsys.exit(7)\n"
    )
    answer = ready.dev("docs")
    assert (answer.returncode, answer.stdout) == (7, "written\n")


@pytest.mark.parametrize("arguments", [(), ("serve",), ("lint", "more"), ("run", "--open")])
def test_wrong_use_is_told(checkout: Checkout, arguments: tuple[str, ...]) -> None:
    answer = checkout.dev(*arguments)
    assert answer.returncode == 2
    assert answer.stdout.startswith("usage: dev.py")


def test_all_locks_are_renewed_from_what_they_are(checkout: Checkout) -> None:
    before = locks_of(checkout)
    assert renew(checkout).returncode == 0
    assert locks_of(checkout) == {name: f"{before[name]}# renewed\n" for name in LOCKS}
    told = (checkout.root / "var" / "uv-was-told").read_text().splitlines()
    assert all("--universal --generate-hashes" in line for line in told)
    assert [line.rpartition("/")[2] for line in told] == ["run.txt", "build.txt", "test.txt"]


def test_a_lock_that_cannot_be_solved_is_told(checkout: Checkout) -> None:
    answer = renew(checkout, UV_FAILS_AT="requirements/build.txt")
    assert answer.returncode == 1
    assert "No solution found" in answer.stdout
    assert "requirements/build.txt could not be renewed." in answer.stdout


def renew(checkout: Checkout, **env: str) -> subprocess.CompletedProcess[str]:
    uv = checkout.root / "var" / "uv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text(f"#!/bin/sh\n{A_UV}")
    uv.chmod(0o755)
    return checkout.dev("lock", **env)


def locks_of(checkout: Checkout) -> dict[str, str]:
    return {name: (checkout.root / "requirements" / f"{name}.txt").read_text() for name in LOCKS}


def test_our_locks_name_no_index_and_hold_what_runs() -> None:
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
