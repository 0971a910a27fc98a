"""The linter reads a message as a mail program does, and names what tells or misleads."""

import pytest

from belong_mail.mail.message.linter import Expected, Problem, Rule, lint
from belong_mail.mail.message.mime import AttachedFile, InlineFile, compose
from belong_mail.mail.message.template import MessageTemplate, slot

ROOT = "https://belong.example.org"
TYPED = "https://library.example.org/x?a=1&b=2"
PICTURE = InlineFile("abc@belong-mail", "image/png", b"png")


def silent(_header: str, _words: str) -> str:
    return ""


def message(
    html: str,
    text: str = "Words.",
    *further: tuple[str, str],
    subject: str = "Tea",
    files: tuple[AttachedFile, ...] = (),
) -> MessageTemplate:
    headers = [
        ("From", '"DPS Belong" <belong@example.org>'), ("To", slot("to")), ("Subject", subject),
        ("Date", slot("date")), ("Message-ID", slot("message_id")), *further,
    ]  # fmt: skip
    whole = f'<p>Words</p><img src="cid:{PICTURE.cid}" alt="">{html}'
    return compose(headers, text, whole, boundary="x" * 20, pictures=[PICTURE], files=files)


def rules(template: MessageTemplate, tells: object = silent) -> set[Rule]:
    expected = Expected(ROOT, tells, frozenset((TYPED, "mailto:ada@example.org")))  # type: ignore[arg-type]
    return {problem.rule for problem in lint(template, expected)}


def test_our_own_links_and_typed_links_are_no_problem():
    leave = f"{ROOT}/leave/{slot('leave')}?lang=en"
    html = (
        '<!DOCTYPE html><!--[if mso]><table width="600"><tr><td><![endif]-->'
        f'<p dir="auto" style="margin: 0; color: #241d19">Dear {slot("first_name")}, '
        f'<a href="{leave}">leave</a>'
        f'<a href="{TYPED.replace("&", "&amp;")}">library.example.org</a>'
        '<a href="mailto:ada@example.org">Ada</a></p>'
    )
    text = f"Dear {slot('first_name')}, leave: {leave}"
    ways = f"<{ROOT}/one-click/{slot('one_click')}>, <mailto:{slot('leave_address')}?subject=x>"
    leaving = ("List-Unsubscribe", ways)
    assert rules(message(html, text, leaving, subject=f"Tea, {slot('first_name')}")) == set()


@pytest.mark.parametrize(
    "target",
    [
        "https://elsewhere.example.org/", f"{ROOT}.example.net/", "https://belong.example.org@x.net/",
        "javascript:alert(1)", "data:text/html,x", "ftp://x.net/", "//x.net/", "/leave", "cid:x",
        TYPED + "&utm_source=belong", f"{ROOT}:8443/", "https://[", "JaVaScRiPt:x",
    ],
)  # fmt: skip
def test_a_link_that_nobody_typed_is_a_problem(target):
    assert Rule.LINK in rules(message(f'<p><a href="{target}">x</a></p>'))


def of_links(html: str, *typed: str) -> list[Problem]:
    return lint(message(html), Expected(ROOT, silent, frozenset(typed)))


@pytest.mark.parametrize(
    "target",
    [
        "https:bit.ly/3", "https:///bit.ly/3", "https://bit.ly./3", "https://bit%2Ely/3",
        "https://www.google.com:443/url?q=x", "https://maps.google.com//url?q=x",
        "https://m.facebook.com/l.php?u=x", "https://dpsk12.us1.list-manage.com/track/click?u=x",
        "https://bit.ly/3xY", "https://nam02.safelinks.protection.outlook.com/?url=x&data=ada",
        "https://www.google.com/url?q=https://dpsk12.org", "https://u1.ct.sendgrid.net/ls/click?x",
        "https://urldefense.com/v3/__https://x", "https://l.facebook.com/l.php?u=x",
        "https://dps.us1.list-manage.com/track/click?u=1", "HTTPS://TinyURL.com/abc",
        "https://bit。ly/3", "https://ⓑit．ly/3", "https://b\u00adit.ly/3",
    ],
)  # fmt: skip
def test_a_link_through_a_site_that_counts_who_follows_is_a_problem(target):
    [problem] = of_links(f'<p><a href="{target.replace("&", "&amp;")}">x</a></p>', target)
    assert problem.rule is Rule.REDIRECT
    assert problem.named in target.lower()


@pytest.mark.parametrize(
    "words",
    [
        "https://dpsk12.org/staff", "www.dpsk12.org", "<strong>https</strong>://dpsk12.org",
        "ht&#116;ps&colon;//dpsk12.org", "(https://dpsk12.org)", "«https://dpsk12.org»",
        "➡ https://dpsk12.org", "ftp://dpsk12.org", "https://\u200bdpsk12.org",
        "ht\u00adtps://dpsk12.org", "ｈttps://dpsk12.org", "https://user@dpsk12.org",
    ],
)  # fmt: skip
def test_a_link_whose_words_are_another_address_is_a_problem_also_in_disguise(words):
    for target in ("https://x.example.net/", "https://dpsk12.org.example.net/"):
        [problem] = of_links(f'<p><a href="{target}">{words}</a></p>', target)
        assert problem.rule is Rule.LINK
        assert problem.named in ("dpsk12.org", "www.dpsk12.org")


@pytest.mark.parametrize("filling", ["a" + "\u0301\u0316" * 300_000, "\u00ad" * 4001])
def test_a_links_words_that_are_longer_than_any_are_a_problem_and_not_read(filling):
    """To put accents in order takes time by the square of their number; others hide an address."""
    words = f"{filling}https://dpsk12.org"
    [problem] = of_links(f'<p><a href="{STAFF}">{words}</a></p>', STAFF)
    assert problem.rule is Rule.LINK


STAFF, MAPS = "https://staff.dpsk12.org/tea", "https://goo.gl/maps/x1"


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("https://dpsk12.org", STAFF), ("Our Node.js class", STAFF), ("maps", MAPS),
        ("maps", "https://maps.app.goo.gl/8mQ2x"), ("form", "https://goo.gl/forms/x1"),
        ("form", "https://forms.gle/x1"), ("x", "https://google.com/urls"),
        ("meeting", "https://aka.ms/JoinTeamsMeeting?omkt=en-US"),
        ("x", "https://dpsk12.us1.list-manage.com/subscribe?u=1&id=2"),
        ("https://español.org", "https://xn--espaol-zwa.org"),
        ("https://xn--espaol-zwa.org", "https://español.org"),
        ("https://münchen.de/x", "https://xn--mnchen-3ya.de/x"),
        ("https://192.168.0.1/", "https://192.168.0.1/"),
        ("https://dpsk12.org.", "https://dpsk12.org"),
    ],
)  # fmt: skip
def test_links_that_people_share_pass_and_a_domain_is_the_same_in_any_alphabet(words, target):
    """A link may lead to a part of the site that its words name."""
    escaped = target.replace("&", "&amp;")
    assert of_links(f'<p><a href="{escaped}">{words}</a></p>', target) == []


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (f'<a href="https://x.net/{slot("leave")}">x</a>', "x"),
        (f'<a href="https://x.net/?to={ROOT}/{slot("leave")}">x</a>', "x"),
        (f'<a href="{ROOT}/{slot("first_name")}">x</a>', "x"),
        (f'<p title="{slot("first_name")}">x</p>', "x"),
        (f"<p>https://x.net/{slot('first_name')}</p>", "x"),
        (f"<p>For {slot('to')}</p>", "x"),
        (f'<a href="mailto:{slot("leave_address")}">x</a>', "x"),
        ("<p>x</p>", f"https://x.net/{slot('first_name')}"),
        ("<p>x</p>", f"https://x.net/{slot('one_click')}"),
        ("<p>x</p>", f"{slot('to')}"),
        ("<p>x</p>", f"{slot('leave')}"),
        (f"<p>{slot('number')}</p>", "x"),
    ],
)
def test_only_our_links_and_the_greeting_may_differ_from_reader_to_reader(html, text):
    assert Rule.PERSONAL in rules(message(html, text))


def test_the_readers_name_stands_in_no_header_but_the_subject():
    template = message("", "x", ("X-Campaign", f"For {slot('first_name')}"))
    assert lint(template, Expected(ROOT, silent)) == [Problem(Rule.PERSONAL, "{first_name}")]


def tells(_header: str, words: str) -> str:
    return "tea" if "tea for two" in words.lower() else ""


@pytest.mark.parametrize(
    "further",
    [
        ("Reply-To", "<tea%20for%20two@example.org>"),
        ("List-Unsubscribe", f"<{ROOT}/groups/tea%20for%20two/leave>"),
        ("List-Id", "<tea for two.example.org>"),
        ("X-Campaign", "tea%20for%20two"),
        ("Feedback-ID", "tea for two"),
        ("List-Post", "<mailto:tea%20for%20two@example.org>"),
        ("Precedence", "tea for two"),
    ],
)
def test_every_header_is_looked_at_also_where_it_is_encoded(further):
    if further[0] == "Reply-To":
        further = ("X-Reply-To", further[1])
    assert rules(message("", "x", further), tells) == {Rule.HEADER}


@pytest.mark.parametrize("subject", ["Tea for two", "Tea%20for two", "Tea for two " + "é" * 90])
def test_a_subject_is_read_as_it_is_decoded(subject):
    assert rules(message("", subject=subject), tells) == {Rule.HEADER}


def test_an_attached_files_name_is_a_header():
    file = AttachedFile("tea.pdf", "application/pdf", b"%PDF")
    assert rules(message("", files=(file,)), lambda _header, words: words == "tea") == {Rule.HEADER}


def test_the_preview_line_is_a_header_and_the_body_is_not():
    hidden = '<div class="preheader">{}</div><p>Tea for two</p>'
    assert rules(message(hidden.format("Tea")), tells) == set()
    for telling in ("T&#101;a for <em>two</em>", "Tea%20for two"):
        assert rules(message(hidden.format(telling)), tells) == {Rule.HEADER}


def test_the_words_that_all_messages_share_name_no_group():
    """A group may be called “List”; by chance a random name may hold any word."""

    def any_word(_header: str, words: str) -> str:
        found = [each for each in ("list", "1.0", "picture", "mixed", "a" * 20) if each in words]
        return found[0] if found else ""

    fixed = (("Precedence", "list"), ("List-Id", f"<{'a' * 20}.belong.example.org>"))
    assert rules(message("", "x", *fixed), any_word) == set()
