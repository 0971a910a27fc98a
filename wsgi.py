"""The entry point of the web server and the `flask` command; reads the settings."""

import gc
import logging
import os
import sys

from belong_mail.core import memory
from config import Config, InvalidSettings

try:
    gc.disable()  # until all is loaded: collecting garbage would take a twentieth of the start
    memory.disable_core_dumps()
    config = Config.read(os.environ)
except InvalidSettings as error:
    sys.exit(str(error))
if not config.is_development:
    memory.hide()

from flask import Flask

from belong_mail.core import logs
from belong_mail.core.services import make_services
from belong_mail.ops import cli


def create_app() -> Flask:
    """Create the app for commands, without pages."""
    app = Flask("belong_mail")
    app.extensions["belong"] = make_services(config)
    cli.register(app.cli)
    gc.freeze()  # or the first collection would look through all that was loaded
    gc.enable()
    return app


def serve() -> Flask:
    """Create the app in a web process of granian's."""
    from belong_mail import app  # noqa: PLC0415 - the pages are a third of what a command loads

    logs.configure(config.log_format, "web")
    logs.event(logging.getLogger("belong_mail"), logging.INFO, "started", process=os.getpid())
    served = app.create_app(config)
    gc.freeze()  # what was loaded stays, and looking through it would stop requests for 80 ms
    gc.enable()
    return served
