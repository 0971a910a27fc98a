"""Ten thousand reports at once keep nobody waiting who asks for something."""

import os
from io import BytesIO

import pytest
from sqlalchemy import func, insert, select

from belong_mail.core import jobs
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import WorkerLimit
from belong_mail.inbound import pipe
from belong_mail.worker.loop import RETURNED_AT_ONCE
from tests.database import query
from tests.inbound.mail import bounce, hand_back
from tests.inbound.scenario import ADA, VILLAGE
from tests.markers import on_sqlite
from tests.processes import feed


@on_sqlite
def test_a_request_to_join_is_read_before_returned_email(scenario, visitor):
    scenario.add_many(110)
    issue = scenario.issue()
    for each in scenario.relay.accepted:
        hand_back(scenario.services, each.return_path, bounce(each.return_path, each.recipient))
    visitor.join(VILLAGE, ADA)
    scenario.worker.step()
    assert scenario.books(issue)["bounced"] == RETURNED_AT_ONCE
    scenario.worker.engine.finish()
    assert [mail["Subject"] for mail in scenario.relay.to(ADA)] != []
    with scenario.services.reading.begin() as session:
        read = session.get_one(WorkerLimit, jobs.FLOOD).used_until
    scenario.worker.drain()
    assert scenario.books(issue) == {"recipients": 110, "bounced": 110}
    with scenario.services.reading.begin() as session:
        assert session.get_one(WorkerLimit, jobs.FLOOD).used_until == read, "No flood of forms."


@pytest.mark.parametrize(("waiting", "octets"), [(9_999, 1), (399, 250_000)], ids=["many", "large"])
def test_a_flood_that_nobody_reads_is_left_to_the_mail_server(
    waiting, octets, cli, services, environment, capsys
):
    """It keeps them, and the disk is not filled."""
    row = {"kind": pipe.RETURNED, "sealed": b"x" * octets}
    with services.writing.begin() as session:
        session.execute(insert(Job), [row] * waiting)
    last = b"x" * 200_000
    assert cli.invoke(args=["inbound"], input=last).exit_code == 0
    refused = cli.invoke(args=["inbound"], input=last)
    assert (refused.exit_code, "Too many" in refused.output) == (1, True)
    assert pipe.main([], environment, BytesIO(last)) == os.EX_TEMPFAIL
    assert "Too many" in capsys.readouterr().err
    small = cli.invoke(args=["inbound"], input=b"x" * 1_000)
    assert small.exit_code == (octets == 1), "there is room for a small one"
    assert query(services, select(func.count(Job.id)))[0] == waiting + 1 + (octets > 1)


def test_email_to_a_return_path_that_we_did_not_sign_is_refused(environment, scenario, cli):
    """A stranger without email of ours cannot fill the disk; the mail server says: no such user."""
    issue, path = scenario.one_copy()
    forged = f"b+{int(path[2:34], 16) ^ 1:032x}@example.org"
    done = feed(environment, bounce(forged, ADA), "inbound", forged)
    assert (done.returncode, done.stdout, done.stderr) == (67, b"", b"")
    for address in (forged.upper(), "b+00@example.org", "b+@example.org", f"<{forged}>"):
        result = cli.invoke(args=["inbound", address], input=bounce(address, ADA))
        assert (result.exit_code, result.output) == (67, "")
    assert query(scenario.services, select(func.count(Job.id)))[0] == 0
    done = feed(environment, bounce(path, ADA), "inbound", path.upper())
    assert (done.returncode, done.stderr) == (0, b"")
    for arguments in (["b@example.org"], []):
        result = cli.invoke(args=["inbound", *arguments], input=bounce(path, ADA))
        assert (result.exit_code, result.output) == (0, "")
    scenario.worker.drain()
    assert scenario.books(issue) == {"recipients": 1, "bounced": 1}
