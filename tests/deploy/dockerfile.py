"""A Dockerfile, read, and written as a script that does its steps in bare Debian roots.

No container engine is needed: each stage is an overlay over a root, within namespaces of the
script's own. It knows the instructions that ours uses, and refuses others.
"""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.programs import BASES, base

# The machine's own authorities, during a build: a package writes over the usual place.
CERTIFICATES = "/var/cache/of-the-machine.pem"
FOR_PIP = f"${{PIP_CERT:+PIP_CERT={CERTIFICATES}}}"


@dataclass
class Stage:
    """From one FROM to the next."""

    image: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    @property
    def suite(self) -> str:
        [release] = re.findall(r"^debian:(\d+)[.\d]*-slim$", self.image)
        return BASES[release]

    def last(self, instruction: str) -> str:
        return next(what for name, what in reversed(self.steps) if name == instruction)

    def environment(self) -> dict[str, str]:
        given = " ".join(what for name, what in self.steps if name == "ENV")
        return dict(each.split("=", 1) for each in shlex.split(given))


def read(file: Path) -> list[Stage]:
    stages: list[Stage] = []
    for line in file.read_text().splitlines():
        instruction, _, what = line.partition(" ")
        if instruction in {"", "#"}:
            continue
        if instruction == "FROM":
            image, _, name = what.partition(" AS ")
            stages.append(Stage(image, name or "final"))
        else:
            stages[-1].steps.append((instruction, what))
    return stages


def exec_form(text: str) -> list[str]:
    """Read a command that is a list; no shell of the image has a part in it."""
    command: list[str] = json.loads(text.partition("CMD ")[2] if text.startswith("--") else text)
    return command


def script(stages: list[Stage], context: Path, folder: Path) -> str:
    """Write what makes the stages, each below the folder; variables of pip come from outside."""
    lines = ["set -eu"]
    for stage in stages:
        root = folder / stage.name
        lines += _mounted(base(stage.suite), folder, root)
        where, environment = "/", " ".join(map(shlex.quote, _pairs(stage)))
        for instruction, what in stage.steps:
            match instruction:
                case "WORKDIR":
                    where = what
                    lines.append(f"mkdir -p {root}{what}")
                case "RUN":
                    inside = shlex.quote(f"cd {where} && {what}")
                    lines.append(f"chroot {root} env {environment} {FOR_PIP} sh -euc {inside}")
                case "COPY":
                    lines.append(_copy(what, context, folder, f"{root}{where}", root))
                case "ENV" | "USER" | "EXPOSE" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                    pass
                case _:
                    raise ValueError(instruction)
    return "\n".join(lines) + "\n"


def _pairs(stage: Stage) -> list[str]:
    return [f"{name}={value}" for name, value in stage.environment().items()]


def _mounted(lower: Path, folder: Path, root: Path) -> list[str]:
    """Lay an empty layer over a root; what a build gets of the machine goes into it as well."""
    layer = f"{folder}/layers/{root.name}"
    options = f"lowerdir={lower},upperdir={layer}/upper,workdir={layer}/work"
    return [
        f"mkdir -p {root} {layer}/upper {layer}/work",
        f"mount -t overlay overlay -o {options} {root}",
        f"mount -t proc proc {root}/proc",
        f"mount --rbind /dev {root}/dev",
        f"cp -L /etc/resolv.conf {root}/etc/resolv.conf",
        f'[ -z "${{PIP_CERT:-}}" ] || cp -L "$PIP_CERT" {root}{CERTIFICATES}',
        f'[ ! -d "${{PIP_FIND_LINKS:-}}" ] || cp -rL "$PIP_FIND_LINKS" {root}/opt/',
    ]


def _copy(what: str, context: Path, folder: Path, where: str, root: Path) -> str:
    *sources, target = what.split()
    source = context
    if sources[0].startswith("--from="):
        source = folder / sources.pop(0).removeprefix("--from=")
    place = f"{root}{target}" if target.startswith("/") else f"{where}/{target}"
    copied = []
    for each in sources:
        # As Docker does: a folder's contents, a file itself.
        path = f"{source}/{each.strip('/')}"
        copied.append(
            f"if [ -d {path} ]; then mkdir -p {place} && cp -a {path}/. {place}/;"
            f" else mkdir -p {place if target.endswith('/') else Path(place).parent}"
            f" && cp -a {path} {place}; fi"
        )
    return "\n".join(copied)
