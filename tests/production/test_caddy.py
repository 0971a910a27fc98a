"""The site behind Caddy in place of nginx: a member joins, leaves, and is not logged."""

import ssl

import pytest

from tests.browser.site import SLUG, link_in
from tests.deploy import caddy
from tests.markers import night
from tests.production.client import Client

pytestmark = night("installations")


@pytest.mark.parametrize("stage", ["sqlite"], indirect=True)
def test_a_member_joins_through_caddy(stage, tmp_path):
    address = "caddy@dpsk12.org"
    with caddy.running(tmp_path, stage.authority, stage.web_port) as running:
        visitor = Client(running.port, ssl.create_default_context(cafile=stage.authority.file))
        assert visitor.get("/").status_code == 200
        visitor.send(f"/groups/{SLUG}/join", email=address)
        visitor.send(link_in(stage.mail_to(address), "confirm"))
        stage.mail_to(address, 2)
    assert address not in running.log.read_text()
