"""What a page costs, in instructions: a busy machine does not change them."""

import re
import shutil

import pytest

from belong_mail.ops.demo_data import DEMO_LEAD, fill_demo
from tests.bench.rig.instructions import count
from tests.clients import sign_in_office, signed_in
from tests.deploy.programs import IS_REQUIRED
from tests.markers import night, on_sqlite

# Million instructions of a page on Python 3.11: a bound, or what was counted and a tenth.
MOST = {
    "healthz": 1.0,
    "privacy": 3.4,
    "directory": 8.0,
    "group": 10.7,
    "join": 14.6,
    "office": 13.1,
    "home": 17.3,
    "editor": 23.7,
}


def cookie(visitor):
    return f"belong={visitor.client.get_cookie('belong').value}"


@night("counts instructions")
@on_sqlite
@pytest.mark.timeout(600)
def test_a_page_costs_no_more_than_it_did(app, environment, services, keyring, tmp_path):
    if not (shutil.which("valgrind") and shutil.which("gcc")):
        (pytest.fail if IS_REQUIRED else pytest.skip)("NOT TESTED: instructions; no valgrind.")
    with services.writing.begin() as session:
        fill_demo(session, keyring)
    lead = signed_in(app, keyring, DEMO_LEAD)
    [draft] = re.findall(r'href="(/lead/newsletters/[\w-]+)"', lead.open("/lead/").text)
    is_lead = cookie(lead)
    pages = {
        "healthz": ("/healthz", ""),
        "privacy": ("/privacy", ""),
        "directory": ("/", ""),
        "group": ("/groups/the-village", ""),
        "join": ("/groups/the-village/join", ""),
        "office": ("/office/", cookie(sign_in_office(app, keyring))),
        "home": ("/lead/", is_lead),
        "editor": (draft, is_lead),
    }
    found = count(tmp_path, environment, pages)
    assert found.keys() == MOST.keys()
    assert not {name: number for name, number in found.items() if number > MOST[name]}, found
