"""A form of GTK: says on one line of JSON where each of its widgets is, and then what happens to them."""

import sys
import time

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk  # noqa: E402

from told import rect_of, say  # noqa: E402


window = Gtk.Window(title="form")
window.set_default_size(420, 320)
window.connect("destroy", Gtk.main_quit)
column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8)
window.add(column)

bar = Gtk.MenuBar()
file_item, menu, open_item = Gtk.MenuItem(label="File"), Gtk.Menu(), Gtk.MenuItem(label="Open recent")
open_item.connect("activate", lambda *_: say("opened"))
menu.append(open_item)
file_item.set_submenu(menu)
bar.append(file_item)

row = Gtk.Box(spacing=8)
label, name = Gtk.Label.new_with_mnemonic("_Name"), Gtk.Entry(text="Zoë")
label.set_mnemonic_widget(name)
row.add(label)
row.add(name)

password = Gtk.Entry(text="correct horse", visibility=False)
amount = Gtk.Scale.new_with_range(Gtk.Orientation.HORIZONTAL, 0, 10, 0.5)
amount.set_value(2.5)
agree, save, sleep = Gtk.CheckButton(label="I agree"), Gtk.Button(label="Save"), Gtk.Button(label="Sleep")
agree.connect("toggled", lambda *_: say("agreed"))
save.connect("clicked", lambda *_: say("saved"))
# A program that hangs: nobody gets an answer meanwhile.
sleep.connect("pressed", lambda *_: (say("sleeps"), time.sleep(1.5)))

# A menu of its own, which covers what is beneath.
context, cut_item = Gtk.Menu(), Gtk.MenuItem(label="Cut out a part of it")
cut_item.connect("activate", lambda *_: say("cut out"))
cut_item.connect("map", lambda *_: GLib.timeout_add(300, lambda: say({"cut": rect_of(cut_item)})))
context.append(cut_item)
context.show_all()
save.connect("button-press-event", lambda _, event: event.button == 3 and (context.popup_at_pointer(event), True)[1])

for widget in (bar, row, password, amount, agree, save, sleep):
    column.pack_start(widget, False, False, 0)


def tell():
    widgets = {"file": file_item, "name": name, "password": password, "amount": amount, "agree": agree, "save": save, "sleep": sleep}
    say({each: rect_of(widget) for each, widget in widgets.items()})


open_item.connect("map", lambda *_: GLib.timeout_add(300, lambda: say({"open": rect_of(open_item)})))
window.connect("map-event", lambda *_: GLib.timeout_add(500, tell))
window.show_all()
sys.exit(Gtk.main())
