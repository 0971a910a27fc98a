"""Adding a passkey, signing in by one, and what the trail says of it."""

from typing import Any

from sqlalchemy import func, select

from belong_mail.accounts.models import Passkey
from tests.browser_client import Form
from tests.db_dump import trail

LEAD = "lead-of-the-village@dpsk12.org"
PAGE, REMOVE, OPTIONS = "/account", "/account/passkeys/remove", "/account/passkeys/options"
BEGIN, FINISH = "/sign-in/passkey", "/sign-in/passkey/finish"


def options_to_add(lead) -> dict[str, Any]:
    given = lead.press(OPTIONS, csrf_token=Form(lead.open(PAGE).text).fields["csrf_token"])
    assert given.status_code == 200
    return said_in(given)


def add(lead, device, **said: str):
    answer = {"name": "My phone", "answer": device.create(options_to_add(lead)), **said}
    return lead.press(PAGE, csrf_token=Form(lead.open(PAGE).text).fields["csrf_token"], **answer)


def token_of(phone) -> str:
    return str(Form(phone.open("/sign-in").text).fields["csrf_token"])


def asked(phone) -> dict[str, Any]:
    return said_in(phone.press(BEGIN, csrf_token=token_of(phone)))


def said_in(answer) -> dict[str, Any]:
    said: dict[str, Any] = answer.json or {}
    return said


def finish(phone, answer: str):
    return phone.press(FINISH, csrf_token=token_of(phone), answer=answer)


def sign_in_by(phone, device):
    return finish(phone, device.get(asked(phone)))


def details(services, kind) -> list[str | None]:
    return [each.detail for each in trail(services, kind)]


def is_in(phone) -> bool:
    return phone.open("/lead/").status_code == 200


def count(services) -> int:
    with services.reading.begin() as session:
        return session.scalar(select(func.count()).select_from(Passkey)) or 0
