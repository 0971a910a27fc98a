"""Fetch Postfix, Exim and opendkim of this Debian into var/relays, and try them, as root.

Nothing is installed: the packages are unpacked, and each server runs from there on a free port of
127.0.0.1 until its test has ended.
"""

import subprocess
import sys

from tests.relays.debian import PACKAGES, ROOT, unpack

if __name__ == "__main__":
    if not (ROOT / "usr/sbin/opendkim").exists():
        unpack(ROOT, *PACKAGES)
    if sys.argv[1:] == ["fetch"]:
        sys.exit()
    pytest = [sys.executable, "-m", "pytest", "tests/relays", "-v", "-n", "0", "--night"]
    sys.exit(subprocess.run([*pytest, *sys.argv[1:]], check=False).returncode)
