"""The entry point of the worker, which `flask --app wsgi worker` becomes; reads the settings."""

import gc
import os
import sys

from belong_mail.core import memory
from config import Config, InvalidSettings

if __name__ == "__main__":
    try:
        config = Config.read(os.environ)
    except InvalidSettings as refusal:
        sys.exit(str(refusal))
    if not config.is_development:
        memory.hide()
    gc.disable()  # until all is loaded: collecting garbage would take a twentieth of the start
    from belong_mail.worker.process import run_worker  # takes half a second, hidden by now

    run_worker(config, is_draining="--drain" in sys.argv)
