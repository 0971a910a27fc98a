"""Make a PDF anew from what its pages show (ISO 32000); nothing else of the file remains.

Runs as a program of its own, which `flyer_reader` starts: PDFs are parsed in no other process.
What is taken over is listed here by name: it is what draws a page, says its order to a screen
reader, or is a plain link. What is not listed cannot come along, whatever the file calls it.
"""

import json
import re
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from enum import Enum
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlsplit

from pypdf import PdfReader, filters
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    ByteStringObject,
    DictionaryObject,
    FloatObject,
    IndirectObject,
    NameObject,
    NullObject,
    NumberObject,
    PdfObject,
    StreamObject,
    TextStringObject,
)

from belong_mail.newsletters.confinement import confine
from belong_mail.newsletters.flyer_reader import (
    MAX_FILE,
    MAX_PAGES,
    CleanFlyer,
    InvalidFlyer,
    require_pdf,
)
from belong_mail.newsletters.flyer_writer import write_pdf
from belong_mail.newsletters.photo_metadata import bare_jpeg, bare_jpeg_2000

# Octets that all streams may unpack to, pixels of one picture, and objects in all.
MAX_UNPACKED: Final = 300_000_000
MAX_PIXELS: Final = 64_000_000
MAX_OBJECTS: Final = 50_000
STEP: Final = 1 << 20
MAX_URI: Final = 2000
SCALARS: Final = (
    BooleanObject, ByteStringObject, FloatObject, NameObject, NullObject, NumberObject,
    TextStringObject,
)  # fmt: skip


def _names(words: str) -> frozenset[str]:
    return frozenset(f"/{word}" for word in words.split())


# What a page, its fonts, pictures, patterns, colors and layers are drawn by.
DRAWING: Final = _names(
    # pages' contents, forms, groups and layers
    "Type Subtype Name BBox Matrix Resources Group StructParent StructParents FormType OC OCGs P VE"
    " S CS I K MCID ActualText Alt E Lang D BaseState ON OFF"
    # fonts
    " BaseFont FirstChar LastChar Widths FontDescriptor Encoding ToUnicode DescendantFonts"
    " CIDSystemInfo Registry Ordering Supplement DW W DW2 W2 CIDToGIDMap FontBBox FontMatrix"
    " CharProcs FontName FontFamily FontStretch FontWeight Flags ItalicAngle Ascent Descent Leading"
    " CapHeight XHeight StemV StemH AvgWidth MaxWidth MissingWidth FontFile FontFile2 FontFile3"
    " CharSet Style Panose FD CIDSet Length1 Length2 Length3 BaseEncoding Differences CMapName"
    " WMode UseCMap"
    # pictures
    " Width Height ColorSpace BitsPerComponent Intent ImageMask Mask Decode Interpolate SMask"
    " SMaskInData Matte"
    # patterns, shadings and functions
    " PatternType PaintType TilingType XStep YStep Shading ExtGState ShadingType Background"
    " AntiAlias Coords Domain Function Extend BitsPerCoordinate BitsPerFlag VerticesPerRow"
    " FunctionType Range Size BitsPerSample Order Encode C0 C1 N Functions Bounds"
    # colors and the state of graphics
    " Alternate WhitePoint BlackPoint Gamma Colorants Process Components MixingHints Solidities"
    " PrintingOrder DotGain LW LC LJ ML RI OP op OPM Font BG BG2 UCR UCR2 TR TR2 HT FL SM SA BM CA"
    " ca AIS TK UseBlackPtComp G BC HalftoneType Frequency Angle SpotFunction AccurateScreens"
    " TransferFunction Xsquare Ysquare Width2 Height2"
    # how streams are packed
    " Predictor Colors Columns EarlyChange EndOfLine EncodedByteAlign Rows EndOfBlock BlackIs1"
    " DamagedRowsBeforeError JBIG2Globals ColorTransform"
)
# What resources are sorted into; within each, names are the file's own.
RESOURCES: Final = _names("ExtGState ColorSpace Pattern Shading XObject Font Properties")
# What tells a screen reader the order and the kind of what is on a page.
STRUCTURE: Final = _names(
    "Type S P ID Pg K A R Lang Alt E ActualText ParentTree ParentTreeNextKey Nums Kids Limits"
    " RoleMap MCID Obj O ListNumbering Headers Scope RowSpan ColSpan Summary Placement"
)
PACKINGS: Final = frozenset((
    "/FlateDecode", "/DCTDecode", "/JPXDecode", "/CCITTFaxDecode", "/JBIG2Decode",
    "/RunLengthDecode",
))  # fmt: skip
IN_LETTERS: Final = {
    "/ASCII85Decode": filters.ASCII85Decode.decode,
    "/ASCIIHexDecode": filters.ASCIIHexDecode.decode,
}
# Actions that only show another place or page; of these and of links nothing is refused.
TAME: Final = frozenset(("/GoTo", "/Named", "/URI"))
ACTIVE: Final = _names("RichMedia Screen Movie Sound 3D")
# Annotations that show nothing by themselves, or only in a printing house.
UNSEEN: Final = _names("Popup PrinterMark TrapNet")
HIDDEN: Final = 0b10
# The size of a page that says none: US Letter, in points.
LETTER: Final = ArrayObject(map(NumberObject, (0, 0, 612, 792)))
LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}")


class Mode(Enum):
    """What kind of dictionary is looked at, and so which names are taken from it."""

    DRAWING = DRAWING
    RESOURCES = RESOURCES
    STRUCTURE = STRUCTURE
    # Its names are the file's own: fonts by their nicknames, shapes by their letters.
    NAMED = None
    ROLES = ()


INNER: Final = {
    "/Resources": Mode.RESOURCES, "/CharProcs": Mode.NAMED, "/Colorants": Mode.NAMED,
    "/RoleMap": Mode.ROLES,
}  # fmt: skip


def main() -> None:
    """Read a file from the standard input, and say what became of it on the standard output."""
    file = sys.stdin.buffer.read(MAX_FILE + 1)
    confine()
    try:
        clean = remake(file)
    except InvalidFlyer as refusal:
        said: dict[str, object] = {"refused": refusal.reason}
        content = b""
    else:
        said = {"pages": clean.pages, "is_tagged": clean.is_tagged}
        content = clean.content
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n" + content)


def remake(file: bytes) -> CleanFlyer:
    """Write a PDF of what the pages of another show, or raise InvalidFlyer, whatever it holds."""
    require_pdf(file)
    try:
        return _remade(file)
    except InvalidFlyer:
        raise
    except Exception as error:
        raise InvalidFlyer("locked" if b"/Encrypt" in file else "damaged") from error


def _remade(file: bytes) -> CleanFlyer:
    reader = PdfReader(BytesIO(file))
    if reader.is_encrypted:
        raise InvalidFlyer("locked")
    catalog = reader.root_object
    _require_still(catalog)
    pages = list(_pages(catalog))
    if not pages:
        raise InvalidFlyer("damaged")
    copy = Copy(reader)
    root = copy.document(catalog, pages)
    content = write_pdf(copy.objects, root)
    if len(content) > MAX_FILE:
        raise InvalidFlyer("large")
    return CleanFlyer(content, len(pages), copy.is_tagged)


def _get(holder: Any, name: str) -> Any:
    """Return a dictionary's value, wherever it stands; None for none, and for what is none."""
    found = holder.get(name) if isinstance(holder, DictionaryObject) else None
    resolved = found.get_object() if isinstance(found, PdfObject) else found
    return None if isinstance(resolved, NullObject) else resolved


def _listed(holder: Any, name: str) -> list[Any]:
    found = _get(holder, name)
    return list(found) if isinstance(found, ArrayObject) else []


def _require_still(catalog: DictionaryObject) -> None:
    """Refuse a document that acts when it is opened, is a form of its own, or carries files."""
    opening = _get(catalog, "/OpenAction")
    names = _get(catalog, "/Names")
    is_form = _get(_get(catalog, "/AcroForm"), "/XFA") is not None
    if _acts(opening) or _get(catalog, "/AA") or _get(names, "/JavaScript") or is_form:
        raise InvalidFlyer("acts")
    if _get(names, "/EmbeddedFiles") or _get(catalog, "/Collection") or _get(catalog, "/AF"):
        raise InvalidFlyer("carries")


def _acts(action: Any, left: int = 20) -> bool:
    """Tell whether an action, or one that follows it, does more than to show another place."""
    if not isinstance(action, DictionaryObject):
        return False
    if left == 0 or _get(action, "/S") not in TAME:
        return True
    following = _get(action, "/Next")
    each = following if isinstance(following, ArrayObject) else [following]
    return any(_acts(one.get_object(), left - 1) for one in each if isinstance(one, PdfObject))


Page = tuple[IndirectObject | None, DictionaryObject, dict[str, Any]]
INHERITED: Final = ("/Resources", "/MediaBox", "/CropBox", "/Rotate")


def _pages(catalog: DictionaryObject) -> Iterator[Page]:
    """Yield each page with what it inherits; a tree that turns in circles has too many."""
    waiting = deque([(catalog.get("/Pages"), dict[str, Any]())])
    seen, found = 0, 0
    while waiting:
        reference, inherited = waiting.popleft()
        node = reference.get_object() if isinstance(reference, PdfObject) else None
        seen += 1
        if seen > MAX_OBJECTS:
            raise InvalidFlyer("pages")
        if not isinstance(node, DictionaryObject):
            continue
        given = inherited | {name: node.get(name) for name in INHERITED if name in node}
        if "/Kids" in node:
            kids = [(kid, given) for kid in _listed(node, "/Kids")]
            waiting.extendleft(reversed(kids))
            continue
        found += 1
        if found > MAX_PAGES:
            raise InvalidFlyer("pages")
        yield reference if isinstance(reference, IndirectObject) else None, node, given


class Copy:
    """The objects of the new document, each taken over for what it is used."""

    def __init__(self, reader: PdfReader) -> None:
        self._reader = reader
        self.objects: dict[int, PdfObject] = {}
        self.is_tagged = False
        self._reserved = 0
        self._known: dict[tuple[int, int, Mode], int] = {}
        self._waiting: deque[tuple[int, IndirectObject, Mode]] = deque()
        # Pages and links by where they stood, for what tells their order.
        self._places: dict[tuple[int, int], IndirectObject] = {}
        self._unpacked = 0

    def document(self, catalog: DictionaryObject, pages: list[Page]) -> IndirectObject:
        """Take pages over, and return where the new catalog stands."""
        tree = self._reserve()
        kids = [self._page(page, self._to(tree)) for page in pages]
        self.objects[tree] = _dictionary(
            Type=NameObject("/Pages"), Kids=ArrayObject(kids), Count=NumberObject(len(kids))
        )
        made = _dictionary(Type=NameObject("/Catalog"), Pages=self._to(tree))
        language = _get(catalog, "/Lang")
        if isinstance(language, TextStringObject) and LANGUAGE.fullmatch(language):
            made[NameObject("/Lang")] = TextStringObject(str(language))
        layers = self._value(_get(catalog, "/OCProperties"), Mode.DRAWING)
        if layers is not None:
            made[NameObject("/OCProperties")] = layers
        self._finish()
        made.update(self._order(catalog))
        self._finish()
        return self._keep(made)

    def _order(self, catalog: DictionaryObject) -> DictionaryObject:
        """Take over what tells screen readers the order of things, where a document says so."""
        structure = _get(catalog, "/StructTreeRoot")
        self.is_tagged = bool(_get(_get(catalog, "/MarkInfo"), "/Marked")) and bool(
            _get(structure, "/K")
        )
        if not self.is_tagged:
            return DictionaryObject()
        taken = self._value(catalog.raw_get("/StructTreeRoot"), Mode.STRUCTURE)
        return _dictionary(
            MarkInfo=_dictionary(Marked=BooleanObject(value=True)),
            StructTreeRoot=taken or NullObject(),
        )

    def _page(self, page: Page, parent: IndirectObject) -> IndirectObject:
        place, node, given = page
        if _get(node, "/AA"):
            raise InvalidFlyer("acts")
        made = _dictionary(Type=NameObject("/Page"), Parent=parent)
        for name in (*INHERITED, "/UserUnit", "/Contents", "/Group", "/StructParents", "/Tabs"):
            value = self._value(given.get(name, node.get(name)), INNER.get(name, Mode.DRAWING))
            if value is not None:
                made[NameObject(name)] = value
        made.setdefault(NameObject("/MediaBox"), LETTER)
        made.setdefault(NameObject("/Resources"), _dictionary())
        links = [link for link in map(self._link, _listed(node, "/Annots")) if link is not None]
        if links:
            made[NameObject("/Annots")] = ArrayObject(links)
        return self._keep(made, place)

    def _link(self, place: Any) -> IndirectObject | None:
        """Take a link to the web, an inbox or a phone over; refuse what acts or would be lost."""
        note = place.get_object() if isinstance(place, PdfObject) else None
        if not isinstance(note, DictionaryObject):
            return None
        kind, action = _get(note, "/Subtype"), _get(note, "/A")
        if kind in ACTIVE or _acts(action) or _get(note, "/AA"):
            raise InvalidFlyer("acts")
        if kind == "/FileAttachment":
            raise InvalidFlyer("carries")
        flags = _get(note, "/F")
        if kind in UNSEEN or (isinstance(flags, int) and flags & HIDDEN):
            return None
        if kind != "/Link":
            raise InvalidFlyer("comments")
        if not (address := _address(_get(action, "/URI"))):
            return None
        made = _dictionary(
            Type=NameObject("/Annot"),
            Subtype=NameObject("/Link"),
            Border=ArrayObject([NumberObject(0)] * 3),
            A=_dictionary(S=NameObject("/URI"), URI=TextStringObject(address)),
        )
        for name in ("/Rect", "/QuadPoints", "/StructParent", "/Contents"):
            if (value := self._value(_get(note, name), Mode.DRAWING)) is not None:
                made[NameObject(name)] = value
        return self._keep(made, place)

    def _reserve(self) -> int:
        self._reserved += 1
        if self._reserved > MAX_OBJECTS:
            raise InvalidFlyer("heavy")
        return self._reserved

    def _keep(self, made: PdfObject, place: Any = None) -> IndirectObject:
        number = self._reserve()
        self.objects[number] = made
        if isinstance(place, IndirectObject):
            self._places.setdefault((place.idnum, place.generation), self._to(number))
        return self._to(number)

    def _to(self, number: int) -> IndirectObject:
        return IndirectObject(number, 0, self._reader)

    def _finish(self) -> None:
        """Take over all that was referred to, and what that refers to."""
        while self._waiting:
            number, reference, mode = self._waiting.popleft()
            value = self._value(reference.get_object(), mode)
            self.objects[number] = NullObject() if value is None else value

    def _value(self, value: Any, mode: Mode) -> PdfObject | None:
        """Take a value over; nothing for what is none, or means nothing here."""
        if isinstance(value, IndirectObject):
            key = value.idnum, value.generation, mode
            if key not in self._known:
                self._known[key] = self._reserve()
                self._waiting.append((self._known[key], value, mode))
            return self._to(self._known[key])
        if isinstance(value, StreamObject):
            return None if mode is Mode.STRUCTURE else self._stream(value)
        if isinstance(value, DictionaryObject):
            return self._dictionary(value, mode)
        if isinstance(value, ArrayObject):
            taken = [self._value(each, mode) for each in value]
            return ArrayObject(NullObject() if each is None else each for each in taken)
        return value if isinstance(value, SCALARS) else None

    def _dictionary(self, source: DictionaryObject, mode: Mode) -> DictionaryObject | None:
        if mode is Mode.DRAWING and _get(source, "/Type") == "/OCG":  # its name is somebody's
            return _dictionary(Type=NameObject("/OCG"), Name=TextStringObject("Layer"))
        made = DictionaryObject()
        for name, value in source.items():
            taken = self._entry(name, value, mode)
            if taken is not None:
                made[NameObject(name)] = taken
        if mode is Mode.STRUCTURE and made.get("/Type") == "/OBJR" and "/Obj" not in made:
            return None
        return made

    def _entry(self, name: str, value: Any, mode: Mode) -> PdfObject | None:
        """Take one of a dictionary's values over, if its name is among those of its kind."""
        if mode is Mode.ROLES:
            return value if isinstance(value, NameObject) else None
        if mode is Mode.NAMED:
            return self._value(value, Mode.DRAWING)
        if name not in mode.value or (name == "/Name" and not isinstance(value, NameObject)):
            return None
        if mode is Mode.STRUCTURE and name in {"/Pg", "/Obj"}:
            is_placed = isinstance(value, IndirectObject)
            return self._places.get((value.idnum, value.generation)) if is_placed else None
        inner = Mode.NAMED if mode is Mode.RESOURCES else INNER.get(name, mode)
        return self._value(value, inner)

    def _stream(self, source: StreamObject) -> StreamObject:
        """Take a stream over, packed once; what a photograph says of itself stays behind."""
        pixels = [_get(source, name) or 0 for name in ("/Width", "/Height")]
        if pixels[0] * pixels[1] > MAX_PIXELS:
            raise InvalidFlyer("heavy")
        data, packing, how = self._packed(source)
        if packing == "/DCTDecode":
            data = bare_jpeg(data)
        elif packing == "/JPXDecode":
            data = bare_jpeg_2000(data)
        elif packing == "/FlateDecode":
            deque(self._unpack(data), maxlen=0)
        made = StreamObject()
        made.update(self._dictionary(DictionaryObject(source), Mode.DRAWING) or {})
        made.set_data(data)
        if packing:
            made[NameObject("/Filter")] = NameObject(packing)
        parameters = self._value(how, Mode.DRAWING)
        if parameters is not None and packing:
            made[NameObject("/DecodeParms")] = parameters
        return made

    def _packed(self, source: StreamObject) -> tuple[bytes, str, Any]:
        """Return a stream's octets with the one way in which they are packed, or raise."""
        given, how = _get(source, "/Filter"), _get(source, "/DecodeParms")
        chain = [str(each.get_object()) for each in given] if isinstance(given, list) else [given]
        hows = list(how) if isinstance(how, list) else [how]
        data = StreamObject.get_data(source)
        while len(chain) > 1:
            packing, chain, hows = chain[0], chain[1:], hows[1:]
            if packing in IN_LETTERS:
                data = IN_LETTERS[packing](data)
            elif packing == "/FlateDecode":
                data = b"".join(self._unpack(data))
            else:
                raise InvalidFlyer("damaged")
        packing = str(chain[0]) if chain and chain[0] else ""
        if packing in IN_LETTERS:
            return IN_LETTERS[packing](data), "", None
        if packing and packing not in PACKINGS:
            raise InvalidFlyer("damaged")
        found = hows[0].get_object() if hows and isinstance(hows[0], PdfObject) else None
        return data, packing, found

    def _unpack(self, data: bytes) -> Iterator[bytes]:
        """Unpack a stream, of which all together may hold so much; where it breaks off, so far."""
        unpacker = zlib.decompressobj()
        while data and not unpacker.eof:
            try:
                piece = unpacker.decompress(data, STEP)
            except zlib.error:
                return
            self._unpacked += len(piece)
            if self._unpacked > MAX_UNPACKED:
                raise InvalidFlyer("heavy")
            yield piece
            data = unpacker.unconsumed_tail


def _dictionary(**entries: PdfObject) -> DictionaryObject:
    return DictionaryObject({NameObject(f"/{name}"): value for name, value in entries.items()})


def _address(given: Any) -> str:
    """Return the address of a plain link; nothing for all else."""
    if not isinstance(given, TextStringObject) or len(given) > MAX_URI:
        return ""
    address = str(given).strip()
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    is_plain = address.isascii() and address.isprintable() and " " not in address
    return address if is_plain and (is_web or parts.scheme in {"mailto", "tel"}) else ""


if __name__ == "__main__":
    main()
