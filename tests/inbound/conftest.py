"""Shared by tests of returns: members of The Village whose mail may come back."""

import pytest

from tests.inbound.scenario import BounceScenario


@pytest.fixture
def scenario(scenario) -> BounceScenario:
    return BounceScenario(**vars(scenario))
