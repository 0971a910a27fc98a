"""The container image: what its build is given, whom it runs as, and what it installs."""

from fnmatch import fnmatch
from pathlib import Path

import pytest

from belong_mail.ops.launcher import INTERPRETER_OPTIONS
from tests.deploy import dockerfile
from tests.processes import ROOT

FILE = ROOT / "deploy" / "Dockerfile"
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()
WEB = "10001:10000"


def is_given(name: str) -> bool:
    """Decide as .dockerignore does: the last line that fits a file, or a folder of it, counts."""
    given = True
    places = [name, *(str(each) for each in Path(name).parents if each != Path())]
    for line in IGNORED:
        pattern = line.removeprefix("!").removeprefix("**/").rstrip("/")
        anywhere = line.startswith("**/")
        fits = [Path(each).name if anywhere else each for each in places]
        if line and not line.startswith("#") and any(fnmatch(each, pattern) for each in fits):
            given = line.startswith("!")
    return given


def test_nothing_secret_is_given_to_the_build():
    kept_back = (".env", "var/keys/private", "var/belong.db", ".git/config", "keys/index")
    assert [name for name in kept_back if is_given(name)] == []
    needed = ("belong_mail/app.py", "emails/parts/layout.txt", "requirements/run.txt", "wsgi.py")
    assert [name for name in needed if not is_given(name)] == []
    for stage in dockerfile.read(FILE):
        for instruction, what in stage.steps:
            if instruction == "COPY" and "--from=" not in what:
                *sources, _ = what.split()
                assert all(
                    is_given(each.rstrip("/")) and (ROOT / each).exists() for each in sources
                )
            assert instruction not in {"ADD", "ARG"}
        assert not [name for name in stage.environment() if "KEYS" in name or "PASSWORD" in name]


def test_the_image_runs_as_nobody_in_particular_and_installs_by_hash_alone():
    build, final = dockerfile.read(FILE)
    assert final.last("USER") == WEB
    assert build.image == final.image
    installs = [what for name, what in build.steps if name == "RUN" and "pip install" in what]
    assert installs
    for what in installs:
        assert "--require-hashes" in what or "--no-index --no-deps" in what


@pytest.mark.parametrize(
    "file",
    ["deploy/Dockerfile", "docs/operators/install.md", "belong_mail/ops/upgrade_command.py"],
)
def test_installed_code_is_compiled_with_the_workers_interpreter_options(file):
    """Its units and the image let it write no compiled file."""
    assert f"{' '.join(INTERPRETER_OPTIONS)} -m compileall -q" in (ROOT / file).read_text()
