"""The composer: nothing typed is lost, what goes out is what the preview shows."""

import re

import pytest

from tests.browser_client import Form, differences, html_of, text_of
from tests.clients import sign_in
from tests.newsletters.writing import act, begin, release, write

HIDES_A_LINE_END = "=?utf-8?q?Tea=0D=0ABcc:_x?="
UNREADABLE = "a character we can’t read"


def preview(lead, page: str, kind: str = "", **words: str) -> str:
    fields = Form(lead.open(page).text).fields
    answer = lead.press(f"{page}/preview?as={kind}", **{**fields, **words})
    assert answer.status_code == 200
    return answer.text


@pytest.mark.parametrize(
    ("field", "words", "said"),
    [
        *(
            (field, "Dear {frist_name}", "We don’t recognize “{frist_name}”.")
            for field in ("subject", "preheader", "text", "subject_es", "text_es")
        ),
        ("subject", HIDES_A_LINE_END, UNREADABLE),
        ("subject", "Tea\nBcc: x", UNREADABLE),
        ("subject", "Tea\u2028x", UNREADABLE),
        ("subject", "Tea \u202e x", UNREADABLE),
        ("subject", "x" * 201, "Use at most 200 characters."),
        ("preheader", HIDES_A_LINE_END, UNREADABLE),
        ("preheader", "two\nlines", UNREADABLE),
        ("preheader", "x" * 151, "Use at most 150 characters."),
    ],
)
def test_an_invalid_field_is_explained_and_nothing_is_lost(lead, field, words, said):
    page = begin(lead)
    usual = {"subject": "Tea", "text": "All words", "subject_es": "Té", "text_es": "Mis palabras"}
    typed = {**usual, field: words}
    answer = lead.send(page, **typed)
    assert answer.status_code == 422
    assert said in answer.text
    kept = Form(answer.text).fields
    assert {name: kept[name] for name in typed} == typed
    saved = lead.press(f"{page}/save", **kept)
    assert saved.status_code == 422
    assert said in saved.json["problem"]


def test_no_braces_are_a_template_language(lead, scenario):
    words = "{{7*7}} ${x} %(x)s {% if 1 %} {first_name} {0} {} {{first_name}} <%= 1 %>"
    page = write(lead, subject="For {first_name}: {{7*7}}", text="{group}: " + words)
    act(lead, page, "test")
    mail = scenario.mails("lead-of-the-village@dpsk12.org")[-1]
    assert mail["Subject"] == "[Test] For colleague: {{7*7}}"
    kept = "{{7*7}} ${x} %(x)s {% if 1 %} colleague {0} {} {{first_name}} <%= 1 %>"
    assert f"The Village Belong Group: {kept}" in text_of(mail)
    assert "49" not in html_of(mail).partition("<h1")[2].partition("This copy is for you")[0]


def test_two_leads_share_a_draft_and_lose_nothing_when_both_write(lead, app, scenario):
    page = begin(lead)
    second = sign_in(app, scenario.keyring, "the-village", "second@dpsk12.org")
    early = Form(second.open(page).text).fields
    assert lead.send(page, subject="Mine", text="First words", preheader="Cake").status_code == 303
    answer = second.press(page, **{**early, "subject": "Theirs", "text": "Second words"})
    assert answer.status_code == 409
    assert "Someone else changed this draft" in answer.text
    assert differences(answer.text) == {
        "Subject": "[Only in yours: Theirs][Only in the saved version: Mine]",
        "Text": "[Only in yours: Second] [Only in the saved version: First] words",
        "Preview line": "[Only in the saved version: Cake]",
    }
    assert second.press(f"{page}/save", **{**early, "text": "Third words"}).status_code == 409
    assert "First words" in lead.open(page).text
    kept = Form(answer.text).fields
    assert kept["text"] == "Second words"
    both = {**kept, "subject": "Both", "text": "First and second words"}
    assert second.press(page, **both).status_code == 303
    assert "First and second words" in lead.open(page).text
    assert " · a group leader</span>" in lead.open("/lead/").text


@pytest.mark.parametrize("typed", [{"seen": "0", "text": "Other words"}, {"text": "Hi {who}"}])
def test_a_draft_that_could_not_be_sent_says_that_nothing_was(lead, typed):
    page = write(lead)
    refused = Form(lead.open(page).text).fields | typed
    said = "This is a draft. Nothing has been sent."
    assert said not in lead.press(page, **refused).text
    assert said in lead.press(page, **refused, release="1").text


def test_the_same_words_sent_twice_are_no_conflict_though_the_first_answer_was_lost(lead):
    page = begin(lead)
    early = {**Form(lead.open(page).text).fields, "text": "First words\r\n"}
    answers = [lead.press(f"{page}/save", **early) for _ in range(2)]
    assert answers[0].status_code == 200
    assert answers[0].json == answers[1].json, "no new version either"
    assert lead.press(page, **early).status_code == 303


@pytest.mark.parametrize(("verb", "status"), [("release", 409), ("delete", 404)])
def test_words_for_a_draft_that_is_sent_or_deleted_meanwhile_are_shown(lead, verb, status):
    page = write(lead)
    mine = Form(lead.open(page).text).fields | {"text": "Words of mine & more"}
    assert lead.act(f"{page}/{verb}", when="10").status_code == 303
    assert lead.press(f"{page}/save", **mine).status_code == 404
    told = lead.press(page, **mine)
    assert told.status_code == status
    assert "Words of mine &amp; more</p>" in told.text


def test_words_are_saved_while_they_are_typed(lead):
    page = begin(lead)
    fields = Form(lead.open(page).text).fields
    typed = {"text": "Some words", "preheader": "Cake & tea", "preheader_es": "Pastel"}
    answer = lead.press(f"{page}/save", **{**fields, **typed})
    kept = Form(lead.open(page).text).fields
    assert {name: kept[name] for name in typed} == typed
    more = {**fields, "seen": answer.json["seen"], "subject": "Tea", "text": "Some more words"}
    assert lead.press(f"{page}/save", **more).status_code == 200
    assert "Some more words" in lead.open(page).text


def test_words_sent_before_without_an_answer_are_no_one_elses(lead):
    page = begin(lead)
    first = Form(lead.open(page).text).fields | {"text": "Some words"}
    assert lead.press(f"{page}/save", **first).status_code == 200
    newest = first | {"text": "Some more words"}
    assert lead.press(f"{page}/save", **newest).status_code == 409
    both = {name: [newest[name], first[name]] for name in first}
    assert lead.press(f"{page}/save", **both).status_code == 200
    assert Form(lead.open(page).text).fields["text"] == "Some more words"


def test_the_preview_is_the_mail_that_goes_out(lead, scenario):
    words = {
        "subject": "Tea & cake",
        "preheader": "For {first_name} & friends",
        "text": "Dear {first_name},\n\n# Tea\n\n- <b>one</b>\n- *two*",
    }
    scenario.add_members(1)
    release(lead, write(lead, **words), scenario.worker)
    sent = html_of(scenario.relay.to("member0@dpsk12.org")[-1])
    leave = sent.split('href="')[1].split('"')[0]
    assert leave.startswith("http://localhost:5000/leave/")
    expected = sent.replace(leave, scenario.services.settings.base_url)
    page = begin(lead)
    for kind in ("phone", "nonsense"):
        assert preview(lead, page, kind, **words) == expected
    assert lead.send(page, **words).status_code == 303
    assert lead.open(f"{page}/preview").text == expected, "what is stored, before any press"
    assert "zoom" in preview(lead, page, "desktop", **words)
    assert "max-width: 480px" not in preview(lead, page, "desktop", **words)


def test_the_preview_shows_the_dark_plain_text_and_each_language(lead):
    page = begin(lead)
    english = {"subject": "Tea", "text": "**Come**"}
    words = {**english, "subject_es": "Té", "text_es": "**Vengan**"}
    assert "prefers-color-scheme: dark" in preview(lead, page, "phone", **words)
    dark = preview(lead, page, "dark", **words)
    assert "prefers-color-scheme" not in dark
    assert "@media all" in dark
    assert "<strong>Vengan</strong>" in preview(lead, page, "es", **words)
    assert "<strong>Come</strong>" in preview(lead, page, "es", **english)
    assert "Vengan" in preview(lead, page, "text-es", **words)
    plain = preview(lead, page, "text", **words)
    assert "Come" in plain
    assert "<" not in plain


def test_the_preview_is_shut_in_by_the_page_and_by_its_own_answer(lead):
    page = begin(lead)
    frames = re.findall("<iframe[^>]*>", lead.open(page).text)
    assert frames
    assert all('sandbox=""' in frame for frame in frames)
    fields = Form(lead.open(page).text).fields | {"text": "<script>alert(1)</script>"}
    answer = lead.press(f"{page}/preview", **fields)
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "sandbox", "form-action 'none'"} <= set(policy)
    assert "<script" not in answer.text


def test_the_preview_stores_nothing(lead):
    page = begin(lead)
    subject = "=?utf-8?q?=0ABcc:x?= \u2028 " + "x" * 999
    assert "<script" not in preview(lead, page, subject=subject, text="<script>1</script>\x00")
    assert "0ABcc" not in lead.open(page).text


def test_a_link_leads_elsewhere_however_many_slashes_it_has(lead):
    targets = (
        "https:evil.example", "https:/evil.example", "HTTPS:///evil.example", "http:evil.example/",
        "https://example.org/x",
    )  # fmt: skip
    links = " ".join(f"[{at}.dpsk12.org]({target})" for at, target in enumerate(targets))
    reference = "[docs.example.org][r]\n\n[r]: https://evil.example"
    right = "[www.example.org](https://example.org) [dpsk12.org](https:///dpsk12.org/a)"
    page = write(lead, text=f"{links} {right} {reference}")
    checklist = lead.open(f"{page}/release").text
    for host in (*(f"{at}.dpsk12.org" for at in range(len(targets))), "docs.example.org"):
        assert f"A link says “{host}” but leads somewhere else." in checklist
    assert checklist.count("A link says") == len(targets) + 1


def test_the_checklist_mentions_a_language_that_is_missing_and_sends_all_the_same(lead):
    right = "[Sign up](https://example.org/up) or [write](mailto:a@example.org)"
    page = write(lead, text=right + "word " * 15_000)
    checklist = lead.open(f"{page}/release").text
    said = "There’s no Spanish version. Members who chose Spanish will get the main version."
    assert said in checklist
    for other in ("has no address", "Gmail"):
        assert other not in checklist
    page = write(lead, preheader="Cake", subject_es="Té", text_es="Vengan.")
    checklist = lead.open(f"{page}/release").text
    assert said not in checklist
    assert lead.send(f"{page}/release", when="1").status_code == 303


def test_the_buttons_say_where_they_lead_and_no_browser_cuts_a_long_text_that_is_pasted(lead):
    page = begin(lead)
    areas = re.findall("<textarea[^>]*>", lead.open(page).text)
    assert len(areas) == 2
    assert not [each for each in areas if "maxlength" in each]
    for button in ("pictures", "flyers", "meetings", "template", "release"):
        assert f' name="{button}"' in lead.open(page).text
    for button in ("pictures", "flyers", "release"):
        answer = lead.send(page, subject="Tea", text="Kept", **{button: "1"})
        assert answer.location.endswith(f"/{button}")
        assert "Kept" in lead.open(page).text
