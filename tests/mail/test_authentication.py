"""SPF, DMARC, DKIM and names, judged as receivers do."""

from email.parser import BytesParser

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dns.exception import Timeout

from belong_mail.mail.authentication import Lookup, dmarc, spf, trace
from belong_mail.mail.authentication.signatures import Signature, signatures
from tests.relays.signing import Habits
from tests.servers.dns import Records

US = "192.0.2.7"
PERMERROR = spf.PERMERROR
HEADERS = [b"From", b"Subject"]
MESSAGE = b"From: belong@example.org\r\nSubject: Hello\r\n\r\nHello\r\n"


def of(records: Records) -> Lookup:
    return lambda name, kind: records.get((name.lower(), kind), [])


def judged(record: str, more: dict[str, list[str]] | None = None) -> tuple[str, int]:
    """Evaluate a record of example.org; more records by name, of TXT or of addresses."""
    records: Records = {("example.org", "TXT"): ["other", record]}
    for name, texts in (more or {}).items():
        host = name.replace("_", ".")
        kinds = ("TXT",) if texts[0].startswith("v=") else ("MX",) if " " in texts[0] else ("A",)
        records |= {(host, kind): texts for kind in kinds}
    found = spf.evaluate(US, "example.org", "b+1@example.org", "relay.example.org", of(records))
    return found.result, found.queries


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
def test_spf_is_evaluated_as_its_standard_says(record: str, result: str) -> None:
    more = {
        "host_example": [US], "near_example": ["192.0.2.200"], "other_example": ["198.51.100.1"],
        "mx_example": ["10 host.example."], "good_example": ["v=spf1 ip4:192.0.2.7 -all"],
        "bad_example": ["v=spf1 -all"], "7_2_0_192_in-addr_spf_example_org": ["127.0.0.2"],
        "b_x": ["127.0.0.2"],
    }  # fmt: skip
    assert judged(record, more)[0] == result


def test_spf_asks_dns_for_at_most_ten_terms_and_two_names_that_are_not_there() -> None:
    ten = " ".join(f"a:h{number}.example" for number in range(10))
    hosts = {f"h{number}_example": ["198.51.100.1"] for number in range(12)}
    assert judged(f"v=spf1 {ten} -all", hosts) == ("fail", 10)
    assert judged(f"v=spf1 {ten} mx -all", hosts) == (PERMERROR, 11)
    assert judged("v=spf1 include:example.org -all")[0] == PERMERROR
    assert judged("v=spf1 a:x.example a:y.example -all")[0] == "fail"
    assert judged("v=spf1 a:x.example a:y.example a:z.example -all")[0] == PERMERROR


def test_two_records_are_an_error_and_a_silent_server_is_none() -> None:
    records = {("example.org", "TXT"): ["v=spf1 -all"] * 2}
    assert spf.evaluate(US, "example.org", "a@example.org", "x", of(records)).result == PERMERROR

    def silent(_name: str, _kind: str) -> list[str]:
        raise Timeout

    assert spf.evaluate(US, "example.org", "a@example.org", "x", silent).result == "temperror"


def walked(records: dict[str, str], domain: str) -> str:
    texts = {(f"_dmarc.{name}", "TXT"): [text] for name, text in records.items()}
    return dmarc.organizational_domain(domain, of(texts))


def test_the_organizational_domain_is_found_by_walking_up_the_tree() -> None:
    plain = "v=DMARC1; p=none"
    assert walked({}, "a.mail.example.org") == "a.mail.example.org"
    assert walked({"example.org": plain}, "a.mail.example.org") == "example.org"
    assert walked({"example.org": plain, "mail.example.org": plain}, "mail.example.org") == (
        "example.org"
    )
    own = {"example.org": plain, "mail.example.org": f"{plain}; psd=n"}
    assert walked(own, "a.mail.example.org") == "mail.example.org"
    assert walked({"org": f"{plain}; psd=y"}, "a.mail.example.org") == "example.org"
    assert walked({"org": f"{plain}; psd=y"}, "org") == "org"


def test_a_walk_asks_at_most_eight_times() -> None:
    asked = []

    def lookup(name: str, _kind: str) -> list[str]:
        asked.append(name)
        return []

    dmarc.walk("a.b.c.d.e.f.g.h.i.j.mail.example.com", lookup)
    assert len(asked) == 8
    assert asked[1] == "_dmarc.g.h.i.j.mail.example.com"
    assert asked[-1] == "_dmarc.com"


def test_the_policy_of_a_domain_above_holds_where_there_is_none() -> None:
    records: Records = {
        ("_dmarc.example.org", "TXT"): ["v=DMARC1; p=reject; sp=quarantine; adkim=s"],
        ("_dmarc.two.example", "TXT"): ["v=DMARC1; p=none", "v=DMARC1; p=reject"],
        ("_dmarc.odd.example", "TXT"): ["v=DMARC2; p=reject"],
    }
    above = dmarc.policy_for("news.example.org", of(records))
    assert above is not None
    assert (above.published_at, above.action) == ("example.org", "quarantine")
    assert above.is_strict("adkim")
    assert not above.is_strict("aspf")
    own = dmarc.policy_for("Example.ORG", of(records))
    assert own is not None
    assert own.action == "reject"
    assert dmarc.policy_for("two.example", of(records)) is None
    assert dmarc.policy_for("odd.example", of(records)) is None


def test_related_domains_align_unless_the_policy_is_strict() -> None:
    lookup = of({("_dmarc.example.org", "TXT"): ["v=DMARC1; p=none"]})
    related = ("mail.example.org", "example.org", lookup)
    assert dmarc.is_aligned(*related, is_strict=False)
    assert not dmarc.is_aligned(*related, is_strict=True)
    assert not dmarc.is_aligned("example.net", "example.org", lookup, is_strict=False)


def signed(old: bytes = b"", new: bytes = b"") -> list[Signature]:
    """Sign a message, change something, and verify it."""
    raw, key = MESSAGE, rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    lookup = of(Habits(key=key).records)
    field = dkim.sign(raw, b"belong", b"example.org", pem, include_headers=HEADERS)
    whole = field + raw.replace(old, new)
    return signatures(whole, BytesParser().parsebytes(whole), lookup)


def test_a_signature_says_what_it_covers_and_what_was_changed() -> None:
    [good] = signed()
    assert (good.fault, good.domain, good.bits) == ("", "example.org", 2048)
    assert good.covered == {"from", "subject"}
    assert not good.is_open_ended
    [changed] = signed(b"Subject: Hello", b"Subject: Bye")
    assert changed.fault == "what it covers was changed on the way"
    [other] = signed(b"Hello\r\n", b"Bye\r\n")
    assert other.fault.endswith("covers another body than the one that arrived")


def test_a_key_that_is_missing_or_a_field_that_is_broken_is_no_good_signature() -> None:
    [signature] = signed()
    assert signature.fault == ""
    for value in (b"v=1", b"", b"v=1; a=rsa-sha256; d=example.org; s=x; h=from; bh=AA; b=AA"):
        raw = b"DKIM-Signature: " + value + b"\r\n" + MESSAGE
        [broken] = signatures(raw, BytesParser().parsebytes(raw), of({}))
        assert broken.fault


def test_who_handed_it_over_is_the_last_public_address() -> None:
    fields = (
        b"Received: by 10.0.0.1 with SMTP id x\r\n"
        b"Received: from inner (inner [10.0.0.2]) by mx.example.org\r\n"
        b"Received: from relay.example.net (relay.example.net. [8.8.8.8])\r\n by mx.example.org\r\n"
        b"Received: from us ([9.9.9.9]) by relay.example.net\r\n"
        b"Authentication-Results: mx.example.org; (a comment; spf=fail) spf=pass x=y;\r\n"
        b" dkim=fail; dkim=pass; dmarc=fail (p=NONE)\r\n"
        b"Authentication-Results: forged.example; dmarc=pass\r\n"
    )
    parsed = BytesParser().parsebytes(fields + MESSAGE)
    assert trace.handed_over(parsed) == trace.Hop("relay.example.net", "8.8.8.8")
    assert trace.verdicts(parsed) == {"spf": "pass", "dkim": "pass", "dmarc": "fail"}
    assert trace.handed_over(BytesParser().parsebytes(MESSAGE)) is None


def test_a_name_is_confirmed_by_leading_back_to_the_address() -> None:
    reverse = ("7.2.0.192.in-addr.arpa", "PTR")
    records: Records = {reverse: ["a.example.", "b.example."], ("b.example", "A"): [US]}
    assert trace.confirmed_names(US, of(records)) == (["a.example", "b.example"], ["b.example"])
