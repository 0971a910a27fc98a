"""A lead adds pictures to an issue; they travel inside the mail, and nothing is fetched."""

import gc
import io
import re
from base64 import b64encode

import pytest
from PIL import Image as Pillow
from sqlalchemy import func, select

from belong_mail.newsletters import files
from belong_mail.newsletters.confinement import EncodedImage
from belong_mail.newsletters.forms import MAX_BODY
from belong_mail.newsletters.models import Flyer, Image, Newsletter
from tests.browser_client import Form, html_of, text_of
from tests.markers import on_both
from tests.newsletters.flyers.samples import REFUSED, flyer
from tests.newsletters.pictures.samples import HTML, SVG, add, attach, file, photograph, picture
from tests.newsletters.writing import act, begin, refused


def added(scenario) -> list[Image]:
    return scenario.query(select(Image).order_by(Image.id))


def write(lead, page: str, text: str, **words: str) -> None:
    assert lead.send(page, subject="Tea on Friday", text=text, **words).status_code == 303


def test_a_description_left_in_the_main_versions_words_is_mentioned(lead, scenario):
    page = begin(lead)
    add(lead, page, picture(), says="Tea")
    [image] = added(scenario)
    said = "describes a picture in the words of the main version"
    for words, is_said in (("Tea", True), ("Té", False)):
        spanish = {"subject_es": "Té", "text_es": f"![{words}](picture:{image.public_id})"}
        write(lead, page, image.source, **spanish)
        assert (said in lead.open(f"{page}/release").text) == is_said


@on_both("octets")
def test_a_picture_travels_inside_the_mail_and_nothing_is_fetched(lead, scenario):
    page = begin(lead)
    added_one = add(lead, page, photograph(), "Two [people] & *tea*", "me at home.jpg")
    assert added_one.status_code == 303
    assert add(lead, page, picture(), says="Not shown").status_code == 303
    [image, _unused] = added(scenario)
    listed = lead.open(page).text
    assert f"(picture:{image.public_id})" in listed
    write(lead, page, f"Look:\n\n{image.source}\n\n![gone](https://example.org/pixel.gif)")
    checklist = lead.open(f"{page}/release").text
    assert "You added the picture “Not shown” but" in checklist
    assert "another website will be left out" in checklist
    preview = lead.press(f"{page}/preview?as=phone", **Form(lead.open(page).text).fields).text

    act(lead, page, "test")
    mail = scenario.mails("lead-of-the-village@dpsk12.org")[-1]
    [inside] = [part for part in mail.walk() if part.get_content_maintype() == "image"]
    cid = inside["Content-ID"].strip("<>")
    html = html_of(mail)
    assert f'src="cid:{cid}"' in html
    [shown] = re.findall(r'src="([^"]+)"', preview)
    assert shown == f"data:image/jpeg;base64,{b64encode(inside.get_content()).decode()}"
    assert 'alt="Two [people] &amp; *tea*"' in html
    assert html.count("<img") == 1
    assert "pixel.gif" not in html
    assert "[Picture: Two [people] & *tea*]" in text_of(mail)
    assert Pillow.open(io.BytesIO(inside.get_content())).size == (40, 60)
    raw = mail.as_string()
    assert "me at home" not in raw
    assert "village" not in cid.lower()


def test_another_groups_picture_is_not_shown_in_a_text(lead, other_lead, scenario):
    add(lead, begin(lead), picture())
    [image] = added(scenario)
    page = begin(other_lead, "asian")
    write(other_lead, page, image.source)
    assert "isn’t in this newsletter" in other_lead.open(f"{page}/release").text
    fields = Form(other_lead.open(page).text).fields
    preview = other_lead.press(f"{page}/preview", **{**fields, "text": image.source}).text
    assert "<img" not in preview


WRONG_KIND = "Upload a JPEG, PNG or WebP"
# Who adds a picture or a flyer, its file, description or title, and what is wrong.
BAD = {
    "svg": (add, SVG, "Tea", WRONG_KIND),
    "html": (add, HTML, "Tea", WRONG_KIND),
    "empty": (add, b"", "Tea", WRONG_KIND),
    "truncated": (add, photograph()[:300], "Tea", "damaged"),
    "large": (add, picture() + b"\0" * 5_000_000, "Tea", "larger than 5 MB"),
    "no picture": (add, None, "Tea", "Choose a picture."),
    "mute": (add, picture(), " ", "Describe what the picture shows."),
    "long": (add, picture(), "x" * 301, "Use at most 300 characters."),
    "lines": (add, picture(), "two\nlines", "a character we can’t read"),
    "hidden": (add, picture(), "hidden \u202e words", "a character we can’t read"),
    "no PDF": (attach, b"Tea on Friday", "Tea", "This file isn’t a PDF"),
    "no flyer": (attach, None, "Tea", "Choose a PDF."),
    "locked": (attach, REFUSED["locked"][0], "Tea", "protected by a password"),
    "script": (attach, REFUSED["a script at the start"][0], "Tea", "can do things by itself"),
    "comment": (attach, REFUSED["a comment"][0], "Tea", "comments, added text boxes"),
    "large PDF": (attach, REFUSED["large"][0], "Tea", "can total 5 MB"),
    "mute PDF": (attach, flyer(), " ", "Give the flyer a title."),
    "long title": (attach, flyer(), "x" * 81, "Use at most 80 characters."),
    "title of lines": (attach, flyer(), "two\nlines", "a character we can’t read"),
    "identifying": (attach, flyer(), "Tea of The Village", "“the village” names the group"),
    "hidden title": (attach, flyer(), "hidden \u202e words", "a character we can’t read"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bad_files_and_words_are_explained_and_what_was_typed_stays(lead, scenario, name):
    send, content, words, problem = BAD[name]
    answer = send(lead, begin(lead), content or b"", words, "" if content is None else "tea")
    assert answer.status_code == 422
    assert problem in answer.text
    assert f'value="{words.strip()}"' in answer.text or "\n" in words or not words.strip()
    with scenario.services.reading.begin() as session:
        kept = (session.scalar(select(func.count(kind.id))) for kind in (Image, Flyer))
        assert list(kept) == [0, 0]
    del answer
    gc.collect()  # the client leaves a large upload's file open; here its warning is ignored


def test_a_far_too_large_body_is_refused_and_a_large_one_on_every_other_page(lead, scenario):
    page = begin(lead)

    def announce(url: str, octets: int):
        kind = "multipart/form-data; boundary=b"
        length = {"CONTENT_LENGTH": str(octets)}
        return lead.client.post(url, data=b"--b", content_type=kind, environ_overrides=length)

    for kind in ("pictures", "flyers"):
        refused = announce(f"{page}/{kind}", MAX_BODY + 1)
        assert refused.status_code == 413
        assert "That file is too large" in refused.text
        assert f'href="{page}/{kind}" data-back>Back to the page' in refused.text
        assert announce(f"{page}/{kind}", MAX_BODY).status_code == 400, "without the page’s token"
    for other in (page, f"{page}/save", f"{page}/preview"):
        assert announce(other, 600_000).status_code == 413
    assert added(scenario) == []


def test_the_editors_script_is_told_the_code_or_what_is_wrong(lead, scenario):
    page = begin(lead)

    def told(content: bytes):
        lead.headers["Accept"] = "application/json"
        upload = {"picture": (io.BytesIO(content), "picture"), "description": "IMG_1"}
        answer = lead.act(f"{page}/pictures", **upload)
        del lead.headers["Accept"]
        return answer.status_code, answer.json

    answered = told(picture())
    [image] = added(scenario)
    assert answered == (200, {"source": f"![](picture:{image.public_id})"})
    assert told(SVG) == (422, {"problem": "We can’t use this file. Upload a JPEG, PNG or WebP."})
    for _ in range(9):
        assert told(picture())[0] == 200
    full = "A newsletter can have up to 10 pictures. Remove one to add another."
    assert told(picture()) == (422, {"problem": full})
    assert lead.send(page, remove=added(scenario)[-1].public_id).status_code == 303
    assert told(picture())[0] == 200
    write(lead, page, answered[1]["source"])
    assert "A picture has no description" in lead.open(f"{page}/release").text
    act(lead, page, "delete")
    assert added(scenario) == [], "a draft that is thrown away takes its pictures along"


def test_a_text_with_too_heavy_pictures_is_not_released(lead, scenario):
    page = begin(lead)
    with scenario.services.writing.begin() as session:
        issue = session.scalars(select(Newsletter)).one()
        noise = Pillow.effect_noise((600, 600), 90)
        heavy = EncodedImage("image/png", file(noise, "PNG") * 6, 600, 600)
        sources = [files.add_image(session, issue, "Tea", heavy).source for _ in range(3)]
        assert session.scalar(select(func.count(Image.id))) == 3
    write(lead, page, sources[0])
    assert "too large" not in lead.open(f"{page}/release").text
    assert 'width="534"' in lead.open(f"{page}/preview").text, "as wide as the text"
    write(lead, page, "\n\n".join(sources))
    assert "too large for many inboxes" in refused(lead, page)
