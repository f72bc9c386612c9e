//! Buffers that go round: between a source and who sends from it, and between a receiver and who writes.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Most buffers that are kept. One chunk is read while the one before it is sent, and the ends of others wait in a
/// frame that is not full yet; one comes in while two are written.
const MOST: usize = 4;

/// Buffers that were lent to a sender or a writer. They are lent again when it has let go of them: a new buffer of a
/// megabyte costs the kernel more than reading a file into it, since every page of it is zeroed first.
#[derive(Debug, Default)]
pub struct Spare {
    lent: VecDeque<Bytes>,
}

impl Spare {
    /// A buffer of `len` bytes that holds anything.
    pub fn take(&mut self, len: usize) -> BytesMut {
        let mut buffer = self.again();
        buffer.resize(len, 0);
        buffer
    }

    /// An empty buffer with room for `len` bytes.
    pub fn room(&mut self, len: usize) -> BytesMut {
        let mut buffer = self.again();
        buffer.clear();
        buffer.reserve(len);
        buffer
    }

    /// The one that came back last, if any did: most of it is still in the processor's cache.
    fn again(&mut self) -> BytesMut {
        let free = self.lent.iter().rposition(Bytes::is_unique).and_then(|index| self.lent.remove(index));
        free.and_then(|bytes| bytes.try_into_mut().ok()).unwrap_or_default()
    }

    /// Lends it, and takes it back by itself.
    pub fn lend(&mut self, buffer: BytesMut) -> Bytes {
        let bytes = buffer.freeze();
        if self.lent.len() == MOST {
            self.lent.pop_front();
        }
        self.lent.push_back(bytes.clone());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_round_and_never_while_somebody_holds_it() {
        let mut spare = Spare::default();
        let mut first = spare.take(1000);
        first.fill(1);
        let place = first.as_ptr();
        let mut held = spare.lend(first);
        let part = held.split_to(10);
        drop(held);
        let mut second = spare.take(500);
        second.fill(2);
        assert!(part.iter().all(|byte| *byte == 1), "it is read by its holder");
        let second = spare.lend(second);
        drop(part);
        let again = spare.take(800);
        assert_eq!((again.as_ptr(), again.len()), (place, 800), "it was given back");
        drop(spare.lend(again));
        let empty = spare.room(700);
        assert!(empty.is_empty() && empty.capacity() >= 700);
        assert_eq!(empty.as_ptr(), place, "it came back last");
        drop(second);
        for _ in 0..3 * MOST {
            let buffer = spare.take(10);
            drop(spare.lend(buffer));
        }
        assert!(spare.lent.len() <= MOST);
    }
}
