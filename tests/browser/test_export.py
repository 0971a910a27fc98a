"""What a leader has downloaded opens from a folder, offline, and asks nobody for anything."""

import zipfile
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from belong_mail.core.db import now
from belong_mail.core.services import Services
from belong_mail.leads.export import Export
from belong_mail.newsletters.models import Flyer, Image
from tests.factories import group_named, plan_meeting, queue_issue
from tests.flyers.samples import flyer
from tests.markers import on_sqlite
from tests.pictures.samples import picture

TEXT = "Dear {first_name},\n\n![Tea](picture:tea)\n\n[[Sign up]](https://forms.example.org/tea)"


@pytest.fixture
def folder(services: Services, tmp_path: Path) -> Path:
    """Unpack the export of a group that has one of everything."""
    with services.writing.begin() as session:
        issue = queue_issue(session, subject="Tea on Friday", text=TEXT)
        issue.text = {**issue.text, "es": "Vengan al té."}
        issue.subject = {**issue.subject, "es": "Té"}
        plan_meeting(session, repeats="weekly")
        session.add(
            Image(public_id="tea", newsletter_id=issue.id, description="Tea", width=40, height=30,
                  media_type="image/png", content=picture())
        )  # fmt: skip
        session.add(
            Flyer(newsletter_id=issue.id, title="Tea", content=flyer(), size=len(flyer()), pages=1,
                  is_tagged=True)
        )  # fmt: skip
    file = tmp_path / "group.zip"
    with file.open("wb") as written, services.reading.begin() as session:
        group = group_named(session, "the-village")
        Export(session, group, services.settings.timezone, now(), written).write()
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "group")
    return tmp_path / "group"


@on_sqlite
def test_the_file_opens_offline_and_fetches_nothing(browser: Browser, folder: Path) -> None:
    context = browser.new_context(offline=True)
    asked, complaints = list[str](), list[str]()
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    seen = set()

    def look() -> None:
        found = Axe().run(page).response["violations"]
        assert found == [], page.url
        seen.add(page.url.removeprefix(folder.as_uri()))

    page.goto((folder / "index.html").as_uri())
    expect(page.get_by_role("heading", level=1)).to_contain_text("The Village Belong Group")
    look()
    page.get_by_role("link", name="Tea on Friday").click()
    expect(page.get_by_text("Dear [first name],")).to_be_visible()
    assert page.get_by_alt_text("Tea").evaluate("image => image.naturalWidth") == 40
    look()
    page.get_by_role("link", name="Español").click()
    expect(page.get_by_text("Vengan al té.")).to_be_visible()
    look()
    page.get_by_role("link", name="Todos los boletines").click()
    page.get_by_role("link", name="La página del grupo").click()
    look()
    page.goto((folder / "questions/questions-es.html").as_uri())
    look()
    context.close()
    assert len(seen) == 5
    assert complaints == []
    assert [url for url in asked if not url.startswith("file://")] == []
