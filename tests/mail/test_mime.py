"""Pictures in a message: within it, as they are, and nothing else of the text's choice."""

from email import message_from_bytes, policy

import pytest

from belong_mail.mail.message import mime
from belong_mail.mail.message.headers import InvalidMessage
from belong_mail.mail.message.markdown import ImageView, images_of, links_of, to_html, to_text
from belong_mail.mail.message.mime import AttachedFile, InlineFile, compose
from belong_mail.mail.message.template import MessageTemplate, slot

HEADERS = [
    ("From", "belong@example.org"),
    ("To", slot("to")),
    ("Subject", "Tea"),
    ("Date", "Tue, 24 Nov 2026 09:30:00 +0000"),
]
ONE = InlineFile(
    "a_-1@belong-mail", "image/png", bytes(range(256)) * 3 + b"\r\n.\r\n--=r_abc--\r\n"
)
TWO = InlineFile("b2@belong-mail", "image/jpeg", b"\n.\nFrom here\r\n" * 90)
HTML = f'<p>Hello {slot("first_name")} <img src="cid:a_-1@belong-mail" alt="tea"></p>\n'
VALUES = {"to": "ada@dpsk12.org", "first_name": "Ada"}
PICTURES = {"a_-1": ImageView("a_-1@belong-mail", 534, 300)}


def wire(*pictures: InlineFile) -> MessageTemplate:
    return compose(HEADERS, "Tea", HTML, boundary="abc", pictures=pictures)


def test_pictures_stand_beside_the_html_and_the_text_comes_first():
    parsed = message_from_bytes(wire(ONE, TWO).fill(VALUES), policy=policy.default)
    kinds = [part.get_content_type() for part in parsed.walk()]
    assert kinds == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "image/jpeg",
    ]
    related = list(parsed.iter_parts())[1]
    assert related["Content-Type"].params["type"] == "text/html"
    html = parsed.get_body(("html",))
    assert html is not None
    assert "Hello Ada" in " ".join(html.get_content().split())
    first, second = list(related.iter_parts())[1:]
    assert (first["Content-ID"], first.get_content()) == ("<a_-1@belong-mail>", ONE.content)
    assert second.get_content() == TWO.content
    assert first.get_content_disposition() == second.get_content_disposition() == "inline"
    assert first["Content-Transfer-Encoding"] == "base64"


def test_a_kept_wire_gives_the_same_bytes():
    assert b"related" not in wire().fill(VALUES)
    original = wire(ONE, TWO)
    kept = MessageTemplate.from_bytes(original.to_bytes())
    assert (kept, kept.to_bytes()) == (original, original.to_bytes())
    assert kept.fill(VALUES) == original.fill(VALUES)
    assert len(kept.fill(VALUES)) - kept.size < 200


@pytest.mark.parametrize(
    "picture",
    [
        InlineFile("a@b\r\nBcc: x", "image/png", b"x"),
        InlineFile("<a@b>", "image/png", b"x"),
        InlineFile("a", "image/png", b"x"),
        InlineFile("a@b", "image/svg+xml", b"<svg/>"),
        InlineFile("a@b", "text/html", b"<p>"),
        InlineFile("a@b", "image/png\r\nX: y", b"x"),
        InlineFile("a@b", "image/png", b""),
    ],
)
def test_a_strange_picture_is_refused(picture):
    with pytest.raises(InvalidMessage):
        wire(picture)


def test_a_given_picture_is_shown_with_its_words_and_size():
    html = to_html('![Tea & "cake" *now*](picture:a_-1 "title")', PICTURES)
    assert 'src="cid:a_-1@belong-mail"' in html
    assert 'alt="Tea &amp; &quot;cake&quot; now"' in html
    assert 'width="534"' in html
    assert 'height="300"' in html
    assert "title" not in html
    assert to_text("![Tea *now*](picture:a_-1)", PICTURES) == "[Picture: Tea now]\n"
    assert to_text("![Té](picture:a_-1)", PICTURES, "Imagen") == "[Imagen: Té]\n"


@pytest.mark.parametrize(
    "target",
    [
        "https://example.org/pixel.gif", "picture:other", "picture:", "PICTURE:a_-1",
        "cid:a_-1@belong-mail", "data:image/png;base64,AAAA", "javascript:alert(1)",
        "//example.org/x", "a_-1",
    ],
)  # fmt: skip
def test_any_other_image_is_left_out_and_its_words_stay(target):
    html = to_html(f"before ![some words]({target}) after", PICTURES)
    assert "<img" not in html
    assert "some words" in html
    assert to_text(f"![some words]({target})", PICTURES).startswith(("some words", "!["))


@pytest.mark.parametrize(
    "attack",
    [
        "[x](cid:a_-1@belong-mail)",
        "<img src=cid:a_-1@belong-mail onerror=alert(1)>",
        '![x" onerror="alert(1)](picture:a_-1)',
        '![x](picture:a_-1"onerror=alert(1))',
        "![x][1]\n\n[1]: picture:a_-1 'onload=x'",
        "![![x](https://example.org/p.gif)](picture:a_-1)",
    ],
)
def test_a_picture_opens_no_door(attack):
    html = to_html(attack, PICTURES)
    assert "<a" not in html
    assert html.count("<img") <= 1
    assert "example.org/p.gif" not in html
    assert 'onerror="' not in html
    assert "onload" not in html


def test_a_name_stands_in_a_description_as_a_slot():
    html = to_html(f"![{slot('first_name')}](picture:a_-1)", PICTURES)
    built = compose(HEADERS, "Tea", html, boundary="abc", pictures=[ONE])
    finished = built.fill({**VALUES, "first_name": '"><script>'})
    parsed = message_from_bytes(finished, policy=policy.default).get_body(("html",))
    assert parsed is not None
    assert "&quot;&gt;&lt;script&gt;" in "".join(parsed.get_content().split())


def test_the_outline_lists_links_and_images_as_they_are_written():
    first = "[a ![b](picture:1)](https://example.org) <https://x.example.org>"
    source = f"{first}\n\n![*c* `d`][r]\n\n[r]: /r"
    assert list(links_of(source)) == [
        ("https://example.org", "a b"),
        ("https://x.example.org", "https://x.example.org"),
    ]
    assert list(images_of(source)) == [("picture:1", "b"), ("/r", "c d")]


@pytest.mark.parametrize(
    ("text", "html", "pictures"),
    [("Coffee", HTML, [ONE]), ("Tea", "<p>Coffee</p>", [ONE]), ("Tea", HTML, [TWO]),
     ("Tea", HTML, [])],
    ids=["text", "html", "another picture", "no picture"],
)  # fmt: skip
def test_bytes_that_do_not_say_what_was_written_are_refused(text, html, pictures):
    filled = wire(ONE).fill(VALUES)
    meant = HTML.replace(slot("first_name"), "Ada")
    mime._compare(filled, ("Tea", meant), [ONE])
    with pytest.raises(InvalidMessage):
        mime._compare(filled, (text, html.replace(slot("first_name"), "Ada")), pictures)


PDF = AttachedFile("Te.pdf", "application/pdf", b"%PDF-1.7\r\n.\r\n--=m_abc--\r\n" * 9)


def test_attached_files_come_after_words_and_pictures():
    built = compose(HEADERS, "Tea", HTML, boundary="abc", pictures=[ONE], files=[PDF, PDF])
    mail = message_from_bytes(built.fill(VALUES), policy=policy.default)
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html",
        "image/png", "application/pdf", "application/pdf",
    ]  # fmt: skip
    parts = list(mail.iter_attachments())
    assert [part.get_content() for part in parts] == [PDF.content] * 2
    assert [part.get_filename() for part in parts] == ["Te.pdf"] * 2


@pytest.mark.parametrize(
    "file",
    [
        AttachedFile('a"b.pdf', "application/pdf", b"%PDF"),
        AttachedFile("a.pdf\r\nX: y", "application/pdf", b"%PDF"),
        AttachedFile("a.html", "text/html", b"<p>"),
        AttachedFile("a.pdf", "application/pdf", b""),
    ],
)
def test_a_file_that_is_none_of_ours_is_not_attached(file):
    with pytest.raises(InvalidMessage):
        compose(HEADERS, "Tea", "<p>Tea</p>", boundary="abc", files=[file])


def test_the_end_that_all_copies_share_is_cut_off_whole():
    large = AttachedFile("a.pdf", "application/pdf", b"%PDF" + bytes(200_000))
    built = compose(HEADERS, "Tea", HTML, boundary="abc", pictures=[ONE], files=[large])
    head, end = built.without_end()
    assert head.fill(VALUES) + end == built.fill(VALUES)
    assert len(end) > 200_000
    assert head.size < 10_000
    small = wire(ONE)
    assert small.without_end() == (small, b"")
