"""Other senders of the same message: Postfix's smtp-source, Debian's mlmmj."""

import shutil
from pathlib import Path

from tests.bench.rig import child, tools
from tests.bench.rig.product import Sent

FROM, TO = "news@lists.example.org", "member@example.org"
MLMMJ_FOLDERS = ("bounce", "queue/discarded", "requeue", "incoming", "moderation", "text")


def smtp_source(sink, letter, messages: int) -> Sent:
    """Send a finished message so often by the C program; connections are kept (-d)."""
    program = tools.program("usr/sbin/smtp-source")
    command = [program.path, "-d", "-s", str(sink.connections), "-F", str(letter.eml)]
    command += ["-f", FROM, "-t", TO]
    target = f"127.0.0.1:{sink.port}"
    idle = child.run([*command, "-m", str(sink.connections), target], program.environment())
    busy = child.run([*command, "-m", str(messages), target], program.environment())
    return Sent.of(messages - sink.connections, busy, idle)


def mlmmj(sink, letter, messages: int, folder: Path) -> Sent:
    """Send one post to all members of a list by mlmmj-send, with a return path for each."""
    program = tools.program("usr/bin/mlmmj-send")
    costs = []
    for members in (sink.connections, messages):
        spool = _mlmmj_list(folder, sink.port, members)
        post = spool / "post"
        shutil.copyfile(letter.eml, post)
        command = [program.path, "-L", str(spool), "-m", str(post)]
        costs.append(child.run(command, program.environment()))
    idle, busy = costs
    return Sent.of(messages - sink.connections, busy, idle)


def _mlmmj_list(folder: Path, port: int, members: int) -> Path:
    """Make a list of mlmmj's from nothing: its folders, where it sends, and who is in it."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("archive", "control", "subscribers.d", *MLMMJ_FOLDERS):
        (folder / name).mkdir(parents=True)
    control = {"listaddress": FROM, "relayhost": "127.0.0.1", "smtpport": port, "delimiter": "+"}
    for name, value in control.items():
        (folder / "control" / name).write_text(f"{value}\n")
    (folder / "index").write_text("0\n")
    people = "".join(f"member-{each}@example.org\n" for each in range(members))
    (folder / "subscribers.d" / "m").write_text(people)
    return folder
