"""Messages that are hard to read, by cause: what they are, whether for good, whom to let go."""

import pytest

from belong_mail.mail.bounces.parser import parse_report
from tests.reports.builders import Case
from tests.reports.causes import CAUSES
from tests.reports.fresh import FRESH
from tests.reports.samples import said
from tests.reports.servers import SERVERS
from tests.reports.strangers import STRANGERS


@pytest.mark.parametrize("case", [*CAUSES, *SERVERS, *STRANGERS, *FRESH], ids=str)
def test_a_message_is_read_for_what_it_is(case: Case) -> None:
    assert said(parse_report(case.data))[:3] == case.expected
