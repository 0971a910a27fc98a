"""The sign-up form before clumsy and hostile input: kind errors, nothing lost, nothing stored."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from belong_mail.core.db import new_public_id, now
from belong_mail.core.jobs import Job
from belong_mail.core.tokens import Purpose
from belong_mail.members.jobs import Join
from tests.browser_client import Form
from tests.markers import on_sqlite
from tests.scenario import ADA, VILLAGE, Scenario

JOIN = "/groups/the-village/join"
NOT_OURS = (
    "ada@gmail.com",
    "ada@dpsk12.org.evil.example.org",
    "ada@evildpsk12.org",
    "ada@mail.dpsk12.org",
    "ada@dpsk12.example.org",
)
MISTYPED = (
    "ada@dpskl2.org",
    "ada@d\u0440sk12.org",  # Cyrillic р
)
# Of which tests/mail/test_address.py has many more.
NOT_ADDRESSES = (
    "ada",
    "\u0430da@dpsk12.org",  # Cyrillic а
    "\uff41da@dpsk12.org",  # full-width a
    "ada@dpsk12.org\r\nBcc: all@example.org",
    "ada@dpsk12.org?x=@example.org",
    "=?utf-8?q?=0ABcc=3A_x=40example.org?=@dpsk12.org",
    "a" * 100_000 + "@dpsk12.org",
)
OURS = {
    " Ada@dpsk12.org ": "Ada@dpsk12.org",
    "ada@\uff44\uff50\uff53\uff4b12.org": "ada@dpsk12.org",
    "\u00a0ada@dpsk12.org\t": "ada@dpsk12.org",
}
MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "{% for x in config %}{{ x }}{% endfor %}",
    "{0.__class__} %(x)s ${env:HOME}",
    "&lt;b&gt;",
    "</textarea><h1>",
)
HIDDEN = ("a\x00b", "a\x1b[31mb", "a\x7fb", "a\x85b", "a\u202eb", "a\ue000b", "a\u2066b")


@pytest.fixture
def leads(scenario) -> Scenario:
    """The group has a lead, so that its form asks its questions."""
    scenario.invite_lead("lead@dpsk12.org")
    return scenario


def nothing_is_stored(scenario) -> bool:
    return scenario.rows("jobs") == 0


def stored(scenario, keyring) -> Join:
    with scenario.services.writing.begin() as session:
        [request] = session.query(Job).all()
        session.delete(request)
        return Join.open(keyring.opener, request)


def test_an_address_outside_the_district_is_refused_kindly_and_stays_in_the_field(scenario):
    refused = dict.fromkeys(NOT_OURS, "Use a district email address. It ends in @dpsk12.org.")
    refused |= dict.fromkeys(MISTYPED, "Did you mean dpsk12.org?")
    refused |= dict.fromkeys(("", "   ", "\t\r\n"), "Enter your email address.")
    refused |= dict.fromkeys(NOT_ADDRESSES, "Problem: Join The Village Belong Group")
    for typed, words in refused.items():
        answer = scenario.visitor.join("the-village", typed, first_name="Ada")
        assert answer.status_code == 422, typed
        assert words in answer.text, typed
        kept = Form(answer.text).fields
        assert kept["first_name"] == "Ada", typed
        assert kept["email"] == typed or typed not in NOT_OURS + MISTYPED
    assert nothing_is_stored(scenario)


def test_every_spelling_of_a_staff_address_and_every_name_is_taken(scenario):
    page = scenario.visitor.open(JOIN).text
    assert re.findall(r'<label for="(\w+)">[^<]+<span class="optional">', page) == ["first_name"]
    for typed, meant in OURS.items():
        assert scenario.visitor.join("the-village", typed).status_code == 303, typed
        assert stored(scenario, scenario.keyring).address == meant
    for typed in ("Zoë", "José María", "N’Golo", "李", "نور", "Anne-Marie", "O'Neil"):
        assert scenario.visitor.join("the-village", ADA, first_name=typed).status_code == 303, typed
        assert stored(scenario, scenario.keyring).first_name == typed


@pytest.mark.parametrize("settings", [{"BELONG_REFUSED_LOCAL_PARTS": r"^\d+$|^student\."}])
def test_an_address_of_a_class_account_can_be_refused(scenario):
    for typed in ("123456@dpsk12.org", "123456+x@dpsk12.org", "student.ada@dpsk12.org"):
        answer = scenario.visitor.join("the-village", typed)
        assert answer.status_code == 422
        assert "This isn’t a staff member’s own email address." in answer.text
    assert scenario.visitor.join("the-village", ADA).status_code == 303


def test_markup_in_any_field_stays_text(leads):
    questions = ("question-1", "question-2")
    for typed in MARKUP:
        fields = dict.fromkeys(("email", "first_name", "language", *questions), typed)
        answer = leads.visitor.send(JOIN, **fields)
        assert answer.status_code == 422, typed
        page = Form(answer.text).fields
        assert page["email"] == typed
        assert page["first_name"] == typed
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert "49" not in page["email"]
    assert nothing_is_stored(leads)


def test_a_name_is_one_line_of_plain_words(scenario):
    bad = (*HIDDEN, "Ada\r\nBcc: x", "Ada\nLovelace", "Ada\u2028Lovelace", "Ada\tLovelace")
    links = ("http://example.org", "www.example.org", "ada@example.org", "<b>", "{{ x }}")
    for typed in (*bad, *links, "a" * 61):
        answer = scenario.visitor.join("the-village", ADA, first_name=typed)
        assert answer.status_code == 422, typed
    assert nothing_is_stored(scenario)


def test_answers_take_the_words_people_paste(leads, scenario):
    leads.invite_lead("lead@dpsk12.org", "asian")
    pasted = "Un\u00a0café\u200b, por favor\ufeff — and tea 🫨👩🏽\u200d🏫\r\nThank\u00ady you"
    typed: dict[str, Any] = {"introduce_me": "y", "question-1": pasted}
    assert leads.visitor.join("asian", ADA, **typed).status_code == 303
    [[_, answer]] = stored(leads, scenario.keyring).answers
    assert answer == pasted


def test_an_answer_that_hides_something_or_is_no_choice_is_refused(leads):
    leads.invite_lead("lead@dpsk12.org", "asian")
    for typed in (*HIDDEN, "a" * 501):
        answer = leads.visitor.join("asian", ADA, **{"question-1": typed})
        assert answer.status_code == 422, typed
    for typed in ("9", "-1", "x", "1 OR 1=1"):
        for name in ("question-1", "question-2"):
            assert leads.visitor.join("the-village", ADA, **{name: typed}).status_code == 422
    assert nothing_is_stored(leads)


def asks_once_more(scenario, answer) -> bool:
    """Tell whether the page asks for one more press, and whether that press is enough."""
    assert answer.status_code == 422
    assert re.search(r'role="status">\s*<p><strong>Please select the button again\.', answer.text)
    before = scenario.rows("jobs")
    again = Form(answer.text).fields
    assert (again["email"], again["first_name"], again["trap"]) == (ADA, "Ada", "")
    return (
        scenario.visitor.press(JOIN, **again).status_code == 303
        and scenario.rows("jobs") == before + 1
    )


def test_a_form_that_is_stale_unsigned_or_in_the_honeypot_asks_for_one_more_press(scenario):
    fields = Form(scenario.visitor.open(JOIN).text).fields | {"email": ADA, "first_name": "Ada"}
    good = fields.pop("csrf_token")
    foreign = scenario.services.tokens.sign(Purpose.LEAVE, new_public_id(), now())
    bent = ("", "x", "a.b.c", "é", "\x00", "a" * 5000, good[:-5] + "AAAAA", good[1:], good + "A")
    wrong = [{"csrf_token": token} for token in (*bent, foreign)]
    for typed in (*wrong, {}, {"csrf_token": good, "trap": "https://spam.example"}):
        assert asks_once_more(scenario, scenario.visitor.press(JOIN, **{**fields, **typed})), typed
    fields["csrf_token"] = good
    with time_machine.travel(now() + timedelta(hours=23)):
        assert scenario.visitor.press(JOIN, **fields).status_code == 303
    with time_machine.travel(now() + timedelta(hours=25)):
        assert asks_once_more(scenario, scenario.visitor.press(JOIN, **fields))


def test_a_flood_of_fields_is_refused(scenario):
    many = {f"f{n}": "x" for n in range(1000)}
    answer = scenario.visitor.client.post(JOIN, data=many, content_type="multipart/form-data")
    assert answer.status_code == 413
    assert nothing_is_stored(scenario)


@on_sqlite
def test_a_wrong_form_is_answered_while_somebody_else_writes(scenario):
    with scenario.services.writing.begin() as session:
        session.connection()
        assert scenario.visitor.join("the-village", "nobody").status_code == 422


# A mistyped domain is asked about: a button puts the right one there; nothing typed is lost.


TELL_ME = "/groups/autoimmune/tell-me"
MY_GROUPS, CONTACT, SIGN_IN = "/my-groups", "/contact", "/sign-in"
# Other fields of the contact form.
WORDS = {"message": "Hello", "topic": "need"}
MEANT = "ada@dpsk12.org"


@pytest.mark.parametrize("path", [JOIN, TELL_ME, MY_GROUPS, CONTACT, SIGN_IN])
def test_every_form_suggests_the_right_domain_and_its_button_fills_the_field(scenario, path):
    typed = {"email": "ada@dspk12.org", **(WORDS if path == CONTACT else {})}
    page = scenario.visitor.send(path, **typed)
    assert page.status_code == 422
    assert page.text.count("Did you mean dpsk12.org?") == 2, "in the summary, and at the field"
    assert 'name="use_suggestion" value="email"' in page.text
    assert f"{MEANT}</button>" in page.text
    kept = Form(page.text).fields
    assert kept["email"] == "ada@dspk12.org"

    filled = scenario.visitor.press(path, **kept, use_suggestion="email")
    assert filled.status_code == 200
    again = Form(filled.text).fields
    assert again["email"] == MEANT
    assert again.get("message") == typed.get("message")
    assert 'role="alert"' not in filled.text
    assert scenario.rows("jobs") == 0
    assert scenario.visitor.press(path, **again).status_code == 303


def test_all_else_that_was_typed_stays_beside_an_error_and_when_its_button_is_pressed(
    leads, scenario
):
    typed: dict[str, Any] = {
        "first_name": "Ada", "language": "es", "introduce_me": "y", "question-1": "2",
        "question-2": ["0", "2"],
    }  # fmt: skip
    page = leads.visitor.send(JOIN, email="ada@dpsk12.com", **typed)
    assert page.status_code == 422
    filled = leads.visitor.press(JOIN, **Form(page.text).fields, use_suggestion="email")
    for answer in (page, filled):
        kept = Form(answer.text).fields
        assert {name: kept[name] for name in typed} == typed
    assert leads.visitor.press(JOIN, **kept).status_code == 303
    signup = stored(leads, scenario.keyring)
    assert (signup.address, signup.first_name) == (MEANT, "Ada")


@pytest.mark.parametrize("path", [MY_GROUPS, CONTACT])
def test_where_any_address_may_be_typed_it_is_asked_once(scenario, path):
    typed = {"email": "ada@dspk12.org", **(WORDS if path == CONTACT else {})}
    page = scenario.visitor.send(path, **typed)
    assert "send the form again as it is" in page.text
    kept = Form(page.text).fields
    other = scenario.visitor.press(path, **kept | {"email": "eve@dspk12.org"})
    assert other.status_code == 422, "another slip is another question"
    assert scenario.visitor.press(path, **kept).status_code == 303
    assert scenario.rows("jobs") == 1


@pytest.mark.parametrize("path", [JOIN, TELL_ME])
def test_where_only_staff_may_join_a_slip_is_never_taken(scenario, path):
    page = scenario.visitor.send(path, email="ada@dspk12.org")
    assert "as_typed" not in page.text
    forced = Form(page.text).fields | {"as_typed": "ada@dspk12.org"}
    assert scenario.visitor.press(path, **forced).status_code == 422
    assert scenario.rows("jobs") == 0


def test_a_button_for_a_field_that_holds_no_address_does_nothing(scenario):
    fields = Form(scenario.visitor.open(JOIN).text).fields | {"email": "ada@gmail.com"}
    for name in ("email", "language", "submit", "trap", "nothing", "csrf_token"):
        answer = scenario.visitor.press(JOIN, **fields, use_suggestion=name)
        assert answer.status_code == 200
        assert Form(answer.text).fields["email"] == "ada@gmail.com"
    assert scenario.rows("jobs") == 0


# After the form: the same for everyone, and the way back.


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_page_after_the_form_says_what_to_look_for_and_leads_back(scenario, language):
    answer = scenario.visitor.send(f"/groups/{VILLAGE}/join?lang={language}", email=ADA)
    page = scenario.visitor.open(answer.location).text
    other = "es" if language == "en" else "en"
    [switch] = re.findall(rf'href="(/check-your-inbox/[^"]+lang={other})"', page)
    assert scenario.visitor.open(switch).status_code == 200
    assert f'href="/groups/{VILLAGE}?lang={language}"' in page
    assert f'href="{JOIN}' in page
    [mail] = scenario.mails()
    for words in (f"<dd>{mail['Subject']}</dd>", "<dd>DPS Belong</dd>", "15 minut", "spam"):
        assert words in page
    assert VILLAGE not in answer.location


def test_the_next_email_leaves_no_sooner_than_the_page_says(scenario):
    with time_machine.travel(now(), tick=False) as clock:
        scenario.visitor.join(VILLAGE, ADA)
        assert len(scenario.mails()) == 1
        clock.shift(timedelta(minutes=14))
        scenario.visitor.join(VILLAGE, ADA)
        assert len(scenario.mails()) == 1
        clock.shift(timedelta(minutes=2))
        assert len(scenario.mails()) == 2


def test_without_its_name_the_page_still_helps(scenario):
    foreign = scenario.services.tokens.sign(Purpose.FORM, "left", now())
    with time_machine.travel(now() - timedelta(hours=49)):
        old = scenario.visitor.join(VILLAGE, ADA).location
    for path in ("/check-your-inbox", f"/check-your-inbox/{foreign}", "/check-your-inbox/x", old):
        page = scenario.visitor.open(path)
        assert page.status_code == 200, path
        assert "Now check your inbox" in page.text
        assert "Village" not in page.text
