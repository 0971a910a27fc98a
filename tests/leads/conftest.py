"""A signed-in lead of The Village."""

import pytest


@pytest.fixture
def settings() -> dict[str, str]:
    return {"BELONG_COPY_TO_OFFICE": "yes"}
