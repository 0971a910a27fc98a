"""A domain's SPF and DMARC records, and the verdict of a receiving server."""

from email.parser import BytesParser

import pytest
from dns.exception import Timeout

from belong_mail.mail.authentication import Lookup, dmarc, spf
from belong_mail.mail.authentication.results import Verdict, verdict_of
from tests.servers.dns import Records

US = "192.0.2.7"
PERMERROR = spf.PERMERROR


def of(records: Records) -> Lookup:
    return lambda name, kind: records.get((name.lower(), kind), [])


def judged(record: str, more: dict[str, list[str]] | None = None) -> str:
    """Evaluate a record of example.org; more records by name, of TXT or of addresses."""
    records: Records = {("example.org", "TXT"): ["other", record]}
    for name, texts in (more or {}).items():
        host = name.replace("_", ".")
        kinds = ("TXT",) if texts[0].startswith("v=") else ("MX",) if " " in texts[0] else ("A",)
        records |= {(host, kind): texts for kind in kinds}
    return spf.evaluate(US, "example.org", "b+1@example.org", "relay.example.org", of(records))[0]


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 -all", "fail"), ("v=spf1 ~all", "softfail"), ("v=spf1 ?all", "neutral"),
        ("v=spf1", "neutral"), ("V=SPF1 +all", "pass"), ("v=spf10 +all", "none"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass"), ("v=spf1 ip4:198.51.100.0/24 -all", "fail"),
        ("v=spf1 ip6:2001:db8::/32 -all", "fail"), ("v=spf1 ip4:nonsense -all", PERMERROR),
        ("v=spf1 ip4:2001:db8::1 -all", PERMERROR), ("v=spf1 bogus:x -all", PERMERROR),
        ("v=spf1 a:host.example -all", "pass"), ("v=spf1 a:host.example/24 -all", "pass"),
        ("v=spf1 mx:mx.example -all", "pass"), ("v=spf1 a:other.example -all", "fail"),
        ("v=spf1 a:near.example -all", "fail"), ("v=spf1 a:near.example/24//64 -all", "pass"),
        ("v=spf1 include:good.example -all", "pass"), ("v=spf1 include:bad.example -all", "fail"),
        ("v=spf1 include:none.example -all", PERMERROR), ("v=spf1 ptr -all", "fail"),
        ("v=spf1 redirect=good.example", "pass"), ("v=spf1 redirect=none.example", PERMERROR),
        ("v=spf1 exists:%{ir}.%{v}.spf.%{d2} -all", "pass"), ("v=spf1 exp=a.b -all", "fail"),
        ("v=spf1 exists:%{l1r+}.x -all", "pass"),
    ],
)  # fmt: skip
def test_spf_is_evaluated_as_its_standard_says(record, result):
    more = {
        "host_example": [US], "near_example": ["192.0.2.200"], "other_example": ["198.51.100.1"],
        "mx_example": ["10 host.example."], "good_example": ["v=spf1 ip4:192.0.2.7 -all"],
        "bad_example": ["v=spf1 -all"], "7_2_0_192_in-addr_spf_example_org": ["127.0.0.2"],
        "b_x": ["127.0.0.2"],
    }  # fmt: skip
    assert judged(record, more) == result


@pytest.mark.parametrize(("near", "result"), [("2001:db8::1:1", "pass"), ("2001:db8:1::1", "fail")])
def test_spf_has_a_length_of_its_own_for_ipv6(near, result):
    records = {("example.org", "TXT"): ["v=spf1 a:near.example/8//64 -all"]}
    records["near.example", "AAAA"] = [near]
    spoken = "2001:db8::7", "example.org", "a@example.org", "x", of(records)
    assert spf.evaluate(*spoken)[0] == result


def test_spf_asks_dns_for_at_most_ten_terms_and_two_names_that_are_not_there():
    ten = " ".join(f"a:h{number}.example" for number in range(10))
    hosts = {f"h{number}_example": ["198.51.100.1"] for number in range(12)}
    assert judged(f"v=spf1 {ten} -all", hosts) == "fail"
    assert judged(f"v=spf1 {ten} mx -all", hosts) == PERMERROR
    assert judged("v=spf1 include:example.org -all") == PERMERROR
    assert judged("v=spf1 a:x.example a:y.example -all") == "fail"
    assert judged("v=spf1 a:x.example a:y.example a:z.example -all") == PERMERROR


def test_two_records_are_an_error_and_a_silent_server_is_none():
    records = {("example.org", "TXT"): ["v=spf1 -all"] * 2}
    assert spf.evaluate(US, "example.org", "a@example.org", "x", of(records))[0] == PERMERROR

    def silent(_name: str, _kind: str) -> list[str]:
        raise Timeout

    assert spf.evaluate(US, "example.org", "a@example.org", "x", silent)[0] == "temperror"


def published(records: dict[str, str], domain: str) -> str:
    texts = {(f"_dmarc.{name}", "TXT"): [text] for name, text in records.items()}
    found = dmarc.policy_for(domain, of(texts))
    return found.published_at if found else ""


def test_a_policy_is_found_by_walking_up_the_tree():
    plain = "v=DMARC1; p=none"
    assert published({}, "a.mail.example.org") == ""
    assert published({"example.org": plain}, "a.mail.example.org") == "example.org"
    both = {"example.org": plain, "mail.example.org": plain}
    assert published(both, "mail.example.org") == "mail.example.org"
    assert published(both, "a.mail.example.org") == "example.org"
    own = {"example.org": plain, "mail.example.org": f"{plain}; psd=n"}
    assert published(own, "a.mail.example.org") == "mail.example.org"
    suffix = {"org": f"{plain}; psd=y"}
    assert published(suffix, "a.mail.example.org") == "org"
    assert published({**suffix, "example.org": plain}, "a.example.org") == "example.org"


def test_a_walk_asks_at_most_eight_times():
    asked = []

    def lookup(name: str, _kind: str) -> list[str]:
        asked.append(name)
        return []

    dmarc.policy_for("a.b.c.d.e.f.g.h.i.j.mail.example.com", lookup)
    assert len(asked) == 8
    assert asked[1] == "_dmarc.g.h.i.j.mail.example.com"
    assert asked[-1] == "_dmarc.com"


def test_a_policy_of_a_domain_above_is_that_of_its_subdomains():
    records: Records = {
        ("_dmarc.example.org", "TXT"): ["v=DMARC1; p=reject; sp=quarantine; adkim=s"],
        ("_dmarc.two.example", "TXT"): ["v=DMARC1; p=none", "v=DMARC1; p=reject"],
        ("_dmarc.odd.example", "TXT"): ["v=DMARC2; p=reject"],
    }
    actions = {
        each: policy and policy.action
        for each in ("news.example.org", "Example.ORG", "two.example", "odd.example")
        for policy in [dmarc.policy_for(each, of(records))]
    }
    assert list(actions.values()) == ["quarantine", "reject", None, None]


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
def test_a_verdict_that_another_server_or_the_author_wrote_is_none(fields):
    assert verdict(fields) is None


def test_servers_of_one_house_speak_for_each_other():
    inside = "Received: from mx.example.com by imap.example.com with LMTP; x\n"
    said = verdict(inside + RECEIVED + PASS.format(server="MX.example.com 1"))
    assert said is not None
    assert (said.server, said.of("dmarc")) == ("MX.example.com", "pass")
    assert verdict(PASS.format(server="mx.example.com") + inside + RECEIVED) is not None
