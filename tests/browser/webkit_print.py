"""Print pages in WebKit: `python3 webkit_print.py URL FILE URL FILE …`.

Its driver cannot print; Debian's own Python has the bindings (gir1.2-webkit2-4.1) that can.
"""

import sys
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import Gtk, WebKit2  # type: ignore[import-not-found]  # noqa: E402

operations: list[Any] = []
left = list(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
view = WebKit2.WebView()


def go_on(*_: object) -> None:
    if left:
        view.load_uri(left[0][0])
    else:
        Gtk.main_quit()


def print_page(_view: Any, event: Any) -> None:
    if event != WebKit2.LoadEvent.FINISHED:
        return
    settings = Gtk.PrintSettings()
    settings.set_printer("Print to File")
    settings.set("output-uri", f"file://{left.pop(0)[1]}")
    settings.set("output-file-format", "pdf")
    operation = WebKit2.PrintOperation.new(view)
    operation.set_print_settings(settings)
    operation.connect("finished", go_on)
    # Nobody else would hold it.
    operations.append(operation)
    operation.print_()


window = Gtk.OffscreenWindow()
window.set_default_size(1280, 900)
window.add(view)
window.show_all()
view.connect("load-changed", print_page)
go_on()
Gtk.main()
