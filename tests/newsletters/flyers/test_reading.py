"""A flyer is written anew of what its pages show: what else is in the file stays behind."""

import pytest
from pypdf.generic import DictionaryObject, StreamObject

from belong_mail.newsletters import flyer_program
from belong_mail.newsletters.confinement import read_flyer
from tests.newsletters.flyers.samples import (
    FALSE_NUMBERS,
    REFUSED,
    all_of,
    at,
    flyer,
    link,
    of_pages,
    packed,
    read,
    stream,
    tagged,
    talkative,
)
from tests.newsletters.pictures.samples import opened, outcome, photograph


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_plain_flyer_is_refused_with_the_reason(name):
    content, reason = REFUSED[name]
    assert outcome(flyer_program.remake, content) == reason


@pytest.mark.parametrize("name", ["a bomb", "pages without end", "locked"])
def test_within_its_limits_a_child_says_the_same(name):
    content, reason = REFUSED[name]
    assert outcome(read_flyer, content) == reason


@pytest.mark.parametrize("name", FALSE_NUMBERS)
def test_false_numbers_take_no_more_memory_than_a_child_may_have(name):
    content, reason = FALSE_NUMBERS[name]
    clean = outcome(read_flyer, content)
    assert reason == (clean if isinstance(clean, str) else "")


@pytest.mark.parametrize("make", [flyer, tagged, talkative, lambda: of_pages(20)])
def test_the_visible_content_of_the_pages_stays(make):
    clean = read_flyer(make())
    assert clean == flyer_program.remake(make()), "the same in a child as here"
    shown = read(clean.content)
    assert len(shown.pages) == clean.pages
    assert "Tea on Friday" in shown.pages[0].extract_text()
    assert shown.pages[0].mediabox[2:] == [612, 792]


def test_nothing_says_who_made_it_where_and_when():
    clean = read_flyer(talkative()).content
    parts = [
        each.get_data() if isinstance(each, StreamObject) and "/Width" not in each else b""
        for each in all_of(clean)
    ]
    said = b" ".join([clean, *parts, *(repr(each).encode() for each in all_of(clean))])
    assert b"Tea on Friday" in said
    for word in (b"Ada", b"Lovelace", b"D:2026", b"xmpmeta", b"Metadata", b"PieceInfo", b"Thumb"):
        assert word not in said
    assert set(read(clean).trailer) == {"/ID", "/Root", "/Size"}
    assert at(read(clean).trailer, "/ID", 0) == at(read(clean).trailer, "/ID", 1), "a digest"
    assert b"Denver" not in clean
    assert b"\xff\xd8\xff" in clean, "the photograph itself stays"


def test_only_what_is_listed_comes_along():
    """An action has no name on the list, wherever in the file it hides."""
    hidden = "<< /S /JavaScript /JS (app.alert\\(1\\)) /Launch 7 0 R /OpenAction 7 0 R >>"
    content = flyer(
        f"<< /Type /Font /Subtype /Type3 /CharProcs << /JS 7 0 R >> /A {hidden} /AA {hidden}"
        f" /Ada {hidden} /OPI {hidden} /Ref << /F (https://evil.example/x.pdf) >> >>",
        stream(b"500 0 d0", f"/F (https://evil.example/x) /FFilter /Crypt /AA {hidden}"),
        page="/Group << /G 6 0 R >>",
    )
    clean = read_flyer(content).content
    keys = {key for each in all_of(clean) if isinstance(each, DictionaryObject) for key in each}
    assert "/CharProcs" in keys
    assert keys & {"/A", "/AA", "/Ada", "/OPI", "/Ref", "/F", "/FFilter", "/Launch"} == set()
    assert b"evil" not in clean
    values = [each for each in all_of(clean) if isinstance(each, str)]
    assert not [each for each in values if "alert" in each]


def test_links_to_the_web_an_inbox_and_a_phone_stay_and_no_others():
    stay = ["https://example.org/tea?a=1", "http://example.org", "mailto:tea@example.org",
            "tel:+13035550100"]  # fmt: skip
    go = ["javascript:alert\\(1\\)", "file:///etc/passwd", "//evil.example/x", "data:text/html,x",
          "https:/x y", "https://", "smb://evil.example/x", "x" * 2001]  # fmt: skip
    annotations = " ".join(map(link, stay + go))
    clean = read_flyer(flyer(page=f"/Annots [{annotations}]")).content
    links = [each.get_object() for each in at(read(clean).pages, 0, "/Annots")]
    assert [each["/A"]["/URI"] for each in links] == stay
    assert {each["/A"]["/S"] for each in links} == {"/URI"}


def test_the_order_for_screen_readers_stays_and_is_told():
    clean = read_flyer(tagged())
    assert clean.is_tagged
    root = read(clean.content).root_object
    assert at(root, "/Lang") == "en-US"
    document = at(root, "/StructTreeRoot", "/K")
    heading = at(document, "/K", 0)
    page = read(clean.content).pages[0]
    assert (document["/S"], heading["/S"]) == ("/Document", "/H1")
    assert heading["/Pg"].get_object()["/StructParents"] == page["/StructParents"]
    assert heading["/K"][1]["/Obj"].get_object()["/A"]["/URI"] == "https://example.org/tea"
    assert "/T" not in document
    assert not read_flyer(flyer()).is_tagged


def test_layers_that_are_hidden_stay_hidden_and_lose_their_names():
    content = flyer(
        "<< /Type /OCG /Name (Ada’s draft) >>",
        catalog="/OCProperties << /OCGs [6 0 R] /D << /OFF [6 0 R] /Name (Ada) >> >>",
        resources="/Properties << /L 6 0 R >>",
        words=b"/OC /L BDC BT (Secret) Tj ET EMC",
    )
    clean = read_flyer(content).content
    [hidden] = at(read(clean).root_object, "/OCProperties", "/D", "/OFF")
    named = at(read(clean).pages, 0, "/Resources", "/Properties")
    assert hidden.idnum == named.raw_get("/L").idnum
    assert b"Ada" not in clean + repr(all_of(clean)).encode()


def test_the_same_file_becomes_the_same_octets():
    assert read_flyer(tagged()).content == read_flyer(tagged()).content
    again = read_flyer(read_flyer(tagged()).content)
    assert again.is_tagged, "what we wrote can be uploaded again"


def test_a_photograph_says_nothing_of_itself():
    whole = photograph() + b"trailer of Ada"
    bare = flyer_program.bare_jpeg(whole)
    for word in (b"Ada", b"Exif", b"JFIF", b"Denver"):
        assert word in whole or word == b"Denver"
        assert word not in bare
    assert opened(bare).tobytes() == opened(whole).tobytes()
    boxes = b"\x00\x00\x00\x0cjP  \r\n\x87\n" + b"\x00\x00\x00\x0bxml Ada" + b"\x00\x00\x00\x00jp2c"
    assert flyer_program.bare_jpeg_2000(boxes) == boxes.replace(b"\x00\x00\x00\x0bxml Ada", b"")
    for broken in (b"", b"\xff\xd8\x00\x00\x00\x00"):
        with pytest.raises(ValueError, match="no "):
            flyer_program.bare_jpeg(broken)


def test_pages_packed_in_letters_are_unpacked_once():
    letters = stream(b"".join(b"%02x" % octet for octet in b"BT (Tea on Friday) Tj ET") + b">",
                     "/Filter /ASCIIHexDecode")  # fmt: skip
    content = flyer(letters, packed(b"0 0 m"), page="/Contents [6 0 R 7 0 R]")
    shown = read(read_flyer(content).content).pages[0].get_contents()
    assert shown is not None
    assert b"Tea on Friday" in shown.get_data()
