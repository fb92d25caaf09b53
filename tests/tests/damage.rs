//! A few hundred flipped bits and zeroed pages; `make torture` does many more.

use anyhow::Result;
use praxis_tests::damage::originals;
use praxis_tests::desktop::boot_nanos;
use praxis_tests::kills::Random;

#[test]
fn damage_costs_its_own_chunk_and_is_named_and_nothing_wrong_comes_out() -> Result<()> {
    let seed = boot_nanos();
    println!("seed {seed}");
    let mut random = Random(seed);
    for (name, original) in originals()? {
        let tally = original.damage(80, 20, &mut random)?;
        assert!(tally.num_shown > 0 && tally.worst_loss > 0, "{name}: nothing was damaged: {tally:?}");
    }
    Ok(())
}
