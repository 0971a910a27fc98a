"""A Dockerfile, read by its instructions."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """From one FROM to the next."""

    image: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

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
