"""The files that the guide installs: units, scripts, pipe lines, the proxy's server block."""

import http.client
import re
import stat
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import func, select

from belong_mail.delivery.models import Delivery, State
from tests.browser.site import SLUG
from tests.inbound.mail import bounce
from tests.processes import ROOT
from tests.production.units import IS_ROOT, User, settings

DEPLOY = ROOT / "deploy"
SERVERS = {"postfix": "postfix-master.cf", "exim": "exim-transport"}


def test_every_file_that_we_ship_stands_in_the_guide():
    guide = "".join(page.read_text() for page in (ROOT / "docs" / "operators").glob("*.md"))
    assert [file.name for file in DEPLOY.iterdir() if f"{file.name}" not in guide] == []


def test_the_guides_settings_are_read_alike_by_the_shell_and_by_systemd(stage):
    for name in ("common", "web", "worker"):
        file = stage.installation.etc / f"{name}.env"
        script = f"set -a; . {file}; env -0"
        said = subprocess.check_output(["sh", "-c", script], env={}, text=True)
        read = dict(each.split("=", 1) for each in said.split("\0") if each.startswith("BELONG_"))
        assert read == settings(file)


def test_web_and_worker_have_settings_of_their_own(stage):
    """No process of the web has a key that opens, nor may its user read one."""
    if not IS_ROOT:
        pytest.skip("NOT TESTED: what is in the environment of web and worker; root alone sees it")
    for pid in stage.pids("web"):
        its_own = Path(f"/proc/{pid}/environ").read_text()
        assert not re.search("(PRIVATE|INDEX)_KEYS(_FILE)?=[^\0]", its_own)
        assert "BELONG_ENV=production" in its_own
    assert "BELONG_PRIVATE_KEYS_FILE=" in environment(stage, "worker")
    web = User("belong-web", "belong")
    for name in ("private", "index", "relay"):
        asked = web.run(["cat", str(stage.installation.etc / "keys" / name)], stage.surroundings)
        assert (asked.returncode, asked.stdout) == (1, "")
    owners = {name: owner(stage, name) for name in ("web", "worker")}
    assert owners["web"] != owners["worker"]
    assert 0 not in owners.values()


def test_no_process_leaves_an_image_of_its_memory_or_shows_it_to_another(stage):
    """The kernel gives root what it has of a process that may not be looked into."""
    pids = [*stage.pids("web"), stage.processes["worker"].pid]
    assert len(pids) >= 4
    for pid in pids:
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits), limits
        assert Path(f"/proc/{pid}/environ").stat().st_uid == 0


def test_the_proxy_keeps_what_people_type_in_memory(stage):
    """A file of a form would change the folder that the proxy makes it in."""
    folder = stage.folder / "nginx" / "body"
    before = folder.stat().st_mtime_ns
    assert stage.visitor().send("/contact", message="x" * 200_000).status_code == 422
    assert folder.stat().st_mtime_ns == before


@pytest.mark.parametrize("stage", ["sqlite"], indirect=True)
def test_sqlites_file_is_what_web_and_worker_share(stage):
    folder = stage.folder / "var" / "lib" / "belong-mail"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o2770
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o660
        assert file.stat().st_gid == folder.stat().st_gid


@pytest.mark.parametrize("server", SERVERS)
def test_a_bounce_passes_the_pipe_line_of_each_mail_server(stage, server):
    """As that mail server runs it: one user, one group, hardly an environment."""
    address = f"{server}.{stage.port}@dpsk12.org"
    stage.visitor().send(f"/groups/{SLUG}/join", email=address)
    stage.mail_to(address)
    [return_path] = [one.return_path for one in stage.relay.accepted if one.recipient == address]
    before = bounced(stage)
    user, command, env = pipe(stage, server, return_path)
    done = user.run(command, env, input=bounce(return_path, address).decode())
    assert (done.returncode, done.stderr) == (0, "")
    stage.wait_for(lambda: bounced(stage) == before + 1)
    user, command, env = pipe(stage, server, "b+123@example.org")
    assert user.run(command, env, input="Subject: Spam\n\nBuy!").returncode == 67


def pipe(stage, server: str, recipient: str) -> tuple[User, list[str], dict[str, str]]:
    line = (stage.installation.deploy / SERVERS[server]).read_text()
    path = stage.surroundings | {"PATH": "/usr/bin:/bin"}
    if server == "postfix":
        [(name, group, argv)] = re.findall(r"user=([\w-]+):([\w-]+) argv=(.+)", line)
        return User(name, group), argv.replace("${recipient}", recipient).split(), path
    said = dict(re.findall(r"^  (\w+) = (.+)$", line, re.MULTILINE))
    return (
        User(said["user"], said["group"]),
        said["command"].split(),
        {**path, "RECIPIENT": recipient},
    )


def bounced(stage) -> int:
    bounced = select(func.count(Delivery.id)).where(Delivery.state == State.BOUNCED)
    with stage.session() as session:
        return session.scalar(bounced) or 0


def test_plain_http_leads_to_https_and_is_not_logged(stage):
    connection = http.client.HTTPConnection("127.0.0.1", stage.plain_port, timeout=60)
    connection.request("GET", "/my-groups/x?y=z", headers={"Host": "evil.example"})
    answer = connection.getresponse()
    connection.close()
    assert (answer.status, answer.headers["Location"]) == (308, f"{stage.url}/my-groups/x?y=z")
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in (DEPLOY / "nginx.conf").read_text()


def environment(stage, name: str) -> str:
    return Path(f"/proc/{stage.processes[name].pid}/environ").read_text()


def owner(stage, name: str) -> int:
    said = Path(f"/proc/{stage.processes[name].pid}/status").read_text()
    [user] = re.findall(r"^Uid:\t\d+\t(\d+)", said, re.MULTILINE)
    return int(user)
