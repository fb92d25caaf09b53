"""A text field of GTK that fills the screen: writes the text it has after each change, as one JSON string a line."""

import json
import sys

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk  # noqa: E402

window = Gtk.Window(title="field")
field = Gtk.Entry()
window.add(field)
window.connect("destroy", Gtk.main_quit)


def tell(*_):
    print(json.dumps(field.get_text()), flush=True)


field.connect("changed", tell)
# The first line says that the field has the keyboard.
window.connect("notify::has-toplevel-focus", lambda *_: window.has_toplevel_focus() and tell())
window.maximize()
window.show_all()
field.grab_focus()
sys.exit(Gtk.main())
