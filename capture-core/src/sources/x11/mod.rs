//! The X11 backend: pictures, pointer and keys, geometry and the active window of an X server.
