//! The governor: keeps what pictures cost below a bound. What moves without end becomes lossy, costliest first, until it
//! settles; then it is made exact again.
//!
//! It works on estimated bytes: a bucket fills with what exact tiles and lossy rectangles cost and drains at the bound.
//! Typing and scrolling cost a fraction of that (docs/performance.md). Times are those of the pictures; no clock is read.

/// What a display may cost over a long time, in bytes per second: 48 MB in a minute.
const BYTES_PER_SECOND: f64 = 800_000.0;
/// What may come at once before anything becomes lossy: ten seconds of it.
const BURST_BYTES: f64 = 10.0 * BYTES_PER_SECOND;
/// Only a tile that changes so often each second becomes lossy…
const MIN_CHANGES_PER_SECOND: f64 = 2.5;
/// …unless the bucket is overfull by this factor.
const EMERGENCY: f64 = 1.5;
/// What changes too often must cost no more than this part of the bound, or more of it becomes lossy.
const EXACT_SHARE: f64 = 0.25;
/// Tiles that cost at least this part of the costliest one are alike.
const ALIKE: f64 = 0.25;
/// A lossy tile that did not change for so long is made exact.
const SETTLED_NANOS: u64 = 250_000_000;
/// Least time between two pictures with lossy rectangles.
const LOSSY_FRAME_NANOS: u64 = 230_000_000;

/// What the governor knows of a tile.
#[derive(Debug, Clone, Copy, Default)]
struct Tile {
    /// Changes per second, over about the last second, when it last changed.
    rate: f64,
    /// Estimated bytes of one change.
    bytes: f64,
    last_change: u64,
    /// Whether it is kept lossy.
    is_governed: bool,
    /// Whether it changed since it was last sent, lossy.
    is_stale: bool,
}

impl Tile {
    fn rate_at(&self, now: u64) -> f64 {
        self.rate * (-(seconds(self.last_change, now))).exp()
    }
}

/// Decides tile by tile, for one display.
#[derive(Debug)]
pub(super) struct Governor {
    tiles: Vec<Tile>,
    bucket: f64,
    last_nanos: u64,
    last_lossy: u64,
}

impl Governor {
    pub(super) fn new(num_tiles: usize) -> Self {
        Self { tiles: vec![Tile::default(); num_tiles], bucket: 0.0, last_nanos: 0, last_lossy: 0 }
    }

    /// Takes note of tiles that changed and that no copy explains, each with its estimated bytes. Returns those that
    /// are to be sent exactly.
    pub(super) fn note(&mut self, now: u64, changed: &[(usize, f64)]) -> Vec<usize> {
        self.drain(now);
        for (tile, bytes) in changed {
            let tile = &mut self.tiles[*tile];
            tile.rate = tile.rate_at(now) + 1.0;
            (tile.bytes, tile.last_change) = (*bytes, now);
        }
        let cost = |this: &Self| -> f64 {
            changed.iter().filter(|(tile, _)| !this.tiles[*tile].is_governed).map(|(_, bytes)| bytes).sum()
        };
        if self.bucket + cost(self) > BURST_BYTES {
            self.govern(now, changed);
        }
        self.bucket += cost(self);
        let mut exact = Vec::new();
        for (tile, _) in changed {
            let state = &mut self.tiles[*tile];
            state.is_stale = state.is_governed;
            if !state.is_governed {
                exact.push(*tile);
            }
        }
        exact
    }

    /// Decoders have the newest state of a tile, exact or lossy.
    pub(super) fn refreshed(&mut self, tile: usize) {
        self.tiles[tile].is_stale = false;
    }

    /// Adds to what was spent.
    pub(super) fn spend(&mut self, bytes: f64) {
        self.bucket += bytes;
    }

    /// Whether lossy rectangles are due: now and then, and at once for a tile that decoders still take for exact.
    pub(super) fn take_lossy_due(&mut self, now: u64, is_lossy: &[bool]) -> bool {
        let may_wait = now < self.last_lossy + LOSSY_FRAME_NANOS || self.bucket > EMERGENCY * BURST_BYTES;
        let mut stale = self.tiles.iter().zip(is_lossy).filter(|(tile, _)| tile.is_stale);
        let is_due = stale.any(|(_, is_lossy)| !may_wait || !is_lossy);
        if is_due {
            self.last_lossy = now;
        }
        is_due
    }

    pub(super) fn is_governed(&self, tile: usize) -> bool {
        self.tiles[tile].is_governed
    }

    pub(super) fn is_stale(&self, tile: usize) -> bool {
        self.tiles[tile].is_stale
    }

    /// Lets go of the tiles that settled, and returns them. While far too much was spent they wait.
    pub(super) fn settle(&mut self, now: u64) -> Vec<usize> {
        self.drain(now);
        if self.bucket > EMERGENCY * BURST_BYTES {
            return Vec::new();
        }
        let is_settled = |tile: &Tile| tile.is_governed && now >= tile.last_change + SETTLED_NANOS;
        let settled: Vec<usize> = (0..self.tiles.len()).filter(|at| is_settled(&self.tiles[*at])).collect();
        for at in &settled {
            let tile = &mut self.tiles[*at];
            (tile.is_governed, tile.is_stale) = (false, false);
            self.bucket += tile.bytes;
        }
        settled
    }

    fn drain(&mut self, now: u64) {
        self.bucket = (self.bucket - seconds(self.last_nanos, now) * BYTES_PER_SECOND).max(0.0);
        self.last_nanos = self.last_nanos.max(now);
    }

    /// Makes the costliest tiles lossy until what is left is cheap enough; what costs about as much goes with them, so
    /// that a film is not cut into a smooth and a jerky part.
    fn govern(&mut self, now: u64, changed: &[(usize, f64)]) {
        let is_emergency = self.bucket > EMERGENCY * BURST_BYTES;
        let mut costs: Vec<(f64, usize)> = changed
            .iter()
            .filter(|(tile, _)| !self.tiles[*tile].is_governed)
            .map(|(tile, bytes)| (self.tiles[*tile].rate_at(now) * bytes, *tile))
            .collect();
        costs.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
        let mut left: f64 = costs.iter().map(|(cost, _)| cost).sum();
        let as_costly = costs.first().map_or(0.0, |(most, _)| most * ALIKE);
        for (cost, tile) in costs {
            if left <= EXACT_SHARE * BYTES_PER_SECOND && cost < as_costly {
                break;
            }
            let tile = &mut self.tiles[tile];
            if is_emergency || tile.rate >= MIN_CHANGES_PER_SECOND {
                tile.is_governed = true;
                left -= cost;
            }
        }
    }
}

fn seconds(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e9
}
