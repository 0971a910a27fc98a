"""The steps of these stories: wait for a group, and let it start."""

from tests.factories import launch_an_hour_ago
from tests.scenario import ADA, Scenario

SOON = "autoimmune"
PATH = f"/groups/{SOON}/tell-me"


def wait_for(scenario: Scenario, address: str = ADA, slug: str = SOON, **typed: str) -> None:
    """Ask to be told when a group starts; the worker keeps the note."""
    answer = scenario.visitor.send(f"/groups/{slug}/tell-me", email=address, **typed)
    assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/noted")
    scenario.worker.drain()


def launch(scenario: Scenario, slug: str = SOON) -> None:
    """Let a group start, an hour ago, so that those who wait are told."""
    with scenario.services.writing.begin() as session:
        launch_an_hour_ago(session, slug)
    scenario.worker.drain()
