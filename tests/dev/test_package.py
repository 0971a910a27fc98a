"""The package installs as a wheel, and `belong` works from any folder, far from a checkout."""

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from belong_mail.core.environment import NEWEST_REVISION
from belong_mail.ops import cli
from tests.markers import night
from tests.processes import ROOT

BUILD = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory")
TREES = ("templates", "emails", "translations", "belong_mail/migrations", "belong_mail/static")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the sources and unpack it, as pip does that installs it."""
    built, site = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("site")
    subprocess.run([*BUILD, str(built)], cwd=ROOT, check=True, capture_output=True)
    [file] = built.iterdir()
    with zipfile.ZipFile(file) as packed:
        packed.extractall(site)
    return site


@pytest.fixture
def metadata(wheel: Path) -> Distribution:
    [found] = distributions(path=[str(wheel)])
    return found


def belong(
    wheel: Path, folder: Path, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run what the script `belong` of an installed package runs."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(wheel), **settings}
    code = "from belong_mail.ops.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_wheel_holds_all_that_the_program_reads_and_puts_nothing_beside_its_package(wheel):
    """Files that git knows, no more: no leftover of a test, no key, no database."""
    for tree in TREES:
        listed = subprocess.run(
            ["git", "ls-files", "-z", tree], cwd=ROOT, check=True, capture_output=True, text=True
        )
        known = {Path(name) for name in listed.stdout.split("\0") if name}
        inside = tree if tree.startswith("belong_mail") else f"belong_mail/{tree}"
        there = {
            Path(tree, file.relative_to(wheel / inside))
            for file in (wheel / inside).rglob("*")
            if file.is_file()
        }
        assert there == known
        assert known
    # Another project's `config` or `work` would be found in place of ours, or ours in its.
    assert {each.name for each in wheel.iterdir() if each.suffix != ".dist-info"} == {"belong_mail"}


def test_the_script_is_named_belong_and_needs_what_the_project_needs(metadata):
    [script] = metadata.entry_points
    assert (script.group, script.name) == ("console_scripts", "belong")
    assert script.value == "belong_mail.ops.cli:main"
    assert any(each.startswith("flask<") for each in metadata.requires or ())


def test_help_version_and_setup_need_no_settings_and_leave_nothing(wheel, metadata, tmp_path):
    said = belong(wheel, tmp_path, "--help", BELONG_ENV="production")
    assert said.returncode == 0, said.stderr
    for title, entries in cli.SECTIONS.items():
        assert f"{title}:" in said.stdout
        assert all(f"\n  {name} " in said.stdout for name in entries)
    version = belong(wheel, tmp_path, "--version").stdout
    assert version == f"belong, version {metadata.version} (schema {NEWEST_REVISION})\n"
    refused = belong(wheel, tmp_path, "setup", "--yes")
    assert (refused.returncode, refused.stderr.startswith("Error: ")) == (1, True)
    assert list(tmp_path.iterdir()) == [], "no keys of development"


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a site in a folder."""
    folder = tmp_path_factory.mktemp("made")
    said = belong(wheel, folder, "db", "upgrade", "--seed", "dps")
    assert said.returncode == 0, said.stderr
    assert "The database is up to date." in said.stdout + said.stderr
    assert (folder / "var/belong.db").is_file()
    assert not (wheel / "var").exists()
    return folder


@night("installations")
def test_no_new_keys_are_made_beside_a_database_that_is_there(wheel, site, tmp_path):
    """As by someone who runs a command in another folder, without the settings of the site."""
    named = f"sqlite:///{site / 'var/belong.db'}"
    said = belong(wheel, tmp_path, "db", "upgrade", BELONG_DATABASE_URL=named)
    assert said.returncode == 1
    assert "new keys would open nothing in it" in said.stderr
    assert list(tmp_path.iterdir()) == []


@night("installations")
def test_pages_emails_and_pictures_are_made_from_the_wheel(wheel, site):
    code = """
import io, json
from PIL import Image
from wsgi import serve
from belong_mail.core.email_templates import EMAILS
from belong_mail.newsletters.confinement import reencode_image
file = io.BytesIO()
Image.new("RGB", (8, 4)).save(file, "PNG")
page = serve().test_client().get("/?lang=es").text
print(json.dumps([page, str(EMAILS), reencode_image(file.getvalue()).width]))
"""
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=site, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{wheel}:{wheel}/belong_mail/entry"},
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    page, emails, width = json.loads(said.stdout)
    assert 'lang="es"' in page
    assert "Grupos" in page
    assert Path(emails) == wheel / "belong_mail/emails"
    assert width == 8
