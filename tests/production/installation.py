"""An installation as the operators' guide makes it, in a folder of its own."""

import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

from tests.processes import ROOT
from tests.production.units import IS_ROOT, sudo, with_numbers

GUIDE = ROOT / "docs" / "operators" / "install.md"
NOT_INSTALLED = shutil.ignore_patterns(
    ".git", ".venv", "var", "__pycache__", ".*_cache", ".hypothesis", ".env", "tests"
)
NOT_NEEDED = shutil.ignore_patterns(
    "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "config-*"
)
# Where the guide puts things; each stands below the installation's folder instead.
PLACES = re.compile(
    "/(opt/belong-mail|etc/belong-mail|etc/ssl/belong|etc/nginx|etc/systemd|etc/sysusers.d"
    "|etc/tmpfiles.d|var/lib/belong-|var/log/nginx|usr/local/bin|root/belong-keys)"
)
DONE_OTHERWISE = (
    "groupadd", "useradd", "systemd-sysusers", "systemd-tmpfiles", "apt-get", "git", "python3",
    "nginx", "systemctl",
)  # fmt: skip
FLASK = "#!{python}\nimport sys\nfrom flask.cli import main\nsys.exit(main())\n"
BELONG = "#!{python}\nimport sys\nfrom belong_mail.ops.cli import main\nsys.exit(main())\n"

# What `belong setup` does for systemd, here in a folder and without it.
USERS = r"""groupadd --system belong
useradd --system --no-create-home --groups belong belong-web
useradd --system --no-create-home --groups belong belong-worker
install -d -m 755 /opt/belong-mail /etc/belong-mail /etc/belong-mail/keys
install -d -m 2770 -o belong-worker -g belong /var/lib/belong-mail
install -d -m 700 -o belong-worker -g belong-worker /var/lib/belong-worker
"""
KEYS = r"""cd /opt/belong-mail
install -m 600 /dev/null /root/belong-keys
.venv/bin/belong keys new > /root/belong-keys
cd /etc/belong-mail/keys
for kind in secret public private index; do
  install -m 600 /dev/null $kind
  name=BELONG_$(echo $kind | tr a-z A-Z)_KEYS
  sed -n "s/^$name=//p" /root/belong-keys > $kind
done
chown root:belong secret public;                 chmod 640 secret public
chown belong-worker:belong-worker private index; chmod 400 private index
rm -r /opt/belong-mail/var
"""
SETTINGS = r"""cd /opt/belong-mail/deploy
install -m 644 common.env web.env worker.env /etc/belong-mail/
install -m 400 -o belong-worker -g belong-worker /dev/null /etc/belong-mail/keys/relay
"""
DATABASE = r"""sudo -u belong-worker belong db upgrade
sudo -u belong-worker belong db check
"""


class Installation:
    """A machine on which somebody has followed the guide."""

    def __init__(self, folder: Path, values: dict[str, str]) -> None:
        self.folder = folder
        self.product = folder / "opt" / "belong-mail"
        self.deploy = self.product / "deploy"
        self.etc = folder / "etc" / "belong-mail"
        self.programs = folder / "usr" / "local" / "bin"
        self.logs = folder / "var" / "log" / "nginx"
        self._values = values
        self.surroundings = {"PATH": f"{folder / 'shims'}:{self.programs}:/usr/bin:/bin"}

    def make(self, relay_url: str) -> None:
        """Follow the guide from its first step to its last."""
        shutil.copytree(ROOT, self.product, ignore=NOT_INSTALLED)
        for file in self.deploy.iterdir():
            file.write_text(self._here(file.read_text()))
        for place in ("usr/local/bin", "etc/nginx/conf.d", "etc/systemd/system", "root"):
            (self.folder / place).mkdir(parents=True)
        self.logs.mkdir(parents=True)
        self._make_shims()
        self._make_python()
        self._follow(USERS, *step("1. The program"), KEYS, SETTINGS)
        self._name_relay(relay_url)
        self._follow(DATABASE, *step("5. The proxy"))

    def _here(self, text: str) -> str:
        text = PLACES.sub(lambda place: f"{self.folder}{place[0]}", text)
        for old, new in self._values.items():
            text = text.replace(old, new)
        return text

    def _follow(self, *blocks: str) -> None:
        """Run blocks of the guide, as a shell that ends at the first failure."""
        script = with_numbers(self._here("\n".join(blocks)))
        done = subprocess.run(
            ["sh", "-eux", "-c", "umask 022\n" + script],
            env=self.surroundings, cwd=self.folder, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def _name_relay(self, url: str) -> None:
        file = self.etc / "keys" / "relay"
        mode = stat.S_IMODE(file.stat().st_mode)
        file.chmod(0o600)
        file.write_text(url)
        file.chmod(mode)

    def _make_shims(self) -> None:
        """Put aside what would touch the machine itself: users, services, the network."""
        shims = self.folder / "shims"
        shims.mkdir()
        for name in DONE_OTHERWISE:
            _write_program(shims / name, "#!/bin/sh\n")
        _write_program(shims / "sudo", f"#!/bin/sh\n{sudo()}\n")

    def _make_python(self) -> None:
        """Make `.venv` with what `requirements/run.txt` names, and nothing else."""
        name = f"python3.{sys.version_info.minor}"
        base = Path(sys.base_prefix)
        if IS_ROOT and not _is_open(base):
            base = _copied(base, self.folder / "python", name)
            self.surroundings["LD_LIBRARY_PATH"] = str(base / "lib")
        venv = self.product / ".venv"
        make = [str(base / "bin" / name), "-m", "venv", "--without-pip", str(venv)]
        subprocess.run(make, check=True, env=self.surroundings)
        packages = venv / "lib" / name / "site-packages"
        _fill(packages)
        # As `pip install .` does, without a second copy; tests/dev/test_package.py tries a wheel.
        (packages / "belong-mail.pth").write_text(f"{self.product}\n")
        compile_all = [str(venv / "bin" / "python"), "-m", "compileall", "-q", "belong_mail"]
        subprocess.run(compile_all, check=True, env=self.surroundings, cwd=self.product)
        for program, text in (("flask", FLASK), ("belong", BELONG)):
            _write_program(venv / "bin" / program, text.format(python=venv / "bin" / "python"))
        _write_program(venv / "bin" / "pip", "#!/bin/sh\n")


def step(name: str) -> list[str]:
    below = GUIDE.read_text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", below, re.DOTALL)


def _write_program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def _is_open(folder: Path) -> bool:
    """Tell whether other users can read what stands in a folder."""
    return all(each.stat().st_mode & 0o005 == 0o005 for each in (folder, *folder.parents))


def _copied(base: Path, target: Path, name: str) -> Path:
    """Copy a Python that stands where nobody else can read, such as root's home."""
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, target / "lib" / name, ignore=NOT_NEEDED)
    for shared in (base / "lib").glob("libpython*.so*"):
        shutil.copy(shared, target / "lib")
    (target / "bin").mkdir()
    shutil.copy(base / "bin" / name, target / "bin")
    return target


def _fill(packages: Path) -> None:
    """Take the packages of the lock from where they are installed for the tests."""
    lock = (ROOT / "requirements" / "run.txt").read_text()
    for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE):
        found = distribution(name)
        for top in sorted({file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}):
            source, target = Path(str(found.locate_file(top))), packages / top
            if not IS_ROOT or _is_open(source.parent):
                target.symlink_to(source)
            elif source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copy(source, target)
