"""The page where a group's content is taken away as one file, written before any is sent."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import Final

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session
from werkzeug.wsgi import wrap_file

from belong_mail.accounts.models import Account
from belong_mail.accounts.session import signed_in
from belong_mail.core import audit
from belong_mail.core.db import now
from belong_mail.core.rate_limits import EXPORT_RATE, try_use
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import group_view
from belong_mail.leads import export
from belong_mail.newsletters.downloads import POLICY
from belong_mail.web.context import limit_key, read_transaction, services, transaction

# Octets that stay in memory; what is longer goes into a file.
MAX_IN_MEMORY: Final = 1024 * 1024
# On a disk, while /tmp may be memory. A service has one of its own, by systemd's PrivateTmp.
DISK: Final = "/var/tmp"  # noqa: S108 - the file there has no name


def offer(
    find: Callable[[Session, Account, str], Group], group_id: str, template: str
) -> ResponseReturnValue:
    """Say on GET what the file of a group holds; on POST record who takes it, and give it.

    The address names the group by its opaque id: browsers write it into the file that they save.
    """
    with transaction() as session:
        group = find(session, signed_in(), group_id)
        if request.method != "POST":
            shown = group_view(group, str(get_locale()))
            issues = export.count_issues(session, group)
            return render_template(template, group=shown, issues=issues)
        # Each download takes the site some work.
        key = limit_key(f"export/{signed_in().public_id}")
        if try_use(session, key, EXPORT_RATE, now()) is None:
            return redirect(url_for(".export", group_id=group_id, later=1), 303)
        audit.record(session, audit.Kind.EXPORTED, group=group)
    return _download(group.id)


def _download(group_id: int) -> Response:
    """Give a signed-in person what a group has published.

    What is long goes into a file without a name first: what cannot be written fails as a page,
    not much of it lies in memory, and no browser that takes its time keeps the database.
    """
    at, zone = now(), services().settings.timezone
    with ExitStack() as opened:
        folder = DISK if os.access(DISK, os.W_OK) else None
        file = opened.enter_context(SpooledTemporaryFile(MAX_IN_MEMORY, dir=folder))
        with read_transaction() as session:
            export.Export(session, session.get_one(Group, group_id), zone, at, file).write()
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size <= MAX_IN_MEMORY:
            answer = Response(file.read(), mimetype="application/zip")
        else:
            content = wrap_file(request.environ, file)
            answer = Response(content, mimetype="application/zip", direct_passthrough=True)
            answer.content_length = size
            opened.pop_all()
    answer.headers.set("Content-Disposition", "attachment", filename=export.download_name(at, zone))
    answer.headers["Content-Security-Policy"] = POLICY
    return answer
