"""`.ci/run` on a machine that lacks programs; `.ci/audit`, the workflows, releases."""

import json
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dev.checkout import ROOT

# Without one of these, something would be left untested.
PROGRAMS = ("chromium", "firefox-esr", "WebKitWebDriver", "Xvfb", "nginx", "dovecot", "ip",
            "systemd-analyze", "gcc", "strace", "valgrind")  # fmt: skip
REQUIRED = (
    "$REQUIRE_BROWSER$REQUIRE_NGINX$REQUIRE_NETWORK$REQUIRE_DOVECOT"
    "$REQUIRE_RELAYS$REQUIRE_SYSTEMD$REQUIRE_DEPLOY"
)
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
DEV_PY = f'echo "{REQUIRED} $CI $@"'
COMMIT = "0123abc"


def ci(folder: Path, *arguments: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """Run it where every program is a few lines of shell."""
    ours = {"python3": DEV_PY, "git": f"echo {COMMIT}"}
    for name, script in {**ours, **programs}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    (folder / "dirname").symlink_to(shutil.which("dirname") or "dirname")
    command = [shutil.which("bash") or "bash", str(ROOT / ".ci" / "run"), *arguments]
    env = {"PATH": str(folder)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


SAID_BEFORE = (
    "chromium\nfirefox-esr\nnginx\ndovecot\nip\nsystemd-analyze\ngcc\nstrace\nvalgrind\n"
    "1111111 true -m tests.relays fetch\n1111111 true -m tests.deploy\n"
)
BY_DAY = f"1111111 true dev.py test\n1111111 true dev.py test -n auto --night-slice {COMMIT}\n"


@pytest.mark.parametrize(
    ("asked", "runs"), [((), BY_DAY), (("--night",), "1111111 true dev.py test --night\n")]
)
def test_it_runs_what_a_change_must_pass_and_a_slice_of_the_night_or_all_of_it(
    asked, runs, tmp_path
):
    answer = ci(tmp_path, *asked, **{name: f"echo {name}" for name in PROGRAMS})
    assert (answer.returncode, answer.stdout) == (0, f"{SAID_BEFORE}{runs}")


@pytest.mark.parametrize("red", ["dev.py test", "dev.py test -n auto --night-slice 0123abc"])
def test_ci_fails_if_the_tests_or_the_slice_of_the_night_fail(tmp_path, red):
    python3 = f'[ "$*" != "{red}" ]'
    assert ci(tmp_path, **dict.fromkeys(PROGRAMS, "true"), python3=python3).returncode == 1


@pytest.mark.parametrize("missing", PROGRAMS)
def test_ci_fails_if_any_of_the_programs_is_missing(tmp_path, missing):
    there = dict.fromkeys({*PROGRAMS} - {missing}, "true")
    answer = ci(tmp_path, **{"apt-get": "true", **there})
    assert answer.returncode != 0
    assert "dev.py test" not in answer.stdout


LOCK = (ROOT / "requirements/run.txt").read_text()
PINNED = dict(re.findall(r"^([\w.-]+)==([\w.]+)", LOCK, re.MULTILINE))
LISTS = 'case "$*" in *" -o var/sbom.json requirements/run.txt") cp listed var/sbom.json; esac'


def answering(*skipped: str, code: int = 0) -> str:
    """Return a script that answers about each package that runs but the ones it skips."""
    known = [
        {"name": name, "skip_reason": "not found"} if name in skipped else {"name": name}
        for name in PINNED
    ]
    return f"echo '{json.dumps({'dependencies': known})}' > var/audit.json; exit {code}"


def bill_of_materials(*left_out: str, version: str = VERSION) -> str:
    """Return what cyclonedx-py writes, as far as it is looked at."""
    listed = [{"name": n, "version": v} for n, v in PINNED.items() if n not in left_out]
    about = {"component": {"name": "belong-mail", "version": version}}
    return json.dumps({"bomFormat": "CycloneDX", "metadata": about, "components": listed})


@pytest.mark.parametrize(
    ("answer", "listed", "said"),
    [
        (answering(), bill_of_materials(), f"packages of belong-mail {VERSION}."),
        (answering("flask"), bill_of_materials(), "not about all"),
        (answering(code=1), bill_of_materials(), ""),
        (answering(), bill_of_materials("flask"), "not all"),
        (answering(), bill_of_materials(version="0.9"), "another version"),
    ],
    ids=["well", "one not asked about", "a hole", "one not listed", "another version"],
)
def test_an_audit_asks_about_every_package_that_runs_and_lists_them(answer, listed, said, tmp_path):
    for name in (".ci", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "listed").write_text(listed)
    for name, script in {"pip-audit": answer, "cyclonedx-py": LISTS}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    ended = subprocess.run(
        [str(tmp_path / ".ci" / "audit")], env={"PATH": f"{tmp_path}:/usr/local/bin:/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode == 0) is (VERSION in said), ended.stderr
    assert said in ended.stdout + ended.stderr


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_the_workflows_try_every_python_from_the_oldest_and_run_what_is_there():
    jobs = read(".github/workflows/test.yml")["jobs"]
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert jobs["suite"]["strategy"]["matrix"]["python"][0] == oldest.removeprefix(">=")
    steps = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert {".ci/run", ".ci/audit", "python3 dev.py lint"} <= set(steps)
    [night] = read(".github/workflows/night.yml")["jobs"].values()
    assert night["steps"][-1]["run"] == ".ci/run --night"
    for name in (".ci/run", ".ci/audit"):
        assert (ROOT / name).stat().st_mode & 0o111


def test_a_tag_releases_what_passes_the_suite_by_a_job_that_runs_nothing_that_was_fetched():
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

    assert workflow["permissions"] == {"contents": "read"}
    assert [job for job in workflow["jobs"].values() if "permissions" in job] == [release]
    assert not any("checkout" in step.get("uses", "") for step in release["steps"])
    runs = [step["run"] for step in release["steps"] if "run" in step]
    assert [run.split()[:2] for run in runs] == [["gh", "release"]]
    [checkout] = [step for step in build["steps"] if "checkout" in step.get("uses", "")]
    assert checkout["with"]["persist-credentials"] is False


def test_the_words_of_a_release_are_the_changelogs_of_the_version_that_its_tag_names(tmp_path):
    (tmp_path / ".ci").mkdir()
    for name in (".ci/notes", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    changelog = tmp_path / "CHANGELOG.md"

    def notes(tag: str, unreleased: str = "") -> subprocess.CompletedProcess[str]:
        told = (ROOT / "CHANGELOG.md").read_text().partition(f"## [{VERSION}] - ")
        changelog.write_text(f"## [Unreleased]\n{unreleased}\n{''.join(told[1:])}")
        command = [tmp_path / ".ci" / "notes", tag]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    said = notes(f"v{VERSION}")
    assert said.returncode == 0, said.stderr
    assert "\n- " in said.stdout
    assert all(not line or line.startswith(("- ", "### ")) for line in said.stdout.splitlines())
    for tag in ("v0.0.1", VERSION, "v"):
        refused = notes(tag)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"is not v{VERSION}" in refused.stderr
    refused = notes(f"v{VERSION}", "\n- **Flyers** are new.\n")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "under Unreleased" in refused.stderr


# Older names of licenses, in the words of SPDX.
SPDX = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "DFSG approved": "Zlib",
    "The Unlicense (Unlicense)": "Unlicense",
}
# Those that bring the license's text alone.
UNNAMED = {"pyrage": "MIT"}
# They allow any use. LGPL: of a library that whoever runs it can replace, as pip lets them.
FITTING = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LGPL-3.0-only", "MIT", "MIT-0", "MIT-CMU",
    "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib",
}  # fmt: skip


def license_of(package: str) -> str:
    """Return the license as the package says it: by SPDX, else by its classifiers."""
    about = metadata(package)
    if "License-Expression" in about:
        return about["License-Expression"]
    said = [each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or ()]
    known = sorted(SPDX[each] for each in said if each in SPDX)
    return " AND ".join(known) or about["License"] or UNNAMED[package]


def test_licenses_of_all_that_runs_are_listed_and_allow_any_use():
    page = (ROOT / "docs" / "licenses.md").read_text()
    lines = re.findall(r"^- (.+?): (.+(?:\n  .+)*)", page, re.MULTILINE)
    listed = {name: said for said, names in lines for name in re.split(r",\s+", names)}
    assert listed == {package: license_of(package) for package in PINNED}
    for package, said in listed.items():
        assert set(re.split(r" (?:AND|OR) ", said)) <= FITTING, package
