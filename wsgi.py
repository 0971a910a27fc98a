"""The entry point of the web server and the `flask` command; reads the settings."""

import logging
import os
import sys

from belong_mail.core import memory
from belong_mail.ops import launcher

if (arguments := launcher.worker_arguments(sys.argv)) is not None:
    launcher.exec_worker(arguments)

# Below, for a worker needs nothing of this: it starts sooner, in a third less memory.
from config import Config, InvalidSettings

try:
    memory.disable_core_dumps()
    config = Config.read(os.environ)
except InvalidSettings as error:
    sys.exit(str(error))
if not config.is_development:
    memory.hide()

if (arguments := launcher.command_arguments("web", sys.argv)) is not None:
    launcher.web_command(lambda: config).main(arguments, prog_name="flask web")

# Below, for only the processes that the web server starts load the pages.
from flask import Flask

from belong_mail.app import create_app
from belong_mail.core import logs

app = create_app(config)


def serve() -> Flask:
    """Begin to answer, in a process of granian's."""
    logs.configure(config.log_format, "web")
    logs.event(logging.getLogger("belong_mail"), logging.INFO, "started", process=os.getpid())
    return app
