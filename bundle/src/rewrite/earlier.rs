//! What an earlier sealing that was cut short has left: chunks and voice that need not be coded a second time.
//!
//! Nothing of it is trusted. A chunk is taken over only where the new file has just the same messages, a block of voice only
//! if it decodes to the same samples; the first chunk that differs ends it.

use crate::narration::{self, Block};
use crate::scan::{Bytes, Item, Scanner, Step, messages};
use crate::{Channel, Track};

/// The chunks of an unfinished file, one after the other. Memory is one chunk.
pub(super) struct Earlier<'a> {
    source: &'a dyn Bytes,
    scanner: Option<Scanner>,
    record: Vec<u8>,
    records: Vec<u8>,
}

impl<'a> Earlier<'a> {
    pub(super) fn new(source: &'a dyn Bytes) -> Self {
        let scanner = source.num_bytes().ok().map(Scanner::new);
        let mut earlier = Self { source, scanner, record: Vec::new(), records: Vec::new() };
        earlier.advance();
        earlier
    }

    /// Its present chunk: the record, and the records in it. Both are empty when there is none left.
    pub(super) fn chunk(&self) -> (&[u8], &[u8]) {
        (&self.record, &self.records)
    }

    /// The coded form of a block of an audio track, if the present chunk has it.
    pub(super) fn audio(&self, track: Track, log_time: u64, block: &Block) -> Option<Vec<u8>> {
        let channel: Channel = track.channel();
        let mut all = messages(&self.records).map(|(_, message)| message);
        let same = all.find(|message| (message.channel, message.log_time) == (channel.id(), log_time))?;
        let is_same = narration::decode(same.data).is_ok_and(|known| known == *block);
        is_same.then(|| same.data.to_vec())
    }

    /// Goes on to its next chunk.
    pub(super) fn advance(&mut self) {
        while let Some(scanner) = &mut self.scanner {
            match scanner.step() {
                Ok(Step::Need { offset, bytes }) => {
                    let mut buffer = vec![0; bytes];
                    match self.source.fill(offset, &mut buffer) {
                        Ok(()) => scanner.supply(buffer),
                        Err(_) => self.end(),
                    }
                }
                Ok(Step::Item(Item::Chunk { record, records, .. })) => {
                    (self.record, self.records) = (record, records);
                    return;
                }
                Ok(Step::Item(Item::Record { .. })) => {}
                // What cannot be read is made anew, and all that follows it.
                _ => self.end(),
            }
        }
    }

    fn end(&mut self) {
        self.scanner = None;
        (self.record, self.records) = (Vec::new(), Vec::new());
    }
}
