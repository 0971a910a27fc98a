"""Ten thousand reports at once keep nobody waiting who asks for something."""

from typing import Any

from sqlalchemy import func, insert, select

from belong_mail.parts import Parts
from belong_mail.returns import service as returns
from belong_mail.subscriptions.models import Request
from tests.marks import on_sqlite
from tests.people import Visitor
from tests.returns.mail import bounce
from tests.returns.village import ADA, VILLAGE, Village


@on_sqlite
def test_who_asks_to_join_comes_before_what_came_back(village: Village, visitor: Visitor) -> None:
    village.enter(*(f"member{number}@dpsk12.org" for number in range(150)))
    issue = village.issue()
    with village.parts.writing.begin() as session:
        for each in village.relay.accepted:
            message = bounce(each.return_path, each.recipient)
            returns.take(session, village.parts.sealer, each.return_path, message)
    visitor.join(VILLAGE, ADA)
    village.worker.step()
    assert village.books(issue)["bounced"] < 150
    village.worker.engine.finish()
    assert [mail["Subject"] for mail in village.relay.to(ADA)] != []
    village.worker.drain()
    assert village.books(issue) == {"recipients": 150, "bounced": 150}


@on_sqlite
def test_a_flood_that_nobody_reads_is_left_to_the_mail_server(cli: Any, parts: Parts) -> None:
    """It keeps them, and the disk is not filled."""
    with parts.writing.begin() as session:
        session.execute(insert(Request), [{"kind": returns.KIND, "sealed": b"x"}] * 9_999)
    assert cli.invoke(args=["inbound"], input=b"The last").exit_code == 0
    refused = cli.invoke(args=["inbound"], input=b"One too many")
    assert (refused.exit_code, "Too many" in refused.output) == (1, True)
    with parts.reading.begin() as session:
        assert session.scalar(select(func.count(Request.id))) == 10_000
