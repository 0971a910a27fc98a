"""Pictures in a message: within it, as they are, and nothing else of the text's choice."""

import os
import time
from email import message_from_bytes, policy

import pytest

from belong_mail.mail import message
from belong_mail.mail.markdown import Shown, to_html, to_text
from belong_mail.mail.message import MessageRefused, Picture, Wire, compose, slot
from belong_mail.mail.outline import images, links

HEADERS = [
    ("From", "belong@example.org"),
    ("To", slot("to")),
    ("Subject", "Tea"),
    ("Date", "Tue, 24 Nov 2026 09:30:00 +0000"),
]
ONE = Picture("a_-1@belong-mail", "image/png", bytes(range(256)) * 3 + b"\r\n.\r\n--=r_abc--\r\n")
TWO = Picture("b2@belong-mail", "image/jpeg", b"\n.\nFrom here\r\n" * 90)
HTML = f'<p>Hello {slot("first_name")} <img src="cid:a_-1@belong-mail" alt="tea"></p>\n'
VALUES = {"to": "ada@dpsk12.org", "first_name": "Ada"}
PICTURES = {"a_-1": Shown("a_-1@belong-mail", 534, 300)}


def wire(*pictures: Picture) -> Wire:
    return compose(HEADERS, "Tea", HTML, boundary="abc", pictures=pictures)


def test_pictures_stand_beside_the_html_and_the_text_comes_first() -> None:
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


def test_a_message_without_pictures_has_no_related_part() -> None:
    assert b"related" not in wire().fill(VALUES)


def test_a_kept_wire_gives_the_same_bytes() -> None:
    kept = Wire.from_bytes(wire(ONE, TWO).to_bytes())
    assert kept.fill(VALUES) == wire(ONE, TWO).fill(VALUES)
    assert len(kept.fill(VALUES)) - kept.size < 200


def test_a_large_message_is_built_and_kept_quickly() -> None:
    picture = Picture("big@belong-mail", "image/jpeg", os.urandom(3_600_000))
    began = time.thread_time()
    built = wire(picture)
    Wire.from_bytes(built.to_bytes()).fill(VALUES)
    assert time.thread_time() - began < 4


@pytest.mark.parametrize(
    "picture",
    [
        Picture("a@b\r\nBcc: x", "image/png", b"x"),
        Picture("<a@b>", "image/png", b"x"),
        Picture("a", "image/png", b"x"),
        Picture("a@b", "image/svg+xml", b"<svg/>"),
        Picture("a@b", "text/html", b"<p>"),
        Picture("a@b", "image/png\r\nX: y", b"x"),
        Picture("a@b", "image/png", b""),
    ],
)
def test_a_strange_picture_is_refused(picture: Picture) -> None:
    with pytest.raises(MessageRefused):
        wire(picture)


def test_a_given_picture_is_shown_with_its_words_and_size() -> None:
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
        "https://example.org/pixel.gif",
        "picture:other",
        "picture:",
        "PICTURE:a_-1",
        "cid:a_-1@belong-mail",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "//example.org/x",
        "a_-1",
    ],
)
def test_any_other_image_is_left_out_and_its_words_stay(target: str) -> None:
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
def test_a_picture_opens_no_door(attack: str) -> None:
    html = to_html(attack, PICTURES)
    assert "<a" not in html
    assert html.count("<img") <= 1
    assert "example.org/p.gif" not in html
    assert 'onerror="' not in html
    assert "onload" not in html


def test_a_name_stands_in_a_description_as_a_slot() -> None:
    html = to_html(f"![{slot('first_name')}](picture:a_-1)", PICTURES)
    built = compose(HEADERS, "Tea", html, boundary="abc", pictures=[ONE])
    finished = built.fill({**VALUES, "first_name": '"><script>'})
    parsed = message_from_bytes(finished, policy=policy.default).get_body(("html",))
    assert parsed is not None
    assert "&quot;&gt;&lt;script&gt;" in "".join(parsed.get_content().split())


def test_the_outline_lists_links_and_images_as_they_are_written() -> None:
    first = "[a ![b](picture:1)](https://example.org) <https://x.example.org>"
    source = f"{first}\n\n![*c* `d`][r]\n\n[r]: /r"
    assert list(links(source)) == [
        ("https://example.org", "a b"),
        ("https://x.example.org", "https://x.example.org"),
    ]
    assert list(images(source)) == [("picture:1", "b"), ("/r", "c d")]


@pytest.mark.parametrize(
    ("text", "html", "pictures"),
    [("Coffee", HTML, [ONE]), ("Tea", "<p>Coffee</p>", [ONE]), ("Tea", HTML, [TWO]),
     ("Tea", HTML, [])],
    ids=["text", "html", "another picture", "no picture"],
)  # fmt: skip
def test_bytes_that_do_not_say_what_was_written_are_refused(
    text: str, html: str, pictures: list[Picture]
) -> None:
    filled = wire(ONE).fill(VALUES)
    meant = HTML.replace(slot("first_name"), "Ada")
    message._compare(filled, ("Tea", meant), [ONE])
    with pytest.raises(MessageRefused):
        message._compare(filled, (text, html.replace(slot("first_name"), "Ada")), pictures)
