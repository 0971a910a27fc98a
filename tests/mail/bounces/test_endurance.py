"""For any bytes: a report is read soon, within bounds, and nothing is raised.

MUTATIONS=100000 makes the long run.
"""

import os
import random
import subprocess
import sys
import time
from functools import reduce

import pytest

from belong_mail.mail.bounces import MAX_OCTETS
from belong_mail.mail.bounces.mime import MAX_DEPTH, MAX_LINE, parse_message
from belong_mail.mail.bounces.parser import Kind, Report, parse_report
from tests.mail.bounces.samples import SAMPLES

MUTATIONS = int(os.environ.get("MUTATIONS", "1500"))
SECONDS = 2.0
SERVER = b"From: mailer-daemon@example.org\nSubject: failure\n"
NESTED = b"--b\nContent-Type: multipart/mixed; boundary=b\n\n"
GROUP = b"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 user unknown\n\n"

HOSTILE = {
    "a line of a million characters": SERVER + b"\n" + b"a" * 1_000_000,
    "a subject of a million characters": b"Subject: " + b"a" * 1_000_000,
    "words that patterns begin with": SERVER + b"\n" + b"user message warning not be " * 40_000,
    "lines of such words": SERVER + b"\n" + (b"konnte mail domain delivery " * 60 + b"\n") * 200,
    "at signs": SERVER + b"\n" + (b"a@" * 900 + b"\n") * 200,
    "quotes": SERVER + b"\n" + (b"'" * 1_900 + b"\n") * 200,
    "codes": SERVER + b"\n" + b"550 5.1.1 user unknown\n\n" * 10_000,
    "dashes": SERVER + b"\n" + (b"-" * 1_900 + b"\n") * 200,
    "marks of quoting": SERVER + b"\n" + (b"> | " * 480 + b"\n") * 200,
    "brackets": SERVER + b"Content-Type: text/html\n\n" + (b"<" * 1_900 + b"\n") * 200,
    "style sheets": SERVER + b"Content-Type: text/html\n\n" + b"<style " * 40_000,
    "entities": SERVER + b"Content-Type: text/html\n\n" + b"&#&amp" * 40_000,
    "a thousand parts in parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + NESTED * 1_000,
    "thirty thousand parts": b"Content-Type: multipart/mixed; boundary=b\n\n"
    + b"--b\n\nx\n" * 30_000,
    "ten thousand headers": b"".join(b"X-%d: y\n" % n for n in range(10_000)),
    "a header folded for ever": b"Subject: x\n" + b" y\n" * 80_000,
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= =?" * 20_000 + b"\n\n",
    "three thousand recipients": SERVER
    + b"Content-Type: message/delivery-status\n\n"
    + GROUP * 3_000,
    "eight hundred failures below a long text": SERVER
    + b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\n"
    + (b"host x said: 550 5 something vague here and more. " * 20 + b"\n\n") * 60
    + b"\n--b\nContent-Type: message/delivery-status\n\n"
    + b"Status: 5.0.0\nAction: failed\n\n" * 800,
    "bad base64": SERVER + b"Content-Transfer-Encoding: base64\n\n" + b"!a==" * 60_000,
    "bad quoted-printable": SERVER
    + b"Content-Transfer-Encoding: quoted-printable\n\n="
    + b"=ZZ=" * 60_000,
    "an unheard-of charset": SERVER
    + b"Content-Type: text/plain; charset=punycode\n\n"
    + b"\xff-" * 90_000,
    "zeros": b"\0" * 1_000_000,
    "nothing but new lines": b"\n" * 1_000_000,
    "nothing but carriage returns": b"\r" * 1_000_000,
    "fifty megabytes": SERVER + b"\n" + b"x y z\n" * 8_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_is_read_in_time_and_taken_apart_within_bounds(name):
    began = time.process_time()
    assert isinstance(parse_report(HOSTILE[name]), Report)
    assert time.process_time() - began < SECONDS
    parts = parse_message(HOSTILE[name], MAX_OCTETS).parts
    assert len(parts) <= 100
    assert all(len(part.text) <= 65_536 for part in parts)
    assert all(len(line) <= MAX_LINE for part in parts for line in part.text.split("\n"))


def test_parts_are_opened_to_a_depth_and_no_deeper():
    report = b"\n\n--b\nContent-Type: message/delivery-status\n\nAction: failed\nStatus: 5.1.1\n"
    for depth, kind in ((MAX_DEPTH - 1, Kind.BOUNCE), (MAX_DEPTH + 1, Kind.OTHER)):
        whole = b"Content-Type: multipart/report; boundary=b%d" % 0
        for number in range(depth):
            whole += b"\n\n--b%d\nContent-Type: multipart/report; boundary=b%d" % (
                number,
                number + 1,
            )
        whole += report.replace(b"--b", b"--b%d" % depth)
        assert parse_report(whole).kind is kind


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Bend the bytes once: cut, repeat, insert noise, or a piece of another sample."""
    start = chance.randrange(len(data) + 1)
    end = start + chance.randint(0, 60)
    other = chance.choice(SAMPLES).data
    place = chance.randrange(len(other) + 1)
    middle = chance.choice(
        [
            b"",
            data[start:end] * chance.randint(2, 40),
            chance.randbytes(chance.randint(1, 8)),
            data[start:end] + other[place : place + 300],
        ]
    )
    return data[:start] + middle + (data[end:] if chance.random() < 0.95 else b"")


def test_no_mutation_raises_or_lingers():
    chance = random.Random(20260714)
    slowest, suppressed = 0.0, 0
    for _ in range(MUTATIONS):
        sample = chance.choice(SAMPLES)
        bends = range(chance.randint(1, 12))
        data = reduce(lambda bent, _: mutated(bent, chance), bends, sample.data)
        began = time.process_time()
        report = parse_report(data)
        slowest = max(slowest, time.process_time() - began)
        suppressed += report.suppress
        assert report.kind in Kind
        assert not report.suppress or report.kind in {Kind.BOUNCE, Kind.COMPLAINT}
    assert slowest < SECONDS
    assert suppressed


# A report's writer would like to have all of this opened.
FOLLOWED = """\
From: mailer-daemon@example.org
Subject: Undelivered
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/html

<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>&e;
<base href="http://127.0.0.1:9/"><link rel="stylesheet" href="/a"><img src="/b"><script src="/c">
<iframe src="file:///etc/hostname"></iframe><meta http-equiv="refresh" content="0; url=/d">

--b
Content-Type: message/external-body; access-type=URL; URL="http://127.0.0.1:9/"

--b
Content-Type: message/external-body; access-type=local-file; name="/etc/hostname"

--b--
"""
READ_WITHOUT_DOORS = """
import sys
from belong_mail.mail.bounces.parser import parse_report

def refuse(event, args):
    if event.partition(".")[0] in {"open", "os", "socket", "subprocess", "urllib"}:
        raise SystemExit(f"{event} {args}")

report = sys.stdin.buffer.read()
parse_report(report)  # what it imports is opened once
sys.addaudithook(refuse)
print(parse_report(report).kind)
"""


def test_a_report_opens_no_file_and_no_connection_whatever_it_refers_to():
    child = [sys.executable, "-c", READ_WITHOUT_DOORS]
    ended = subprocess.run(child, input=FOLLOWED.encode(), capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
