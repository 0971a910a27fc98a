"""Read the addresses of a spreadsheet: a form's responses, or the members of a mailing group.

It looks at what stands in the cells, for headings differ by product, language and year, or are
missing. Nothing but addresses is taken: no names, no answers. It names an unusable row by its
number, as a spreadsheet shows it, and never by its words.
"""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Final

from belong_mail.core.translatable import gettext_noop
from belong_mail.mail.address import InvalidAddress, Staff, check, normalise, untagged

MAX_ROWS: Final = 50_000
MAX_FILE_OCTETS: Final = 8 * 1024 * 1024
# Delimiters of a file, and signs of addresses: 20 questions, and five addresses, in each row.
MAX_CELLS: Final = 20 * MAX_ROWS
MAX_SIGNS: Final = 5 * MAX_ROWS
# A longer word that is not ASCII is no address: what its normal form costs is quadratic.
MAX_WORD: Final = 100
DELIMITERS: Final = ",;\t"
# Rows from which delimiters and columns are judged, and before which headings may stand.
SAMPLE_ROWS: Final = 200
MAX_HEADING_ROWS: Final = 5
# With the right delimiter, this part of the rows has as many cells as most.
REGULAR_PART: Final = 0.6
# A cell that has more line breaks is no answer: a quotation mark was never closed.
MAX_CELL_LINES: Final = 200
# Magic bytes of other programs' files: ZIP (Excel, LibreOffice, Numbers), old Excel, PDF.
OTHER_FORMATS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0", b"%PDF")
# One octet in so many that is zero shows UTF-16 of Western text.
UTF16_PART: Final = 4
CONTROLS_PART: Final = 100
# Google's headings of the column that we want, in English and Spanish.
HEADINGS: Final = frozenset(
    (
        "address", "correo", "correo electrónico", "direccion de correo electronico",
        "dirección de correo electrónico", "dirección de correo", "dps email", "dps email address",
        "e-mail", "e-mail address", "email", "email address", "member email", "nombre de usuario",
        "username", "work email", "your email",
    )
)  # fmt: skip
# The line above the headings of a Google Group's members, which may name the group's own address.
PREAMBLE = re.compile(r"\s*(members (for|of)|miembros (del|de|para))\b", re.IGNORECASE)
BETWEEN = re.compile(r"[\s,;|/\\()\[\]{}<>\"“”«»]+")
MAILTO = re.compile(r"^mailto:", re.IGNORECASE)
# As keyboards of other scripts write it, too.
AT_SIGNS: Final = "@\uff20\ufe6b"
AT_SIGN = re.compile(f"[{AT_SIGNS}]")
AROUND: Final = "'`‘’.:*"
# They may begin an address, but hardly do: their writer should look.
UNUSUAL_STARTS: Final = ("-", "=")
# A row with more addresses is a list of other people, unless it is the only one.
MAX_IN_ROW: Final = 2
# Other columns with addresses that a report names.
MAX_COLUMNS_NAMED: Final = 10
# Zero-width characters, marks of direction, soft hyphens: cells are pasted with them.
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


class Fault(Enum):
    """Why a file cannot be used at all, in words that say what to do."""

    OTHER_FORMAT = gettext_noop(
        "This isn’t a CSV file. Open it in Google Sheets or Excel and save it as comma-separated"
        " values (.csv). Then choose that file."
    )
    TOO_LARGE = gettext_noop("This file is larger than 8 MB. Keep only the column with the emails.")
    TOO_MANY_ROWS = gettext_noop("This file has more than 50,000 rows. Split it.")
    TOO_MUCH = gettext_noop("There’s too much in this file. Keep only the column with the emails.")
    OPEN_QUOTE = gettext_noop(
        "A quotation mark in this file is opened and never closed, so we can’t tell where its rows"
        " end. Export the file again, or remove the quotation mark."
    )
    NO_ADDRESSES = gettext_noop("We found no email addresses in this file.")


class UnusableFile(ValueError):
    """Says why a file cannot be used, and quotes nothing of it."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(slots=True)
class AddressList:
    """A file's addresses; rows count from 1."""

    addresses: list[str] = field(default_factory=list)
    # The column that they stand in, as spreadsheets name it.
    column: str = "A"
    # Others that hold addresses, too.
    other_columns: list[str] = field(default_factory=list)
    # Cells of that column that look like an address.
    texts: int = 0
    heading_rows: int = 0
    empty_rows: int = 0
    # The rows of an address that stands in an earlier row, also in other capitals or with a tag.
    duplicates: list[int] = field(default_factory=list)
    # The rows of an address that is not one of the district's staff.
    not_staff: list[int] = field(default_factory=list)
    # The rows in which there is something else than an address.
    unreadable: list[int] = field(default_factory=list)


def read_addresses(content: bytes, staff: Staff) -> AddressList:
    """Read a file's addresses, or raise UnusableFile."""
    rows = read_rows(content)
    counts = _address_counts(rows)
    column = _address_column(rows, counts)
    first = _first_row(rows, column)
    widths = Counter(len(row) for row in rows[first:] if any(row))
    is_list = widths.total() == 1
    # A single row is a list in one line; else what stands beyond the usual cells was not quoted.
    usual = column + 1 if is_list else widths.most_common(1)[0][0]
    found = AddressList(column=_column_name(column))
    found.other_columns = _other_columns(rows[first:], column, usual)
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row):
            found.empty_rows += 1
        elif number <= first:
            found.heading_rows += 1
        elif not is_list and len(addresses_in("".join(row[column : column + 1]))) > MAX_IN_ROW:
            found.unreadable.append(number)
        else:
            cells = [*row[column : column + 1], *filter(_is_address, row[max(usual, column + 1) :])]
            _sort(found, seen, staff, number, cells)
    for rows_of in (found.duplicates, found.not_staff, found.unreadable):
        rows_of[:] = dict.fromkeys(rows_of)
    return found


def _sort(
    found: AddressList, seen: set[str], staff: Staff, number: int, cells: Sequence[str]
) -> None:
    """Enter what stands in the cells of one row."""
    texts = dict.fromkeys(text for cell in cells for text in addresses_in(cell))
    found.texts += len(texts)
    if found.texts > MAX_ROWS:
        raise UnusableFile(Fault.TOO_MANY_ROWS)
    if not texts:
        found.unreadable.append(number)
    for text in texts:
        try:
            address = _checked(text)
        except InvalidAddress:
            found.unreadable.append(number)
            continue
        identity = untagged(normalise(address))
        if identity in seen:
            found.duplicates.append(number)
        elif staff.admits(address):
            found.addresses.append(address)
        else:
            found.not_staff.append(number)
        seen.add(identity)


def _checked(text: str) -> str:
    """Return the address that a text is; raise InvalidAddress for none, or a doubtful one."""
    if text.startswith(UNUSUAL_STARTS):
        raise InvalidAddress("This is not an address as people write it.")
    return check(text)


def _is_address(cell: str) -> bool:
    """Tell whether a cell is an address and nothing else, but for a name before it."""
    return len(addresses_in(cell)) == 1 and (" " not in cell.strip() or cell.strip().endswith(">"))


def addresses_in(cell: str) -> list[str]:
    """Return what looks like an address in a cell, each once: “Ada <ada@…>” has one."""
    if not any(sign in cell for sign in AT_SIGNS):
        return []
    found = (MAILTO.sub("", word.strip(AROUND)).partition("?")[0] for word in _words(cell))
    return list({word.lower(): word for word in found if "@" in word}.values())


def _words(cell: str) -> Iterator[str]:
    """Split a cell at blanks and punctuation, in time that grows with its length, not faster."""
    parts = (part.strip() for part in AT_SIGN.split(UNSEEN.sub("", cell)))
    for word in BETWEEN.split("@".join(parts)):
        if word.isascii():
            yield word
        elif "@" in word and len(word) <= MAX_WORD:
            usual = unicodedata.normalize("NFKC", word)
            yield from BETWEEN.split(usual) if len(usual) <= 2 * MAX_WORD else ()


def read_rows(content: bytes) -> list[list[str]]:
    """Split a file into rows of cells, or raise UnusableFile."""
    if len(content) > MAX_FILE_OCTETS:
        raise UnusableFile(Fault.TOO_LARGE)
    text = decode(content)
    if max(map(text.count, DELIMITERS)) > MAX_CELLS or sum(map(text.count, AT_SIGNS)) > MAX_SIGNS:
        raise UnusableFile(Fault.TOO_MUCH)
    delimiter = _delimiter(text)
    try:
        rows = _parsed(text, delimiter)
    except csv.Error:
        raise UnusableFile(Fault.OPEN_QUOTE) from None
    if any(cell.count("\n") > MAX_CELL_LINES for row in rows for cell in row):
        raise UnusableFile(Fault.OPEN_QUOTE)
    return rows


def _parsed(text: str, delimiter: str) -> list[list[str]]:
    """Read rows, once more where a quotation mark stands within a cell; may raise csv.Error."""
    try:
        return _up_to_limit(
            csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        )
    except csv.Error as error:
        if "unexpected end" in str(error) or "field larger" in str(error):
            raise
    return _up_to_limit(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def decode(content: bytes) -> str:
    """Decode a file as the usual programs write them, or raise UnusableFile for another format."""
    if content.startswith(OTHER_FORMATS):
        raise UnusableFile(Fault.OTHER_FORMAT)
    text = _decoded(content)
    controls = sum(character < " " and character not in "\t\r\n\f\v" for character in text)
    if "\x00" in text or controls * CONTROLS_PART > len(text):
        raise UnusableFile(Fault.OTHER_FORMAT)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(content: bytes) -> str:
    encodings = ["utf-8-sig", "cp1252", "latin-1"]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16", "latin-1"]
    elif content and content[1::2].count(0) * UTF16_PART > len(content):
        encodings = ["utf-16-le", "latin-1"]
    elif content and content[::2].count(0) * UTF16_PART > len(content):
        encodings = ["utf-16-be", "latin-1"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnusableFile(Fault.OTHER_FORMAT)


def _up_to_limit(reader: Iterator[list[str]]) -> list[list[str]]:
    """Read rows; those that are not empty count."""
    rows: list[list[str]] = []
    filled = 0
    for row in reader:
        rows.append(row)
        filled += any(cell.strip() for cell in row)
        if filled > MAX_ROWS + MAX_HEADING_ROWS or len(rows) > 2 * MAX_ROWS:
            raise UnusableFile(Fault.TOO_MANY_ROWS)
    return rows


def _delimiter(text: str) -> str:
    """Choose the delimiter that makes the most rows of one width above 1."""
    best, best_score = DELIMITERS[0], 0.0
    for delimiter in DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            widths = [len(row) for row in islice(reader, SAMPLE_ROWS) if any(row)]
        except csv.Error:
            continue
        several = Counter(width for width in widths if width > 1).most_common(1)
        score = several[0][1] / len(widths) if several else 0.0
        if score >= REGULAR_PART and score > best_score:
            best, best_score = delimiter, score
    return best


def _address_counts(rows: list[list[str]]) -> Counter[int]:
    """Count the cells of each column that hold addresses; raise UnusableFile when none do."""
    counts: Counter[int] = Counter()
    for number, row in enumerate(rows):
        if number >= MAX_HEADING_ROWS or not (row and PREAMBLE.match(row[0])):
            counts.update(place for place, cell in enumerate(row) if addresses_in(cell))
    if not counts:
        raise UnusableFile(Fault.NO_ADDRESSES)
    return counts


def _address_column(rows: list[list[str]], counts: Counter[int]) -> int:
    """Find the column of addresses by what stands in it.

    A known heading decides between columns that are about as full: a form may also ask for the
    address of somebody's manager.
    """
    headed = {
        place
        for row in rows[:MAX_HEADING_ROWS]
        for place, cell in enumerate(row)
        if " ".join(UNSEEN.sub("", cell).split()).rstrip(" *:").casefold() in HEADINGS
    }
    most = max(counts.values())
    return min(
        counts,
        key=lambda place: (-(place in headed and 2 * counts[place] >= most), -counts[place], place),
    )


def _other_columns(rows: list[list[str]], column: int, usual: int) -> list[str]:
    """Name other columns that hold addresses below the headings, the first few of them."""
    others = {
        place
        for row in rows
        for place, cell in enumerate(row[:usual])
        if place != column and addresses_in(cell)
    }
    return [_column_name(place) for place in sorted(others)[:MAX_COLUMNS_NAMED]]


def _first_row(rows: list[list[str]], column: int) -> int:
    """Return how many rows stand before the first address: headings, where they are few.

    A heading may name an address, such as whom to ask, among other words; more rows follow it.
    """
    for number, row in enumerate(rows[: MAX_HEADING_ROWS + 1]):
        is_preamble = bool(row) and PREAMBLE.match(row[0])
        if is_preamble or len(row) <= column or not addresses_in(row[column]):
            continue
        is_followed = any(addresses_in(cell) for row in rows[number + 1 :] for cell in row)
        if not (number == 0 and is_followed and _has_other_words(row[column])):
            return number
    return 1


def _has_other_words(cell: str) -> bool:
    """Tell whether a cell holds words beside addresses, and not only a name before one."""
    return not _is_address(cell) and any(word and "@" not in word for word in _words(cell))


def _column_name(place: int) -> str:
    """Name a column as spreadsheets do: A to Z, then AA."""
    name = ""
    place += 1
    while place:
        place, letter = divmod(place - 1, 26)
        name = chr(ord("A") + letter) + name
    return name
