"""Recipes of CONTRIBUTING, such as to add a page, an email or a job: done in a copy, and tried.

Each touches few files, and at most two lines of code outside its room.
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
CATALOG = "translations/es/LC_MESSAGES/messages.po"
CHECKS = "tests/monitoring/test_checks.py"


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


def words(english: str, spanish: str) -> Line:
    """Return an entry of the catalog."""
    behind = 'msgid "Phone"\nmsgstr "Teléfono"\n'
    return Line(CATALOG, behind, f'\nmsgid "{english}"\nmsgstr "{spanish}"\n')


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
            '{% block title %}{{ _("Our hours") }}{% endblock %}\n'
            '{% block main %}<h1>{{ _("Our hours") }}</h1>{% endblock %}\n',
        ),
        words("Our hours", "Nuestro horario"),
    ],
    "email": [
        Line(
            "emails/hello.jinja",
            "",
            '{% set subject = _("Hello again") %}\n'
            '{% set preheader = _("When and where.") %}\n{% set footer = "" %}\n'
            "{{ h1(subject) }}\n",
        ),
        Line(
            "belong_mail/accounts/tasks.py",
            "writes(PASSKEY_CHANGED)(as_posted)\n",
            'writes("hello")(as_posted)\n',
        ),
        Line(
            "belong_mail/accounts/tasks.py",
            "    post_to(work.session, work.keys, PASSKEY_CHANGED, account, what=asked.what)\n",
            '    post_to(work.session, work.keys, "hello", account)\n',
        ),
        words("Hello again", "Hola otra vez"),
        Line("tests/emails/given.py", '        "right-ends": [{}],\n', '        "hello": [{}],\n'),
    ],
    "job": [
        Line(
            "belong_mail/accounts/jobs.py",
            "from belong_mail.core.jobs import SealedJob\n",
            '\n\n@dataclass(frozen=True)\nclass CloseGroup(SealedJob, kind="close-group"):\n'
            "    by: str\n    group: str\n    note: str\n",
        ),
        Line(
            "belong_mail/accounts/tasks.py",
            'CHANGES = ("added", "removed")\n',
            "\n\n@does(CloseGroup)\ndef close_group(work: Work, asked: CloseGroup) -> None:\n"
            "    proven.office(work, asked.by)\n"
            '    proven.named_group(work, asked.group).note = {"en": asked.note}\n',
        ),
        Line(
            "belong_mail/accounts/tasks.py",
            "from sqlalchemy.orm import Session\n",
            "from belong_mail.accounts.jobs import CloseGroup\n",
        ),
    ],
    "field": [
        Line(
            "belong_mail/office/forms.py",
            '    submit = SubmitField(_l("Send the invitation"))\n',
            '    phone = StringField(_l("Phone number"))\n',
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
        words("Phone number", "Número de teléfono"),
    ],
    "type of question": [
        Line(
            "belong_mail/groups/questions.py",
            "QUESTION_TYPES = {\n",
            '    "wish": QuestionType(gettext_noop("Three wishes"), _own_words),\n',
        ),
        words("Three wishes", "Tres deseos"),
    ],
    "check": [
        Line(
            "belong_mail/monitoring/checks.py",
            "CHECKS: Final = (\n",
            '    Check(name="hours", query=measures.OLDEST_DUE, limit=HOUR, wrong="Late",'
            ' todo="Look.", emails=True),\n',
        ),
        Line(CHECKS, '        "emails": {\n', '            "hours",\n'),
    ],
}
# Most files of a recipe, with the catalog of one language and without tests.
FILES = {"page": 3, "field": 5, "email": 3, "job": 2, "type of question": 2, "check": 1}
TRIED = '''"""Tries what was added."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from belong_mail.accounts import jobs
from belong_mail.accounts.models import OFFICE
from belong_mail.core.db import now
from belong_mail.groups.models import Group, Question
from belong_mail.monitoring.checks import wrong
from belong_mail.monitoring.measures import Site
from tests.browser_client import link_to, text_of
from tests.clients import signed_in
from tests.scenario import ADA

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LEAD, OF_OFFICE = "lead@dpsk12.org", "office@dpsk12.org"


def ask(scenario, job):
    with scenario.services.writing.begin() as session:
        job.ask(session, scenario.services.sealer)
    scenario.worker.drain()


def test_page(visitor):
    assert "Our hours" in visitor.client.get("/hours").text
    assert visitor.client.get("/closed").location == "/sign-in", "not for strangers"


def test_email(scenario):
    scenario.invite_lead(LEAD)
    ask(scenario, jobs.TellPasskeyChanged(scenario.account(LEAD).public_id, "added"))
    assert "Hello again" in [mail["Subject"] for mail in scenario.mails(LEAD)]


def test_job(scenario):
    scenario.invite_office(OF_OFFICE)
    group = scenario.query(select(Group).order_by(Group.id))[0]
    ask(scenario, jobs.CloseGroup(scenario.account(OF_OFFICE).public_id, group.public_id, "closed"))
    ask(scenario, jobs.CloseGroup("nobody", group.public_id, "a stranger closed it"))
    assert scenario.query(select(Group.note).where(Group.id == group.id)) == [{"en": "closed"}]


def test_field(app, scenario):
    scenario.invite_office(OF_OFFICE)
    office, right = signed_in(app, scenario.keyring, OF_OFFICE), {"groups": OFFICE}
    typed = {"name": "Sam, ", "email": ADA, "language": "en", "phone": "303 555"}
    assert office.send("/office/leads/invite", **right, **typed).status_code == 303
    scenario.worker.drain()
    assert scenario.account(ADA).name == "Sam,303 555"


def test_type_of_question(scenario):
    scenario.invite_lead(LEAD)
    with scenario.services.writing.begin() as session:
        group = session.scalars(select(Group.id).where(Group.slug == "the-village")).one()
        session.add(Question(group_id=group, position=9, kind="wish", label={"en": "Wish?"}))
    scenario.ask(introduce_me="y", **{"question-9": "Tea"})
    scenario.visitor.follow(link_to(scenario.mails(ADA)[-1], "confirm"))
    scenario.worker.drain()
    assert "Tea" in text_of(scenario.mails(LEAD)[-1])


def test_check(scenario, clock):
    assert scenario.visitor.join("the-village", ADA).status_code == 303
    scenario.worker.read_jobs()
    for hours, told in ((1, []), (1, ["hours"])):
        with scenario.services.reading.begin() as session:
            found = wrong(Site(session, scenario.services.settings, now()))
            assert [each.name for each in found if each.name == "hours"] == told
        clock.shift(timedelta(hours=hours, minutes=1))
'''
# Tests that fail for a recipe that is not followed to its end.
HOUSE = (
    "tests/test_house.py::test_every_email_is_one_file_and_has_a_writer",
    "tests/test_rooms.py",
    "tests/test_untranslated.py",
    "tests/core/test_languages.py::test_every_sentence_is_in_the_catalog_and_nothing_else",
    "tests/emails/test_every_email.py::test_each_link_of_an_email_opens_what_its_words_say",
    "tests/emails/test_words_of_people.py::test_the_table_has_every_email_and_enough_strings",
    "tests/monitoring/test_alert_rules.py::test_the_rules_are_written_down",
    f"{CHECKS}::test_each_check_is_emailed_shown_to_the_office_or_stops_forms_as_it_should",
)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_touches_few_files_and_two_lines_of_code_outside_its_room(name):
    product = [each for each in RECIPES[name] if not each.file.startswith("tests/")]
    code = [each for each in product if each.file.startswith("belong_mail/")]
    [(room, _)] = Counter(Path(each.file).parent for each in code).most_common(1)
    elsewhere = [
        line
        for each in code
        if not each.file.startswith(str(room))
        for line in each.added.splitlines()
        if line
    ]
    assert len(elsewhere) <= 2
    assert len({each.file for each in product}) <= FILES[name]
    assert all(each.added in each.put_into(ROOT) for each in RECIPES[name])


@night("recipes in a copy")
@pytest.mark.timeout(400)
def test_recipes_are_all_that_it_takes():
    with copied_checkout() as root:
        for each in (line for lines in RECIPES.values() for line in lines):
            (root / each.file).write_text(each.put_into(root))
        (root / "tests/test_tried.py").write_text(TRIED)
        python, quiet = [sys.executable, "-B", "-m"], ["-q", "--tb=short", "tests/test_tried.py"]
        subprocess.run([*python, "tests.monitoring.rules"], cwd=root, check=True)
        tried = subprocess.run(
            [*python, "pytest", *quiet, *HOUSE],
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert tried.returncode == 0, tried.stdout[-3000:]
