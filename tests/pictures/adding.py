"""Adding a picture to an issue, as its leader does."""

import io

from werkzeug.test import TestResponse

from tests.browser_client import Visitor


def add(
    lead: Visitor, page: str, content: bytes, name: str = "tea.png", says: str = "Tea"
) -> TestResponse:
    return lead.send(f"{page}/pictures", picture=(io.BytesIO(content), name), description=says)
