"""Shared by the tests of newsletters: members, in one line."""

import pytest

from tests.factories import make_members


@pytest.fixture
def members(services, keyring):

    def enroll(number: int, slug: str = "the-village") -> None:
        with services.writing.begin() as session:
            make_members(session, keyring, number, slug)

    return enroll
