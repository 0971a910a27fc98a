"""Recipes of CONTRIBUTING, such as to add a page, an email or a job: done in a copy, and tried.

Each touches its room, its templates, and at most two lines elsewhere.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guards.sabotage import copied_checkout
from tests.markers import night

HOUSE = (
    "tests/test_house.py::test_every_email_is_one_file_and_has_a_writer",
    "tests/test_house.py::test_the_contracts_about_imports_hold",
    "tests/test_rooms.py",
)
TRIED = "tests/test_tried.py"
HEAD = '''"""Tries what was added."""

import pytest
from sqlalchemy import select

from belong_mail.accounts import jobs
from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.delivery.mailer import post_to_address
from belong_mail.groups.models import Group, Question
from belong_mail.members.forms import form_for
from belong_mail.monitoring.checks import exposition
from belong_mail.monitoring.measures import Site
from belong_mail.ops.rooms import purge_all

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


'''


@dataclass(frozen=True)
class Recipe:
    """Where what is added: files that begin, and lines behind a text that stands in a file."""

    name: str
    room: str
    files: dict[str, str]
    lines: tuple[tuple[str, str, str], ...]
    test: str

    def elsewhere(self) -> list[str]:
        """List the lines that are added outside the room and its templates."""
        return [
            line
            for file, _, added in self.lines
            if not file.startswith(f"belong_mail/{self.room}/")
            for line in added.splitlines()
            if line and not line.startswith("#")
        ]


PAGE = Recipe(
    "page",
    "pages",
    {
        "templates/directory/hours.html": '{% extends "layout.html" %}\n'
        '{% block title %}{{ _("Accessibility") }}{% endblock %}\n'
        "{% block main %}<h1>9 to 5</h1>{% endblock %}\n"
    },
    (
        (
            "belong_mail/pages/directory.py",
            "from belong_mail.web.access import public\n",
            "from belong_mail.web.access import for_accounts\n",
        ),
        (
            "belong_mail/pages/directory.py",
            'directory = Blueprint("directory", __name__)\n',
            (
                '\n\n@directory.get("/hours")\n@public\ndef hours() -> str:\n'
                '    return render_template("directory/hours.html")\n\n\n'
                '@directory.get("/closed")\n@for_accounts\ndef closed() -> str:\n'
                '    return render_template("directory/hours.html")\n\n\n'
            ),
        ),
    ),
    "def test_page(visitor):\n"
    '    assert "9 to 5" in visitor.client.get("/hours").text\n'
    '    assert visitor.client.get("/closed").location == "/sign-in", "not for strangers"\n',
)
EMAIL = Recipe(
    "email",
    "contact",
    {
        "emails/hello.jinja": '{% set subject = _("We deleted your information") %}\n'
        '{% set preheader = _("When and where.") %}\n{% set footer = "" %}\n'
        '{{ p(_("This is our last email to you.")) }}\n',
    },
    (
        (
            "belong_mail/contact/emails.py",
            "from belong_mail.mail.address import normalise\n",
            (
                "from belong_mail.delivery.mailer import read_posted\n\n\n"
                '@writes("hello")\n'
                "def hello_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:\n"
                "    to, said = read_posted(mailer.opener, delivery)\n"
                '    return Email(to, said["language"])\n'
            ),
        ),
    ),
    "def test_email(services, keyring, worker, relay):\n"
    "    with services.writing.begin() as session:\n"
    '        post_to_address(session, keyring, "hello", "ada@dpsk12.org", "en")\n'
    "    worker.drain()\n"
    '    [mail] = relay.to("ada@dpsk12.org")\n'
    '    assert mail["Subject"] == "We deleted your information"\n',
)
JOB = Recipe(
    "job",
    "accounts",
    {},
    (
        (
            "belong_mail/accounts/jobs.py",
            "from belong_mail.core.jobs import SealedJob\n",
            (
                '\n\n@dataclass(frozen=True)\nclass CloseGroup(SealedJob, kind="close-group"):\n'
                "    group: str\n    note: str\n"
            ),
        ),
        (
            "belong_mail/accounts/tasks.py",
            'CHANGES = ("added", "removed")\n',
            (
                "\n\n@does(CloseGroup)\ndef close_group(work: Work, asked: CloseGroup) -> None:\n"
                "    named = select(Group).where(Group.public_id == asked.group)\n"
                "    work.session.scalars(named).one().note = asked.note\n"
            ),
        ),
        (
            "belong_mail/accounts/tasks.py",
            "from sqlalchemy import select\n",
            (
                "from belong_mail.accounts.jobs import CloseGroup\n"
                "from belong_mail.groups.models import Group\n"
            ),
        ),
    ),
    "def test_job(services, worker):\n"
    "    with services.writing.begin() as session:\n"
    "        group = session.scalars(select(Group).order_by(Group.id)).first()\n"
    '        jobs.CloseGroup(group.public_id, "closed").ask(session, services.sealer)\n'
    "    worker.drain()\n"
    "    with services.reading.begin() as session:\n"
    '        assert session.get(Group, group.id).note == "closed"\n'
    "        assert session.scalar(select(Job.id)) is None\n",
)
FIELD = Recipe(
    "field",
    "members",
    {},
    (
        (
            "belong_mail/members/forms.py",
            '    submit = SubmitField(_l("Tell me when it starts"))\n',
            '    school = StringField(_l("Accessibility"))\n',
        ),
        (
            "belong_mail/members/forms.py",
            "        return WaitForGroup(\n",
            '            school=self.school.data or "",\n',
        ),
        (
            "belong_mail/members/jobs.py",
            '    source: str = field(default="", compare=False)\n',
            '    school: str = ""\n',
        ),
        (
            "belong_mail/members/tasks.py",
            "    note = find_by_address(session, keys.index, group, identity, WaitlistEntry)\n",
            "    group.note = asked.school\n",
        ),
        (
            "templates/waiting_list/ask.html",
            "        {{ field(form.language, may_be_optional=false) }}\n",
            "        {{ field(form.school) }}\n",
        ),
    ),
    "def test_field(visitor, worker, services):\n"
    '    sent = visitor.send("/groups/autoimmune/tell-me", email="ada@dpsk12.org", school="East")\n'
    "    assert sent.status_code == 303\n"
    "    worker.drain()\n"
    "    with services.reading.begin() as session:\n"
    '        named = select(Group).where(Group.slug == "autoimmune")\n'
    '        assert session.scalars(named).one().note == "East"\n',
)
RETENTION = Recipe(
    "retention rule",
    "contact",
    {},
    (
        (
            "belong_mail/core/retention.py",
            "THREAD_MAX_AGE = timedelta(days=30)\n",
            "# What was said in a thread.\nENTRY_AGE = timedelta(days=20)\n",
        ),
        (
            "belong_mail/contact/retention.py",
            'days after sending"\n)\n',
            (
                'RETENTION["contact entries"] = in_batches(\n'
                "    delete(ThreadEntry), older_than(ThreadEntry.written_at, ENTRY_AGE)\n)\n"
            ),
        ),
        (
            "belong_mail/contact/retention.py",
            "from belong_mail.delivery.work import RETENTION, SHORT_LIVED\n",
            (
                "from belong_mail.contact.models import ThreadEntry\n"
                "from belong_mail.core.retention import ENTRY_AGE\n"
            ),
        ),
    ),
    "def test_retention(services):\n"
    "    with services.writing.begin() as session:\n"
    '        assert purge_all(session)["contact entries"] == 0\n',
)
SETTING = Recipe(
    "setting",
    "pages",
    {},
    (
        (
            "config.py",
            'None, "the start of every emailed link")\n',
            '    greeting: str = web_setting(settings.text, "Good morning", "the first words")\n',
        ),
        (
            "belong_mail/pages/directory.py",
            "        video_url=video_url,\n",
            "        greeting=services().settings.greeting,\n",
        ),
        (
            "templates/directory/index.html",
            '      <h1>{{ _("There is room for you.") }}</h1>\n',
            "      <p>{{ greeting }}</p>\n",
        ),
    ),
    'def test_setting(visitor):\n    assert "<p>Good morning</p>" in visitor.open("/").text\n',
)
ROWS = Recipe(
    "column, type of question and check",
    "groups",
    {},
    (
        (
            "belong_mail/groups/models.py",
            "    note: Mapped[LocalizedText] = mapped_column(JSON, default=dict)\n",
            "    motto: Mapped[LocalizedText] = mapped_column(JSON, default=dict)\n",
        ),
        (
            "belong_mail/migrations/versions/1_0_all_tables.py",
            '        sa.Column("welcome", sa.JSON(), nullable=False),\n',
            '        sa.Column("motto", sa.JSON(), nullable=False),\n',
        ),
        (
            "belong_mail/groups/questions.py",
            "QUESTION_TYPES = {\n",
            '    "wish": QuestionType(gettext_noop("Accessibility"), _own_words),\n',
        ),
        (
            "belong_mail/monitoring/checks.py",
            "CHECKS: Final = (\n",
            '    Check(name="waiting", about="Requests.", measure=measures.requests),\n',
        ),
    ),
    "def test_rows(services, visitor):\n"
    "    with services.writing.begin() as session:\n"
    '        wish = Question(position=9, kind="wish", label={"en": "Why?"})\n'
    "        group = session.get(Group, 1)\n"
    '        group.motto = {"en": "Onward"}\n'
    "        group.questions.append(wish)\n"
    '        assert "belong_waiting 0" in exposition(Site(session, services.settings, now()))\n'
    "    app = visitor.client.application\n"
    "    with services.reading.begin() as session, app.test_request_context():\n"
    '        assert "question-9" in form_for(session.get(Group, 1), has_leads=True)\n',
)
RECIPES = (PAGE, EMAIL, JOB, FIELD, RETENTION, SETTING, ROWS)


@pytest.fixture(scope="module")
def copied() -> Iterator[Path]:
    with copied_checkout() as root:
        yield root


@pytest.fixture
def checkout(copied: Path, recipe: Recipe) -> Iterator[Path]:
    """Return the copy of the project; what the recipe changes is put back."""
    touched = {*recipe.files, TRIED, *(name for name, _, _ in recipe.lines)}
    files = [copied / name for name in touched]
    kept = {file: file.read_text() for file in files if file.exists()}
    yield copied
    for file in files:
        if file in kept:
            file.write_text(kept[file])
        else:
            file.unlink()
            if not any(file.parent.iterdir()):
                file.parent.rmdir()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_recipe_touches_its_room_and_two_lines_elsewhere(recipe):
    assert len(recipe.elsewhere()) <= 2
    assert all(file.startswith(("templates/", "emails/")) for file in recipe.files)


@night("recipes in a copy")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_recipe_is_all_that_it_takes(recipe, checkout):
    for name, text in {**recipe.files, TRIED: HEAD + recipe.test}.items():
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text(text)
    for name, anchor, added in recipe.lines:
        before = (checkout / name).read_text()
        assert before.count(anchor) == 1, (name, anchor)
        (checkout / name).write_text(before.replace(anchor, anchor + added))
    command = [sys.executable, "-B", "-m", "pytest", "-q", "--tb=short", TRIED, *HOUSE]
    tried = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stdout[-3000:]
