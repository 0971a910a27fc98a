"""The first process of the web server in production: granian, hidden from its user's others."""

from granian.cli import entrypoint

from belong_mail.core import memory

if __name__ == "__main__":
    memory.hide()
    entrypoint()  # type: ignore[no-untyped-call]
