"""Shared by tests of returns: members of The Village whose mail may come back."""

import pytest

from tests.inbound.scenario import BounceScenario
from tests.scenario import Scenario


@pytest.fixture
def scenario(scenario: Scenario) -> BounceScenario:
    return BounceScenario(**vars(scenario))
