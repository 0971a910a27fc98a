"""Ten thousand reports at once keep nobody waiting who asks for something."""

from belong_mail.returns import service as returns
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
