"""Other senders of the same message: Postfix's smtp-source, nodemailer's pool, GNU Mailman 3."""

import shutil
from pathlib import Path

from tests.bench.rig import child, tools
from tests.bench.rig.letter import Letter
from tests.bench.rig.product import Sent
from tests.bench.rig.sinks import Sink

FROM, TO = "news@lists.example.org", "member@example.org"
POOL = Path(__file__).with_name("pool.js")


def smtp_source(sink: Sink, letter: Letter, messages: int) -> Sent:
    """Send a finished message so often by the C program; connections are kept (-d)."""
    program = tools.program("usr/sbin/smtp-source")
    command = [program.path, "-d", "-s", str(sink.connections), "-F", str(letter.eml)]
    command += ["-f", FROM, "-t", TO]
    target = f"127.0.0.1:{sink.port}"
    idle = child.run([*command, "-m", str(sink.connections), target], program.environment())
    busy = child.run([*command, "-m", str(messages), target], program.environment())
    return Sent.of(messages - sink.connections, busy, idle)


def nodemailer(sink: Sink, letter: Letter, messages: int) -> Sent:
    """Send by a pool of as many connections, each message built for its recipient."""
    folder, node = tools.nodemailer(), shutil.which("node")
    if folder is None or node is None:
        raise tools.NotHere("nodemailer is not installed here.")
    parts = {"text": letter.eml.with_suffix(".txt"), "html": letter.eml.with_suffix(".html")}
    parts["text"].write_text(letter.part("plain"))
    parts["html"].write_text(letter.part("html"))
    env = {**tools.Program("").environment(), "NODE_PATH": str(folder / "node_modules")}
    command = [node, str(POOL), str(sink.port), str(sink.connections)]
    command += [str(parts["text"]), str(parts["html"])]
    idle = child.run([*command, str(sink.connections)], env)
    busy = child.run([*command, str(messages)], env)
    return Sent.of(messages - sink.connections, busy, idle)
