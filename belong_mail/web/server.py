"""Run granian, the production web server, with memory hidden from other processes of its user."""

from granian.cli import entrypoint

from belong_mail.core import memory

if __name__ == "__main__":
    memory.hide()
    entrypoint()  # type: ignore[no-untyped-call]
