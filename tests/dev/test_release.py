"""Files for a release and a host of repositories: licenses, forms, manners."""

import re
import subprocess
import tomllib
from datetime import date

from tests.dev.checkout import ROOT
from tests.dev.licenses import FILE, license_of, packages, page

# They allow any use. LGPL: of a library that whoever runs it can replace, as pip lets them.
FITTING = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LGPL-3.0-only", "MIT", "MIT-0", "MIT-CMU",
    "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib",
}  # fmt: skip

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_version_stands_in_one_place():
    """Elsewhere it is read from there, or says what was released when."""
    places = [":!CHANGELOG.md", ":!requirements", ":!SECURITY.md", ":!docs", ":!tests"]
    found = subprocess.run(
        ["git", "grep", "-lwF", f'"{VERSION}"', "--", *places],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert found.stdout.splitlines() == ["pyproject.toml"]


def test_licenses_of_all_that_runs_are_listed_and_allow_any_use():
    assert FILE.read_text() == page(), "python -m tests.dev.licenses writes it anew"
    for package in packages():
        assert set(re.split(r" (?:AND|OR) ", license_of(package))) <= FITTING, package


def test_every_file_keeps_the_editors_rules():
    """UTF-8, LF, a newline at the end, no blanks before one, as .editorconfig says."""
    rules = (ROOT / ".editorconfig").read_text()
    assert {"charset = utf-8", "end_of_line = lf", "insert_final_newline = true"} <= {
        *rules.splitlines()
    }
    listed = subprocess.run(
        ["git", "ls-files", "-z", ".ci", ".github", "deploy", "docs/*.md", "*.toml", "*.yaml"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert len(files) > 40
    for file in files:
        text = file.read_bytes().decode()
        assert text.endswith("\n"), file
        assert "\r" not in text, file
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), file


def test_the_changelog_has_one_line_a_change_under_the_usual_headings():
    """Keep a Changelog 1.1.0."""
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", text, re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert len(versions) == len(re.findall(r"^## ", text, re.MULTILINE))
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert versions[1] == VERSION
    dated = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", text, re.MULTILINE)
    assert [name for name, _ in dated] == versions[1:]
    assert all(date.fromisoformat(day) for _, day in dated)
