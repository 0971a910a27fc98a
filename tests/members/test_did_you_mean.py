"""A mistyped domain is asked about: a button puts the right one there; nothing typed is lost."""

import pytest

from belong_mail.core.jobs import Job
from belong_mail.mail.address import correct_domain
from belong_mail.members.jobs import Join
from tests.browser_client import Form

JOIN, TELL_ME = "/groups/the-village/join", "/groups/autoimmune/tell-me"
MY_GROUPS, AGAIN, CONTACT, SIGN_IN = "/my-groups", "/email-me-again", "/contact", "/sign-in"
# Other fields of the contact form.
WORDS = {"message": "Hello", "topic": "need"}
MEANT = "ada@dpsk12.org"
SLIPS = (
    "dspk12.org", "dpsk21.org", "dpskl2.org", "dpk12.org", "dpssk12.org", "dpsk12.ogr",
    "dpsk12.rog",
    "dpsk1.org", "dpsk12.or", "psk12.org", "dpsk12org", "dpsk12,org", "dpsk12..org", "dpsk12",
    "dpsk12.com", "dpsk12.net", "dpsk12.orgg", "d\u0440sk12.org", "DSPK12.ORG",
)  # fmt: skip
OTHERS = (
    "gmail.com", "dpsk12.org", "DPSK12.ORG", "evildpsk12.org", "mail.dpsk12.org", "example.org",
    "dpsk12.example.org", "dpsk12.org.evil.example.org", "aurorak12.org", "a.org", "",
)  # fmt: skip


@pytest.mark.parametrize("host", SLIPS)
def test_a_slip_in_the_domain_is_recognized(host):
    assert correct_domain(f" ada@{host} ", ("example.org", "dpsk12.org")) == MEANT


@pytest.mark.parametrize("host", OTHERS)
def test_other_domains_are_left_alone(host):
    assert correct_domain(f"ada@{host}", ("dpsk12.org",)) is None


def test_the_nearest_domain_is_meant_and_a_short_one_is_near_to_few():
    assert correct_domain("ada@dpsk13.org", ("dpsk12.org", "dpsk33.org")) == "ada@dpsk12.org"
    assert correct_domain("ada@ax.co", ("dp.co",)) is None
    assert correct_domain("a b@dspk12.org", ("dpsk12.org",)) is None


@pytest.mark.parametrize("path", [JOIN, TELL_ME, MY_GROUPS, AGAIN, CONTACT, SIGN_IN])
@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "Did you mean dpsk12.org?"), ("es", "¿Quisiste decir dpsk12.org?")],
)
def test_every_form_asks_and_its_button_fills_the_field(scenario, path, language, words):
    typed = {"email": "ada@dspk12.org", **(WORDS if path == CONTACT else {})}
    page = scenario.visitor.send(f"{path}?lang={language}", **typed)
    assert page.status_code == 422
    assert page.text.count(words) == 2, "in the summary, and at the field"
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


def test_all_else_that_was_typed_stays_when_the_button_is_pressed(scenario, keyring):
    scenario.invite_lead("lead@dpsk12.org")
    typed = {"first_name": "Ada", "language": "es", "introduce_me": "y", "question-1": "1"}
    page = scenario.visitor.join("the-village", "ada@dpsk12.com", **typed)
    filled = scenario.visitor.press(JOIN, **Form(page.text).fields, use_suggestion="email")
    kept = Form(filled.text).fields
    assert {name: kept[name] for name in typed} == typed
    assert scenario.visitor.press(JOIN, **kept).status_code == 303
    with scenario.services.reading.begin() as session:
        [job] = session.query(Job)
        signup = Join.open(keyring.opener, job)
    assert (signup.address, signup.first_name) == (MEANT, "Ada")


@pytest.mark.parametrize("path", [MY_GROUPS, AGAIN, CONTACT])
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
