"""The composer: nothing typed is lost, what goes out is what the preview shows."""

import json

import pytest

from tests.browser_client import Form, html_of, text_of
from tests.clients import sign_in
from tests.factories import make_members
from tests.newsletters.writing import act, begin, release, write


def preview(lead, page: str, kind: str = "", **words: str) -> str:
    fields = Form(lead.open(page).text).fields
    answer = lead.press(f"{page}/preview?as={kind}", **{**fields, **words})
    assert answer.status_code == 200
    return answer.text


def draft(lead, slug: str, **words: str) -> str:
    page = begin(lead, slug)
    typed = {"subject": "Tea on Friday", "text": "Come to tea.", **words}
    assert lead.send(page, **typed).status_code == 303
    return page


@pytest.mark.parametrize("field", ["subject", "text", "subject_es", "text_es"])
def test_an_unknown_placeholder_is_explained_and_nothing_is_lost(lead, field):
    page = begin(lead)
    typed = {
        "subject": "Tea",
        "text": "All my words",
        "subject_es": "Té",
        "text_es": "Mis palabras",
    }
    answer = lead.send(page, **{**typed, field: "Dear {frist_name}"})
    assert answer.status_code == 422
    assert "We don’t recognize “{frist_name}”." in answer.text
    assert "Dear {frist_name}" in answer.text
    for kept, words in typed.items():
        assert kept == field or words in answer.text
    saved = lead.press(f"{page}/save", **{**Form(answer.text).fields, field: "Dear {frist_name}"})
    assert saved.status_code == 422
    assert "{frist_name}" in saved.json["problem"]


def test_no_braces_are_a_template_language(lead, worker, relay):
    words = "{{7*7}} ${x} %(x)s {% if 1 %} {first_name} {0} {} {{first_name}} <%= 1 %>"
    page = write(lead, subject="For {first_name}: {{7*7}}", text="{group}: " + words)
    act(lead, page, "test")
    worker.drain()
    mail = relay.to("lead-of-the-village@dpsk12.org")[-1]
    assert mail["Subject"] == "[Test] For colleague: {{7*7}}"
    kept = "{{7*7}} ${x} %(x)s {% if 1 %} colleague {0} {} {{first_name}} <%= 1 %>"
    assert f"The Village Belong Group: {kept}" in text_of(mail)
    assert "49" not in html_of(mail).partition("<h1")[2].partition("This copy is for you")[0]


def test_two_pages_at_once_lose_nothing(lead):
    page = begin(lead)
    early = Form(lead.open(page).text).fields
    assert (
        lead.press(page, **{**early, "subject": "Mine", "text": "First words"}).status_code == 303
    )
    answer = lead.press(page, **{**early, "subject": "Theirs", "text": "Second words"})
    assert answer.status_code == 409
    assert "Someone else changed this draft" in answer.text
    assert "First words" in answer.text
    assert "Second words" in answer.text
    late = lead.press(f"{page}/save", **{**early, "text": "Third words"})
    assert late.status_code == 409
    assert "First words" in lead.open(page).text
    both = {**Form(answer.text).fields, "subject": "Both", "text": "First and second words"}
    assert lead.press(page, **both).status_code == 303
    assert "First and second words" in lead.open(page).text


def test_two_leads_of_one_group_share_its_drafts(lead, app, keyring):
    page = begin(lead)
    lead.send(page, subject="Ours", text="Only ours")
    second = sign_in(app, keyring, "the-village")
    assert "Only ours" in second.open(page).text


def test_words_are_saved_while_they_are_typed(lead):
    page = begin(lead)
    fields = Form(lead.open(page).text).fields
    answer = lead.press(f"{page}/save", **{**fields, "subject": "Tea", "text": "Some words"})
    seen = json.loads(answer.text)["seen"]
    assert "Some words" in lead.open(page).text
    more = {**fields, "seen": seen, "subject": "Tea", "text": "Some more words"}
    assert lead.press(f"{page}/save", **more).status_code == 200
    assert "Some more words" in lead.open(page).text


def test_the_preview_is_the_mail_that_goes_out(lead, services, keyring, worker, relay):
    words = {
        "subject": "Tea & cake",
        "preheader": "For {first_name} & friends",
        "text": "Dear {first_name},\n\n# Tea\n\n- <b>one</b>\n- *two*",
    }
    with services.writing.begin() as session:
        make_members(session, keyring, 1)
    page = write(lead, **words)
    release(lead, page, worker)
    sent = html_of(relay.to("member0@dpsk12.org")[-1])
    leave = sent.split('href="')[1].split('"')[0]
    assert leave.startswith("http://localhost:5000/leave/")
    expected = sent.replace(leave, services.settings.base_url)
    page = begin(lead)
    assert preview(lead, page, "phone", **words) == expected
    assert preview(lead, page, "desktop", **words) == expected
    assert preview(lead, page, "nonsense", **words) == expected


def test_the_preview_shows_what_an_inbox_shows_in_each_language(lead):
    page = begin(lead)
    words = {"subject": "Tea", "text": "Come.", "subject_es": "Té", "text_es": "Vengan."}
    shown = preview(lead, page, "inbox", **words)
    assert "News from your Belong group." in shown
    assert "Novedades de tu grupo Belong." in shown
    shown = preview(lead, page, "inbox", **words, preheader="Dear {first_name}: <b>cake</b>")
    assert "Dear colleague: &lt;b&gt;cake&lt;/b&gt;" in shown
    assert "News from your Belong group." not in shown


def test_the_preview_shows_dark_plain_and_spanish(lead):
    page = begin(lead)
    words = {"subject": "Tea", "text": "**Come**", "subject_es": "Té", "text_es": "**Vengan**"}
    assert "prefers-color-scheme: dark" in preview(lead, page, "phone", **words)
    dark = preview(lead, page, "dark", **words)
    assert "prefers-color-scheme" not in dark
    assert "@media all" in dark
    assert "<strong>Vengan</strong>" in preview(lead, page, "es", **words)
    plain = preview(lead, page, "text", **words)
    assert "Come" in plain
    assert "<" not in plain
    assert "Come" in preview(lead, page, "es", subject="Tea", text="Come")


def test_the_preview_stores_nothing(lead):
    page = begin(lead)
    fields = Form(lead.open(page).text).fields
    words = {
        "subject": "=?utf-8?q?=0ABcc:x?= \u2028 " + "x" * 999,
        "text": "<script>1</script>\x00",
    }
    answer = lead.press(f"{page}/preview", **{**fields, **words})
    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert "0ABcc" not in lead.open(page).text


@pytest.mark.parametrize(
    "subject",
    ["=?utf-8?q?Tea=0D=0ABcc:_x?=", "Tea\nBcc: x", "Tea\u2028x", "Tea \u202e x", "x" * 201],
)
def test_a_subject_that_hides_something_is_refused(lead, subject):
    assert lead.send(begin(lead), subject=subject, text="Words").status_code == 422


def test_the_checklist_names_what_is_missing_or_misleads(lead):
    page = draft(
        lead,
        "the-village",
        subject="The Village meets",
        text="[dpsk12.org](https://example.org/x) [www.example.org](https://example.org)"
        " [docs.example.org][r] ![](picture:x)\n\n[r]: https://evil.example",
        subject_es="Té",
    )
    checklist = lead.open(f"{page}/release").text
    assert "A link says “dpsk12.org” but leads somewhere else." in checklist
    assert "A link says “docs.example.org” but leads somewhere else." in checklist
    assert "“www.example.org”" not in checklist
    assert "The subject or preview line names the group" in checklist
    assert "A picture has no description" in checklist
    assert "a picture that isn’t in this newsletter" in checklist
    assert "needs both a subject and text" in checklist
    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 422


@pytest.mark.parametrize(
    "target",
    ["https:evil.example", "https:/evil.example", "HTTPS:///evil.example", "http:evil.example/"],
)
def test_a_link_leads_elsewhere_however_many_slashes_it_has(lead, target):
    page = draft(lead, "the-village", subject="Tea", text=f"[www.dpsk12.org]({target})")
    assert "A link says “www.dpsk12.org”" in lead.open(f"{page}/release").text
    page = draft(lead, "the-village", subject="Tea", text="[dpsk12.org](https:///dpsk12.org/a)")
    assert "A link says" not in lead.open(f"{page}/release").text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Come: https://spy.example.org/?n={first_name}", "would learn the reader’s name"),
        ("Hello {first_name}" + "![" * 30_000, "has so many marks"),
    ],
    ids=["a name in a link", "marks"],
)
def test_the_checklist_refuses_what_would_tell_a_name_or_take_for_ever(lead, text, said):
    page = draft(lead, "the-village", subject="Tea", text=text)
    assert said in lead.open(f"{page}/release").text
    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 422


def test_an_empty_draft_and_one_that_gmail_cuts_are_not_released(lead):
    page = begin(lead)
    assert "Add a subject." in lead.open(f"{page}/release").text
    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 422
    page = write(lead, text="word " * 15_000)
    assert "Gmail would cut off its end" not in lead.open(f"{page}/release").text
    page = write(lead, text="*a* " * 11_000)
    assert "Gmail would cut off its end" in lead.open(f"{page}/release").text
    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 422


def test_the_checklist_mentions_a_language_that_is_missing_and_sends_all_the_same(lead):
    page = draft(lead, "the-village")
    checklist = lead.open(f"{page}/release").text
    said = "There’s no Spanish version. Members who chose Spanish will get the main version."
    assert said in checklist
    page = draft(lead, "the-village", preheader="Cake", subject_es="Té", text_es="Vengan.")
    checklist = lead.open(f"{page}/release").text
    assert said not in checklist
    assert "The Spanish version has no preview line." in checklist
    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 303


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x" * 151, "Use at most 150 characters."),
        ("Tea {frist_name}", "We don’t recognize “{frist_name}”."),
        ("=?utf-8?q?Tea=0D=0ABcc:_x?=", "a character we can’t read"),
        ("two\nlines", "Keep the preview line on one line."),
    ],
)
def test_a_preview_line_is_short_and_hides_nothing(lead, line, said):
    answer = lead.send(begin(lead), subject="Tea", text="Come.", preheader=line)
    assert answer.status_code == 422
    assert said in answer.text


def test_a_preview_line_is_kept_with_the_draft(lead):
    page = draft(lead, "the-village", preheader="Cake & tea", preheader_es="Pastel")
    fields = Form(lead.open(page).text).fields
    assert (fields["preheader"], fields["preheader_es"]) == ("Cake & tea", "Pastel")
    unsafe = draft(lead, "the-village", preheader="https://spy.example.org/?n={first_name}")
    assert "would learn the reader’s name" in lead.open(f"{unsafe}/release").text


def test_the_buttons_say_where_they_lead(lead):
    page = begin(lead)
    for button, place in (("pictures", "/pictures"), ("release", "/release")):
        answer = lead.send(page, subject="Tea", text="Kept", **{button: "1"})
        assert answer.location.endswith(place)
        assert "Kept" in lead.open(page).text


@pytest.mark.parametrize("target", ["", "https://", "HTTP:/", "mailto:", "<>", " "])
def test_a_link_without_an_address_is_refused(lead, target):
    page = draft(lead, "the-village", text=f"[Sign up]({target}) and [tea](https://example.org)")
    checklist = lead.open(f"{page}/release").text
    assert "The link “Sign up” has no address." in checklist
    assert "The link “tea”" not in checklist
    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 422
    lead.send(page, text="[Sign up](https://example.org/up) or [write](mailto:a@example.org)")
    assert "has no address" not in lead.open(f"{page}/release").text
