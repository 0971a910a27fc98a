"""An account of the district has no passkey here: what the district ends, ends here too."""

from flask import Flask

from belong_mail.core.audit import Kind
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.accounts.passkeys import PAGE, add, sign_in_by, trail
from tests.browser_client import Visitor
from tests.district import trips
from tests.servers.authenticator import Authenticator


def test_a_passkey_signs_nobody_in_who_has_switched_to_the_district(
    lead: Visitor, app: Flask, worker: Worker, services: Services
) -> None:
    device = Authenticator()
    assert add(lead, device).status_code == 303
    assert trips.link(lead).status_code == 303
    worker.drain()
    assert sign_in_by(Visitor(app.test_client()), device).status_code == 403
    assert trail(services, Kind.SIGN_IN_REFUSED) == ["passkey-district"]


def test_who_has_switched_to_the_district_is_offered_none_and_adds_none(linked: Visitor) -> None:
    assert "Sign in without email" not in linked.open("/lead/").text
    page = linked.open(PAGE).text
    assert "You sign in with your DPS account" in page
    assert "Add a passkey" not in page
    assert add(linked, Authenticator()).status_code == 422
