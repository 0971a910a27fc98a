"""The ten-minute install, word for word, in a bare Debian."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.production import debian
from tests.servers.ports import free_port

pytestmark = pytest.mark.timeout(2 * debian.SECONDS)
GUIDE = ROOT / "docs" / "operators" / "install.md"
# The doctor says in this Debian that nobody knows the relay of the guide.
DOCTOR_COMPLAINS = 3
CERTIFICATE = """
mkdir -p /media/usb /etc/ssl/belong
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=belong.example.org -days 2 \\
  -keyout /etc/ssl/belong/key.pem -out /etc/ssl/belong/certificate.pem
"""
ASK = """
from urllib.request import urlopen
for _ in range(300):
    try:
        print(urlopen("http://localhost:{port}{path}", timeout=20).read().decode())
        break
    except OSError:
        __import__("time").sleep(0.1)
"""


def steps() -> dict[int, str]:
    """Return the shell blocks of the guide by the number of their step."""
    parts = re.split(r"^## (\d+)[.] ", GUIDE.read_text(), flags=re.MULTILINE)[1:]
    return {
        int(number): "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        for number, text in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.fixture(scope="module")
def machine() -> Iterator[Path]:
    """Follow the guide up to its last step but one; `setup` may end with what the doctor says."""
    told = steps()
    with debian.bare_debian() as root:
        install = told[1].replace("REPOSITORY", "/srv/belong")
        done = debian.run(root, install)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        done = debian.run(root, told[2])
        assert done.returncode == DOCTOR_COMPLAINS, done.stdout + done.stderr
        assert "Installed." in done.stdout
        rest = CERTIFICATE + "\n".join(told[number] for number in (3, 4, 5, 6))
        done = debian.run(root, rest + "ls -l /media/usb /var/lib/belong-worker/copies\n")
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"^-rw------- .* belong-keys.tar$", done.stdout, re.MULTILINE)
        assert "asian" in done.stdout
        yield root


def test_the_guide_installs_a_site_whose_web_answers(machine: Path) -> None:
    """As the user, with the group and the settings that the unit names."""
    port = free_port()
    done = debian.run(
        machine,
        f"""
        set -a; . /etc/belong-mail/common.env; . /etc/belong-mail/web.env
        cd /etc/belong-mail; umask 007
        setpriv --reuid=belong-web --regid=belong --clear-groups --no-new-privs \\
          /opt/belong-mail/.venv/bin/belong web --port {port} > /tmp/web.log 2>&1 &
        python3 -c '{ASK.format(port=port, path="/groups/asian")}'
        """,
    )
    assert "<h1>Asian" in done.stdout, done.stderr + (machine / "tmp/web.log").read_text()


def test_what_the_web_must_not_read_it_cannot(machine: Path) -> None:
    for name in ("keys/private", "keys/index", "keys/relay", "alert.env"):
        asked = as_web(machine, f"cat /etc/belong-mail/{name}")
        assert "Permission denied" in asked.stderr
    assert as_web(machine, "cat /etc/belong-mail/keys/public").returncode == 0
    assert as_web(machine, "ls /var/lib/belong-worker").returncode != 0


def as_web(machine: Path, command: str) -> subprocess.CompletedProcess[str]:
    return debian.run(
        machine, f"setpriv --reuid=belong-web --regid=belong --clear-groups {command}"
    )


def test_setup_run_again_changes_nothing(machine: Path) -> None:
    """Also where copies and settings of the guide's later steps have come to be."""
    print_all = "find /etc/belong-mail /etc/systemd/system /usr/local/bin -printf '%p %m %u %T@\\n'"
    before = debian.run(machine, print_all).stdout
    again = debian.run(machine, steps()[2])
    assert again.returncode == DOCTOR_COMPLAINS
    assert "Everything is there already." in again.stdout
    assert "made " not in again.stdout
    assert debian.run(machine, print_all).stdout == before


def test_copies_are_encrypted_to_the_key_on_the_stick(machine: Path) -> None:
    [copy] = (machine / "var/lib/belong-worker/copies").iterdir()
    assert copy.read_bytes().startswith(b"belong-backup/1\n")
    assert "BELONG_BACKUP_PUBLIC_KEY=" in (machine / "etc/belong-mail/worker.env").read_text()
