"""What an intruder in the web writes so that nobody hears, and what the operator then hears."""

from sqlalchemy import text

from tests.browser_client import text_of
from tests.factories import group_named
from tests.markers import OPERATOR, on_both
from tests.scenario import VILLAGE, drain_in

by_the_role = on_both("rights of the web's role")
FAILED = "looks up an address failed"
NOT_ACCEPTED = "UPDATE rights SET accepted_at = NULL"
# Changes that the web may make, on PostgreSQL too, once the worker has decided on an email.
SILENCERS = {
    "the group": "UPDATE groups SET ends_at = '2020-01-01', established_at = NULL",
    "words of ours": "UPDATE groups SET is_discreet = :yes, identifying_words = :words",
    "the right": "UPDATE rights SET accepted_at = NULL, ends_at = '2020-01-01'",
    "their language": "UPDATE accounts SET language = 'zz'",
}


def silence(scenario, statement: str) -> None:
    values = {"yes": True, "no": False, "words": '{"en": "request\\nlink\\nconfirm"}'}
    given = {name: value for name, value in values.items() if f":{name}" in statement}
    with scenario.services.writing.begin() as session:
        session.execute(text(statement), given)


def hear(scenario) -> str:
    """Let the worker look again two minutes later; return the one alert of the operator's."""
    drain_in(scenario.worker, minutes=2)
    [mail] = scenario.relay.to(OPERATOR)
    return f"{mail['Subject']}\n{text_of(mail)}"


def ids(scenario, address: str) -> tuple[str, str]:
    """Return the public ids of an account and of The Village."""
    with scenario.services.reading.begin() as session:
        return scenario.account(address).public_id, group_named(session, VILLAGE).public_id
