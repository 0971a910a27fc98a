"""Returned messages are read rightly: bounces, delays, complaints, answers, and the rest."""

import pytest

from belong_mail.mail.bounces import MAX_NAMED
from belong_mail.mail.bounces.parser import Kind, Report, parse_report
from belong_mail.mail.smtp.replies import ReplyClass
from tests.mail.bounces.samples import RETURN_PATH, SAMPLES, said

BOUNCES = {Kind.BOUNCE, Kind.DELAYED}
FILES = sorted({each.name.partition(":")[0] for each in SAMPLES})


def sample(name: str) -> Report:
    [found] = [each for each in SAMPLES if each.name == name]
    return parse_report(found.data)


@pytest.mark.parametrize("file", FILES)
def test_samples_are_read_as_they_say(file):
    misread = {}
    for each in SAMPLES:
        if each.name.startswith(f"{file}:"):
            report = parse_report(each.data)
            told = said(report)[: len(each.expected)]
            if told != each.expected or each.recipients not in {(), report.recipients}:
                misread[each.name] = told
    assert misread == {}


def test_the_ends_of_lines_and_blanks_before_the_header_make_no_difference():
    for each in SAMPLES[::3]:
        report = parse_report(each.data)
        for spelled in (b"\r\n", b"\r"):
            assert parse_report(each.data.replace(b"\n", spelled)) == report, each
        assert parse_report(b" \t\n\n" + each.data) == report, each


def test_only_an_unknown_address_and_a_complaint_suppress_and_a_report_names_nobody():
    for each in SAMPLES:
        report = parse_report(each.data)
        assert "@" not in repr(report), "as it is logged"
        if report.suppress and report.kind is not Kind.COMPLAINT:
            assert report.kind is Kind.BOUNCE, each
            assert report.permanence == "permanent", each
            assert report.verdict is ReplyClass.REFUSED, each


def test_a_message_that_a_mailing_list_passes_on_ends_no_membership():
    for each in SAMPLES:
        if each.expected[0] in BOUNCES and b"multipart/report" not in each.data:
            passed_on = b"List-Id: <talk.example.org>\nFrom: bo@example.org\nSubject: Fwd: "
            assert not parse_report(passed_on + each.data.partition(b"Subject: ")[2]).suppress


def test_a_report_leads_back_to_our_message():
    for each in SAMPLES:
        report = parse_report(each.data)
        if RETURN_PATH.encode() in each.data and report.kind is not Kind.OTHER:
            assert RETURN_PATH in report.paths, each


def test_a_path_is_found_wherever_a_server_notes_it():
    for name in ("Delivered-To", "X-Original-To", "Envelope-To", "To"):
        report = parse_report(f"{name}: x, <B+abc@Belong.Example.ORG>\n\nHello".encode())
        assert report.paths == ("B+abc@belong.example.org",)
    report = parse_report(
        b"To: belong@example.org\nDelivered-To: b+abc@belong.example.org\n\nHello"
    )
    assert report.paths == ("b+abc@belong.example.org", "belong@example.org"), "who got it, first"
    many = b"".join(b"To: a%d@example.org\n" % n for n in range(90))
    assert len(parse_report(many + b"\nHello").paths) == MAX_NAMED


def test_a_servers_words_are_kept_as_one_of_our_own_phrases_or_verdicts():
    report = sample("fields: postfix, user unknown")
    assert (report.code, report.phrase) == (550, "no such user")
    assert sample("words: french, mailbox full").phrase == "mailbox full"
    assert sample("fields: postfix, the sender's domain fails DMARC").verdict is ReplyClass.POLICY
    assert sample("fields: a relay says that our quota is used up").verdict is ReplyClass.QUOTA
    assert sample("fields: exim, our sender was refused").verdict is ReplyClass.SENDER
    assert sample("delays: postfix is late").verdict is ReplyClass.DEFER


def test_a_message_of_nothing_is_nothing():
    assert parse_report(b"") == parse_report(b"\r\n") == parse_report(b"\0") == Report(Kind.OTHER)


def test_an_address_ends_where_a_script_without_blanks_goes_on():
    for words in ("收件人（ada@example.org）不存在", "宛先ada@example.orgは存在しません"):
        text = f"From: MAILER-DAEMON@mx.example.org\nSubject: 退信\n\n550 {words}"
        report = parse_report(text.encode())
        assert report.recipients == ("ada@example.org",)
        assert report.suppress
