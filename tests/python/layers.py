"""A window of GTK whose widgets lie above one another: says where each of them is, and then what happens to them."""

import sys

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk  # noqa: E402

from told import rect_of, say  # noqa: E402

window = Gtk.Window(title="layers")
window.set_default_size(420, 420)
window.connect("destroy", Gtk.main_quit)
column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8)
window.add(column)


def button(label):
    made = Gtk.Button(label=label)
    made.connect("clicked", lambda *_: say(label))
    return made


# A menu of its own that lies above what follows.
more, popover, inside = Gtk.MenuButton(label="More"), Gtk.Popover(), button("Inside")
inside.show()
inside.connect("map", lambda *_: GLib.timeout_add(500, lambda: say({"inside": rect_of(inside)})))
# Else the next click, wherever it is, is the one that closes it.
inside.connect("clicked", lambda *_: popover.popdown())
popover.add(inside)
more.set_popover(popover)

fruit = Gtk.ComboBoxText()
for each in ("apple", "cherry"):
    fruit.append_text(each)
fruit.set_active(1)
fruit.connect("notify::popup-shown", lambda *_: fruit.get_property("popup-shown") and say("fruits"))

# A page hangs below its tab.
book, page = Gtk.Notebook(), button("On the page")
book.append_page(page, Gtk.Label(label="first"))
book.append_page(button("On another"), Gtk.Label(label="second"))

above, under = button("Above"), button("Under")
above.set_halign(Gtk.Align.CENTER)
above.set_valign(Gtk.Align.CENTER)
layers = Gtk.Overlay()
layers.add(under)
layers.add_overlay(above)
layers.set_size_request(-1, 90)

for widget in (more, Gtk.Button(label="Beneath the menu"), fruit, book, layers):
    column.pack_start(widget, False, False, 0)


def tell():
    say({each: rect_of(widget) for each, widget in {"more": more, "fruit": fruit, "page": page, "above": above}.items()})


window.connect("map-event", lambda *_: GLib.timeout_add(500, tell))
window.show_all()
sys.exit(Gtk.main())
