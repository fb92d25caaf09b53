//! `praxis`: record, look into, check, recover and seal bundles.
fn main() {}
