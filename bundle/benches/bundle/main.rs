//! The benches of the bundle: codec, sealing, recovery, seeking. A name as argument picks some of them.

mod codec;
mod files;
mod scenes;

use criterion::Criterion;

fn main() -> praxis_bundle::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    codec::bench(&mut criterion)?;
    files::bench(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
