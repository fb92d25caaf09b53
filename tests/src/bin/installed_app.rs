//! Starts an installed application on a virtual desktop and sees that its page comes up: `installed_app PROGRAM`.

use anyhow::{Context, Result};
use praxis_tests::app::App;
use praxis_tests::desktop::VirtualDesktop;

fn main() -> Result<()> {
    let program = std::env::args_os().nth(1).context("usage: installed_app PROGRAM")?;
    let desktop = VirtualDesktop::start(1366, 768)?;
    let app = App::start_program(&desktop, program.as_ref(), &[])?;
    app.click("#nav-record")?;
    app.find("#start")?;
    app.terminate()?;
    println!("{} starts, shows its page and ends", program.to_string_lossy());
    Ok(())
}
