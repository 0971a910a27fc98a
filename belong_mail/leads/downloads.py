"""Answer with a group's content as one file, which is written before any of it is sent."""

import os
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import Final

from flask import Response, request
from sqlalchemy.orm import Session
from werkzeug.wsgi import wrap_file

from belong_mail.accounts.models import Account
from belong_mail.core.db import now
from belong_mail.core.rate_limits import EXPORT_RATE, try_use
from belong_mail.groups.models import Group
from belong_mail.leads.export import Export, download_name
from belong_mail.newsletters.downloads import POLICY
from belong_mail.web.context import limit_key, read_transaction, services

# Octets that stay in memory; what is longer goes into a file.
MAX_IN_MEMORY: Final = 1024 * 1024
# On a disk, while /tmp may be memory. A service has one of its own, by systemd's PrivateTmp.
DISK: Final = "/var/tmp"  # noqa: S108 - the file there has no name


def may_download(session: Session, account: Account) -> bool:
    """Count a download of one account: each takes the site some work."""
    key = limit_key(f"export/{account.public_id}")
    return try_use(session, key, EXPORT_RATE, now()) is not None


def download(group_id: int) -> Response:
    """Give a signed-in person what a group has published.

    What is long goes into a file without a name first: what cannot be written fails as a page,
    not much of it lies in memory, and no browser that takes its time keeps the database.
    """
    at, zone = now(), services().settings.timezone
    with ExitStack() as opened:
        folder = DISK if os.access(DISK, os.W_OK) else None
        file = opened.enter_context(SpooledTemporaryFile(MAX_IN_MEMORY, dir=folder))
        with read_transaction() as session:
            Export(session, session.get_one(Group, group_id), zone, at, file).write()
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size <= MAX_IN_MEMORY:
            answer = Response(file.read(), mimetype="application/zip")
        else:
            content = wrap_file(request.environ, file)
            answer = Response(content, mimetype="application/zip", direct_passthrough=True)
            answer.content_length = size
            opened.pop_all()
    answer.headers.set("Content-Disposition", "attachment", filename=download_name(at, zone))
    answer.headers["Content-Security-Policy"] = POLICY
    return answer
