"""Write the objects of a PDF (ISO 32000, 7.5): packed, and the same octets for the same objects."""

import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Final

from pypdf.generic import (
    ArrayObject,
    IndirectObject,
    NameObject,
    NumberObject,
    PdfObject,
    StreamObject,
)

HEADER: Final = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
# Objects that are packed together.
TOGETHER: Final = 200
# What an entry of the table of places is: in the open, or packed; and how many octets each has.
_IN_THE_OPEN, _PACKED = 1, 2
_WIDTHS: Final = (1, 4, 2)


def write_pdf(objects: Mapping[int, PdfObject], root: IndirectObject) -> bytes:
    """Return a PDF of objects by their numbers, of which one is its catalog."""
    file, places = BytesIO(), dict[int, tuple[int, int, int]]()
    file.write(HEADER)
    packed = [each for each in sorted(objects) if not isinstance(objects[each], StreamObject)]
    last = max(objects)
    for number in sorted(objects.keys() - set(packed)):
        places[number] = (_IN_THE_OPEN, file.tell(), 0)
        _write(file, number, objects[number])
    for begin in range(0, len(packed), TOGETHER):
        numbers = packed[begin : begin + TOGETHER]
        last += 1
        places[last] = (_IN_THE_OPEN, file.tell(), 0)
        places |= {each: (_PACKED, last, index) for index, each in enumerate(numbers)}
        _write(file, last, _together({each: objects[each] for each in numbers}))
    begun = file.tell()
    places[last + 1] = (_IN_THE_OPEN, begun, 0)
    _write(file, last + 1, _table(places, root))
    file.write(f"startxref\n{begun}\n%%EOF\n".encode())
    return file.getvalue()


def _write(file: BytesIO, number: int, item: PdfObject) -> None:
    file.write(f"{number} 0 obj\n".encode())
    item.write_to_stream(file)
    file.write(b"\nendobj\n")


def _together(objects: Mapping[int, PdfObject]) -> StreamObject:
    body, head = BytesIO(), list[str]()
    for number, item in objects.items():
        head.append(f"{number} {body.tell()}")
        item.write_to_stream(body)
        body.write(b"\n")
    begin = " ".join(head).encode() + b"\n"
    counts = {"N": len(objects), "First": len(begin)}
    return _stream("/ObjStm", begin + body.getvalue(), counts)


def _table(places: Mapping[int, tuple[int, int, int]], root: IndirectObject) -> StreamObject:
    """Say where each object is; what has no place is free."""
    size = max(places) + 1
    rows = b"".join(_row(places.get(number, (0, 0, 0))) for number in range(size))
    table = _stream("/XRef", rows, {"Size": size})
    table[NameObject("/W")] = ArrayObject(map(NumberObject, _WIDTHS))
    table[NameObject("/Root")] = root
    return table


def _row(place: tuple[int, int, int]) -> bytes:
    return b"".join(part.to_bytes(width) for part, width in zip(place, _WIDTHS, strict=True))


def _stream(kind: str, data: bytes, numbers: Mapping[str, int]) -> StreamObject:
    made = StreamObject()
    made[NameObject("/Type")] = NameObject(kind)
    for name, number in numbers.items():
        made[NameObject(f"/{name}")] = NumberObject(number)
    made[NameObject("/Filter")] = NameObject("/FlateDecode")
    made.set_data(zlib.compress(data))
    return made
