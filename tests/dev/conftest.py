"""Checkouts for the tests of dev.py: small ones whose packages lie beside them, and real ones."""

import os
from collections.abc import Callable

import pytest

from tests.dev.checkout import Checkout, copy_dev_alone, pythons
from tests.dev.wheels import make_wheels

NewCheckout = Callable[..., Checkout]


@pytest.fixture(scope="session")
def new_checkout(tmp_path_factory: pytest.TempPathFactory) -> NewCheckout:
    """Make checkouts with dev.py, locks of three small packages, and no network."""
    wheels = tmp_path_factory.mktemp("wheels")
    locks = make_wheels(wheels)

    def make(python: str = pythons()[0]) -> Checkout:
        checkout = Checkout(tmp_path_factory.mktemp("machine"), python)
        copy_dev_alone(checkout, locks)
        checkout.env |= {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": str(wheels),
            "PIP_NO_INDEX": "1",
        }
        return checkout

    return make


@pytest.fixture
def checkout(new_checkout: NewCheckout) -> Checkout:
    """Return a checkout where nothing was ever started."""
    return new_checkout()


@pytest.fixture(scope="session")
def _ready(new_checkout: NewCheckout) -> Checkout:
    checkout = new_checkout()
    assert checkout.dev("test", "--version").returncode == 0
    return checkout


@pytest.fixture
def ready(_ready: Checkout) -> Checkout:
    """Return a checkout that is set up; do it no harm."""
    _ready.forget()
    return _ready
