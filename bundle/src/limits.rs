//! Every limit that a reader enforces, so that no file costs more memory or time than it can honestly need.
//!
//! `docs/bundle-format.md`, part Damage, lists them with their reasons; a test holds the two together.

use crate::record::op;

/// Most bytes a chunk may hold uncompressed.
pub const MAX_CHUNK_BYTES: u64 = 64 << 20;
/// Most messages of a chunk.
pub const MAX_CHUNK_MESSAGES: u64 = 1 << 19;
/// Most chunks of a file: 69 hours of recording.
pub const MAX_CHUNKS: u64 = 1_000_000;
/// Largest summary that is read: about 400,000 chunks, a day of recording.
pub const MAX_SUMMARY_BYTES: u64 = 64 << 20;
/// Most bytes of an attachment or message index record.
pub const MAX_RECORD_BYTES: u64 = 16 << 20;
/// Most bytes of a metadata record.
pub const MAX_METADATA_BYTES: u64 = 4 << 20;
/// Most bytes of a schema record.
pub const MAX_SCHEMA_BYTES: u64 = 1 << 20;
/// Most bytes of any other record.
pub const MAX_SMALL_RECORD_BYTES: u64 = 64 << 10;
/// Most damaged stretches, and most picture gaps, that are named one by one; the last covers all that follow.
pub const MAX_NAMED: usize = 5_000;
/// Most bytes of markers and gaps that [`crate::info`] lists, 64 for each entry besides its text.
pub const MAX_LISTED_BYTES: u64 = 16 << 20;
/// Most pixels of all displays together that are decoded side by side: five of 4K.
pub const MAX_TOTAL_PIXELS: u64 = 42_000_000;
/// How far back in session time messages of different tracks may be out of order.
pub const OUT_OF_ORDER_NANOS: u64 = 500_000_000;

/// Room for the fixed fields of a chunk and for data that zstd could not make smaller.
const CHUNK_OVERHEAD_BYTES: u64 = 1 << 20;

/// Most content bytes a record of this opcode may have; `None` for one that stands nowhere in a bundle but in chunks.
#[must_use]
pub fn max_bytes(opcode: u8) -> Option<u64> {
    match opcode {
        op::CHUNK => Some(MAX_CHUNK_BYTES + CHUNK_OVERHEAD_BYTES),
        op::ATTACHMENT | op::MESSAGE_INDEX => Some(MAX_RECORD_BYTES),
        op::METADATA => Some(MAX_METADATA_BYTES),
        op::SCHEMA => Some(MAX_SCHEMA_BYTES),
        op::MESSAGE => None,
        op::HEADER..=op::DATA_END => Some(MAX_SMALL_RECORD_BYTES),
        _ => None,
    }
}

/// What any file may cost to read.
pub const BASE_WORK: u64 = 2 << 30;
/// What each byte beyond the first MiB of a file adds: an honest picture of one colour compresses that much.
pub const WORK_PER_BYTE: u64 = 12_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_document_lists_every_limit() {
        let document = include_str!("../../docs/bundle-format.md");
        let limits = [
            ("bytes of a chunk, uncompressed", MAX_CHUNK_BYTES),
            ("messages of a chunk", MAX_CHUNK_MESSAGES),
            ("chunks of a file", MAX_CHUNKS),
            ("bytes of a chunk record", max_bytes(op::CHUNK).unwrap()),
            ("bytes of an attachment or message index", MAX_RECORD_BYTES),
            ("bytes of a metadata record", MAX_METADATA_BYTES),
            ("bytes of a schema", MAX_SCHEMA_BYTES),
            ("bytes of any other record", MAX_SMALL_RECORD_BYTES),
            ("bytes of the summary", MAX_SUMMARY_BYTES),
            ("damages, and picture gaps, named one by one", MAX_NAMED as u64),
            ("bytes of markers and gaps in `praxis info`", MAX_LISTED_BYTES),
            ("pixels of all displays together", MAX_TOTAL_PIXELS),
            ("work, in bytes read or unpacked", BASE_WORK),
            ("work for each byte beyond the first MiB", WORK_PER_BYTE),
        ];
        for (what, value) in limits {
            let row = format!("| {what} | {value} |");
            assert!(document.contains(&row), "docs/bundle-format.md lacks {row}");
        }
    }
}
