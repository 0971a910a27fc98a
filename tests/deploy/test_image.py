"""The container image: its steps, done in bare Debian roots; then web and worker in the result."""

import os
import re
import shlex
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from belong_mail.core.encryption import KINDS, new_keys
from belong_mail.ops.launcher import INTERPRETER_OPTIONS
from tests.deploy import dockerfile
from tests.deploy.dockerfile import exec_form
from tests.deploy.programs import base, leave_out
from tests.markers import night
from tests.processes import ROOT

FILE = ROOT / "deploy" / "Dockerfile"
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()
SECONDS = 420
TRIED = ROOT / "tests" / "deploy" / "try_image.sh"
WEB = "10001:10000"
SETTINGS = {
    "BELONG_BASE_URL": "https://belong.example.org",
    "BELONG_DATABASE_URL": "sqlite:////var/lib/belong-mail/belong.db",
    "BELONG_STATE_FOLDER": "/var/lib/belong-worker",
    "BELONG_SMTP_URL": "smtp://127.0.0.1:25?tls=none",
    "BELONG_MAIL_DOMAIN": "example.org",
    "BELONG_PROXIES": "1",
    "BELONG_POSTAL_ADDRESS": "Denver",
    "BELONG_CONTACT_INBOX": "office@example.org",
}
OF_THE_MACHINE = {name: os.environ[name] for name in os.environ if name.startswith("PIP_")}
PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
pytestmark = pytest.mark.timeout(SECONDS + 60)


def context(folder: Path) -> Path:
    """Copy what Docker would be given: what git knows of, less what .dockerignore leaves out."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if is_given(name) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


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


def environment(final: dockerfile.Stage, root: Path, keys: Path) -> dict[str, str]:
    """Return what try_image.sh is told of the image, and of settings as compose.yml has them."""
    keys.mkdir()
    for name, key in new_keys().items():
        (keys / name).write_text(key)
    names = {f"BELONG_{name.upper()}_KEYS_FILE": f"/run/secrets/{name}" for name in KINDS}
    alone = {name for name in names if "PRIVATE" in name or "INDEX" in name}
    return {
        "ROOT": str(root),
        "SECRETS": str(keys),
        "SETTINGS": words({**final.environment(), **SETTINGS}),
        "OF_THE_WEB": words({name: names[name] for name in names.keys() - alone}),
        "OF_THE_WORKER": words({name: names[name] for name in alone}),
        "ENTRYPOINT": shlex.join(exec_form(final.last("ENTRYPOINT"))),
        "DEFAULT": shlex.join(exec_form(final.last("CMD"))),
        "HEALTH": shlex.join(exec_form(final.last("HEALTHCHECK"))),
    }


def words(settings: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items())


@night("installations")
def test_every_step_succeeds_and_the_image_serves_from_a_read_only_root(tmp_path):
    """The steps are done once, in namespaces that end with the script."""
    stages = dockerfile.read(FILE)
    if os.geteuid() != 0 or not all(base(stage.suite).exists() for stage in stages):
        leave_out("a bare Debian, as root")
    roots = tmp_path / "roots"
    roots.mkdir()
    steps = dockerfile.script(stages, context(tmp_path / "context"), roots)
    told = environment(stages[-1], roots / "final", tmp_path / "secrets")
    text = f"mount -t tmpfs tmpfs {roots}\n{steps}\nexec unshare --net sh {TRIED}"
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", text],
        env={**PATH, **OF_THE_MACHINE, **told}, stdin=subprocess.DEVNULL,
        check=False, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    said = dict(part.split("\n", 1) for part in done.stdout.split("## ")[1:])
    assert "belong, version " in said["version"]
    assert said["keys"].count("_KEYS=") == 4
    assert "The database is up to date." in said["upgrade"]
    assert said["health"].endswith("healthy\n")
    assert "Nothing is waiting." in said["drain"]
    assert "Read-only file system" in said["writable"]
    assert "Permission denied" in said["private"]
    [server] = re.findall(r"image: postgres:(\d+)", (ROOT / "deploy" / "compose.yml").read_text())
    assert f"pg_dump (PostgreSQL) {server}." in said["dump"], "it can copy our PostgreSQL"
    files = said["files"].splitlines()
    assert "/opt/belong-mail/.venv" in files
    assert not [file for file in files if file.startswith("/src") or "pip" in Path(file).name]


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
