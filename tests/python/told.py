"""What the programs of the tests say of themselves: a line of JSON for each thing, and where a widget of GTK is."""

import json

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk  # noqa: E402


def say(what):
    print(json.dumps(what), flush=True)


def rect_of(widget):
    _, left, top = widget.get_window().get_origin()
    place = widget.get_allocation()
    has_window = widget.get_has_window() and not isinstance(widget, (Gtk.Entry, Gtk.MenuItem))
    x, y = (left, top) if has_window else (left + place.x, top + place.y)
    return {"x_px": x, "y_px": y, "width_px": place.width, "height_px": place.height}
