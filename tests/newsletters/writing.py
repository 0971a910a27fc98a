"""What a leader does to write an issue and to send it."""


def begin(lead, slug: str = "the-village") -> str:
    """Begin a draft and return its page."""
    answer = lead.act(f"/lead/groups/{slug}/newsletters")
    assert answer.status_code == 303
    return str(answer.location)


def write(lead, **words: str) -> str:
    page = begin(lead)
    given = {"subject": "Tea on Friday", "text": "Dear {first_name},\n\ncome to **tea**."}
    assert lead.send(page, **{**given, **words}).status_code == 303
    return page


def act(lead, page: str, verb: str, status: int = 303) -> None:
    assert lead.act(f"{page}/{verb}").status_code == status
