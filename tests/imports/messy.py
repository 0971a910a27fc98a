"""A spreadsheet as people leave it: made from a seed, with what must become of each row."""

import csv
import io
from dataclasses import dataclass, field
from random import Random

HEADINGS = ("Timestamp", "Name", "Email address", "Anything else?", "Your manager's email")
SPANISH = (
    "Marca temporal", "Nombre", "Dirección de correo electrónico", "¿Algo más?", "Correo de tu jefe"
)  # fmt: skip
NOTES = (
    "", "no", "Sí, mañana; quizás", 'They said "maybe", twice', "one line\nand another\n\nthird",
    "write to my friend pat@gmail.com", "=1+1", "—", "Español: ñ, ü", "tab\there",
)  # fmt: skip
GARBAGE = (
    "n/a",
    "-",
    "same as last year",
    "ada.dpsk12.org",
    "ada@",
    "@dpsk12.org",
    "a@@dpsk12.org",
)


@dataclass
class Messy:
    """Rows of cells, and what a reader must find in them."""

    rows: list[list[str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    not_staff: list[int] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    empty: int = 0

    def text(self, delimiter: str = ",", line_end: str = "\r\n") -> str:
        out = io.StringIO()
        writer = csv.writer(
            out,
            delimiter=delimiter,
            lineterminator=line_end,
            quoting=csv.QUOTE_ALL if line_end == "\r" else csv.QUOTE_MINIMAL,
        )
        writer.writerows(self.rows)
        return out.getvalue()


def messy(seed: int, number: int, headings: tuple[str, ...] | None = HEADINGS) -> Messy:
    """Make so many rows below the headings."""
    chance, made = Random(seed), Messy()
    if headings is not None:
        made.rows.append(list(headings))
    for each in range(number):
        what = chance.choices(
            ("staff", "again", "elsewhere", "garbage", "two", "empty"), (74, 8, 6, 5, 3, 4)
        )[0]
        if what == "again" and not made.asked:
            what = "staff"
        _add(made, chance, what, each)
    return made


def _add(made: Messy, chance: Random, what: str, each: int) -> None:
    row, own = len(made.rows) + 1, f"person{each}@dpsk12.org"
    if what == "empty":
        made.rows.append(chance.choice(([], ["", "", "", "", ""], [" ", "", "\u00a0", "", ""])))
        made.empty += 1
        return
    if what == "staff":
        cell = _spelled(chance, own)
        made.asked.append(_kept(cell, own))
    elif what == "again":
        cell = _again(chance, chance.choice(made.asked))
        made.duplicates.append(row)
    elif what == "elsewhere":
        cell = _spelled(
            chance, f"person{each}@{chance.choice(('gmail.com', 'dpsk12.org.example'))}"
        )
        made.not_staff.append(row)
    elif what == "garbage":
        cell = chance.choice(GARBAGE)
        made.unreadable.append(row)
    else:
        cell = chance.choice(("; ", ", ", " / ", " or ", "\n")).join((own, f"p{each}@gmail.com"))
        made.unreadable.append(row)
    manager = "" if chance.random() < 0.7 else "boss@dpsk12.org"
    made.rows.append(["2026-09-01 8:00", f"Person, {each}", cell, chance.choice(NOTES), manager])


def _spelled(chance: Random, address: str) -> str:
    return chance.choice(
        (
            address, address.replace("person", "Person"), f"Ada Lovelace <{address}>",
            f"  {address}\u00a0", f"mailto:{address}", f"\u200b{address}\ufeff", f"<{address}>",
            f"{address},", f"'{address}", f"{address}.", f"mailto:{address}?subject=Hi",
            f'"Lovelace, Ada" <{address}>', address.replace("@", " @ "),
        )
    )  # fmt: skip


def _kept(cell: str, own: str) -> str:
    """Say how an address is kept: the case of what stands before the @ stays."""
    return own.replace("person", "Person") if cell.startswith("Person") else own


def _again(chance: Random, address: str) -> str:
    local, _, host = address.partition("@")
    return chance.choice(
        (address, address.upper(), f"{local}+belong@{host}", f"Me <{address.title()}>")
    )
