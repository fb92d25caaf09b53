//! `kill -9` at a few random instants; `make ci` does many more.

use std::time::Duration;

use anyhow::Result;
use praxis_tests::desktop::{VirtualDesktop, boot_nanos};
use praxis_tests::kills::{Random, Victim, round};

#[test]
fn after_a_kill_every_track_is_complete_up_to_half_a_second_before() -> Result<()> {
    let seed = boot_nanos();
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut desktop = VirtualDesktop::start(800, 600)?;
    desktop.terminal(20, 20, &["cat"])?;
    for _ in 0..3 {
        round(Victim::Praxis(&desktop), Duration::from_millis(random.below(3000)))?;
    }
    Ok(())
}

#[test]
fn the_same_holds_when_everything_happens_at_once_on_two_displays() -> Result<()> {
    let seed = boot_nanos();
    println!("seed {seed}");
    let mut random = Random(seed);
    for _ in 0..6 {
        round(Victim::Stage, Duration::from_millis(random.below(2500)))?;
    }
    Ok(())
}
