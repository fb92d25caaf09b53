//! What the end-to-end tests, the demo and the torture share: a virtual desktop with a screen, a window manager and a
//! microphone, and the real `praxis` program.

pub mod app;
pub mod bus;
pub mod collector;
pub mod contract;
pub mod damage;
pub mod desktop;
pub mod device_server;
pub mod export_bench;
pub mod fingers;
pub mod fixture;
pub mod form;
pub mod full_disk;
pub mod kills;
pub mod latency_bench;
pub mod logind;
pub mod own_window;
pub mod painter;
pub mod player_bench;
pub mod power;
pub mod praxis;
pub mod processes;
pub mod props;
pub mod proxy;
pub mod record_bench;
pub mod record_report;
pub mod same_frames;
pub mod sim_disk;
pub mod tray;
pub mod upload_kills;
pub mod workload;
