//! What the end-to-end tests share: a virtual desktop with a screen, a window manager and a microphone.
