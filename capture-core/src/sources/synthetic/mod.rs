//! Made-up sources for tests and benches: they deliver known samples at known times.
