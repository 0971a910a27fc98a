"""What the worker does when somebody wants to sign in: mails the link, if they lead a group."""

import json
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.accounts import inviting
from belong_mail.accounts.models import Account, SignIn
from belong_mail.db import now
from belong_mail.mail import address as addresses
from belong_mail.outbox import service as outbox
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.sending.models import Delivery, State
from belong_mail.sending.writing import NotSent
from belong_mail.subscriptions.models import Request
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.subscriptions.service import SEALED
from belong_mail.tokens import Purpose

KIND = "sign-in"
LANGUAGE = "deliveries.sealed_arguments"
RATE = limits.Rate(5, timedelta(hours=1))


def receive(session: Session, keyring: Keyring, request: Request) -> None:
    """Mail a link to a lead; to anybody else, say nothing."""
    wanted = json.loads(keyring.opener.open(request.sealed or b"", SEALED))
    key = keyring.index.account(addresses.normalise(wanted["address"]))
    account = session.scalar(select(Account).where(Account.address_index == key))
    if account is None:
        return
    at = now()
    if limits.admit(session, b"sign-in" + key, RATE, at) > at:
        return
    browser_hash = bytes.fromhex(wanted["browser_hash"])
    sign_in = SignIn(account_id=account.id, browser_hash=browser_hash)
    session.add(sign_in)
    session.flush()
    language = keyring.opener.wrap(wanted["language"].encode(), LANGUAGE, sign_in.public_id)
    outbox.post(
        session, KIND, account_id=account.id, about_id=sign_in.id, sealed_arguments=language
    )


def letter(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Write the link, in the language of the form; after ten minutes it is not worth sending."""
    sign_in = session.get(SignIn, delivery.about_id)
    account = session.get(Account, delivery.account_id)
    if sign_in is None or account is None or sign_in.used_at is not None:
        raise NotSent(State.WITHDRAWN)
    language = desk.opener.unwrap(
        delivery.sealed_arguments or b"", LANGUAGE, sign_in.public_id
    ).decode()
    link = desk.links.signed(
        "sign_in.confirm", Purpose.SIGN_IN, sign_in.public_id, sign_in.created_at, language
    )
    return Letter(
        to=inviting.address_of(desk.opener, account),
        language=language,
        context={"sign_in_url": link},
    )
