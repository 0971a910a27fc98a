"""The addresses of a file are found however the file was written, and nothing else is taken."""

import io
import time
import zipfile

import pytest

from belong_mail.mail.address import Staff
from belong_mail.members import address_list
from belong_mail.members.address_list import (
    MAX_FILE_OCTETS,
    MAX_ROWS,
    AddressList,
    Fault,
    UnusableFile,
    read_addresses,
)
from tests.imports.messy import HEADINGS, SPANISH, messy

STAFF = Staff(("dpsk12.org",))
ADDRESS = "ada@dpsk12.org"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")


def read(content: bytes | str) -> AddressList:
    return read_addresses(content if isinstance(content, bytes) else content.encode(), STAFF)


def fault_of(content: bytes | str) -> Fault:
    with pytest.raises(UnusableFile) as caught:
        read(content)
    assert "@" not in str(caught.value)
    return caught.value.fault


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_messy_file_has_the_same_addresses_in_each_encoding_and_with_each_delimiter(
    encoding: str, delimiter: str
) -> None:
    for seed, headings, line_end in ((1, HEADINGS, "\r\n"), (2, SPANISH, "\n"), (3, None, "\r")):
        made = messy(seed, 400, headings)
        found = read(made.text(delimiter, line_end).encode(encoding, "ignore"))
        assert found.addresses == made.asked
        assert found.duplicates == made.duplicates
        assert found.not_staff == made.not_staff
        assert found.unreadable == made.unreadable
        assert found.empty_rows == made.empty
        assert (found.column, found.heading_rows) == ("C", 0 if headings is None else 1)


def test_a_google_groups_members_are_read_below_the_line_with_the_groups_own_address() -> None:
    found = read(
        "Members for group village@dpsk12.org\n"
        "Email address,Nickname,Group status,Email status,Email preference,Join year\n"
        "ada@dpsk12.org,Ada,owner,,email,2021\nbob@dpsk12.org,,member,,none,2022\n"
    )
    assert (found.addresses, found.column) == (["ada@dpsk12.org", "bob@dpsk12.org"], "A")
    assert (found.heading_rows, found.unreadable) == (2, [])


@pytest.mark.parametrize(
    "content",
    [
        "ada@dpsk12.org",
        "ada@dpsk12.org\nbob@dpsk12.org\n",
        "\n\n\nada@dpsk12.org\r\n\r\nbob@dpsk12.org",
        "ada@dpsk12.org, bob@dpsk12.org",
        "ada@dpsk12.org; bob@dpsk12.org",
        "Ada <ada@dpsk12.org>, Bob <bob@dpsk12.org>",
        "Correo electrónico\nada@dpsk12.org\nbob@dpsk12.org",
        'a\n"ada@dpsk12.org, bob@dpsk12.org"\n',
        '=HYPERLINK("mailto:ada@dpsk12.org","ada@dpsk12.org")\n',
        "ada＠dpsk12.org\n",
    ],
)
def test_plain_lists_are_read_with_and_without_a_heading(content: str) -> None:
    found = read(content)
    assert found.addresses in (["ada@dpsk12.org", "bob@dpsk12.org"], ["ada@dpsk12.org"])
    assert ("bob" in content) == (len(found.addresses) == 2)
    assert found.not_staff == found.unreadable == found.duplicates == []


def test_a_known_heading_decides_between_two_columns_of_addresses() -> None:
    rows = [f"boss{each}@dpsk12.org,{each},me{each}@dpsk12.org" for each in range(9)]
    found = read("\n".join(["Your manager's email,n,Email Address", *rows]))
    assert found.addresses == [f"me{each}@dpsk12.org" for each in range(9)]
    assert read("\n".join(rows)).column == "A"


def test_addresses_in_answers_are_nobodys_who_is_asked() -> None:
    found = read("Email address,Who else?\nada@dpsk12.org,try bob@dpsk12.org or eve@dpsk12.org\n")
    assert found.addresses == ["ada@dpsk12.org"]
    unquoted = read(
        "Email address,Who else?\nada@dpsk12.org,bob, then call eve@dpsk12.org now\ncy@dpsk12.org,x"
    )
    assert unquoted.addresses == ["ada@dpsk12.org", "cy@dpsk12.org"]


def test_addresses_that_are_not_staff_are_named_by_their_rows() -> None:
    staff = Staff(("dpsk12.org",), __import__("re").compile(r"^\d+$"))
    found = read_addresses(b"email\n123@dpsk12.org\nada@dpsk12.org\nada@x.dpsk12.org\n", staff)
    assert (found.addresses, found.not_staff) == (["ada@dpsk12.org"], [2, 4])


def test_other_files_are_refused_with_what_to_do() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("xl/workbook.xml", "<workbook/>")
    for content in (packed.getvalue(), b"\xd0\xcf\x11\xe0abc", b"%PDF-1.7", bytes(range(256)) * 9):
        assert fault_of(content) is Fault.OTHER_FORMAT
    assert fault_of(b"") is fault_of(b"Name\nAda\n") is Fault.NO_ADDRESSES
    assert fault_of('email,x\nada@dpsk12.org,"oh no\nbob@dpsk12.org,y\n') is Fault.OPEN_QUOTE
    assert fault_of(b"a" * (MAX_FILE_OCTETS + 1)) is Fault.TOO_LARGE


def test_as_many_rows_as_are_allowed_are_read_and_one_more_is_refused() -> None:
    rows = [f"p{each}@dpsk12.org" for each in range(MAX_ROWS)]
    assert len(read("\n".join(["Email address", *rows])).addresses) == MAX_ROWS
    more = [f"q{each}@dpsk12.org" for each in range(address_list.MAX_HEADING_ROWS + 1)]
    assert fault_of("\n".join(rows + more)) is Fault.TOO_MANY_ROWS


def test_a_stray_quotation_mark_within_a_cell_swallows_no_row() -> None:
    found = read('email,x\n"Ada" <ada@dpsk12.org>,5" nail\nbob@dpsk12.org,y\n')
    assert found.addresses == ["ada@dpsk12.org", "bob@dpsk12.org"]


# Cells as long as the parser of CSV reads one.
LONG = 120_000


@pytest.mark.timeout(40)  # without its guard it would take minutes
@pytest.mark.parametrize(
    "cell",
    [
        "@x" + " " * LONG + "x",
        " " * LONG + "@",
        "a@" + "\u0316\u0301" * (LONG // 2),
        "a@" + "\ufdfa" * LONG,
        ", ".join(["a@"] * (LONG // 4)),
    ],
    ids=["blanks-after", "blanks-before", "marks", "long-signs", "signs"],
)
def test_a_cell_takes_no_longer_than_its_length(cell: str) -> None:
    begun = time.process_time()
    found = read(f'Email\n"{cell}"\nada@dpsk12.org\n')
    assert time.process_time() - begun < 2
    assert found.addresses == ["ada@dpsk12.org"]


@pytest.mark.parametrize(
    "content", ["," * (address_list.MAX_CELLS + 1) + ADDRESS, "a@b," * (address_list.MAX_SIGNS + 1)]
)
def test_a_file_with_too_many_cells_or_signs_is_refused_before_it_is_read(content: str) -> None:
    assert fault_of(content) is Fault.TOO_MUCH


def test_more_addresses_than_rows_are_allowed_are_refused_in_one_row_too() -> None:
    row = ",".join(f"p{each}@x.org" for each in range(MAX_ROWS + 1))
    assert fault_of(row) is Fault.TOO_MANY_ROWS


def test_a_stray_quotation_mark_before_one_that_is_never_closed_is_named() -> None:
    rows = "x,bob@dpsk12.org\n" * 9000
    assert fault_of(f'email,x\n"Ada" <ada@dpsk12.org>,y\n"oh no,\n{rows}') is Fault.OPEN_QUOTE


def test_a_heading_may_name_whom_to_ask() -> None:
    heading = "Email (questions? ask help@dpsk12.org)"
    found = read(f"Time,{heading}\n1,ada@dpsk12.org\n2,bob@dpsk12.org\n")
    assert (found.addresses, found.heading_rows) == (["ada@dpsk12.org", "bob@dpsk12.org"], 1)
    for first in ("Ada Lovelace <ada@dpsk12.org>", "ada@dpsk12.org; eve@dpsk12.org"):
        assert read(f'"{first}"\nbob@dpsk12.org\n').heading_rows == 0


def test_other_columns_with_addresses_are_named() -> None:
    rows = [f"me{each}@dpsk12.org,{each},boss{each}@dpsk12.org" for each in range(9)]
    found = read("\n".join(["Email,n,Your supervisor (or ask hr@dpsk12.org)", *rows]))
    assert (found.column, found.other_columns) == ("A", ["C"])
    assert read("Email,Ask hr@dpsk12.org\nada@dpsk12.org,1\nbob@dpsk12.org,2").other_columns == []


def test_a_row_with_a_list_of_people_asks_none_of_them() -> None:
    found = read('Email\nada@dpsk12.org\n"bob@dpsk12.org, cy@dpsk12.org, eve@dpsk12.org"\n')
    assert (found.addresses, found.unreadable) == (["ada@dpsk12.org"], [3])
    alone = read('"bob@dpsk12.org, cy@dpsk12.org, eve@dpsk12.org"\n')
    assert len(alone.addresses) == 3


@pytest.mark.parametrize("start", ["-", "="])
def test_an_address_is_not_changed_into_another_one(start: str) -> None:
    found = read(f"Email\n{start}eve@dpsk12.org\nada@dpsk12.org\n")
    assert (found.addresses, found.unreadable) == (["ada@dpsk12.org"], [2])
