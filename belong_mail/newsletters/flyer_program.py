"""Remove everything from a PDF except what its pages show (ISO 32000), by lists of keys to keep.

`confinement` runs it as a child process; PDFs are parsed nowhere else.
"""

import re
import struct
import zlib
from contextlib import suppress
from enum import Enum
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlsplit

from pikepdf import (
    Array,
    Dictionary,
    Name,
    ObjectStreamMode,
    PasswordError,
    Pdf,
    Stream,
    StreamDecodeLevel,
    String,
)
from pikepdf.settings import set_qpdf_limits

from belong_mail.newsletters.confinement import (
    MAX_FILE,
    MAX_PAGES,
    SIGN_WITHIN,
    CleanFlyer,
    InvalidFlyer,
    answer,
    require_pdf,
)

# Limits: bytes of all unpacked streams, pixels of one picture, and objects in all.
MAX_UNPACKED: Final = 300_000_000
MAX_PIXELS: Final = 64_000_000
MAX_OBJECTS: Final = 50_000
STEP: Final = 1 << 20
MAX_URI: Final = 2000
END_SIGN: Final = b"%%EOF"
PADDING: Final = b"\0\t\n\r "

set_qpdf_limits(
    flate_max_memory=MAX_UNPACKED, png_max_memory=MAX_UNPACKED, tiff_max_memory=MAX_UNPACKED
)


def _names(words: str) -> frozenset[str]:
    return frozenset(f"/{word}" for word in words.split())


# Dictionary keys for drawing: pages, fonts, pictures, patterns, colors and layers.
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
    " DamagedRowsBeforeError JBIG2Globals ColorTransform Filter DecodeParms Length"
)
# Keys of a resource dictionary; the keys within their values are arbitrary.
RESOURCES: Final = _names("ExtGState ColorSpace Pattern Shading XObject Font Properties")
# Keys of the logical structure, which screen readers read (ISO 32000-1, 14.7).
STRUCTURE: Final = _names(
    "Type S P ID Pg K A R Lang Alt E ActualText ParentTree ParentTreeNextKey Nums Kids Limits"
    " RoleMap MCID Obj O ListNumbering Headers Scope RowSpan ColSpan Summary Placement"
)
# Keys of a page; it may inherit the first four from the page tree.
PAGE: Final = _names("Resources MediaBox CropBox Rotate UserUnit Contents Group StructParents Tabs")
LINK: Final = _names("Rect QuadPoints StructParent Contents")
# Allowed last (or only) filters of a stream, and allowed filters before them.
LAST_FILTERS: Final = _names(
    "FlateDecode DCTDecode JPXDecode CCITTFaxDecode JBIG2Decode RunLengthDecode"
)
UNPACKED_FILTERS: Final = _names("ASCII85Decode ASCIIHexDecode LZWDecode")
# Actions that only go to another place or web page; they are never refused.
HARMLESS_ACTIONS: Final = _names("GoTo Named URI")
ACTIVE: Final = _names("RichMedia Screen Movie Sound 3D")
# Annotations that show nothing by themselves, or only to a printing house.
INVISIBLE: Final = _names("Popup PrinterMark TrapNet")
HIDDEN: Final = 0b10
# Default size of a page: US Letter, in points.
LETTER: Final = (0, 0, 612, 792)
LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}")


class Mode(Enum):
    """Kinds of dictionaries; the value is the set of keys that are kept."""

    DRAWING = DRAWING
    RESOURCES = RESOURCES
    STRUCTURE = STRUCTURE
    # Its keys are arbitrary, such as names of fonts or glyphs; all are kept.
    NAMED = None
    ROLES = ()


INNER: Final = {
    "/Resources": Mode.RESOURCES, "/CharProcs": Mode.NAMED, "/Colorants": Mode.NAMED,
    "/RoleMap": Mode.ROLES,
}  # fmt: skip


def remake(file: bytes) -> CleanFlyer:
    """Return a rewritten PDF. Raises only InvalidFlyer, whatever the file contains."""
    require_pdf(file)
    if END_SIGN not in file.rstrip(PADDING)[-SIGN_WITHIN:]:
        raise InvalidFlyer("damaged")  # it is cut off, and qpdf would repair it
    try:
        with Pdf.open(BytesIO(file)) as pdf:
            made = Copy(pdf).made()
        with Pdf.open(BytesIO(made.content)):
            return made  # it can be parsed again
    except InvalidFlyer:
        raise
    except PasswordError as error:
        raise InvalidFlyer("locked") from error
    except Exception as error:
        raise InvalidFlyer("damaged") from error


def _get(holder: Any, *path: str) -> Any:
    """Return the value at the end of a path, or None."""
    for name in path:
        holder = holder.get(name) if isinstance(holder, (Dictionary, Stream)) else None
    return holder


def _listed(holder: Any, name: str) -> list[Any]:
    """Return an array's values, or a single one as a list."""
    found = _get(holder, name)
    return list(found) if isinstance(found, Array) else [] if found is None else [found]


def _require_still(root: Any) -> None:
    """Raise InvalidFlyer if a PDF runs actions by itself, has an XFA form, or embeds files."""
    acts = _get(root, "/AA"), _get(root, "/Names", "/JavaScript"), _get(root, "/AcroForm", "/XFA")
    if any(acts) or _acts(_get(root, "/OpenAction")):
        raise InvalidFlyer("acts")
    if _get(root, "/Names", "/EmbeddedFiles") or _get(root, "/Collection") or _get(root, "/AF"):
        raise InvalidFlyer("carries")


def _acts(action: Any, left: int = 20) -> bool:
    """Return whether an action, or one that follows it, does more than show another place."""
    if not isinstance(action, Dictionary):
        return False
    if left == 0 or _get(action, "/S") not in HARMLESS_ACTIONS:
        return True
    return any(_acts(each, left - 1) for each in _listed(action, "/Next"))


class Copy:
    """A PDF whose objects lose unlisted keys in place, by each object's Mode."""

    def __init__(self, pdf: Pdf) -> None:
        self._pdf = pdf
        self._seen: set[tuple[tuple[int, int], Mode]] = set()
        # Numbers of pages and links, to which the logical structure may refer.
        self._places: set[tuple[int, int]] = set()
        self._unpacked_octets = 0

    def made(self) -> CleanFlyer:
        if self._pdf.is_encrypted:
            raise InvalidFlyer("locked")
        old, number = self._pdf.Root, len(self._pdf.pages)
        _require_still(old)
        if not 0 < number <= MAX_PAGES:
            raise InvalidFlyer("pages" if number else "damaged")
        pages = Array(page.obj for page in self._pdf.pages)
        tree = self._pdf.make_indirect(Dictionary(Type=Name.Pages, Kids=pages, Count=number))
        self._places |= {page.objgen for page in pages}
        for page in pages:
            self._strip_page(page, tree)
        root = Dictionary(Type=Name.Catalog, Pages=tree)
        language = _get(old, "/Lang")
        if isinstance(language, String) and LANGUAGE.fullmatch(str(language)):
            root.Lang = language
        if (layers := _get(old, "/OCProperties")) is not None:
            root.OCProperties = layers
            self._strip(layers, Mode.DRAWING)
        is_tagged = bool(_get(old, "/MarkInfo", "/Marked") and _get(old, "/StructTreeRoot", "/K"))
        if is_tagged:
            root.MarkInfo = Dictionary(Marked=True)
            root.StructTreeRoot = old.StructTreeRoot
            self._strip(old.StructTreeRoot, Mode.STRUCTURE)
        return CleanFlyer(self._written(root), number, is_tagged)

    def _written(self, root: Dictionary) -> bytes:
        for name in self._pdf.trailer.keys() - {"/Root", "/Size"}:
            del self._pdf.trailer[name]
        self._pdf.trailer.Root = self._pdf.make_indirect(root)
        file = BytesIO()
        self._pdf.save(
            file,
            min_version="1.7",
            object_stream_mode=ObjectStreamMode.generate,
            stream_decode_level=StreamDecodeLevel.none,
            fix_metadata_version=False,
            deterministic_id=True,
        )
        if len(file.getvalue()) > MAX_FILE:
            raise InvalidFlyer("large")
        return file.getvalue()

    def _strip_page(self, page: Any, tree: Any) -> None:
        if _get(page, "/AA"):
            raise InvalidFlyer("acts")
        links = Array(link for link in _listed(page, "/Annots") if self._is_link(link))
        self._keep(page, PAGE)
        page.update(Dictionary(Type=Name.Page, Parent=tree))
        if "/MediaBox" not in page:
            page.MediaBox = Array(LETTER)
        if links:
            page.Annots = links

    def _is_link(self, note: Any) -> bool:
        """Return whether an annotation is a link, and strip it; most others raise InvalidFlyer."""
        kind, action = _get(note, "/Subtype"), _get(note, "/A")
        if kind in ACTIVE or _acts(action) or _get(note, "/AA"):
            raise InvalidFlyer("acts")
        if kind == "/FileAttachment":
            raise InvalidFlyer("carries")
        flags = _get(note, "/F")
        is_hidden = isinstance(flags, int) and bool(flags & HIDDEN)
        if not isinstance(note, Dictionary) or kind in INVISIBLE or is_hidden:
            return False
        if kind != "/Link":
            raise InvalidFlyer("comments")
        if not (address := _address(_get(action, "/URI"))):
            return False
        self._keep(note, LINK)
        note.update(Dictionary(Type=Name.Annot, Subtype=Name.Link, Border=Array([0, 0, 0])))
        note.A = Dictionary(S=Name.URI, URI=String(address))
        if note.is_indirect:
            self._places.add(note.objgen)
        return True

    def _keep(self, holder: Any, names: frozenset[str]) -> None:
        """Remove unlisted keys from a page or link, and strip the values of the others."""
        for name in holder.keys() - names:
            del holder[name]
        for name in holder.keys() & names:
            self._strip(holder[name], INNER.get(name, Mode.DRAWING))

    def _strip(self, start: Any, mode: Mode) -> None:
        """Remove unlisted keys from a value and from everything that it refers to."""
        waiting: list[tuple[Any, Mode]] = [(start, mode)]
        while waiting:
            item, mode = waiting.pop()
            if not isinstance(item, (Array, Dictionary, Stream)) or self._is_known(item, mode):
                continue
            if mode is Mode.DRAWING and _get(item, "/Type") == "/OCG":
                self._keep(item, frozenset(("/Type",)))
                item.Name = String("Layer")  # its own name is its author's text
                continue
            if isinstance(item, Stream):
                self._repack(item)
            is_list = isinstance(item, Array)
            entries: list[tuple[Any, Any]] = list(enumerate(item) if is_list else item.items())
            for name, value in entries:
                inner = mode if is_list else self._entry_mode(mode, name, value)
                if inner and not (inner is Mode.STRUCTURE and self._is_lost_reference(value)):
                    waiting.append((value, inner))
                elif is_list:
                    item[name] = None
                else:
                    del item[name]

    def _is_lost_reference(self, value: Any) -> bool:
        """Return whether the logical structure refers to an object that is removed."""
        is_reference = _get(value, "/Type") == "/OBJR"
        is_lost = is_reference and not self._is_place(_get(value, "/Obj"))
        return is_lost or isinstance(value, Stream)

    def _is_place(self, value: Any) -> bool:
        return isinstance(value, Dictionary) and value.objgen in self._places

    def _is_known(self, item: Any, mode: Mode) -> bool:
        if not item.is_indirect:
            return False
        is_known = item.objgen in self._places or (item.objgen, mode) in self._seen
        self._seen.add((item.objgen, mode))
        if len(self._seen) > MAX_OBJECTS:
            raise InvalidFlyer("heavy")
        return is_known

    def _entry_mode(self, mode: Mode, name: Any, value: Any) -> Mode | None:
        """Return the mode of a dictionary's entry, or None to remove it."""
        if mode is Mode.ROLES:
            return mode if isinstance(value, Name) else None
        if mode is Mode.NAMED:
            return Mode.DRAWING
        if name not in mode.value or (name == "/Name" and not isinstance(value, Name)):
            return None
        if mode is Mode.STRUCTURE and name in {"/Pg", "/Obj"}:
            return mode if self._is_place(value) else None
        return Mode.NAMED if mode is Mode.RESOURCES else INNER.get(name, mode)

    def _repack(self, stream: Stream) -> None:
        """Write a stream with its last filter alone; a photograph loses its metadata."""
        pixels = [_get(stream, name) or 0 for name in ("/Width", "/Height")]
        if abs(pixels[0] * pixels[1]) > MAX_PIXELS:
            raise InvalidFlyer("heavy")
        filters = [str(each) for each in _listed(stream, "/Filter")]
        parameters = [*_listed(stream, "/DecodeParms"), *[None] * len(filters)]
        data = stream.read_raw_bytes()
        while len(filters) > 1 or (filters and filters[0] in UNPACKED_FILTERS):
            data = self._unpacked(data, filters.pop(0), parameters.pop(0))
        packing = filters[0] if filters else ""
        if packing and packing not in LAST_FILTERS:
            raise InvalidFlyer("damaged")
        if packing == "/DCTDecode":
            data = bare_jpeg(data)
        elif packing == "/JPXDecode":
            data = bare_jpeg_2000(data)
        elif packing == "/FlateDecode":
            self._measure(data)
        stream.write(
            data,
            filter=Name(packing) if packing else None,
            decode_parms=parameters[0] if packing else None,
        )

    def _unpacked(self, data: bytes, packing: str, parameters: Any) -> bytes:
        part = Stream(self._pdf, data, Filter=Name(packing), DecodeParms=parameters)
        unpacked = part.read_bytes(StreamDecodeLevel.generalized)
        self._count(len(unpacked))
        return unpacked

    def _measure(self, data: bytes) -> None:
        """Count the bytes a stream unpacks to; if it is damaged, those before the damage."""
        unpacker = zlib.decompressobj()
        with suppress(zlib.error):
            while data and not unpacker.eof:
                self._count(len(unpacker.decompress(data, STEP)))
                data = unpacker.unconsumed_tail

    def _count(self, octets: int) -> None:
        self._unpacked_octets += octets
        if self._unpacked_octets > MAX_UNPACKED:
            raise InvalidFlyer("heavy")


# A segment of a JPEG with its length (ITU T.81, B.1.1); and the data of a scan, with stuffed bytes
# and restart markers.
SEGMENT: Final = re.compile(rb"\xff+([^\x00\xff])(..)", re.DOTALL)
SCAN_DATA: Final = re.compile(rb"(?:[^\xff]++|\xff+[\x00\xd0-\xd7])*+", re.DOTALL)
SCAN, END = b"\xda", b"\xd9"
# Segments with text or thumbnails: COM, and APPn except Adobe's, which defines colors.
TEXT_SEGMENTS: Final = frozenset(b"%c" % each for each in (0xFE, *range(0xE0, 0xEE), 0xEF))
# Boxes of a JPEG 2000 file (ISO 15444-1, I.4) with text or arbitrary data.
TEXT_BOXES: Final = frozenset((b"xml ", b"uuid", b"uinf", b"jp2i"))


def bare_jpeg(file: bytes) -> bytes:
    """Return a JPEG without comments, EXIF, XMP and trailing bytes. Raises ValueError."""
    bare, at = bytearray(file[:2]), 2
    if bare != b"\xff\xd8":
        raise ValueError("no JPEG")
    while at + 4 <= len(file):
        segment = SEGMENT.match(file, at)
        if segment is None:
            raise ValueError("no segment")
        if segment[1] == END:
            break
        end = segment.end(1) + int.from_bytes(segment[2])
        if segment[1] == SCAN and (scanned := SCAN_DATA.match(file, end)):
            end = scanned.end()
        if segment[1] not in TEXT_SEGMENTS:
            bare += file[at:end]
        at = end
    return bytes(bare) + b"\xff\xd9"


def bare_jpeg_2000(file: bytes) -> bytes:
    """Return a JPEG 2000 without TEXT_BOXES; a bare codestream has none. Raises ValueError."""
    if file.startswith(b"\xff\x4f"):
        return file
    bare, at = bytearray(), 0
    while at + 8 <= len(file):
        size, kind = struct.unpack_from(">I4s", file, at)
        if size == 1:
            [size] = struct.unpack_from(">Q", file, at + 8)
        size = size or len(file) - at
        if size < 8:  # noqa: PLR2004 - its own head
            raise ValueError("no box")
        if kind not in TEXT_BOXES:
            bare += file[at : at + size]
        at += size
    return bytes(bare)


def _address(given: Any) -> str:
    """Return a link's address if it is a plain URL (web, mailto or tel), else ""."""
    address = str(given).strip() if isinstance(given, String) else ""
    if len(address) > MAX_URI:
        return ""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    is_plain = address.isascii() and address.isprintable() and " " not in address
    return address if is_plain and (is_web or parts.scheme in {"mailto", "tel"}) else ""


if __name__ == "__main__":
    answer(remake)
