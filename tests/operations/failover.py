"""What holds a host after a standby took over, and whether somebody got two copies."""

from tests.processes import run
from tests.servers.smtp import Server

Settings = dict[str, str]
HELD = "Sending is on hold: this host and the database are not as they last met"
TOOK_OVER = "a standby took over, or PostgreSQL was restored"


def doubled(relay: Server) -> int:
    return len(relay.accepted) - len({one.recipient for one in relay.accepted})


def is_held(settings: Settings, *words: str) -> None:
    """Hold because of one of these."""
    told = run(settings, "hold", "status")
    assert told.returncode == 1
    assert any(each in told.stdout for each in words)
