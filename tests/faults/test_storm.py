"""Kills at random moments of an issue to 1,000 members at night, and with faults each time."""

import os
import secrets

import pytest

from tests.faults.scene import Scene
from tests.faults.storm import Storm
from tests.markers import night

# 20 at night, 40 in that of `.ci/run`, any number by `python -m tests.faults`.
KILLS = int(os.environ.get("KILLS", "20"))
DATABASES = 2


SEED = int(os.environ.get("SEED", secrets.randbelow(10**6)))


def blow(storm: Storm, scene: Scene) -> None:
    wrong = storm.blow(scene)
    assert wrong == [], f"Repeat it: python -m tests.faults {KILLS} --seed {SEED}"


@night("faults")
@pytest.mark.timeout(900)
def test_kills_at_random_moments_lose_nothing(scene):
    storm = Storm(SEED, kills=KILLS // DATABASES)
    blow(storm, scene)
    assert storm.killed > storm.kills / 2


@pytest.mark.timeout(900)
def test_kills_and_faults_at_random_moments_lose_nothing(scene):
    blow(Storm(SEED, recipients=200, kills=5, share_of_faults=0.05), scene)
