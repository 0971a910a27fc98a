"""What forms take for today and for a source, and what they say to a screen reader."""

import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
import time_machine
import wtforms
from werkzeug.datastructures import MultiDict
from wtforms import StringField, TextAreaField
from wtforms.meta import DefaultMeta

from belong_mail.core.rate_limits import ALL_FORMS, Limit
from belong_mail.web.context import today
from tests.browser_client import Form
from tests.markers import on_sqlite

pytestmark = on_sqlite
PLACES = {
    "/": "Groups", "/calendar": "Calendar", "/contact": "Contact", "/my-groups": "My groups",
    "/new-colleagues": "New colleagues", "/privacy": "Privacy", "/accessibility": "Accessibility",
}  # fmt: skip
# Fields of one line that are compared with something, and never stored.
COMPARED = {
    "trap",
    "seen",
    "answer",
    "code",
    "state",
    "is_open",
    "reference",
    "words",
    "shown_rule",
}


def values(attribute: str, page: str) -> list[str]:
    return " ".join(re.findall(rf' {attribute}="([^"]+)"', page)).split()


def every_form(kind: type[wtforms.Form] = wtforms.Form) -> Iterator[type[wtforms.Form]]:
    for each in kind.__subclasses__():
        yield from (each, *every_form(each))


@pytest.mark.parametrize("kind", ["a file", "JSON"])
def test_a_form_reads_no_file_and_no_json_in_the_place_of_words(kind, visitor, lead):
    for browser, page in (
        (visitor, "/contact"), (visitor, "/contact/answer"), (visitor, "/groups/asian/join"),
        (visitor, "/my-groups"), (visitor, "/sign-in"),
        (lead, "/lead/groups/the-village/page"), (lead, "/account/"),
    ):  # fmt: skip
        names = Form(browser.open(page).text).fields
        for name in names:
            words = {each: names[each] for each in names if each != name}
            sent = words | {name: (io.BytesIO(b"x"), "x")}
            said = {"data": sent} if kind == "a file" else {"json": names | {name: 5}}
            assert browser.client.post(page, **said).status_code < 500, (page, name)
    assert visitor.client.post("/sign-in", json=[5]).status_code < 500


def test_no_field_of_one_line_takes_a_line_break_or_another_control_character(app):
    """One in a meeting's link made every calendar fail, and one in a name could end a header."""
    controls = [chr(each) for each in (*range(32), *range(127, 160), 0x2028, 0x2029)]
    tried, taken = set(), set()
    with app.test_request_context():
        for form in every_form():
            for name in set(dir(form)) - COMPARED:
                made = getattr(form, name)
                kind = getattr(made, "field_class", int)
                if issubclass(kind, StringField) and not issubclass(kind, TextAreaField):
                    tried.add((form.__name__, name))
                    field = made.bind(wtforms.Form(), name, _meta=DefaultMeta())
                    for control in controls:
                        field.process(MultiDict({name: f"https://a{control}b"}))
                        if field.validate(field) and control in field.data:
                            taken.add((form.__name__, name, control))
    assert ("MeetingForm", "link") in tried
    assert taken == set()


def test_an_error_is_announced_and_links_to_its_field(visitor):
    page = visitor.join("the-village", "nobody", language="xx").text
    [summary] = re.findall(r'<div class="problem" role="alert".*?</div>', page, re.DOTALL)
    assert values("href", summary) == ["#email", "#language-0"]
    for name in ("email", "language"):
        assert f"{name}-error" in values("aria-describedby", page)
    assert 'aria-describedby="email-hint email-error"' in page
    named = {each.removeprefix("#") for each in values("href", summary)}
    assert named | {*values("aria-describedby", page)} <= {*values("id", page)}
    wrong = re.findall(r'<input [^>]*aria-invalid="true"[^>]*>', page)
    assert {*values("name", " ".join(wrong))} == {"email", "language"}


def test_a_button_for_enter_alone_is_neither_seen_nor_heard_nor_reached(visitor):
    page = visitor.join("the-village", "ada@dspk12.org").text
    unseen = re.findall(r'<button class="unseen"[^>]*>', page)
    assert len(unseen) == 2
    assert re.search(r'</button>\s*<button class="language"', page), "Enter leaves the language."
    assert '<div class="unseen" aria-hidden="true"><label ' in page, "The trap is for robots."
    asks = visitor.open("/my-groups").text
    assert re.search(r'<input [^>]*autocomplete="email"[^>]* inputmode="email"', asks)
    assert all('tabindex="-1" aria-hidden="true"' in each for each in unseen)


def test_the_link_to_the_current_page_is_marked_and_the_spanish_link_has_its_language(visitor):
    for path, words in PLACES.items():
        page = visitor.open(path).text
        marked = re.findall(r'aria-current="page">([^<]+)<', page)
        assert marked == [words] * (1 + (words == "Contact")), "above and below"
        assert '<nav aria-label="Main">' in page
        assert not re.search(r'<svg(?![^>]* aria-hidden="true")', page), "a drawing is read"
        assert re.search(r' lang="es">Español<', page)


def test_today_is_the_day_in_denver(app):
    with app.app_context(), time_machine.travel(datetime(2026, 12, 2, 1, 30, tzinfo=UTC)):
        assert today() == date(2026, 12, 1)


def test_a_source_is_an_address_or_a_subscribers_network(visitor, services):
    typed = {"message": "Hello.", "topic": "need", "email": "ada@example.org"}
    typed |= {"csrf_token": Form(visitor.open("/contact").text).fields["csrf_token"]}
    for one, other, sources in (
        ("203.0.113.7", "::ffff:203.0.113.7", 1),
        ("203.0.113.7", "203.0.113.8", 2),
        ("2001:db8::1", "2001:db8::2", 1),
        ("2001:db8::1", "2001:db8:0:ff::1", 1),
        ("2001:db8::1", "2001:db8:0:100::1", 2),
        ("unknown", "203.0.113.7:4711", 1),
    ):
        for address in (one, other):
            visitor.client.environ_base["REMOTE_ADDR"] = address
            assert visitor.press("/contact", **typed).status_code == 303
        with services.writing.begin() as session:
            assert session.query(Limit).where(Limit.key != ALL_FORMS).delete() == sources, other
