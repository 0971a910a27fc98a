"""Where a mailbox is, what opens it, and what a server answers to a FETCH."""

import json
from pathlib import Path
from typing import Any

import pytest

from belong_mail.mail.hosts import InvalidSetting
from belong_mail.mail.imap.location import parse_mailbox
from belong_mail.mail.imap.mailbox import _bodies

SERVICE = {"type": "service_account", "client_email": "a@b.example", "private_key": "key"}
APP = {"type": "client_credentials", "client_id": "one", "client_secret": "two", "scope": "x"}
REFRESH = {"type": "authorized_user", "client_id": "one", "refresh_token": "two"}
URL = "imaps://b@example.org@imap.example.org/INBOX"
BY_TOKEN = f"{URL}?auth=xoauth2"


def parsed(url: str, credentials: str = "") -> Any:
    return parse_mailbox(url, Path("/nowhere"), credentials)


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([(b"1 (UID 5 BODY[]<0> {2}", b"ab"), b")"], [(5, b"ab")]),
        ([(b"1 (BODY[]<0> {2}", b"ab"), b" UID 5)"], [(5, b"ab")]),
        ([b'1 (UID 5 BODY[]<0> "a\\"b")'], [(5, b'a"b')]),
        ([b"1 (UID 5 BODY[]<0> NIL)", b"1 (UID 5 FLAGS ())", None], []),
        ([(b"1 (UID 5 BODY[HEADER] {2}", b"ab"), b")"], []),
        ([(b"1 (X {5}", b"UID 9"), (b" UID 5 BODY[]<0> {2}", b"ab"), b")"], [(5, b"ab")]),
    ],
)
def test_a_body_is_found_wherever_the_server_puts_its_number(answers, found):
    assert list(_bodies(answers)) == found


def test_a_url_names_user_server_and_folder():
    place = parsed("imaps://b@example.org:x%20y@imap.example.org/Bounces%20here?read=Done")
    assert (place.user, place.host, place.port) == ("b@example.org", "imap.example.org", 993)
    assert (place.folder, place.read_folder, place.password) == ("Bounces here", "Done", "x y")
    assert place.is_secure
    assert "x y" not in repr(place)
    assert "b@example" not in repr(place)


def test_a_password_may_have_any_sign_and_the_folder_is_the_inbox_if_none_is_named():
    assert parsed("imaps://b:a%2Fb@imap.example.org").password == "a/b"
    assert parsed("imaps://b:a%2Fb@imap.example.org").folder == "INBOX"


def test_a_token_is_asked_for_by_the_url_and_the_file_is_read_at_each_look(tmp_path):
    place = parsed(BY_TOKEN, json.dumps(REFRESH))
    assert place.credentials.read()["token_uri"] == "https://oauth2.googleapis.com/token"
    file = tmp_path / "token"
    place = parsed(f"{BY_TOKEN}&token_file={file}")
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        assert place.credentials.read()["access_token"] == token


@pytest.mark.parametrize(
    ("url", "credentials", "complaint"),
    [
        ("pop3://b@example.org", "", "imaps://"),
        ("imap://b:x@imap.example.org", "", "on this machine"),
        ("imaps://:x@imap.example.org", "", "name a user"),
        ("imaps://b:p%C3%A4ssword@imap.example.org", "", "ASCII"),
        ("imaps://b:a%0D%0Ab@imap.example.org", "", "ASCII"),
        (URL, "", "It must have a password"),
        ("imaps://b:x@imap.example.org?auth=xoauth2", json.dumps(REFRESH), "and none"),
        ("imaps://b:x@imap.example.org:99999", "", "cannot be read"),
        ("imaps://b:x@imap.example.org?tls=none", "", "unknown options"),
        ("imaps://b:x@imap.example.org/A?read=A", "", "two ASCII names"),
        ("imaps://b:x@imap.example.org?auth=digest", "", "password or xoauth2"),
        ("imaps://b:x@imap.example.org?token_file=x", "", "needs auth=xoauth2"),
        (BY_TOKEN, "", "BELONG_INBOUND_CREDENTIALS"),
        (BY_TOKEN, "{]", "not JSON"),
        (BY_TOKEN, "two words", "neither"),
        (BY_TOKEN, json.dumps({"type": "x"}), "type"),
        (BY_TOKEN, '{"type": [1]}', "type"),
        (BY_TOKEN, json.dumps(REFRESH | {"client_id": ""}), "client_id"),
        (BY_TOKEN, json.dumps(SERVICE), "type"),
        (BY_TOKEN, json.dumps(APP), "token_uri"),
        (BY_TOKEN, json.dumps(REFRESH | {"token_uri": "http://b.example"}), "https://"),
    ],
)
def test_an_unusable_mailbox_setting_is_refused_without_quoting_a_value(
    url, credentials, complaint
):
    with pytest.raises(InvalidSetting, match=complaint) as refused:
        parsed(url, credentials)
    for value in ("imap.example.org", "pässword", "digest", "b.example"):
        assert value not in str(refused.value)
