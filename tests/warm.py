"""Work of a process of the tests before commands are forked from it: one worker's turn.

Commands and workers that are forked find modules loaded, classes mapped, catalogs read, templates,
URLs and statements compiled, as tests of one process do (`tests/compiled.py`). Imported by the fork
server alone (`tests/processes.py`).
"""

import gc
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from belong_mail.app import create_app
from belong_mail.core import encryption
from belong_mail.core.decryption import worker_keys
from belong_mail.core.services import Services
from belong_mail.groups import service as groups
from belong_mail.ops import schema
from belong_mail.worker.loop import Worker
from config import Config
from tests.compiled import compile_once
from tests.slowness import call_slow

# A command loads these when it is asked for, and not before.
COMMANDS = (
    "belong_mail.ops.commands", "belong_mail.newsletters.commands", "belong_mail.members.commands",
)  # fmt: skip


def warm_up(folder: Path) -> None:
    """Make an app and let a worker take a turn, with keys and a database of their own."""
    compile_once()
    call_slow()
    for name in COMMANDS:
        import_module(name)
    file = folder / "warm.db"
    file.touch()
    keys = encryption.new_keys()
    config = Config.read(
        {
            "BELONG_DATABASE_URL": f"sqlite:///{file}",
            "BELONG_STATE_FOLDER": f"{folder}/state",
            **{f"BELONG_{kind.upper()}_KEYS": keys[kind] for kind in keys},
        }
    )
    services: Services = create_app(config).extensions["belong"]
    schema.upgrade(services.engine)
    with services.writing.begin() as session:
        groups.seed(session)
    worker = Worker(services, worker_keys(config.private_keys, config.index_keys))
    worker.drain()
    worker.close()
    services.engine.dispose()


with TemporaryDirectory(prefix="belong-") as name:
    warm_up(Path(name))
# A child that looks for garbage passes over what it shares, and copies none of it.
gc.collect()
gc.freeze()
