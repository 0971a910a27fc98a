"""Programs of Debian's packages where `python -m tests.relays` unpacked them, run without a trace.

They ask for users of their own: within a mount namespace of theirs, /etc/passwd has them.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.waiting import daemon

ROOT = Path(__file__).resolve().parents[2] / "var" / "relays" / "root"
LIBRARIES = (ROOT / "usr/lib/postfix", ROOT / "usr/lib/x86_64-linux-gnu", ROOT / "usr/lib")
PACKAGES = (
    "postfix", "exim4-daemon-light", "libtlsrpt0", "libnsl2", "libicu76", "libsasl2-2",
    "libdb5.3t64", "libgnutls-dane0t64", "libidn12", "libunbound8",
    # Packages that opendkim needs.
    "opendkim", "libopendkim11", "libopendbx1t64", "libmilter1.0.1", "libvbr2", "liblua5.3-0",
    "libmemcached11t64", "libhashkit2t64", "libldap2", "librbl1", "libbsd0",
)  # fmt: skip
# Users and groups that the servers ask for; no others of this machine.
IDS = {"Debian-exim": 64_997, "postfix": 64_998, "postdrop": 64_999}
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LD_LIBRARY_PATH": ":".join(map(str, LIBRARIES)),
}
IS_REQUIRED = os.environ.get("REQUIRE_RELAYS") == "1"


def unpack(folder: Path, *packages: str) -> None:
    """Fetch packages and unpack them: no script of theirs runs, and nothing of theirs starts."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as place:
        fetch = ["apt-get", "-o", "Acquire::Retries=5", "download", *packages]
        subprocess.run(fetch, cwd=place, check=True)
        for file in Path(place).glob("*.deb"):
            subprocess.run(["dpkg", "-x", file, folder], check=True)


def why_not() -> str:
    """Say why real servers cannot be run here, "" when they can, or have to."""
    if IS_REQUIRED:
        return ""
    if not (ROOT / "usr/sbin/opendkim").exists():
        return "python -m tests.relays has not fetched Postfix, Exim and opendkim"
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "Postfix and Exim want root, and unshare"
    return ""


@contextmanager
def running(port: int, folder: Path, *command: str | Path) -> Iterator[None]:
    """Run a server until the block is left; it has to answer on the port."""
    _write_accounts(folder)
    with daemon(*_with_accounts(folder, command), ports=(port,), env=ENVIRONMENT):
        yield


def _with_accounts(folder: Path, command: Sequence[str | Path]) -> list[str]:
    """Begin a command in a mount namespace whose /etc has the servers' users."""
    mounts = [f"mount --bind {folder / name} /etc/{name}" for name in ("passwd", "group")]
    script = " && ".join([*mounts, 'exec "$@"'])
    return ["unshare", "--mount", "sh", "-c", script, "sh", *map(str, command)]


def _write_accounts(folder: Path) -> None:
    """Write /etc/passwd and /etc/group with the servers' users."""
    lines = {
        "passwd": [f"{name}:x:{each}:{each}::/:/usr/sbin/nologin" for name, each in IDS.items()],
        "group": [f"{name}:x:{each}:" for name, each in IDS.items()],
    }
    for name, added in lines.items():
        text = Path("/etc", name).read_text() + "\n".join([*added, ""])
        (folder / name).write_text(text)
