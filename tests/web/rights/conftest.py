"""The site on which rights are tried."""

import pytest
from flask import Flask

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.servers.smtp import Server
from tests.web.rights.site import Site, make_site


@pytest.fixture
def site(app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server) -> Site:
    return make_site(app, services, keyring, worker, relay)
