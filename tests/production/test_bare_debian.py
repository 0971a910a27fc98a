"""The ten-minute install, word for word, in a bare Debian; and its units, run there by systemd."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from time import monotonic
from urllib.parse import urlencode

import pytest

from tests.browser_client import Form
from tests.markers import night
from tests.processes import ROOT
from tests.production import debian
from tests.production.booted import Booted, booted
from tests.production.stage import OUR_OWN_FORM

pytestmark = [night("installations"), pytest.mark.timeout(2 * debian.SECONDS)]
PAGES = ROOT / "docs" / "operators"
GUIDE = PAGES / "install.md"
SYSTEMD = "apt-get install -qy --no-install-recommends systemd"
CERTIFICATE = """
mkdir -p /media/usb /etc/ssl/belong
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=belong.example.org -days 2 \\
  -keyout /etc/ssl/belong/key.pem -out /etc/ssl/belong/certificate.pem
"""

# A new mount hides the stick from what runs next.
STICK = "cp -a /media/usb /root/usb\n"
LIBRARIES = "/srv/libraries"
FETCH = f"""
cd /opt/belong-mail/requirements
../.venv/bin/pip download -qd {LIBRARIES} --require-hashes -r run.txt -r build.txt
"""


def steps() -> dict[int, str]:
    """Return the shell blocks of the guide by the number of their step."""
    parts = re.split(r"^## ", GUIDE.read_text(), flags=re.MULTILINE)
    return {
        int(part[0]): "\n".join(re.findall(r"^```sh\n(.*?)^```", part, re.MULTILINE | re.DOTALL))
        for part in parts if re.match(r"\d[.] ", part)
    }  # fmt: skip


@pytest.fixture(scope="module")
def machine() -> Iterator[Path]:
    """Follow the guide up to its last step but one, in a Debian that systemd does not run yet."""
    told = steps()
    with debian.bare_debian() as root:
        install = told[1].replace("REPOSITORY", "/srv/belong")
        for step in ("apt-get update\n" + SYSTEMD, install + FETCH, told[2]):
            done = debian.run(root, step)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        rest = CERTIFICATE + "\n".join(told[number] for number in (3, 4, 5, 6))
        done = debian.run(root, rest + "ls -l /media/usb /var/lib/belong-worker/copies\n" + STICK)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"^-rw------- .* belong-keys.tar$", done.stdout, re.MULTILINE)
        assert "asian" in done.stdout
        yield root


def blocks(page: str, heading: str) -> str:
    """Return the shell blocks under a heading of a page, as one script."""
    words = (PAGES / f"{page}.md").read_text().partition(f"# {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^ *```sh\n(.*?)^ *```", words, re.MULTILINE | re.DOTALL)
    return "\n".join(map(dedent, found))


def test_copies_are_encrypted_to_the_key_on_the_stick(machine):
    [copy] = (machine / "var/lib/belong-worker/copies").iterdir()
    assert copy.read_bytes().startswith(b"age-encryption.org/v1\n")
    assert "BELONG_BACKUP_RECIPIENT=" in (machine / "etc/belong-mail/worker.env").read_text()


# ---- Its units, run by systemd ----

SERVICES = ("belong-web", "belong-worker")
TIMERS = ("backup", "doctor", "status")
# Lines of /proc for a process that may gain nothing, whose calls are filtered, and that has no
# right of root's.
HARDENED = {
    *(("NoNewPrivs", "1"), ("Seccomp", "2")),
    *((f"Cap{each}", "0" * 16) for each in ("Prm", "Eff", "Bnd", "Amb")),
}
# Seconds: a stop waits for five at most, for a web process that has not yet begun.
SECONDS_TO_STOP = 60
ADDRESS = "somebody.new@example.org"
ANY_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+[.](?!service|socket|mount|timer)[\w.-]+")
FUNCTIONS = """
processes() { cat "/sys/fs/cgroup$(systemctl show -p ControlGroup --value $1)/cgroup.procs"; }
main() { systemctl show -p MainPID --value $1; }
until_so() { for _ in $(seq 150); do if "$@"; then return; fi; sleep 0.4; done; false; }
"""
# Through nginx, as everybody.
VISIT = """
import ssl
from urllib.request import Request, urlopen
def visit(path, data=None, headers={}):
    request = Request("https://localhost" + path, data, {"Host": "belong.example.org"} | headers)
    context = ssl._create_unverified_context()
    with urlopen(request, timeout=30, context=context) as answer:
        return answer.status, answer.read().decode()
"""
READY = """python3 -c '
from urllib.request import urlopen
print(urlopen("http://localhost:5000/readyz", timeout=30).read().decode())
'"""
# Whether a worker has done what was due, and whether it has opened what came by forms.
ASK_DATABASE = """python3 -c '
import sqlite3
with sqlite3.connect("/var/lib/belong-mail/belong.db") as database:
    [is_so] = database.execute("{}").fetchone()
exit(not is_so)
'"""
HAS_WORKED = ASK_DATABASE.format("SELECT count(worked_at) > 0 FROM hosts")
HAS_READ = ASK_DATABASE.format("SELECT count(sealed) = 0 FROM jobs")


@pytest.fixture(scope="module")
def live(machine) -> Iterator[Booted]:
    """Boot it, and do step 2 again, as on a machine of its own."""
    with booted(machine) as there:
        assert "Everything is there already." in there.must(steps()[2])
        there.must(f"{FUNCTIONS} until_so {HAS_WORKED} && until_so {READY}")
        yield there


def test_everybody_gets_pages_through_the_proxy(live):
    page = live.must(f"""python3 -c '{VISIT}\nprint(visit("/groups/asian")[1])'""")
    assert "<h1>Asian" in page


def test_systemd_runs_web_and_worker_which_are_ready_and_may_do_little(live):
    assert live.must(f"systemctl is-active {' '.join(SERVICES)}").split() == ["active"] * 2
    assert live.must(READY).strip() == "ok"
    for name, least in zip(SERVICES, (3, 1), strict=True):
        said = live.must(
            f"{FUNCTIONS} for each in $(processes {name}); do cat /proc/$each/status; done"
        )
        found = re.findall(r"^(NoNewPrivs|Seccomp|Cap(?!Inh)\w+):\s+(\w+)$", said, re.MULTILINE)
        assert set(found) == HARDENED
        assert len(found) >= least * len(HARDENED)


def test_the_last_step_of_the_guide_finds_services_and_timers_at_work(live):
    looks, _, doctor = steps()[7].partition("sudo ")  # the doctor comes by its unit, below
    assert doctor == "-u belong-worker belong doctor\n"
    said = live.must(looks)
    assert said.startswith("active\nactive\n")
    for name in TIMERS:
        assert re.search(rf" belong-{name}.timer +belong-{name}.service$", said, re.MULTILINE)


def test_services_started_by_timers_end_as_they_should_and_a_failure_is_reported(live):
    said = live.must(f"""{FUNCTIONS}
    touch /tmp/before
    systemctl start belong-backup belong-status
    cd /var/lib/belong-worker/copies
    find -name '*.backup' -newer /tmp/before -perm 600 -printf 'copy\\n'
    if systemctl start belong-doctor; then exit 9; fi
    systemctl show -p Result -p ExecMainStatus --value belong-backup belong-status belong-doctor
    is_told() {{ journalctl -q -o cat -t belong-alert | grep '^belong-doctor failed on '; }}
    until_so is_told
    has_ended() {{ systemctl show -p ActiveState belong-alert@belong-doctor | grep =inactive; }}
    until_so has_ended
    systemctl show -p Result --value belong-alert@belong-doctor
    journalctl -q -o cat -u belong-doctor
    """)
    assert "A worker is running." in said
    assert re.search(r"WRONG\s+The relay cannot be used", said)
    assert said.split()[:1] == ["copy"]
    assert re.findall(r"^(?:success|exit-code|\d)$", said, re.MULTILINE) == [
        *("success", "0"), *("success", "0"), *("exit-code", "1"), "success",
    ]  # fmt: skip


def test_a_killed_worker_is_started_again(live):
    said = live.must(f"""{FUNCTIONS}
    before=$(main belong-worker)
    systemctl kill --kill-whom=main --signal=KILL belong-worker
    is_another() {{
      [ "$(main belong-worker)" != $before ] && systemctl is-active -q belong-worker
    }}
    until_so is_another
    has_started() {{
      journalctl -q -o cat -u belong-worker | grep "worker: started process=$(main belong-worker)$"
    }}
    until_so has_started
    systemctl show -p NRestarts -p Result --value belong-worker
    """)
    assert said.split()[-2:] == ["success", "1"]


def test_an_upgrade_changes_the_version_that_systemd_runs_keeps_a_copy_and_can_be_gone_back(live):
    """Without a network here, its libraries come from a folder; without a relay, doctor says so."""
    done = live.run(f"""{FUNCTIONS}
    cd /srv/belong
    sed -i 's/^version = .*/version = "99.0.0"/' pyproject.toml
    git -c user.name=Test -c user.email=test@example.org commit -qam "Release 99.0.0"
    git tag v99.0.0
    printf '[global]\\nno-index = true\\nfind-links = {LIBRARIES}\\n' > /etc/pip.conf
    before=$(main belong-worker)
    if sudo -u belong-worker belong upgrade; then exit 9; fi
    if flock /opt/belong-mail/.git/upgrade.lock belong upgrade; then exit 9; fi
    if belong upgrade; then exit 9; fi
    [ $(main belong-worker) != $before ]
    systemctl is-active {" ".join(SERVICES)}
    until_so {READY}
    belong --version
    find /var/lib/belong-worker/before-upgrades -name '*.backup' -perm 600 -printf 'copy\\n'
    """)
    assert done.returncode == 0, done.stdout + done.stderr
    before = re.search(r"Installed: (.+)[.] Newest: v99[.]0[.]0, from /srv/belong[.]", done.stdout)
    assert before is not None
    assert "Run it with sudo." in done.stderr
    assert "Another upgrade is running." in done.stderr
    assert "8 of 8. Ask the doctor" in done.stdout
    assert re.search(r"\nactive\nactive\n(?s:.*)99[.]0[.]0(?s:.*)\ncopy\n", done.stdout)
    back = blocks("upgrade", "Go back")
    assert before[1] in live.must(f"{FUNCTIONS} {back}\nuntil_so {READY}\nbelong --version")


def test_an_operator_follows_the_pages_word_for_word_and_all_runs_again(live):
    """Capitals are filled in, questions answered; what a page says beside a block is done here."""
    asked = "< /srv/address"
    restore = blocks("runbooks", "Restore a backup")
    halt = "systemctl stop belong-worker belong-web\nmkdir -m"
    issue = blocks("runbooks", "Stop a wrong newsletter").replace(" ID", ' "$id"')
    for script in (
        blocks("backup", "Backup"),
        blocks("people", "Group leaders and the office: invite, remove").rstrip() + asked,
        blocks("runbooks", "She says she got no email")
        .replace("belong explain", f"belong explain {asked}")
        .replace("journalctl", f"{FUNCTIONS} until_so {HAS_READ}\nsleep 2\njournalctl"),
        "echo Tea > /srv/tea.md\n"
        "id=$(sudo -u belong-worker belong newsletter send asian /srv/tea.md --subject Hello)\n"
        + issue,
        "mkdir -p /media/usb && cp -a /root/usb/. /media/usb\n" + restore.replace("mkdir -m", halt),
        "systemctl start belong-web belong-worker\n" + blocks("runbooks", "Release a hold"),
        "rm /etc/belong-mail/keys/private\n" + blocks("runbooks", "Keys are lost"),
        "sudo -u belong-worker belong hold begin\n" + blocks("runbooks", "You suspect a leak"),
        "sudo -u belong-worker belong hold release\n" + blocks("runbooks", "A disk is full"),
        blocks("runbooks", "The proxy"),
        blocks("keys", "Rotate"),
        blocks("upgrade", "Upgrade").replace("sudo belong upgrade", ""),
    ):
        followed = script.replace("belong doctor", "belong doctor || true")  # it finds no relay
        live.must(f"echo lead@example.org > /srv/address\n{followed}")
    said = live.must(f"""{FUNCTIONS}
    until_so {READY}
    sudo -u belong-worker belong hold status
    cut -d, -f2- /etc/belong-mail/keys/secret
    """)
    assert re.search(r"^[\w-]{43,}$", said, re.MULTILINE), "a second key"


def test_a_stop_is_quick_and_clean_even_amid_a_reload_and_the_journal_has_no_address(live):
    """An address comes in by a form, and is in the hands of web and worker before."""
    path = "/groups/asian/join"
    page = live.must(f"""python3 -c '{VISIT}\nprint(visit("{path}")[1])'""")
    typed = urlencode({**Form(page).fields, "email": ADDRESS})
    live.must(f"""{FUNCTIONS}
    python3 - <<'END'
{VISIT}
visit("{path}", {typed.encode()!r}, {OUR_OWN_FORM!r})
END
    until_so {HAS_READ}
    before="$(processes belong-web)"
    systemctl reload belong-web
    has_begun() {{ [ "$(processes belong-web)" != "$before" ]; }}
    until_so has_begun
    """)
    begun = monotonic()
    said = live.must(f"""
    systemctl stop {" ".join(SERVICES)}
    systemctl show -p Result -p ActiveState --value {" ".join(SERVICES)}
    """)
    assert said.split() == ["success", "inactive"] * 2
    assert monotonic() - begun < SECONDS_TO_STOP
    journal = live.must("journalctl -q -o json")
    assert "worker: stopped" in journal
    assert ADDRESS.partition("@")[0] not in journal
    assert ANY_ADDRESS.findall(journal) == []
    live.must("systemctl start " + " ".join(SERVICES))  # the next test may be any
