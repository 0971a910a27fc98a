"""What a leader does to write an issue and to send it."""

from tests.browser_client import Form, Visitor


def begin(lead: Visitor, slug: str = "the-village") -> str:
    """Begin a draft and return its page."""
    token = Form(lead.open("/lead/").text).fields["csrf_token"]
    answer = lead.press(f"/lead/groups/{slug}/newsletters", csrf_token=token)
    assert answer.status_code == 303
    return str(answer.location)


def write(lead: Visitor, **words: str) -> str:
    page = begin(lead)
    given = {"subject": "Tea on Friday", "text": "Dear {first_name},\n\ncome to **tea**."}
    assert lead.send(page, **{**given, **words}).status_code == 303
    return page


def act(lead: Visitor, page: str, verb: str, status: int = 303) -> None:
    token = Form(lead.open("/lead/").text).fields["csrf_token"]
    assert lead.press(f"{page}/{verb}", csrf_token=token).status_code == status
