"""Fetch Caddy, promtool and a bare Debian into var/deploy; nothing is installed."""

from tests.deploy.programs import fetch

if __name__ == "__main__":
    fetch()
