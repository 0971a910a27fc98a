"""The verdict of a receiving server."""

from email.parser import BytesParser

import pytest

from belong_mail.mail.authentication import Verdict, verdict_of

BY_GMAIL = """\
Delivered-To: inbox@example.com
Received: by 2002:a05:7022:e1a:b0:93:1 with SMTP id x; Mon, 30 Nov 2026 00:00:00 -0800
Return-Path: <b+1@example.org>
Received: from relay.example.net (relay.example.net. [192.0.2.7])
 by mx.google.com with ESMTPS id y; Mon, 30 Nov 2026 00:00:00 -0800
Authentication-Results: mx.google.com; (a comment (in one); spf=fail)
 dkim=fail header.i=@list.example; dkim=pass header.i=@Example.org header.s=x header.b=A/b;
 spf=softfail (google.com: domain of b+1@example.org) smtp.mailfrom="x; dmarc=pass"@example.org;
 dmarc=fail (p=NONE) header.from=example.org
Authentication-Results: mx.google.com; dmarc=pass
Received: from us ([198.51.100.1]) by relay.example.net with ESMTP
Authentication-Results: relay.example.net; dkim=pass; dmarc=pass
"""
BY_MICROSOFT = """\
Received: from A.namprd12.prod.outlook.com (2603:10b6::23) by B.namprd12.prod.outlook.com; x
Authentication-Results: spf=pass (sender IP is 192.0.2.7) smtp.mailfrom=example.org;
 dkim=pass (signature was verified) header.d=example.org;dmarc=pass action=none
 header.from=example.org;compauth=pass reason=100
Received: from relay.example.net (192.0.2.7) by C.mail.protection.outlook.com (10.1.2.3); x
"""
PASS = "Authentication-Results: {server}; dkim=pass header.d=example.org; dmarc=pass\n"
RECEIVED = "Received: from relay.example.net ([192.0.2.7]) by mx.example.com; x\n"


def verdict(fields: str) -> Verdict | None:
    return verdict_of(BytesParser().parsebytes(f"{fields}Subject: Hello\n\nHello\n".encode()))


def test_the_verdict_of_the_server_that_received_it_is_read():
    said = verdict(BY_GMAIL)
    assert said is not None
    assert (said.server, said.signers) == ("mx.google.com", ["example.org"])
    assert [said.of(method) for method in ("dkim", "spf", "dmarc", "arc")] == [
        "pass", "softfail", "fail", "",
    ]  # fmt: skip
    said = verdict(BY_MICROSOFT)
    assert said is not None
    assert (said.server, said.signers) == ("", ["example.org"])
    assert [said.of(method) for method in ("dkim", "spf", "dmarc")] == ["pass"] * 3


@pytest.mark.parametrize(
    "fields",
    [
        "",
        PASS.format(server="mx.example.com"),
        RECEIVED,
        RECEIVED + PASS.format(server="relay.example.net"),
        RECEIVED + PASS.format(server="example.net; x"),
        PASS.format(server="mx.evil.example") + RECEIVED + PASS.format(server="mx.example.com"),
        RECEIVED + RECEIVED.replace("mx.example.com", "relay.example.net")
        + PASS.format(server="mx.example.com"),
        RECEIVED + PASS.replace("{server}; ", ""),
        "Received: (qmail 1 invoked by uid 9); x\n" + RECEIVED
        + PASS.format(server="mx.example.com"),
        RECEIVED.replace("relay.example.net", "by mx.evil.example")
        + PASS.format(server="mx.evil.example"),
        "Received: from x (by mx.evil.example) by mx.example.com; x\n"
        + PASS.format(server="mx.evil.example"),
        "X-" + BY_GMAIL.partition("Authentication-Results")[0] + "ARC-" + PASS,
    ],
    ids=[
        "no field", "no server that received it", "no verdict", "the relay's", "another's",
        "another's above the receiver's", "the author's in the receiver's name", "nobody's",
        "a server that says no name", "a server's name in a greeting", "a name in a comment",
        "another field",
    ],
)  # fmt: skip
def test_a_verdict_that_another_server_or_the_author_wrote_is_ignored(fields):
    assert verdict(fields) is None


def test_servers_of_one_house_speak_for_each_other():
    inside = "Received: from mx.example.com by imap.example.com with LMTP; x\n"
    said = verdict(inside + RECEIVED + PASS.format(server="MX.example.com 1"))
    assert said is not None
    assert (said.server, said.of("dmarc")) == ("MX.example.com", "pass")
    assert verdict(PASS.format(server="mx.example.com") + inside + RECEIVED) is not None
