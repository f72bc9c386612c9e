//! The content of one frame, gathered from where it lies.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// From this size on it costs less to send bytes from a place of their own than to copy them to their neighbours.
const ALONE: usize = 16 << 10;

/// Bytes in several places.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    queue: VecDeque<Bytes>,
    /// Small ones, copied together; they come after the queue.
    last: BytesMut,
    len: usize,
}

impl Pieces {
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        if bytes.len() < ALONE {
            self.last.extend_from_slice(&bytes);
            return;
        }
        if !self.last.is_empty() {
            self.queue.push_back(self.last.split().freeze());
        }
        self.queue.push_back(bytes);
    }

    /// Puts what must come first before everything else.
    pub(super) fn push_front(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        self.queue.push_front(bytes);
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&self.last[..], |first| &first[..])
    }

    fn advance(&mut self, mut count: usize) {
        self.len -= count;
        while let Some(first) = self.queue.front_mut() {
            if first.len() > count {
                return first.advance(count);
            }
            count -= first.len();
            self.queue.pop_front();
        }
        self.last.advance(count);
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let all = self.queue.iter().map(|bytes| &bytes[..]).chain((!self.last.is_empty()).then_some(&self.last[..]));
        slices.iter_mut().zip(all).map(|(slice, bytes)| *slice = IoSlice::new(bytes)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_pushed_comes_out_in_order_however_it_is_taken(
            lens in proptest::collection::vec(0..3 * ALONE, 0..8), takes in proptest::collection::vec(0..2 * ALONE, 1..50),
        ) {
            let (mut pieces, mut all) = (Pieces::default(), Vec::new());
            for (i, len) in lens.iter().enumerate() {
                pieces.push(vec![i as u8 + 1; *len].into());
                all.extend(vec![i as u8 + 1; *len]);
            }
            pieces.push_front(Bytes::from_static(b"head"));
            all.splice(0..0, *b"head");
            let mut out = Vec::new();
            for take in takes {
                prop_assert_eq!(pieces.remaining(), all.len() - out.len());
                let mut slices = [IoSlice::new(&[]); 9];
                let count = pieces.chunks_vectored(&mut slices);
                let seen: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                prop_assert_eq!(&seen[..], &all[out.len()..]);
                prop_assert!(seen.starts_with(pieces.chunk()) && (seen.is_empty() || !pieces.chunk().is_empty()));
                let take = take.min(seen.len());
                out.extend_from_slice(&seen[..take]);
                pieces.advance(take);
            }
        }
    }
}
