//! Maps the X server's milliseconds to the boot clock, by pairs of both clocks.
//!
//! Server time is cut to milliseconds, so one pair only bounds the offset: it lies between the moment before the
//! server was asked and the one after it answered, less up to a millisecond. Bounds of many pairs together are
//! tighter than any one. When they contradict each other (a suspend, a server whose clock was set) only the newest
//! counts.

/// Nanoseconds in a millisecond.
const MILLI: i64 = 1_000_000;
/// A pair loosens by this each second, so that slow drift is followed: 20 parts per million.
const LOOSEN_NANOS_PER_SECOND: i64 = 20_000;

/// The offset from server time to the boot clock, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct ServerTime {
    /// Smallest and largest possible offset.
    bounds: Option<(i64, i64)>,
    newest_pair_nanos: i64,
    /// The last server stamp, to undo its wrap at 2^32.
    last_millis: Option<u32>,
    unwrapped_millis: i64,
}

impl ServerTime {
    /// Takes a pair: the server said `millis` between `before` and `after` (boot clock).
    pub(super) fn pair(&mut self, millis: u32, before_nanos: u64, after_nanos: u64) {
        let server = self.unwrap(millis) * MILLI;
        let (low, high) = (before_nanos as i64 - server - MILLI, after_nanos as i64 - server);
        let age = (after_nanos as i64 - self.newest_pair_nanos).max(0) / 1_000_000_000 + 1;
        let loosen = LOOSEN_NANOS_PER_SECOND * age;
        let joined = self.bounds.map_or((low, high), |(l, h)| (low.max(l - loosen), high.min(h + loosen)));
        self.bounds = Some(if joined.0 <= joined.1 { joined } else { (low, high) });
        self.newest_pair_nanos = after_nanos as i64;
    }

    /// Boot clock at a server stamp: the middle of what is possible.
    pub(super) fn boot_nanos(&mut self, millis: u32) -> u64 {
        let server = self.unwrap(millis) * MILLI;
        let (low, high) = self.bounds.unwrap_or_default();
        // The stamp itself stands for a whole millisecond: its middle.
        (server + MILLI / 2 + i64::midpoint(low, high)).max(0) as u64
    }

    fn unwrap(&mut self, millis: u32) -> i64 {
        let last = self.last_millis.replace(millis).unwrap_or(millis);
        if self.unwrapped_millis == 0 {
            self.unwrapped_millis = i64::from(millis);
        }
        self.unwrapped_millis += i64::from(millis.wrapping_sub(last) as i32);
        self.unwrapped_millis
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_times_are_within_a_millisecond_after_a_few_pairs_even_over_the_wrap() {
        // True relation: server milliseconds = (boot nanoseconds + 4,294,960,000.3 ms) cut, modulo 2^32.
        let server = |boot: u64| ((boot as i64 + 4_294_960_000_300_000) / MILLI) as u32;
        let mut time = ServerTime::default();
        for second in 0..20u64 {
            let before = second * 1_000_370_000;
            let after = before + 400_000 + second * 3_000;
            time.pair(server(before + 100_000), before, after);
            let event = before + 500_123_456;
            let error = time.boot_nanos(server(event)) as i64 - event as i64;
            assert!(error.abs() < 1_500_000, "second {second}: {error} ns");
        }
    }

    #[test]
    fn a_jump_of_the_boot_clock_is_followed_by_the_next_pair() {
        let mut time = ServerTime::default();
        time.pair(1_000, 1_000_000_000, 1_000_100_000);
        time.pair(2_000, 62_000_000_000, 62_000_100_000);
        let mapped = time.boot_nanos(2_100) as i64;
        assert!((mapped - 62_100_000_000).abs() < 2_000_000, "{mapped}");
    }
}
