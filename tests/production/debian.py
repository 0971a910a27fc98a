"""A bare Debian in a folder, in which commands run as on a machine of its own; it takes root."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.programs import RETRIES, base, leave_out
from tests.processes import ROOT

RELEASE = "trixie"
SECONDS = 400
SURROUNDINGS = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_RETRIES": "10",
    "PIP_CERT": "/srv/trusted.crt",
}
# Its processes end with the first of them, and its mounts with the last.
ENTER = """
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount -t tmpfs tmpfs "$1/media"
exec chroot "$1" sh -eux
"""
# How this machine finds names, and whom it trusts for https: that may be its own proxy.
RESOLVER, TRUSTED = "/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"


@contextmanager
def bare_debian() -> Iterator[Path]:
    """Make one, with nothing of ours but a repository of what stands here; remove it again."""
    if os.geteuid() != 0 or not base(RELEASE).exists():
        leave_out("a bare Debian, as root")
    with tempfile.TemporaryDirectory(prefix="belong-debian-") as name:
        root = Path(name) / "root"
        subprocess.run(["cp", "-a", base(RELEASE), root], check=True)
        (root / "etc/dpkg/dpkg.cfg.d/unsafe").write_text("force-unsafe-io\n")
        (root / "etc/apt/apt.conf.d/retries").write_text(f"{RETRIES}\n")
        policy = (
            root / "usr/sbin/policy-rc.d"
        )  # no package starts its service: these ports are ours
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        shutil.copy(RESOLVER, root / RESOLVER[1:])
        shutil.copy(TRUSTED, root / "srv/trusted.crt")
        _make_repository(root / "srv/belong")
        yield root


def run(root: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script as root of it, as a shell that ends at the first failure."""
    enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", ENTER, "sh"]
    return subprocess.run(
        [*enter, str(root)], input=script, env={**SURROUNDINGS, "SYSTEMD_OFFLINE": "1"},
        check=False, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip


def _make_repository(folder: Path) -> None:
    """Commit what stands in this checkout, also what is not committed here."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if not name.startswith("tests/") and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "All of it"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
