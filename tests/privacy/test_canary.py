"""A canary stands only in mails to its own address, to the lead it asked for, and to the inbox."""

import re
import zlib

from itsdangerous import base64_decode

from belong_mail.groups import seeds
from tests.browser_client import html_of, text_of
from tests.canary import found_in, stands_in
from tests.privacy.journey import (
    ANSWER,
    BYSTANDER,
    CANARY,
    FIRST_NAME,
    INBOX,
    ISSUE,
    LEAD,
    MAIN,
    MESSAGE,
    NAMELESS,
    WAITING,
    WANDERER,
    WANDERER_NEW,
    WORDS,
    WORKER_KEYS,
    WRITER,
    message_of,
)

GROUPS = [group[key] for group in seeds.GROUPS for key in ("slug", "name")]
TOKEN_PAGES = (
    "/confirm/", "/not-me/", "/leave/", "/one-click/", "/my-groups/", "/change-address/",
    "/sign-in/", "/forget-note/",
)  # fmt: skip
WANDERING = tuple(each.partition("@")[0] for each in (WANDERER, WANDERER_NEW, WAITING))


def test_the_walk_went_all_the_way(evidence):
    """Otherwise the absence of a canary would prove nothing."""
    subjects = [mail["Subject"] for mail in evidence.to(CANARY)]
    assert subjects == [
        "Confirm your request to DPS Belong",
        "Welcome! You’re in.",
        "About your request",
        "This month with us",
        ISSUE,
        "Confirm your request to DPS Belong",
        "Confirm your request to DPS Belong",
    ]
    hello, sign_in, test, again = (mail["Subject"] for mail in evidence.to(LEAD))
    assert hello == "A new member says hello"
    assert test == f"[Test] {ISSUE}"
    assert "sign" in sign_in.lower()
    assert again == sign_in
    assert len(evidence.to(WANDERER)) == 5
    assert len(evidence.to(WANDERER_NEW)) == 3
    assert len(evidence.to(WAITING)) == 1
    assert len(evidence.to(BYSTANDER)) == 4
    assert ANSWER in text_of(evidence.to(LEAD)[0])
    _copy, copy, message, nameless = evidence.to(INBOX)
    assert MESSAGE in text_of(message)
    assert copy["Subject"] == ISSUE
    assert NAMELESS in text_of(nameless)
    assert len(evidence.codes) == 1
    assert len(evidence.cookies) >= 5
    assert evidence.logs
    assert len(evidence.rows) > 20


def test_neither_the_database_nor_the_logs_ever_held_the_canary(evidence):
    words = (*WORDS, *WANDERING)
    assert found_in(evidence.tables, words) == []
    assert [found for file in evidence.files for found in found_in(file, words)] == []
    assert b"cannot be read" in evidence.logs
    assert b"Emails bounce because of our setup: spam or reputation" in evidence.logs
    assert found_in(evidence.logs, (*WORDS, *WANDERING, "kanarienvogel", "@dpsk12.org")) == []


def test_a_receipt_code_and_what_it_opens_stand_in_no_table_log_url_or_mail(evidence):
    [code] = evidence.codes
    words = (code, code.replace("-", ""))
    places = [evidence.tables, evidence.logs, *evidence.files, "\n".join(evidence.urls).encode()]
    assert [found for place in places for found in found_in(place, (*words, NAMELESS))] == []
    assert [found for mail in evidence.mails for found in found_in(mail.data, words)] == []


LINK = re.compile(r"https?://[^\s\"<>]+")


def test_no_address_of_a_page_holds_the_canary(evidence):
    hrefs = [
        link for page in evidence.pages for link in re.findall(rb'(?:href|action)="([^"]*)"', page)
    ]
    words = [text_of(message_of(mail)) + html_of(message_of(mail)) for mail in evidence.mails]
    mailed = LINK.findall("\n".join(words))
    urls = b"\n".join([*hrefs, *(url.encode() for url in [*mailed, *evidence.urls])])
    assert b"/confirm/" in urls
    assert found_in(urls, (*WORDS, *WANDERING, BYSTANDER)) == []


def test_a_page_shows_the_canary_only_to_the_person_who_has_just_typed_it(evidence):
    [showing] = [page for page in evidence.pages if stands_in(page, CANARY.partition("@")[0])]
    assert b"example.org" in showing
    never = (FIRST_NAME, ANSWER, MESSAGE, WRITER, *WANDERING)
    assert found_in(b"\n".join(evidence.pages), never) == []


def test_a_test_and_the_offices_copy_hold_nobodys_address_or_name(evidence):
    for mail in (evidence.to(LEAD)[2], evidence.to(INBOX)[1]):
        assert found_in(mail.as_bytes(), (*WORDS, BYSTANDER)) == []
        assert "come to tea" in text_of(mail)


def test_the_cookie_of_a_lead_names_nobody_not_even_the_lead(evidence):
    for cookie in evidence.cookies:
        payload = cookie.partition("=")[2]
        said = base64_decode(payload.lstrip(".").partition(".")[0]) if payload else b""
        opened = zlib.decompress(said) if payload.startswith(".") else said
        for form in (cookie.encode(), opened):
            assert found_in(form, (*WORDS, BYSTANDER, LEAD, LEAD.partition("@")[0], MAIN)) == []


def test_other_peoples_mail_does_not_hold_the_canary(evidence):
    """Nor what was typed any mail before the confirmation."""
    for mail in evidence.mails:
        if mail.recipient not in {CANARY, LEAD, INBOX}:
            everything = mail.data + mail.return_path.encode()
            assert found_in(everything, WORDS) == []
        else:
            assert not stands_in(mail.data, BYSTANDER)
            assert not stands_in(mail.return_path.encode(), CANARY.partition("@")[0])
    for mail in evidence.to(CANARY):
        if mail["Subject"] == "Confirm your request to DPS Belong":
            assert found_in(mail.as_bytes(), (FIRST_NAME, ANSWER)) == []


def test_no_header_of_a_mail_and_no_link_that_acts_names_a_group(evidence):
    words = []
    for mail in evidence.mails:
        message = message_of(mail)
        words.append(f"{text_of(message)}\n{message['List-Unsubscribe']}")
        headers = "\n".join(f"{name}: {value}" for name, value in message.items())
        raw = mail.data.partition(b"\r\n\r\n")[0] + mail.return_path.encode()
        for name in GROUPS:
            assert not re.search(rf"\b{re.escape(name)}\b", headers, re.IGNORECASE), name
            assert not stands_in(raw, name) or len(name) < 8, name
    links = LINK.findall("\n".join(words))
    acting = [link for link in links if any(page in link for page in TOKEN_PAGES)]
    assert len(acting) >= 10
    for link in acting:
        assert not any(slug in link for slug in GROUPS), link


def test_the_web_server_runs_without_the_keys_that_open_and_index(evidence):
    assert len(evidence.web_memory) >= 4
    memory = b"\n".join(evidence.web_memory)
    assert evidence.environment["BELONG_PUBLIC_KEYS"].encode() in memory
    for name in WORKER_KEYS:
        assert evidence.environment[name].encode() not in memory, name


def test_the_old_address_and_the_new_learn_nothing_of_each_other(evidence):
    """Readers of one of the two mailboxes are told that something changed, not to what."""
    for mail in evidence.mails:
        for own, other in ((WANDERER, WANDERER_NEW), (WANDERER_NEW, WANDERER)):
            if mail.recipient == own:
                assert not stands_in(mail.data, other.partition("@")[0])
        if mail.recipient not in {WANDERER, WANDERER_NEW}:
            own = mail.recipient.partition("@")[0]
            assert set(found_in(mail.data, WANDERING)) <= {own}
