"""A district's color and logo: refused when people could not read it, or when it could do harm."""

from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from belong_mail.core import colors, i18n
from belong_mail.core.district import HelpLine, HelpLines
from belong_mail.core.email_templates import Renderer
from belong_mail.core.logo import MAX_OCTETS
from config import Config, InvalidSettings
from tests.another_district.lakeside import LOGO
from tests.browser_client import Visitor
from tests.conftest import KEYS
from tests.markers import on_sqlite

GIVEN = {f"BELONG_{kind.upper()}_KEYS": KEYS[kind] for kind in KEYS}
ACCENT = "#00695c"
# Eight bytes say that it is a PNG; pictures run nothing.
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
HARMFUL = {
    "script": "<script>alert(1)</script>",
    "script in capitals": "<SCRIPT>alert(1)</SCRIPT>",
    "script of HTML": '<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>',
    "event": '<path d="" onclick="alert(1)"/>',
    "link": '<a href="javascript:alert(1)"><path d=""/></a>',
    "link elsewhere": '<use href="https://evil.example/#x"/>',
    "older link": '<use xmlns:x="http://www.w3.org/1999/xlink" x:href="https://evil.example/#x"/>',
    "picture": '<image href="https://evil.example/pixel.png"/>',
    "HTML": '<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>',
    "animation": '<path d=""><animate attributeName="href" to="https://evil.example"/></path>',
    "style": "<style>@import 'https://evil.example/x.css';</style>",
    "style in pieces": "<style>@im<!-- -->port 'https://evil.example/x.css';</style>",
    "escaped style": r"<style>@\69mport 'https://evil.example/x.css';</style>",
    "attribute": '<path d="" fill="url( https://evil.example/#x)"/>',
    "set of pictures": "<style>svg { background: image-set('https://evil.example/x' 1x) }</style>",
    "source": '<path d="" style="mask: src( \'https://evil.example/x\')"/>',
    "entity": "&x;",
}


def policy_of(answer: TestResponse) -> dict[str, str]:
    given = answer.headers["Content-Security-Policy"].split("; ")
    return dict(rule.split(" ", 1) for rule in given)


def complaint(**given: str) -> str:
    with pytest.raises(InvalidSettings) as refused:
        Config.read(GIVEN | {f"BELONG_{name.upper()}": value for name, value in given.items()})
    [line] = str(refused.value).splitlines()[1:]
    return line


@pytest.mark.parametrize("part", HARMFUL.values(), ids=HARMFUL)
def test_a_logo_that_could_run_or_fetch_something_is_refused(part: str, tmp_path: Path) -> None:
    file = tmp_path / "logo.svg"
    file.write_text(LOGO.replace("</svg>", f"{part}</svg>"))
    assert "BELONG_LOGO must " in complaint(logo=str(file))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"GIF89a", b"<html xmlns='http://www.w3.org/1999/xhtml'/>", b"<svg/>",
        b'<!DOCTYPE svg [<!ENTITY x "y">]><svg xmlns="http://www.w3.org/2000/svg"/>',
        b'<?xml-stylesheet href="x.css"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        PNG + bytes(MAX_OCTETS),
    ],
    ids=["empty", "GIF", "HTML", "no namespace", "entities", "style sheet", "large"],
)  # fmt: skip
def test_a_logo_that_is_no_small_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "logo"
    file.write_bytes(content)
    assert "BELONG_LOGO must " in complaint(logo=str(file))


def test_a_logo_that_is_not_there_is_said_without_its_path(tmp_path: Path) -> None:
    said = complaint(logo=str(tmp_path / "none.svg"))
    assert said == "  - BELONG_LOGO names a file that cannot be read."


def test_a_picture_is_a_logo(tmp_path: Path) -> None:
    file = tmp_path / "logo.png"
    file.write_bytes(PNG)
    read = Config.read({**GIVEN, "BELONG_LOGO": str(file)}).logo
    assert read is not None
    assert (read.media_type, read.content) == ("image/png", PNG)


@pytest.mark.parametrize("name", ["teal", "#0", "00695c", "#00695c;}", "rgb(0,0,0)"])
def test_what_is_no_color_is_refused(name: str) -> None:
    assert "BELONG_ACCENT_COLOR must be a color like #00695c" in complaint(accent_color=name)


@pytest.mark.parametrize("name", ["#ffffff", "#e3a23c", "#7f7f7f", "#00a08c"])
def test_a_color_that_people_could_not_read_is_refused_with_the_reason(name: str) -> None:
    said = complaint(accent_color=name)
    assert "must be darker" in said
    assert "4.5 to 1" in said
    assert name not in said


@pytest.mark.parametrize("name", ["#000000", "#00695C", "#6b6600", "#b00020", "#0000ff"])
def test_a_color_is_read_well_in_light_and_dark(name: str) -> None:
    accent = Config.read({**GIVEN, "BELONG_ACCENT_COLOR": name}).accent_color
    assert accent == name.lower()
    assert colors.contrast(accent, "#ffffff") >= colors.MIN_CONTRAST
    assert colors.contrast(colors.in_the_dark(accent), colors.DARK_GROUND) >= colors.MIN_CONTRAST


@on_sqlite
def test_pages_take_color_and_logo_under_our_own_policy(visitor: Visitor) -> None:
    page = visitor.open("/")
    policy = policy_of(page)
    assert policy["style-src"] == "'self'"
    assert "<style" not in page.text
    assert f'href="/colors.css?v={ACCENT[1:]}"' in page.text
    style = visitor.open(f"/colors.css?v={ACCENT[1:]}")
    assert (style.status_code, style.mimetype) == (200, "text/css")
    assert f"--accent:{ACCENT};" in style.text
    assert f"--link:{colors.in_the_dark(ACCENT)};" in style.text.partition("dark")[2]
    assert 'rel="icon" href="/logo?v=' in page.text
    logo = visitor.open(page.text.partition('<img class="logo" src="')[2].partition('"')[0])
    assert (logo.status_code, logo.mimetype, logo.text) == (200, "image/svg+xml", LOGO)
    assert policy_of(logo)["script-src"] == "'self'"
    for answer in (style, logo):
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "Set-Cookie" not in answer.headers
    for other in ("/logo", "/logo?v=0", "/colors.css", "/colors.css?v=0", "/colors.css?v="):
        assert visitor.open(other).headers["Cache-Control"] == "no-store", other


@pytest.mark.parametrize("accent", ["", ACCENT])
def test_emails_take_the_color(accent: str) -> None:
    lines = HelpLines(None, HelpLine("988", "https://988lifeline.org"))
    look = colors.palette(accent)
    renderer = Renderer(i18n.names(), "Together", "1 Pier Road", "o@example.org", lines, look)
    html = renderer.render("sign-in", "en", link_url="https://a.example").html
    html += renderer.render("contact-received", "en", reference="5K2F").html
    for color in (look.button, look.link, look.mark, look.dark_link):
        assert color in html
    assert f'<td class="button" bgcolor="{look.button}"' in html
    assert (colors.OURS.link in html) is not bool(accent)
