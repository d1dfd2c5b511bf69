//! Choices from the bytes of a fuzzer.

use super::{Choice, Chooser};
use crate::link::FaultKind;

/// One byte for each choice, two for a choice between more than 256. After the last byte the first option is taken
/// and no fault happens; a zero does the same, so what a fuzzer minimises comes to rest in an orderly run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bytes {
    bytes: Vec<u8>,
    used: usize,
}

impl Bytes {
    /// The source of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.into(),
            used: 0,
        }
    }

    fn next(&mut self) -> usize {
        let byte = self.bytes.get(self.used).copied().unwrap_or(0);
        self.used += 1;
        usize::from(byte)
    }
}

impl Chooser for Bytes {
    fn choose(&mut self, _: Choice, options: usize) -> usize {
        let mut choice = self.next();
        if options > 1 << 8 {
            choice |= self.next() << 8;
        }
        choice % options.max(1)
    }

    fn strikes(&mut self, _: FaultKind, permille: u32) -> bool {
        // The highest byte always strikes: a fuzzer can have every fault that is on, however rare.
        let harmless = (1000 - permille.min(1000)) as usize * 255 / 1000;
        let byte = self.next();
        byte == 255 || (byte != 0 && byte > harmless)
    }
}
