"""What a leader does to write an issue and to send it."""

from tests.scenario import drain_in


def begin(lead, slug: str = "the-village") -> str:
    answer = lead.act(f"/lead/groups/{slug}/newsletters")
    assert answer.status_code == 303
    return str(answer.location)


def write(lead, slug: str = "the-village", **words: str) -> str:
    page = begin(lead, slug)
    given = {"subject": "Tea on Friday", "text": "Dear {first_name},\n\ncome to **tea**."}
    assert lead.send(page, **{**given, **words}).status_code == 303
    return page


def act(lead, page: str, verb: str, status: int = 303) -> None:
    assert lead.act(f"{page}/{verb}").status_code == status


def release(lead, page: str, worker) -> None:
    """Send an issue; the time to undo it passes."""
    assert lead.send(f"{page}/release", when="1").status_code == 303
    drain_in(worker, minutes=2)


def refused(lead, page: str) -> str:
    answer = lead.act(f"{page}/release", when="1")
    assert answer.status_code == 422
    return answer.text
