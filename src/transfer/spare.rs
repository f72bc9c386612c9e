//! Buffers that go round: between a source and who sends from it, and between a receiver and who writes.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

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

/// The first bytes of a buffer. The rest stays as it is: a buffer that was cut for a short chunk would be zeroed again for
/// the next long one.
#[derive(Debug)]
pub struct Part {
    buffer: BytesMut,
    len: usize,
}

impl Part {
    /// Leaves no more than `len` bytes of it.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl From<BytesMut> for Part {
    /// All of it.
    fn from(buffer: BytesMut) -> Self {
        let len = buffer.len();
        Self { buffer, len }
    }
}

impl Deref for Part {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl DerefMut for Part {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }
}

impl Spare {
    /// Room for `len` bytes that holds anything.
    pub fn take(&mut self, len: usize) -> Part {
        let mut buffer = self.again();
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        Part { buffer, len }
    }

    /// An empty buffer with space for `len` bytes.
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
    pub fn lend(&mut self, part: impl Into<Part>) -> Bytes {
        let Part { buffer, len } = part.into();
        let bytes = buffer.freeze();
        let part = bytes.slice(..len);
        if self.lent.len() == MOST {
            self.lent.pop_front();
        }
        self.lent.push_back(bytes);
        part
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
        assert_eq!(spare.lend(again).len(), 800);
        let whole = spare.take(1000);
        assert_eq!(whole.as_ptr(), place);
        assert!(whole.iter().all(|byte| *byte == 1), "what is longer than the last part is not zeroed");
        drop(spare.lend(whole));
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
