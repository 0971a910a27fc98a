"""Messages that are hard to read, by cause: what they are, whether for good, whom to let go."""

import pytest

from belong_mail.mail.bounces.parser import parse_report
from tests.bounce_parsing.blind import BLIND
from tests.bounce_parsing.builders import Case
from tests.bounce_parsing.causes import CAUSES
from tests.bounce_parsing.fresh import FRESH
from tests.bounce_parsing.samples import said
from tests.bounce_parsing.servers import SERVERS
from tests.bounce_parsing.strangers import STRANGERS


@pytest.mark.parametrize("case", [*CAUSES, *SERVERS, *STRANGERS, *FRESH, *BLIND], ids=str)
def test_a_message_is_read_for_what_it_is(case: Case) -> None:
    assert said(parse_report(case.data))[:3] == case.expected
