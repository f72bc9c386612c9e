//! Buffers that go round between a source and who sends from it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Most buffers that are kept. One chunk is read while the one before it is sent, and the ends of others wait in a
/// frame that is not full yet.
const MOST: usize = 4;

/// Buffers that were lent to a sender. They are lent again when it has let go of them: a new buffer of a megabyte costs
/// the kernel more than reading a file into it, since every page of it is zeroed first.
#[derive(Debug, Default)]
pub struct Spare {
    lent: VecDeque<Bytes>,
}

impl Spare {
    /// A buffer of `len` bytes that holds anything.
    pub fn take(&mut self, len: usize) -> BytesMut {
        let free = self.lent.iter().position(Bytes::is_unique).and_then(|index| self.lent.remove(index));
        let mut buffer = free.and_then(|bytes| bytes.try_into_mut().ok()).unwrap_or_default();
        buffer.resize(len, 0);
        buffer
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
        drop(second);
        for _ in 0..3 * MOST {
            let buffer = spare.take(10);
            drop(spare.lend(buffer));
        }
        assert!(spare.lent.len() <= MOST);
    }
}
