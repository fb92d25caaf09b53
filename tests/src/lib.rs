//! What the end-to-end tests, the demo and the torture share: a virtual desktop with a screen, a window manager and a
//! microphone, and the real `praxis` program.

pub mod app;
pub mod collector;
pub mod contract;
pub mod damage;
pub mod desktop;
pub mod fingers;
pub mod fixture;
pub mod kills;
pub mod own_window;
pub mod painter;
pub mod praxis;
pub mod proxy;
pub mod upload_kills;
