"""`.ci/run`: the one command, on a machine that gets the browser, proxy and tools it lacks."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dev.checkout import ROOT

# The package of each program that must be there.
PACKAGES = {
    "chromium": "chromium",
    "firefox-esr": "firefox-esr",
    "WebKitWebDriver": "webkit2gtk-driver",
    "Xvfb": "xvfb",
    "nginx": "nginx",
    "dovecot": "dovecot-imapd",
    "ip": "iproute2",
    "systemd-analyze": "systemd",
    "gcc": "gcc libc6-dev",
    "strace": "strace",
    "valgrind": "valgrind",
}
REQUIRED = (
    "$REQUIRE_BROWSER$REQUIRE_NGINX$REQUIRE_NETWORK$REQUIRE_DOVECOT"
    "$REQUIRE_RELAYS$REQUIRE_SYSTEMD$REQUIRE_DEPLOY"
)
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
DEV_PY = f'echo "{REQUIRED} $CI $@"'
COMMIT = "0123abc"
APT_THAT_FAILS_ONCE = """
echo "$@" >> "$LOG"
[ "$1" = update ] && exit
[ -e "$LOG.once" ] || { : > "$LOG.once"; exit 100; }
for each in chromium firefox-esr WebKitWebDriver Xvfb nginx dovecot ip \\
  systemd-analyze gcc strace valgrind; do
  [ -e "$(dirname "$LOG")/$each" ] || ln -s /bin/true "$(dirname "$LOG")/$each"
done
"""


def ci(folder: Path, *arguments: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """Run it where every program is a few lines of shell."""
    ours = {"python3": DEV_PY, "sleep": "true", "git": f"echo {COMMIT}"}
    for name, script in {**ours, **programs}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    for name in ("dirname", "ln"):
        (folder / name).symlink_to(shutil.which(name) or name)
    command = [shutil.which("bash") or "bash", str(ROOT / ".ci" / "run"), *arguments]
    env = {"PATH": str(folder), "LOG": str(folder / "log")}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


SAID_BEFORE = (
    "chromium\nfirefox-esr\nnginx\ndovecot\nip\nsystemd-analyze\ngcc\nstrace\nvalgrind\n"
    "1111111 true -m tests.relays fetch\n1111111 true -m tests.deploy\n"
)


def test_it_runs_what_a_change_must_pass_and_a_slice_of_the_night_picked_by_the_commit(tmp_path):
    answer = ci(tmp_path, **{name: f"echo {name}" for name in PACKAGES})
    assert answer.returncode == 0
    assert answer.stdout == (
        f"{SAID_BEFORE}1111111 true dev.py test\n"
        f"1111111 true dev.py test -n auto --night-slice {COMMIT}\n"
    )


def test_it_runs_a_whole_night(tmp_path):
    answer = ci(tmp_path, "--night", **{name: f"echo {name}" for name in PACKAGES})
    assert answer.returncode == 0
    assert answer.stdout == f"{SAID_BEFORE}1111111 true dev.py test --night\n"


@pytest.mark.parametrize("red", ["dev.py test", "dev.py test -n auto --night-slice 0123abc"])
def test_it_is_red_where_either_is(tmp_path, red):
    python3 = f'[ "$*" != "{red}" ]'
    assert ci(tmp_path, **dict.fromkeys(PACKAGES, "true"), python3=python3).returncode == 1


@pytest.mark.parametrize("there", [[], *([each] for each in PACKAGES)])
def test_it_installs_what_lacks_and_tries_twice(tmp_path, there):
    programs = {"apt-get": APT_THAT_FAILS_ONCE} | dict.fromkeys(there, "true")
    answer = ci(tmp_path, **programs)
    assert answer.returncode == 0, answer.stderr
    missing = " ".join(package for name, package in PACKAGES.items() if name not in there)
    install = f"install -qy --no-install-recommends {missing}"
    assert (tmp_path / "log").read_text().splitlines() == ["update -q", install] * 2


@pytest.mark.parametrize("missing", PACKAGES)
def test_it_does_not_pass_without_one_of_them(tmp_path, missing):
    there = dict.fromkeys(PACKAGES.keys() - {missing}, "true")
    answer = ci(tmp_path, **{"apt-get": "true", **there})
    assert answer.returncode != 0
    assert "dev.py test" not in answer.stdout


# ---- Known vulnerabilities ----


def audit(folder: Path, answer: str, sbom: str = "") -> subprocess.CompletedProcess[str]:
    """Run `.ci/audit` in a copy of the project, with programs that give these answers."""
    for name in (".ci", "requirements"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "listed").write_text(sbom or bill_of_materials())
    lists = 'echo listed "$@"; cp listed var/sbom.json'
    for name, script in {"pip-audit": answer, "cyclonedx-py": lists}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    path = f"{folder}:/usr/local/bin:/usr/bin:/bin"
    return subprocess.run(
        [str(folder / ".ci" / "audit")],
        env={"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def bill_of_materials(*left_out: str, version: str = "") -> str:
    """Return what cyclonedx-py writes, as far as it is looked at."""
    lock = (ROOT / "requirements/run.txt").read_text()
    pinned = re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE)
    return json.dumps(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "metadata": {"component": {"name": "belong-mail", "version": version or VERSION}},
            "components": [
                {"name": name, "version": number, "purl": f"pkg:pypi/{name}@{number}"}
                for name, number in pinned
                if name not in left_out
            ],
        }
    )


def answering(*skipped: str, code: int = 0) -> str:
    """Return a script that answers about each package that runs but the ones it skips."""
    lock = (ROOT / "requirements/run.txt").read_text()
    dependencies = [
        {"name": name, "skip_reason": "not found"} if name in skipped else {"name": name}
        for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)
    ]
    return f"echo '{json.dumps({'dependencies': dependencies})}' > var/audit.json; exit {code}"


def test_an_audit_asks_about_every_package_and_lists_them(tmp_path):
    said = audit(tmp_path, answering())
    assert said.returncode == 0, said.stderr
    assert "Asked about all " in said.stdout
    assert "-o var/sbom.json requirements/run.txt" in said.stdout
    assert re.search(
        rf"^Listed all \d+ packages of belong-mail {VERSION}\.$", said.stdout, re.MULTILINE
    )


@pytest.mark.parametrize(
    "sbom",
    [bill_of_materials("flask"), bill_of_materials(version="0.9"), bill_of_materials("belong")],
    ids=["incomplete", "of another version", "whole"],
)
def test_an_audit_fails_where_the_bill_of_materials_is_not_whole(sbom, tmp_path):
    is_whole = sbom == bill_of_materials()
    assert (audit(tmp_path, answering(), sbom).returncode == 0) is is_whole


@pytest.mark.parametrize("answer", [answering("flask"), answering(code=1)])
def test_an_audit_fails_that_leaves_one_out_or_finds_something(answer, tmp_path):
    said = audit(tmp_path, answer)
    assert said.returncode != 0
    assert "listed" not in said.stdout


# ---- What a host of repositories reads ----


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_the_workflow_tries_every_python_from_the_oldest_and_runs_what_is_there():
    jobs = read(".github/workflows/test.yml")["jobs"]
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert jobs["suite"]["strategy"]["matrix"]["python"][0] == oldest.removeprefix(">=")
    steps = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert {".ci/run", ".ci/audit", "python3 dev.py lint"} <= set(steps)
    [night] = read(".github/workflows/night.yml")["jobs"].values()
    assert night["steps"][-1]["run"] == ".ci/run --night"
    for name in (".ci/run", ".ci/audit"):
        assert (ROOT / name).stat().st_mode & 0o111


def test_a_tag_releases_what_passes_the_suite_with_its_words_and_its_bill_of_materials():
    workflow = read(".github/workflows/release.yml")
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads `on` as true
    assert workflow["jobs"]["suite"]["uses"] == "./.github/workflows/test.yml"
    assert "workflow_call" in read(".github/workflows/test.yml")[True]
    build, release = workflow["jobs"]["build"], workflow["jobs"]["release"]
    assert (build["needs"], release["needs"]) == ("suite", "build")
    steps = [step["run"] for step in build["steps"] if "run" in step]
    assert '.ci/notes "$GITHUB_REF_NAME"' in steps[0]
    assert ".ci/audit" in steps
    assert "release/wheel/*.whl release/sbom.json" in release["steps"][-1]["run"]


def test_what_may_write_a_release_runs_nothing_that_was_fetched_or_is_ours():
    workflow = read(".github/workflows/release.yml")
    assert workflow["permissions"] == {"contents": "read"}
    writers = [job for job in workflow["jobs"].values() if "permissions" in job]
    assert writers == [workflow["jobs"]["release"]]
    uses = [step.get("uses", "") for step in writers[0]["steps"]]
    runs = [step["run"] for step in writers[0]["steps"] if "run" in step]
    assert not any("checkout" in each for each in uses)
    assert [run.split()[:2] for run in runs] == [["gh", "release"]]
    [checkout] = [
        step for step in workflow["jobs"]["build"]["steps"] if "checkout" in step.get("uses", "")
    ]
    assert checkout["with"]["persist-credentials"] is False


def notes(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / ".ci" / "notes"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_words_of_a_release_are_the_changelogs():
    said = notes(f"v{VERSION}")
    assert said.returncode == 0, said.stderr
    assert "### Added" in said.stdout
    assert "## [" not in said.stdout
    assert all(not line or line.startswith(("- ", "### ")) for line in said.stdout.splitlines())


@pytest.mark.parametrize("tag", ["v0.0.1", VERSION, "v"])
def test_a_tag_that_is_not_the_version_is_refused(tag):
    said = notes(tag)
    assert (said.returncode, said.stdout) == (1, "")
    assert f"is not v{VERSION}" in said.stderr


def test_the_check_before_a_commit_is_the_projects_own():
    [repository] = read(".pre-commit-config.yaml")["repos"]
    [hook] = repository["hooks"]
    assert hook["entry"] == "python3 dev.py lint"
