"""The worker's functions about rights: invite, accept, end, notify.

An intruder in the web can seal these jobs in the name of an office account. So that account must
provably work for the office, only staff are invited, the number in a day is limited, and the whole
office is notified of each right.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, exists, not_, or_, select, update
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations, proven
from belong_mail.accounts import service as accounts
from belong_mail.accounts.jobs import (
    AcceptRights,
    EndRight,
    InviteAgain,
    InviteColleague,
    RestoreRight,
)
from belong_mail.accounts.models import (
    OFFICE,
    RIGHT_AGE,
    UNDO_STOP,
    Account,
    Right,
)
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import CLOCKS_DIFFER, ago, required
from belong_mail.core.decryption import DecryptionError, Keyring
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.i18n import NAMES as LANGUAGES
from belong_mail.core.rate_limits import (
    INVITATIONS_RATE,
    RIGHTS_CHANGED_RATE,
    SAME_INVITATION_RATE,
)
from belong_mail.core.retention import INVITATION_AGE
from belong_mail.core.tokens import link_hash
from belong_mail.delivery.mailer import post_to_address
from belong_mail.delivery.work import (
    Refused,
    StillLocked,
    Work,
    as_posted,
    does,
    each_minute,
    writes,
)
from belong_mail.groups.models import Group

CHANGED = "rights-changed"
ENDING = "right-ends"
writes(CHANGED, ENDING)(as_posted)
NAME_CHARACTERS = 80
# Events that the person concerned caused, or is notified of by another email.
ASKED_OR_ACCEPTED = ("invited", "accepted")
# The longest time that a right may last from now.
LONGEST = RIGHT_AGE + CLOCKS_DIFFER
# The longest time from an invitation to the end of a right that no one renewed.
UNRENEWED_AGE = INVITATION_AGE + LONGEST


@does(InviteColleague)
def receive_invitation(work: Work, asked: InviteColleague) -> None:
    """Create account and rights, email the invitation, and notify.

    The notice is sent even if the address has every right already, as its absence would show that.
    """
    by = proven.office(work, asked.by)
    work.require_staff(asked.address)
    session = work.session
    wanted = _places(session, asked.rights)
    if not wanted:
        raise Refused  # Otherwise a new account would show that the address had none.
    work.use(b"rights/invitations", INVITATIONS_RATE)
    account = invitations.get_account(session, work.keys, asked.address)
    rights = select(Right.id).where(Right.account_id == account.id)
    if session.scalar(rights.limit(1)) is None and asked.language in LANGUAGES:
        account.language = asked.language
    account.name = account.name or plain_name(asked.name)
    groups = [each for each in wanted if _ask(work, account, each)]
    for group in groups:
        kind = Kind.LEAD_INVITED if group else Kind.OFFICE_INVITED
        audit.record(session, kind, actor=by, account=account, group=group)
    if groups:
        invitations.post_invitation(session, work.keys, account)
    tell(work, "invited", account, wanted)


@does(InviteAgain)
def receive_repetition(work: Work, asked: InviteAgain) -> None:
    """Email open invitations again."""
    proven.office(work, asked.by)
    account = proven.account(work, asked.account)
    work.use(b"rights/invitations", INVITATIONS_RATE)
    work.use(b"rights/again/" + account.public_id.encode(), SAME_INVITATION_RATE)
    invitations.post_invitation(work.session, work.keys, account)


@does(AcceptRights)
def receive_acceptance(work: Work, asked: AcceptRights) -> None:
    """Record accepted rights in their proofs, with the waiting time, and notify.

    The link's secret, which no row has, proves that the invited person accepted. Rights accepted
    before stay as they are. If the secret is of an older invitation, the rights are open again for
    the newer one.
    """
    account, name = proven.account(work, asked.account), link_hash(asked.secret)
    wanted = _places(work.session, asked.rights)
    groups = [each for each in wanted if _accept(work, account, each, name)]
    if groups:
        tell(work, "accepted", account, groups)


@does(EndRight)
def receive_removal(work: Work, asked: EndRight) -> None:
    """Delete a right that the office or its holder has ended, and notify.

    A right that its leader gave up stays for `UNDO_STOP`, as an invitation that no link accepts,
    unless the office has removed it meanwhile.
    """
    session, opener, right = work.session, work.keys.opener, _named_right(work, asked)
    account, group = right.person, right.group
    if not right.is_over:
        is_own = group is not None and asked.by == asked.account and right.has_stopped
        if not (is_own and proven.is_accepted(opener, right)):
            raise Refused
        _give_up(work, right)
        return
    proven.office(work, asked.by, account)
    work.use(b"rights/changes", RIGHTS_CHANGED_RATE)  # if refused, `end_rights` deletes it
    session.delete(right)
    session.flush()
    tell(work, "removed", account, [group])


def _give_up(work: Work, right: Right) -> None:
    """End a right by its holder's own choice, with a week in which the office can undo it."""
    right.since, right.accepted_at, right.ends_at = work.at, None, work.at + UNDO_STOP
    right.reminded_at = work.at  # so that no one is asked to renew it
    proven.prove(work.keys.opener, right, invited_as=None)
    work.session.flush()
    tell(work, "stopped", right.person, [right.group])


@does(RestoreRight)
def receive_undoing(work: Work, asked: RestoreRight) -> None:
    """Give back a right that its holder had accepted and has given up, and notify.

    Members' addresses come a day later, as after any acceptance.
    """
    proven.office(work, asked.by)
    opener, right = work.keys.opener, _named_right(work, asked)
    is_in_time = right.since > work.at - UNDO_STOP
    if right.is_over or not (is_in_time and proven.is_given_up(opener, right)):
        raise Refused
    work.use(b"rights/invitations", INVITATIONS_RATE)
    right.since = right.accepted_at = work.at
    right.ends_at = work.at + RIGHT_AGE
    proven.prove(opener, right, work.at + invitations.WAIT_AFTER_ACCEPTING)
    tell(work, "restored", right.person, [right.group])


def _named_right(work: Work, asked: EndRight | RestoreRight) -> Right:
    """Find the right that a job names, without proving it."""
    account = proven.account(work, asked.account)
    # The office comes last, even if the web gave a group its name.
    *_, group = required(_places(work.session, [asked.right]) or None, Refused)
    return required(accounts.find_right(work.session, account, group), Refused)


def tell(work: Work, what: str, account: Account, groups: Sequence[Group | None]) -> None:
    """Email the office's inbox and staff, other leaders of the groups, and the person concerned.

    A person who has just accepted is not emailed. Proofs decide who works for the office and who
    leads, as the web could write rows. Leaders read only of groups that they lead.
    """
    session, keys = work.session, work.keys
    said: dict[str, Any] = {"what": what, "name": plain_name(account.name), "is_you": False}
    work.post(CHANGED, work.settings.contact_inbox, DEFAULT, **said, **_named(groups))
    of_office = proven.holders(session, keys.opener, None)
    told: dict[Account, list[Group | None]] = {one: [*groups] for one in of_office}
    for group in groups:
        for lead in proven.holders(session, keys.opener, group):
            if lead not in of_office:
                told.setdefault(lead, []).append(group)
    told.pop(account, None)
    for one, read in told.items():
        post_to(session, keys, CHANGED, one, **said, **_named(read))
    if what not in ASKED_OR_ACCEPTED:
        post_to(session, keys, CHANGED, account, **said | {"is_you": True}, **_named(groups))


_MAY_BE_OVER = or_(
    not_(accounts.HAS_NOT_ENDED),
    Right.ends_at > ago(-LONGEST),
    Right.ends_at.is_(None),
    Right.accepted_at.is_(None),
)


@each_minute("Rights go on", exists().where(_MAY_BE_OVER))
def end_rights(work: Work) -> None:
    """End rights that were removed or not renewed, and notify; the office's last ones stay.

    A removed right's proof is deleted, even if an intruder changed the row. A right that lasts too
    long gets an end within a year. A right that only lost `accepted_at` gets it back, as its proof
    is valid. A right that its leader gave up may come here before the job about it is read.
    """
    latest, latest_stop = work.at + RIGHT_AGE, work.at + UNDO_STOP + CLOCKS_DIFFER
    for right in _over(work, is_locked=True):
        if right.group and right.is_pending and work.at < (right.ends_at or latest) < latest_stop:
            _give_up(work, right)
            continue
        if not right.is_over:
            right.accepted_at = right.accepted_at or work.at
            right.ends_at = min(right.ends_at or latest, latest)
            continue
        account, group = right.person, right.group
        is_proven = proven.is_accepted(work.keys.opener, right)
        what = "removed" if right.is_pending else "ended"
        work.session.delete(right)
        work.session.flush()
        if is_proven:
            audit.record(work.session, Kind.RIGHT_ENDED, account=account, group=group)
            tell(work, what, account, [group])


@each_minute("A lock keeps rights from their end", exists().where(_MAY_BE_OVER))
def find_locked_rights(work: Work) -> None:
    """Raise StillLocked while a lock keeps rights from `end_rights`, to alert an operator."""
    if _over(work):
        raise StillLocked


def _over(work: Work, *, is_locked: bool = False) -> list[Right]:
    """List rights that have ended, last too long, or lost `accepted_at`.

    With `is_locked`, locks them for update, and skips rows that another transaction has locked.
    """
    found = select(Right).where(_MAY_BE_OVER)
    if is_locked:
        found = found.with_for_update(skip_locked=True)
    rights = work.session.scalars(found, execution_options={"populate_existing": True}).all()
    return [
        each  # the others are open invitations
        for each in rights
        if each.is_over or not each.is_pending or proven.is_accepted(work.keys.opener, each)
    ]


_IN_SERVICE = select(Group.id).where(Group.retired_at.is_(None))
_IS_ENDING_UNTOLD = and_(
    Right.ends_at < ago(-accounts.ENDS_SOON),
    # An older notice was about an earlier end.
    or_(Right.reminded_at.is_(None), Right.reminded_at < ago(accounts.ENDS_SOON)),
    or_(Right.group_id.is_(None), Right.group_id.in_(_IN_SERVICE)),
)


@each_minute("Rights end unseen", exists().where(_IS_ENDING_UNTOLD))
def tell_what_ends(work: Work) -> None:
    """Notify the office's inbox, once, that rights end soon."""
    ending = update(Right).where(_IS_ENDING_UNTOLD).values(reminded_at=work.at)
    if work.session.execute(ending.returning(Right.id)).all():
        work.post(ENDING, work.settings.contact_inbox, DEFAULT)


_IS_OLD = Right.since < ago(INVITATION_AGE)


@each_minute("Rights are renewed unseen", exists().where(_IS_OLD))
def tell_what_was_renewed(work: Work) -> None:
    """Notify the office's inbox and staff, in one email, that proven rights were renewed.

    The web may write `ends_at`, but not `since`, which is moved so that each renewal is told once.
    """
    session, keys = work.session, work.keys
    found = [each for each in session.scalars(select(Right).where(_IS_OLD)) if _is_longer(each)]
    renewed = {each.id: each for each in found if proven.is_accepted(keys.opener, each)}
    if not renewed:
        return
    moved = update(Right).where(Right.id.in_(renewed), _IS_OLD).values(since=work.at)
    rights = [renewed[each] for each in session.scalars(moved.returning(Right.id)).all()]
    people = [(plain_name(each.person.name), _named([each.group])["groups"]) for each in rights]
    said = {"what": "renewed", "renewed": people, "is_you": False, **_named([])}
    work.post(CHANGED, work.settings.contact_inbox, DEFAULT, **said)
    for one in proven.holders(session, keys.opener, None):
        post_to(session, keys, CHANGED, one, **said)


def _is_longer(right: Right) -> bool:
    """Return whether a right lasts longer than one that was accepted and never renewed."""
    return right.ends_at is not None and right.ends_at - right.since > UNRENEWED_AGE


def plain_name(name: str) -> str:
    """Remove all characters that a link needs, so that emails carry no intruder's link."""
    plain = "".join(each if each.isalnum() or each in " .,'’()&-" else " " for each in name)
    return " ".join(plain.replace(".", ". ").split())[:NAME_CHARACTERS]


def _places(session: Session, names: Collection[str]) -> list[Group | None]:
    """Return the groups of rights (`Right.place`) that are not retired, and None for the office."""
    found = select(Group).where(Group.public_id.in_(names), Group.retired_at.is_(None))
    groups = session.scalars(found.order_by(Group.position))
    return [*groups, *([None] if OFFICE in names else [])]


def _ask(work: Work, account: Account, group: Group | None) -> bool:
    """Invite an account to a right; return False if it has accepted it.

    The proof decides, as an invitation would replace it.
    """
    if proven.has_accepted(work.session, work.keys.opener, account, group):
        return False
    return invitations.ask_account(work.session, work.keys.opener, account, group).is_pending


def _accept(work: Work, account: Account, group: Group | None, invited_as: str) -> bool:
    """Record in a right's proof that it is accepted now; return False if it was before.

    Returns False for the secret of another invitation, too, and lets the newer one be accepted.
    """
    right = accounts.find_right(work.session, account, group)
    if right is None or right.is_pending:
        return False
    said = proven.opened_proof(work.keys.opener, right)
    if said is None or said["begins"] is not None:
        return False
    if said["invited_as"] != invited_as:
        if not right.is_over:
            right.accepted_at = right.ends_at = None
        return False
    wait = timedelta(0) if said["is_trusted"] else invitations.WAIT_AFTER_ACCEPTING
    proven.prove(work.keys.opener, right, work.at + wait)
    return True


def _named(groups: Sequence[Group | None]) -> dict[str, Any]:
    """Return the arguments by which an email names rights."""
    names = [each.names_in_emails for each in groups if each]
    return {"groups": names, "is_for_office": None in groups}


def post_to(session: Session, keyring: Keyring, kind: str, account: Account, **said: Any) -> None:
    """Queue an email to an account's owner; skip an account whose row was forged."""
    with suppress(DecryptionError):
        address = proven.address_of(keyring, account)
        post_to_address(session, keyring, kind, address, account.language, None, **said)
