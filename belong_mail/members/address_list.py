"""Read the addresses in a CSV file: a form's responses, or the members of a mailing group.

It reads one column, one address a cell, and nothing else: no names and no answers. Doubtful rows
are reported by their number in the spreadsheet, and never quoted.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import Enum
from itertools import islice
from typing import Any, Final

from belong_mail.core.translatable import gettext_noop
from belong_mail.mail.address import InvalidAddress, Staff, check, folded

MAX_ROWS: Final = 50_000
MAX_FILE_OCTETS: Final = 8 * 1024 * 1024
# Most delimiters in a file, 20 for each row, which bounds the memory for its cells.
MAX_CELLS: Final = 20 * MAX_ROWS
DELIMITERS: Final = ",;\t"
# Rows searched to find the delimiter.
SAMPLE_ROWS: Final = 200
# Longer cells are taken to have no address, which bounds the time.
MAX_CELL: Final = 400
# Row numbers in a report; further rows are only counted.
MAX_ROWS_NAMED: Final = 100
# Magic bytes of other formats: ZIP (Excel, LibreOffice, Numbers), old Excel, PDF.
OTHER_FORMATS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0", b"%PDF")
# A row appended to the file: if it is not parsed as one, a quotation mark is still open.
END: Final = "end of the file"
# Headings of the right column, in case another one has a manager's address.
HEADINGS: Final = frozenset(
    (
        "email", "email address", "e-mail", "e-mail address", "your email", "work email",
        "username", "correo", "correo electrónico", "dirección de correo electrónico",
    )
)  # fmt: skip
# A cell with a name and an address in angle brackets.
NAMED = re.compile(r"[^<>@]*<([^<>]*)>[,;]?")
AROUND: Final = " '`‘’.,:;*"
# Anything with one @ and no space, which `check` then validates. Addresses that begin with - or =
# are reported, as they are probably mistakes.
LIKELY = re.compile(r"[^\s@,;/=-][^\s@,;/]*@[^\s@,;/]+")
# The @ sign, and its full-width and small forms.
AT_SIGNS: Final = "@\uff20\ufe6b"
# Zero-width characters, direction marks and soft hyphens, which pasting leaves in cells.
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


class Fault(Enum):
    """Why a file cannot be read, and what to do."""

    OTHER_FORMAT = gettext_noop(
        "This isn’t a CSV file. Open it in Google Sheets or Excel and save it as comma-separated"
        " values (.csv). Then choose that file."
    )
    TOO_MANY_ROWS = gettext_noop("This file has more than 50,000 rows. Split it.")
    TOO_MUCH = gettext_noop("There’s too much in this file. Keep only the column with the emails.")
    OPEN_QUOTE = gettext_noop(
        "A quotation mark in this file is opened and never closed, so we can’t tell where its rows"
        " end. Export the file again, or remove the quotation mark."
    )
    NO_ADDRESSES = gettext_noop("We found no email addresses in this file.")


class UnusableFile(ValueError):
    """A file cannot be read; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(slots=True)
class AddressList:
    """The addresses in a file, and the numbers of rows that have none; rows count from 1."""

    addresses: list[str] = field(default_factory=list)
    # The letter of the addresses' column.
    column: str = "A"
    # Rows with an earlier address, ignoring case and plus tags.
    duplicates: list[int] = field(default_factory=list)
    # Rows with an address that is not a staff member's.
    not_staff: list[int] = field(default_factory=list)
    # Rows without exactly one address.
    unreadable: list[int] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Return counts and the first row numbers, but no address."""
        counted = ("addresses", "duplicates", "not_staff", "unreadable")
        return (
            asdict(self)
            | {name: len(getattr(self, name)) for name in counted}
            | {f"{name}_rows": getattr(self, name)[:MAX_ROWS_NAMED] for name in counted[2:]}
        )


def read_addresses(content: bytes, staff: Staff) -> AddressList:
    """Read a file's addresses, or raise UnusableFile."""
    rows = _read_rows(content)
    counts = _address_counts(rows)
    if not counts:
        raise UnusableFile(Fault.NO_ADDRESSES)
    heads = [_headings(row) for row in rows[:2]]  # Google puts a line above the headings
    column = _address_column(counts, {place for each in heads for place in each})
    found = AddressList(column=_column_name(column))
    below = 2 if heads[-1] else 1
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row):
            continue
        try:
            address = check(address_in(row[column] if len(row) > column else ""))
        except InvalidAddress:
            if number > below:
                found.unreadable.append(number)
            continue
        identity = folded(address)
        if identity in seen:
            found.duplicates.append(number)
        elif staff.admits(address):
            found.addresses.append(address)
        else:
            found.not_staff.append(number)
        seen.add(identity)
    return found


def address_in(cell: str) -> str:
    """Return the address in a cell, such as “Ada <ada@…>”, or "" unless there is exactly one."""
    if not any(sign in cell for sign in AT_SIGNS) or len(cell) > MAX_CELL:
        return ""
    text = unicodedata.normalize("NFKC", UNSEEN.sub("", cell)).strip()
    if named := NAMED.fullmatch(text):
        text = named[1]
    text = text.strip(AROUND)
    if text.lower().startswith("mailto:"):
        text = text[len("mailto:") :].partition("?")[0]
    text = re.sub(r"\s?@\s?", "@", text)
    return text if LIKELY.fullmatch(text) else ""


def _read_rows(content: bytes) -> list[list[str]]:
    """Split a file into rows, by the delimiter with which most cells have an address."""
    text = _decode(content)
    if len(content) > MAX_FILE_OCTETS or max(map(text.count, DELIMITERS)) > MAX_CELLS:
        raise UnusableFile(Fault.TOO_MUCH)
    found = [_address_counts(_parse(text, each, SAMPLE_ROWS)).total() for each in DELIMITERS]
    rows = _parse(
        text.removesuffix("\n") + f"\n{END}", DELIMITERS[found.index(max(found))], MAX_ROWS + 2
    )
    if len(rows) > MAX_ROWS + 1:
        raise UnusableFile(Fault.TOO_MANY_ROWS)
    if rows[-1:] != [[END]]:
        raise UnusableFile(Fault.OPEN_QUOTE)
    return rows[:-1]


def _parse(text: str, delimiter: str, most: int) -> list[list[str]]:
    """Parse the first rows, up to a cell that exceeds csv's limit."""
    rows: list[list[str]] = []
    with suppress(csv.Error):
        rows.extend(islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), most))
    return rows


def _decode(content: bytes) -> str:
    """Decode by the BOM, or as UTF-8 or Windows-1252. Raises UnusableFile for other formats."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", "replace")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252", "replace")
    if content.startswith(OTHER_FORMATS) or "\x00" in text:
        raise UnusableFile(Fault.OTHER_FORMAT)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _address_counts(rows: list[list[str]]) -> Counter[int]:
    """Count the cells with an address in each column."""
    return Counter(place for row in rows for place, cell in enumerate(row) if address_in(cell))


def _headings(row: list[str]) -> set[int]:
    """Return the positions of cells that are known headings of an email column."""
    words = [" ".join(UNSEEN.sub("", cell).split()).rstrip(" *:").casefold() for cell in row]
    return {place for place, said in enumerate(words) if said in HEADINGS}


def _address_column(counts: Counter[int], headed: set[int]) -> int:
    """Return the column with most addresses, or one with a known heading and half as many."""
    most = max(counts.values())
    return min(
        counts,
        key=lambda place: (place not in headed or 2 * counts[place] < most, -counts[place], place),
    )


def _column_name(place: int) -> str:
    """Return a column's letters, as in spreadsheets: A to Z, then AA."""
    first, letter = divmod(place, 26)
    return (_column_name(first - 1) if first else "") + chr(ord("A") + letter)
