"""Attaching a flyer to an issue, as its leader does."""

import io

from werkzeug.test import TestResponse

from tests.browser_client import Visitor


def attach(
    lead: Visitor, page: str, content: bytes, title: str = "Tea on Friday", name: str = "ada.pdf"
) -> TestResponse:
    return lead.send(f"{page}/flyers", flyer=(io.BytesIO(content), name), title=title)
