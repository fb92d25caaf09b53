//! Makes a sealed bundle in which the display flashes and a tone is heard at each full second, to measure players with.
//!
//! `cargo run -p praxis-tests --example flashes -- FILE [SECONDS]`

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().context("usage: flashes FILE [SECONDS]")?;
    let seconds = arguments.next().map_or(Ok(30), |text| text.parse())?;
    praxis_tests::fixture::write_flashes(target.as_ref(), seconds)
}
