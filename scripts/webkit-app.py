#!/usr/bin/python3
"""A WebKitGTK window for WebDriver whose website data is *persistent*.

MiniBrowser in automation mode is ephemeral: its data is gone with the session, and its IndexedDB
refuses Blobs. Started by scripts/webkitdriver.

TF_WEBKIT_DATA          the folder that holds the data
TF_WEBKIT_ORIGIN_RATIO  an origin's quota as a share of the volume, such as 0.0001 (for quota tests)
TF_WEBKIT_TOTAL_RATIO   the same for all origins together
"""
import os

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import GLib, Gtk, WebKit2  # noqa: E402

data = os.environ["TF_WEBKIT_DATA"]
options = {"base_data_directory": data + "/data", "base_cache_directory": data + "/cache"}
for prop, variable in (("origin_storage_ratio", "TF_WEBKIT_ORIGIN_RATIO"),
                       ("total_storage_ratio", "TF_WEBKIT_TOTAL_RATIO")):
    if variable in os.environ:
        options[prop] = float(os.environ[variable])  # WebKitGTK 2.42 or later
context = WebKit2.WebContext(website_data_manager=WebKit2.WebsiteDataManager(**options))
context.set_automation_allowed(True)


def create_view(_session):
    view = WebKit2.WebView(web_context=context, is_controlled_by_automation=True)
    view.connect("close", lambda v: v.get_toplevel().destroy())
    window = Gtk.Window()
    window.set_default_size(1024, 768)
    window.add(view)
    window.show_all()
    return view


def automation_started(_context, session):
    info = WebKit2.ApplicationInfo()
    info.set_name("tfpersist-tests")
    info.set_version(WebKit2.get_major_version(), WebKit2.get_minor_version(), WebKit2.get_micro_version())
    session.set_application_info(info)
    session.connect("create-web-view", create_view)
    # Without this the window outlives its session.
    session.connect("will-close", lambda _session: GLib.idle_add(Gtk.main_quit))


context.connect("automation-started", automation_started)
Gtk.main()
