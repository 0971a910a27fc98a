"""The addresses of a file are found however the file was written, and nothing else is taken."""

import csv
import io
import re

import pytest

from belong_mail.mail.address import Staff
from belong_mail.members import address_list
from belong_mail.members.address_list import (
    MAX_FILE_OCTETS,
    MAX_ROWS,
    Fault,
    UnusableFile,
    read_addresses,
)

STAFF = Staff(("dpsk12.org",), re.compile(r"^\d+$"))
ADDRESS = "ada@dpsk12.org"
MANAGER = "boss@dpsk12.org"
HEADINGS = ("Timestamp", "Name", "Email address", "Anything else?", "Your manager's email")
SPANISH = (
    "Marca temporal", "Nombre", "Dirección de correo electrónico", "¿Algo más?", "Correo de tu jefe"
)  # fmt: skip
SPELLED = (
    "{}", "Ada Lovelace <{}>", "  {}\u00a0", "mailto:{}", "\u200b{}\ufeff", "<{}>", "{},", "'{}",
    "{}.", "mailto:{}?subject=Hi", '"Lovelace, Ada" <{}>',
)  # fmt: skip
GARBAGE = (
    "n/a", "-", "same as last year", "ada.dpsk12.org", "ada@", "@dpsk12.org", "a@@dpsk12.org"
)  # fmt: skip
NOTES = (
    "", "no", "Sí, mañana; quizás", 'They said "maybe", twice', "one line\nand another\n\nthird",
    "write to my friend pat@gmail.com", "=1+1", "—", "Español: ñ, ü", "tab\there",
)  # fmt: skip
MANAGERS = [f"boss{each}@dpsk12.org,{each},me{each}@dpsk12.org" for each in range(9)]


def read(content: bytes | str):
    return read_addresses(content if isinstance(content, bytes) else content.encode(), STAFF)


def written(rows: list[list[str]], delimiter: str, line_end: str) -> str:
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=delimiter,
        lineterminator=line_end,
        quoting=csv.QUOTE_ALL if line_end == "\r" else csv.QUOTE_MINIMAL,
    )
    writer.writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("headings", "line_end"), [(HEADINGS, "\r\n"), (SPANISH, "\n"), (None, "\r")]
)
def test_a_messy_file_has_the_same_addresses_in_each_encoding_and_with_each_delimiter(
    encoding, delimiter, headings, line_end
):
    people = [f"Person{each}@dpsk12.org" for each in range(len(SPELLED))]
    parts = {
        "asked": [cell.format(each) for cell, each in zip(SPELLED, people, strict=True)],
        "again": [people[0].upper(), "person1+belong@dpsk12.org", f"Me <{people[2].lower()}>"],
        "elsewhere": ["ada@gmail.com", "<eve@dpsk12.org.example>"],
        "garbage": [*GARBAGE, "new@dpsk12.org; other@dpsk12.org"],
        "empty": ["", "\u00a0"],
    }
    rows, places = [list(headings)] if headings else [], {}
    for what, cells in parts.items():
        places[what] = list(range(len(rows) + 1, len(rows) + len(cells) + 1))
        for number, cell in enumerate(cells):
            words = (
                "9:00",
                "Person, A",
                cell,
                NOTES[number % len(NOTES)],
                ["", MANAGER][number % 2],
            )
            rows.append(["", "", cell, "", ""] if what == "empty" else list(words))
    found = read(written(rows, delimiter, line_end).encode(encoding, "ignore"))
    assert found.addresses == people
    assert found.duplicates == places["again"]
    assert found.not_staff == places["elsewhere"]
    assert found.unreadable == places["garbage"]
    assert found.column == "C"


@pytest.mark.parametrize(
    ("content", "addresses", "unreadable"),
    [
        ("ada@dpsk12.org", "ada", []),
        ("\n\n\nada@dpsk12.org\r\n\r\nbob@dpsk12.org", "ada bob", []),
        ("Correo electrónico\nada@dpsk12.org\nbob@dpsk12.org", "ada bob", []),
        ("ada＠dpsk12.org\n", "ada", []),
        ("Email (ask help@dpsk12.org)\nada@dpsk12.org\nbob@dpsk12.org", "ada bob", []),
        # A quotation mark within a cell swallows no row.
        ('email,x\n"Ada" <ada@dpsk12.org>,5" nail\nbob@dpsk12.org,y\n', "ada bob", []),
        # Nobody's answer is asked.
        ("Email,Who else?\nada@dpsk12.org,try bob@dpsk12.org", "ada", []),
        # Doubtful cells are no addresses.
        ('Email\nada@dpsk12.org\n"bob@dpsk12.org, cy@dpsk12.org"\n', "ada", [3]),
        ("Email\n-eve@dpsk12.org\nada@dpsk12.org\n=eve@dpsk12.org", "ada", [2, 4]),
    ],
)
def test_one_address_a_cell_is_read_and_doubtful_rows_are_named(content, addresses, unreadable):
    found = read(content)
    assert found.addresses == [f"{each}@dpsk12.org" for each in addresses.split()]
    assert (found.not_staff, found.duplicates) == ([], [])
    assert found.unreadable == unreadable


def test_a_google_groups_members_are_read_below_the_line_with_the_groups_own_address():
    found = read(
        "Members for group village@dpsk12.org\n"
        "Email address,Nickname,Group status,Email status,Email preference,Join year\n"
        "ada@dpsk12.org,Ada,owner,,email,2021\nbob@dpsk12.org,,member,,none,2022\n"
    )
    assert (found.addresses, found.column) == (["ada@dpsk12.org", "bob@dpsk12.org"], "A")
    assert found.unreadable == []


def test_a_known_heading_decides_between_two_columns_of_addresses():
    found = read("\n".join(["Your manager's email,n,Email Address", *MANAGERS]))
    assert found.addresses == [f"me{each}@dpsk12.org" for each in range(9)]
    assert found.column == "C"
    assert read("\n".join(MANAGERS)).column == "A"
    assert read("," * 27 + ADDRESS).column == "AB"


def test_addresses_that_are_not_staff_are_named_by_their_rows():
    found = read("email\n123@dpsk12.org\nada@dpsk12.org\nada@x.dpsk12.org\n")
    assert (found.addresses, found.not_staff) == ([ADDRESS], [2, 4])


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"PK\x03\x04xl", Fault.OTHER_FORMAT),
        (b"\xd0\xcf\x11\xe0abc", Fault.OTHER_FORMAT),
        (b"%PDF-1.7", Fault.OTHER_FORMAT),
        (ADDRESS.encode("utf-16-le"), Fault.OTHER_FORMAT),
        (b"", Fault.NO_ADDRESSES),
        (b"Name\nAda\n", Fault.NO_ADDRESSES),
        (f'email,x\n{ADDRESS},"oh no\nbob@dpsk12.org,y\n'.encode(), Fault.OPEN_QUOTE),
        (f'"Ada" <{ADDRESS}>\n{ADDRESS}\n"oh no,\n'.encode() + b"x\n" * 90_000, Fault.OPEN_QUOTE),
        (b"a" * (MAX_FILE_OCTETS + 1), Fault.TOO_MUCH),
        (b"," * (address_list.MAX_CELLS + 1) + ADDRESS.encode(), Fault.TOO_MUCH),
    ],
    ids=lambda each: each.name if isinstance(each, Fault) else "",
)
def test_other_files_are_refused_with_what_to_do(content, fault):
    with pytest.raises(UnusableFile) as caught:
        read(content)
    assert caught.value.fault is fault
    assert "@" not in str(caught.value)


def test_as_many_rows_as_are_allowed_are_read_and_one_more_is_refused():
    rows = [f"p{each}@dpsk12.org" for each in range(MAX_ROWS)]
    assert len(read("\n".join(rows)).addresses) == MAX_ROWS
    with pytest.raises(UnusableFile, match="more than 50,000 rows"):
        read("\n".join([*rows, ADDRESS]))


# As long as the parser of CSV reads a cell.
LONG = 120_000


@pytest.mark.timeout(40)  # without its guard it would take minutes
@pytest.mark.parametrize(
    "cell",
    ["@x" + " " * LONG + "x", "a@" + "\u0316\u0301" * (LONG // 2), ", ".join(["a@"] * (LONG // 4))],
    ids=["blanks", "marks", "signs"],
)
def test_a_cell_takes_no_longer_than_its_length(cell):
    assert read(f'Email\n"{cell}"\n{ADDRESS}\n').addresses == [ADDRESS]
