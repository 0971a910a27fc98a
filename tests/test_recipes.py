"""Recipes of CONTRIBUTING, such as to add a page, an email or a job: done in a copy, and tried.

Each touches few files of its room, its templates, and at most two lines elsewhere.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.guards.sabotage import copied_checkout
from tests.markers import night

ROOT = Path(__file__).parents[1]


class Line(NamedTuple):
    """Lines that are added behind a text which stands in a file once."""

    file: str
    behind: str
    added: str

    def put_into(self, root: Path) -> str:
        """Return the file's text with them."""
        before = (root / self.file).read_text() if self.behind else ""
        assert not self.behind or before.count(self.behind) == 1, self[:2]
        return before.replace(self.behind, self.behind + self.added) if before else self.added


RECIPES = {
    "page": [
        Line(
            "belong_mail/pages/directory.py",
            "from belong_mail.web.access import public\n",
            "from belong_mail.web.access import for_accounts\n",
        ),
        Line(
            "belong_mail/pages/directory.py",
            'directory = Blueprint("directory", __name__)\n',
            '\n\n@directory.get("/hours")\n@public\ndef hours() -> Page:\n'
            '    return page("directory/hours.html")\n\n\n'
            '@directory.get("/closed")\n@for_accounts\ndef closed() -> Page:\n'
            '    return page("directory/hours.html")\n\n\n',
        ),
        Line(
            "templates/directory/hours.html",
            "",
            '{% extends "layout.html" %}\n'
            '{% block title %}{{ _("Accessibility") }}{% endblock %}\n'
            "{% block main %}<h1>9 to 5</h1>{% endblock %}\n",
        ),
    ],
    "email": [
        Line(
            "belong_mail/contact/emails.py",
            "writes(RECEIPT)(unless_suppressed)\n",
            'writes("hello")(unless_suppressed)\n',
        ),
        Line(
            "emails/hello.jinja",
            "",
            '{% set subject = _("We deleted your information") %}\n'
            '{% set preheader = _("When and where.") %}\n{% set footer = "" %}\n'
            '{{ p(_("This is our last email to you.")) }}\n',
        ),
    ],
    "job": [
        Line(
            "belong_mail/accounts/jobs.py",
            "from belong_mail.core.jobs import SealedJob\n",
            '\n\n@dataclass(frozen=True)\nclass CloseGroup(SealedJob, kind="close-group"):\n'
            "    group: str\n    note: str\n",
        ),
        Line(
            "belong_mail/accounts/tasks.py",
            'CHANGES = ("added", "removed")\n',
            "\n\n@does(CloseGroup)\ndef close_group(work: Work, asked: CloseGroup) -> None:\n"
            "    named = select(Group).where(Group.public_id == asked.group)\n"
            "    work.session.scalars(named).one().note = {'en': asked.note}\n",
        ),
        Line(
            "belong_mail/accounts/tasks.py",
            "from sqlalchemy.orm import Session\n",
            "from belong_mail.accounts.jobs import CloseGroup\n"
            "from belong_mail.groups.models import Group\n",
        ),
    ],
    "field": [
        Line(
            "belong_mail/office/forms.py",
            '    submit = SubmitField(_l("Send the invitation"))\n',
            '    phone = StringField(_l("Accessibility"))\n',
        ),
        Line(
            "belong_mail/office/forms.py",
            "            by=by.public_id,\n",
            '            phone=self.phone.data or "",\n',
        ),
        Line(
            "belong_mail/accounts/jobs.py",
            "    language: str\n    rights: list[str]\n",
            '    phone: str = ""\n',
        ),
        Line(
            "belong_mail/accounts/right_tasks.py",
            "    account.name = account.name or plain_name(asked.name)\n",
            "    account.name += asked.phone\n",
        ),
        Line(
            "templates/office/invite.html",
            "    {{ field(form.language, may_be_optional=false) }}\n",
            "    {{ field(form.phone) }}\n",
        ),
    ],
    "type of question": [
        Line(
            "belong_mail/groups/questions.py",
            "QUESTION_TYPES = {\n",
            '    "wish": QuestionType(gettext_noop("Accessibility"), _own_words),\n',
        ),
    ],
    "check": [
        Line(
            "belong_mail/monitoring/checks.py",
            "CHECKS: Final = (\n",
            '    Check(name="waiting", query=measures.REQUESTS, wrong="Late", todo="Look."),\n',
        ),
    ],
}
# Most files of a recipe, beside the catalog of each language.
FILES = {"field": 4, "email": 2, "job": 2, "type of question": 1, "check": 1}
TRIED = '''"""Tries what was added."""

import pytest
from sqlalchemy import select

from belong_mail.accounts import jobs
from belong_mail.accounts.models import OFFICE
from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.delivery.mailer import post_to_address
from belong_mail.groups.models import Group, Question
from belong_mail.members.forms import form_for
from belong_mail.monitoring.checks import exposition
from belong_mail.monitoring.measures import Site
from tests.clients import signed_in

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_page(visitor):
    assert "9 to 5" in visitor.client.get("/hours").text
    assert visitor.client.get("/closed").location == "/sign-in", "not for strangers"


def test_email(services, keyring, worker, relay):
    with services.writing.begin() as session:
        post_to_address(session, keyring, "hello", "ada@dpsk12.org", "en")
    worker.drain()
    [mail] = relay.to("ada@dpsk12.org")
    assert mail["Subject"] == "We deleted your information"


def test_job(services, worker):
    with services.writing.begin() as session:
        group = session.scalars(select(Group).order_by(Group.id)).first()
        jobs.CloseGroup(group.public_id, "closed").ask(session, services.sealer)
    worker.drain()
    with services.reading.begin() as session:
        assert session.get(Group, group.id).note == {"en": "closed"}
        assert session.scalar(select(Job.id)) is None


def test_field(app, scenario):
    scenario.invite_office("office@dpsk12.org")
    office, right = signed_in(app, scenario.keyring, "office@dpsk12.org"), {"groups": OFFICE}
    typed = {"name": "Sam, ", "email": "ada@dpsk12.org", "language": "en", "phone": "303 555"}
    assert office.send("/office/leads/invite", **right, **typed).status_code == 303
    scenario.worker.drain()
    assert scenario.account("ada@dpsk12.org").name == "Sam,303 555"


def test_type_of_question_and_check(services, visitor):
    with services.writing.begin() as session:
        session.add(Question(group_id=1, position=9, kind="wish", label={"en": "Why?"}))
        assert "belong_waiting 0" in exposition(Site(session, services.settings, now()))
    with services.reading.begin() as session, visitor.client.application.test_request_context():
        assert "question-9" in form_for(session.get(Group, 1), has_leads=True)
'''
HOUSE = (
    "tests/test_house.py::test_every_email_is_one_file_and_has_a_writer",
    "tests/test_rooms.py",
)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_touches_few_files_of_its_room_and_two_lines_elsewhere(name):
    rooms = Counter(Path(each.file).parent for each in RECIPES[name] if "belong_mail/" in each.file)
    [(room, _)] = rooms.most_common(1)
    elsewhere = [
        line
        for each in RECIPES[name]
        if not each.file.startswith((str(room), "templates/", "emails/"))
        for line in each.added.splitlines()
        if line and not line.startswith("#")
    ]
    assert len(elsewhere) <= 2
    assert len({each.file for each in RECIPES[name]}) <= FILES.get(name, 3)
    assert all(each.added in each.put_into(ROOT) for each in RECIPES[name])


@night("recipes in a copy")
@pytest.mark.timeout(240)
def test_recipes_are_all_that_it_takes():
    with copied_checkout() as root:
        for each in (line for lines in RECIPES.values() for line in lines):
            (root / each.file).write_text(each.put_into(root))
        (root / "tests/test_tried.py").write_text(TRIED)
        command = [sys.executable, "-B", "-m", "pytest", "-q", "--tb=short", "tests/test_tried.py"]
        tried = subprocess.run(
            [*command, *HOUSE], cwd=root, capture_output=True, text=True, check=False
        )
    assert tried.returncode == 0, tried.stdout[-3000:]
