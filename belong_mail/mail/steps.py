"""Many messages over one connection, step by step, for a relay that takes no pipelining."""

from functools import partial
from typing import Final

from belong_mail.mail.address import AddressRefused
from belong_mail.mail.connection import Unreachable
from belong_mail.mail.dialogue import AnswerLost, Dialogue
from belong_mail.mail.feed import Feed, Parcel
from belong_mail.mail.message import MessageRefused

_CLOSING: Final = 421


def one_by_one(dialogue: Dialogue, feed: Feed, parcel: Parcel) -> None:
    """Send a parcel and those that follow, step by step, to a relay that takes no pipelining."""
    following: Parcel | None = parcel
    while following is not None:
        sending, following = following, None
        is_proven = dialogue.sent > 0
        try:
            reply = dialogue.send(sending.envelope, partial(feed.mark, sending))
        except (AddressRefused, MessageRefused):
            feed.unwritable(sending)
            may_go_on = True
        except AnswerLost:
            return feed.doubtful(sending)
        except Unreachable as error:
            is_old = is_proven and error.phase == "MAIL"
            return feed.unsaid(sending) if is_old else feed.broke(sending, error)
        else:
            if is_proven and (reply.verb, reply.code) == ("MAIL", _CLOSING):
                return feed.unsaid(sending)
            may_go_on = feed.answered(sending, reply)
        if may_go_on and dialogue.is_open:
            following = feed.take(0)
    return None
