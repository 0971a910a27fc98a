"""What a group has published is taken away as files, and nothing about members is among them."""

import csv
import io
import re
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import func, insert, select
from werkzeug.test import TestResponse, create_environ

from belong_mail.accounts.proof import FRESH_PROOF_AGE
from belong_mail.core.audit import AuditEntry, Kind, Role
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.rate_limits import EXPORT_RATE
from belong_mail.core.services import Services
from belong_mail.groups import service as groups
from belong_mail.leads.export import Export
from belong_mail.members.models import Subscription
from belong_mail.newsletters.models import Image, Newsletter
from belong_mail.web.server import SentFile, answer
from belong_mail.worker.loop import Worker
from tests.browser_client import Form, Visitor, links_in
from tests.clients import sign_in, sign_in_office
from tests.factories import group_named, interests_of, make_members, plan_meeting, queue_issue
from tests.flyers.samples import flyer
from tests.leads.test_past import release
from tests.leads.test_release import begin
from tests.markers import on_sqlite
from tests.pictures.samples import opened, picture
from tests.pictures.test_pictures import add, added
from tests.servers.smtp import Server

SLUG = "the-village"
# What Windows has in no name, and names that it keeps for itself.
NOT_ON_WINDOWS = re.compile(r'[<>:"\\|?*\x00-\x1f]|[ .]$')
RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
# What a page could fetch or run.
ACTIVE = re.compile(
    r"<script|<iframe|<object|<embed|<link|<base|<form|\son\w+=|@import|url\(", re.IGNORECASE
)
SOURCE = re.compile(r'\ssrc="([^"]*)"')


def page_of(services: Services, slug: str = SLUG, seat: str = "lead") -> str:
    with services.reading.begin() as session:
        group = groups.find_of_any_age(session, slug)
        assert group is not None
        return f"/{seat}/exports/{group.public_id}"


def files_in(answer: TestResponse) -> dict[str, bytes]:
    """Open what was answered, as a ZIP that is whole."""
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "application/zip"
    content = answer.get_data()
    assert answer.headers["Content-Length"] == str(len(content))
    answer.close()
    return unpacked(io.BytesIO(content))


def unpacked(file: Any) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert len(set(archive.namelist())) == len(archive.namelist())
        return {name: archive.read(name) for name in archive.namelist()}


def day_of(services: Services) -> str:
    """Return the folder of the newsletter that went out last."""
    with services.reading.begin() as session:
        at = session.scalar(select(func.max(Newsletter.queued_at)))
    assert at is not None
    return f"newsletters/{at.astimezone(services.settings.timezone):%Y-%m-%d}"


@pytest.fixture
def published(lead: Visitor, services: Services, worker: Worker) -> str:
    """Send a newsletter with all that it can have, and return its folder."""
    page = begin(lead)
    add(lead, page, picture(), says="Two [people] & *tea*")
    add(lead, page, picture(color="red"), says="Not shown")
    lead.send(f"{page}/flyers", flyer=(io.BytesIO(flyer()), "x.pdf"), title="CON: té & más")
    [image, _unused] = added(services)
    words = {
        "subject": "Tea <b> for {first_name}",
        "preheader": "And *cake*",
        "text": f"Dear {{first_name}},\n\ncome to **tea** with {{group}}.<script>\n\n{image.source}"
        "\n\n[[Sign up]](https://forms.example.org/tea)",
        "subject_es": "Té",
        "text_es": "Vengan al té del {group}, {first_name}.",
    }
    assert lead.send(page, **words).status_code == 303
    release(lead, page, worker)
    return day_of(services)


def test_a_newsletter_is_there_as_a_page_as_text_and_as_markdown_with_its_files(
    lead: Visitor, services: Services, published: str
) -> None:
    found = files_in(lead.send(page_of(services)))
    own = {name.removeprefix(f"{published}/") for name in found if name.startswith(published)}
    assert own == {
        "newsletter-en.html", "newsletter-en.txt", "newsletter-en.md",
        "newsletter-es.html", "newsletter-es.txt", "newsletter-es.md",
        "picture-1.png", "flyer-1-CON-te-mas.pdf",
    }  # fmt: skip
    page = found[f"{published}/newsletter-en.html"].decode()
    for words in (
        '<h1 dir="auto">Tea &lt;b&gt; for [first name]</h1>', "Dear [first name],",
        "<strong>tea</strong>", "The Village Belong Group", "&lt;script&gt;", "And *cake*",
        'src="picture-1.png"', 'alt="Two [people] &amp; *tea*"', 'href="flyer-1-CON-te-mas.pdf"',
        'href="https://forms.example.org/tea"',
    ):  # fmt: skip
        assert words in page
    text = found[f"{published}/newsletter-en.txt"].decode("utf-8-sig")
    assert text.startswith("Tea <b> for [first name]\n====")
    assert "Dear [first name],\n\ncome to tea with The Village Belong Group" in text
    assert "[Picture: Two [people] & *tea*]" in text
    assert "Flyer (PDF): CON: té & más (flyer-1-CON-te-mas.pdf)" in text
    source = found[f"{published}/newsletter-en.md"].decode()
    assert "come to **tea** with The Village Belong Group" in source
    assert r"![Two \[people\] & \*tea\*](picture-1.png)" in source.replace(r"\&", "&")
    spanish = found[f"{published}/newsletter-es.txt"].decode("utf-8-sig")
    assert "Vengan al té del grupo The Village, [nombre]." in spanish
    assert opened(found[f"{published}/picture-1.png"]).size == (40, 30)
    assert found[f"{published}/flyer-1-CON-te-mas.pdf"].startswith(b"%PDF")


def test_page_questions_and_meetings_are_there_in_both_languages(
    lead: Visitor, services: Services
) -> None:
    with services.writing.begin() as session:
        group = group_named(session, "the-village")
        group.summary = {"en": "We drink tea", "es": "Tomamos té"}
        group.welcome = {"en": "Come on in"}
        group.resources = [{"title": {"en": "A line"}, "url": "tel:+13035550100"}]
        meeting = plan_meeting(
            session, repeats="weekly", title={"en": "=Tea", "es": "Té"}, contact="The library"
        )
        first = meeting.starts_on
    lead.send("/lead/groups/the-village/questions", label_en="Which snack?", kind="text")
    found = files_in(lead.send(page_of(services)))
    assert set(found) >= {
        f"{name}-{code}.{ending}"
        for code in ("en", "es")
        for name, endings in (
            ("page/page", ("html", "txt")), ("questions/questions", ("html", "txt")),
            ("meetings/meetings", ("ics", "csv")),
        )
        for ending in endings
    }  # fmt: skip
    assert b"Tomamos t\xc3\xa9" in found["page/page-es.txt"]
    for name in ("page/page-en.html", "page/page-en.txt"):
        for words in (b"We drink tea", b"Come on in", b"+13035550100", b"How you can help"):
            assert words in found[name]
    asked = found["questions/questions-en.txt"].decode("utf-8-sig")
    assert "Where do you work with students?" in asked
    assert "Which snack?" not in asked, "the office has not approved it, so it was not published"
    rows = list(csv.reader(io.StringIO(found["meetings/meetings-en.csv"].decode("utf-8-sig"))))
    assert rows[0][:4] == ["Date", "Starts", "Ends", "Title"]
    assert rows[1][:4] == [first.isoformat(), "16:00", "17:00", "'=Tea"]
    assert "Room 4, behind the library" in rows[1]
    assert len(rows) == 53, "a year ahead"
    calendar = found["meetings/meetings-es.ics"].decode()
    assert "SUMMARY:The Village: Té" in calendar
    assert "RRULE:FREQ=WEEKLY" in calendar


@pytest.mark.usefixtures("published")
def test_the_index_leads_to_every_file(lead: Visitor, services: Services) -> None:
    with services.writing.begin() as session:
        plan_meeting(session)
    found = files_in(lead.send(page_of(services)))
    reached, to_read = set(), ["index.html"]
    while to_read:
        name = to_read.pop()
        reached.add(name)
        if name.endswith(".html"):
            page = found[name].decode()
            assert not ACTIVE.search(page.replace("&lt;script", "")), name
            targets = re.findall(r'(?:href|src)="([^"]+)"', page)
            local = [each for each in targets if not each.startswith(("https:", "tel:"))]
            to_read += [
                each for each in (resolved(name, it) for it in local) if each not in reached
            ]
    assert reached == set(found)


def resolved(page: str, target: str) -> str:
    """Return what a relative link of a page names."""
    parts = page.split("/")[:-1]
    for part in target.split("/"):
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def test_pages_fetch_nothing_and_run_nothing(
    lead: Visitor, services: Services, published: str
) -> None:
    found = files_in(lead.send(page_of(services)))
    pages = {name: content.decode() for name, content in found.items() if name.endswith(".html")}
    assert f"{published}/newsletter-en.html" in pages
    for name, page in pages.items():
        assert "default-src &#39;none&#39;" in page, name
        assert not ACTIVE.search(page.replace("&lt;script&gt;", "")), name
        assert all("/" not in source for source in SOURCE.findall(page)), name


def test_only_newsletters_that_went_out_are_in_it(lead: Visitor, services: Services) -> None:
    for subject in ("A draft", "For later"):
        page = begin(lead)
        lead.send(page, subject=subject, text="Hidden words")
    lead.send(f"{page}/release", when="now", minutes="60")
    with services.writing.begin() as session:
        queue_issue(session, "asian", "Of another group", "Hidden words")
        queue_issue(session, subject="First")
        queue_issue(session, subject="Second")
    found = files_in(lead.send(page_of(services)))
    assert not [name for name, content in found.items() if b"Hidden words" in content]
    folder = day_of(services)
    titles = [found[f"{each}/newsletter-en.md"] for each in (folder, f"{folder}-2")]
    assert [title.partition(b"\n")[0] for title in titles] == [b"# First", b"# Second"]
    index = found["index.html"].decode()
    assert index.index("Second") < index.index("First"), "the newest comes first"


def test_nothing_in_it_is_about_a_member(
    lead: Visitor, services: Services, keyring: Keyring, worker: Worker, relay: Server,
    visitor: Visitor,
) -> None:  # fmt: skip
    """Neither who they are nor how many, nor what they wrote, nor a link that was mailed to one."""
    with services.writing.begin() as session:
        make_members(session, keyring, 23)
        group_named(session, SLUG).members_shown = 20_020
        tea = next(iter(interests_of(session).values()))
    typed = {"name": "Zilpzalpina Wren", "introduce_me": "y", "interests": tea}
    visitor.join(SLUG, "kanarienvogel@dpsk12.org", **typed)
    visitor.send("/contact", message="Quittenmarmelade", topic="need", email="writer@dpsk12.org")
    worker.drain()
    visitor.press(links_in(relay.to("kanarienvogel@dpsk12.org")[0])[0])
    worker.drain()
    page = begin(lead)
    lead.send(page, subject="Cake", text="Dear {first_name}, cake.")
    release(lead, page, worker)
    assert relay.to("kanarienvogel@dpsk12.org")
    links = {link for mail in relay.to("member1@dpsk12.org") for link in links_in(mail)}
    with services.reading.begin() as session:
        members = session.scalars(select(Subscription)).all()
        ids = {each.public_id for each in members}
        sealed = {each.wrapped_address for each in members} | {
            each.address_index for each in members
        }
    found = files_in(lead.send(page_of(services)))
    everything = b"\n".join([*map(str.encode, found), *found.values()])
    words = {"dpsk12.org", "Zilpzalpina", "Wren", "kanarienvogel", "Quittenmarmelade", "20020"}
    words |= {"20,020", "lead-of-the-village", services.settings.base_url}
    for secret in (*(each.encode() for each in words | ids | links), *sealed):
        assert secret not in everything


@pytest.mark.usefixtures("published")
def test_its_names_are_good_on_windows_and_tell_nothing(lead: Visitor, services: Services) -> None:
    answer = lead.send(page_of(services))
    for name in files_in(answer):
        assert name.isascii()
        assert len(name) < 120
        for part in PureWindowsPath(name).parts:
            assert not NOT_ON_WINDOWS.search(part), name
            assert not RESERVED.fullmatch(part), name
        assert "village" not in name


def test_every_groups_file_is_called_the_same_and_no_header_names_a_group(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    """A browser writes the address into what it saves: neither that nor a title names the group."""
    heads = []
    for slug in ("lgbtq", "asian"):
        browser = sign_in(app, services, keyring, worker, relay, slug)
        page = page_of(services, slug)
        answer = browser.send(page)
        heads.append({key: answer.headers[key] for key in ("Content-Disposition", "Content-Type")})
        assert slug not in page + str(answer.headers).lower()
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        found = files_in(answer)
        for name, content in found.items():
            if name.endswith(".html"):
                title = re.findall(r"<title>(.*?)</title>", content.decode())
                assert len(title) == 1
                assert slug not in title[0].lower()
    assert heads[0] == heads[1]
    assert re.search(r"filename=newsletters-\d{4}-\d\d-\d\d\.zip$", heads[0]["Content-Disposition"])


def test_the_calendar_of_a_discreet_group_does_not_name_it(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    with services.writing.begin() as session:
        plan_meeting(session, "lgbtq", title={"en": "Pride"})
    browser = sign_in(app, services, keyring, worker, relay, "lgbtq")
    calendar = files_in(browser.send(page_of(services, "lgbtq")))["meetings/meetings-en.ics"]
    assert b"Belong meeting" in calendar
    assert b"LGBTQ" not in calendar
    assert b"Pride" not in calendar


def test_another_groups_leader_gets_nothing_and_learns_nothing(
    lead: Visitor, other_lead: Visitor, services: Services
) -> None:
    assert "Download" in lead.open(page_of(services)).text
    token = Form(other_lead.open("/lead/").text).fields["csrf_token"]
    for page in (page_of(services), "/lead/exports/nothing", page_of(services, SLUG, "office")):
        assert other_lead.open(page).status_code == 404
        assert other_lead.press(page, csrf_token=token).status_code == 404
    assert exported(services) == []


def exported(services: Services) -> list[tuple[str, str | None]]:
    with services.reading.begin() as session:
        found = select(AuditEntry.role, AuditEntry.group_slug).where(
            AuditEntry.kind == Kind.EXPORTED
        )
        return [(row[0], row[1]) for row in session.execute(found)]


def test_it_is_written_down_who_took_it_and_looking_at_the_page_is_not(
    lead: Visitor, services: Services
) -> None:
    lead.open(page_of(services))
    assert exported(services) == []
    files_in(lead.send(page_of(services)))
    assert exported(services) == [(Role.ACCOUNT, SLUG)]


@on_sqlite
def test_who_signed_in_a_while_ago_proves_it_first(lead: Visitor, services: Services) -> None:
    with time_machine.travel(now() + FRESH_PROOF_AGE, tick=False):
        assert lead.send(page_of(services)).status_code == 403
    assert exported(services) == []


@on_sqlite
def test_nobody_downloads_without_end(lead: Visitor, services: Services) -> None:
    with time_machine.travel(now(), tick=False):
        for _ in range(EXPORT_RATE.burst):
            files_in(lead.send(page_of(services)))
        answer = lead.send(page_of(services))
        assert answer.status_code == 303
        assert "Try again in an hour." in lead.open(answer.location).text
    assert len(exported(services)) == EXPORT_RATE.burst


def test_the_office_takes_every_groups_content_also_of_one_that_has_ended(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    office = sign_in_office(app, services, keyring, worker, relay)
    with services.writing.begin() as session:
        queue_issue(session, "asian", "Goodbye")
        plan_meeting(session, "asian")
        group = group_named(session, "asian")
        group.ends_at = now() - timedelta(days=1)
        groups.mark_retired(session, group)
    page = page_of(services, "asian", "office")
    assert page in office.open("/office/groups/asian").text
    found = files_in(office.send(page))
    assert f"{day_of(services)}/newsletter-en.html" in found
    assert "meetings/meetings-en.ics" in found
    assert page_of(services, SLUG, "office") in office.open(f"/office/groups/{SLUG}").text
    files_in(office.send(page_of(services, SLUG, "office")))
    assert exported(services) == [(Role.ACCOUNT, "asian"), (Role.ACCOUNT, SLUG)]


def test_the_same_moment_gives_the_same_octets(
    lead: Visitor, services: Services, published: str
) -> None:
    with time_machine.travel(now(), tick=False):
        first, second = (lead.send(page_of(services)).get_data() for _ in range(2))
    assert published.encode() in first
    assert first == second


@on_sqlite
def test_what_is_long_is_sent_from_a_file(lead: Visitor, services: Services, app: Flask) -> None:
    with services.writing.begin() as session:
        issue = queue_issue(session, text="![x](picture:large)")
        session.add(
            Image(public_id="large", newsletter_id=issue.id, description="x", width=1, height=1,
                  media_type="image/jpeg", content=bytes(3_000_000))
        )  # fmt: skip
    found = files_in(lead.send(page_of(services)))
    assert found[f"{day_of(services)}/picture-1.jpg"] == bytes(3_000_000)
    cookie = lead.client.get_cookie("belong")
    assert cookie is not None
    asked = create_environ(
        page_of(services),
        method="POST",
        data=Form(lead.open(page_of(services)).text).fields,
        headers={"Cookie": f"belong={cookie.value}"},
    )
    status, headers, content = answer(app, {**asked, "wsgi.file_wrapper": SentFile})
    assert status == 200
    assert isinstance(content, SentFile), "the server reads it by itself"
    assert dict(headers)["content-length"] == str(Path(content.path).stat().st_size)
    assert unpacked(content.file) == found
    content.close()


@on_sqlite
def test_years_of_pictures_are_never_in_memory_together(services: Services, tmp_path: Path) -> None:
    size, number = 1_000_000, 60
    with services.writing.begin() as session:
        for each in range(number // 10):
            issue = queue_issue(session, subject=f"Number {each}")
            rows = [
                {"public_id": f"picture-{each}-{at}", "newsletter_id": issue.id, "height": 1,
                 "width": 1, "description": "x", "media_type": "image/png", "content": bytes(size)}
                for at in range(10)
            ]  # fmt: skip
            session.execute(insert(Image), rows)
            issue.text = {"en": " ".join(f"![x](picture:{row['public_id']})" for row in rows)}
    file = tmp_path / "all.zip"
    zone = services.settings.timezone
    tracemalloc.start()
    with file.open("wb") as written, services.reading.begin() as session:
        group = group_named(session, SLUG)
        assert Export(session, group, zone, now(), written).write() == number // 10
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert file.stat().st_size > number * size
    assert peak < 12 * size


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "group.zip"
    assert [each.name for each in tmp_path.glob(".*.zip-*")] == [], "nothing is left beside it"


def test_the_command_writes_the_same_file_and_records_it(
    cli: FlaskCliRunner, services: Services, target: Path
) -> None:
    with services.writing.begin() as session:
        queue_issue(session)
    result = cli.invoke(args=["export", SLUG, str(target)])
    assert result.exit_code == 0, result.output
    assert f"{target} has 1 newsletters" in result.output
    with target.open("rb") as file:
        assert f"{day_of(services)}/newsletter-en.html" in unpacked(file)
    assert target.stat().st_mode & 0o777 == 0o600
    assert exported(services) == [(Role.OPERATOR, SLUG)]


@on_sqlite
def test_the_command_asks_before_it_overwrites_and_says_what_is_wrong(
    cli: FlaskCliRunner, services: Services, target: Path
) -> None:
    target.write_bytes(b"precious")
    for said in ("n\n", ""):
        assert cli.invoke(args=["export", SLUG, str(target)], input=said).exit_code == 1
    assert cli.invoke(args=["export", "nothing", str(target)]).exit_code == 2
    assert cli.invoke(args=["export", SLUG, str(target.parent)]).exit_code == 2
    assert cli.invoke(args=["export", SLUG, str(target.parent / "no" / "x.zip")]).exit_code == 2
    refused = cli.invoke(args=["export", SLUG, "/proc/x.zip"])  # where root cannot write either
    assert (refused.exit_code, "can be written in /proc" in refused.output) == (2, True)
    assert target.read_bytes() == b"precious"
    assert exported(services) == []
    assert cli.invoke(args=["export", SLUG, str(target)], input="y\n").exit_code == 0
    assert cli.invoke(args=["export", SLUG, str(target), "--yes"]).exit_code == 0
    assert zipfile.is_zipfile(target)
