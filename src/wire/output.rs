//! The output log of a job: records of what it wrote, in the order it was read, stdout and stderr in one file.
//!
//! A record is a header of 16 bytes and up to [`MAX_RECORD`] bytes of data. The header: `u8` source, three zero
//! bytes, `u32` LE length, `u64` LE milliseconds since 1970 by the worker's clock. The file is only ever appended to,
//! so an offset into it stays valid for ever, and a cursor can resume at any offset that was a record's border.

use bytes::{Buf, BufMut, BytesMut};

/// Bytes of a record's header.
pub const RECORD_HEADER: usize = 16;
/// Bytes of data in one record: what one read from a full pipe gives.
pub const MAX_RECORD: usize = 64 << 10;

/// Which stream of the job a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
}

/// One piece of a job's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it came from.
    pub source: Source,
    /// When the worker read it, milliseconds since 1970.
    pub at_ms: u64,
    /// What was written; any bytes.
    pub data: bytes::Bytes,
}

/// A log that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the output log is damaged: {0}")]
pub struct DamagedLog(&'static str);

/// Writes the header of a record of `len` bytes (at most [`MAX_RECORD`]).
pub fn header(source: Source, at_ms: u64, len: usize) -> [u8; RECORD_HEADER] {
    debug_assert!(len <= MAX_RECORD);
    let mut head = [0; RECORD_HEADER];
    let mut buf = &mut head[..];
    buf.put_u8(match source {
        Source::Stdout => 1,
        Source::Stderr => 2,
    });
    buf.put_slice(&[0; 3]);
    buf.put_u32_le(len as u32);
    buf.put_u64_le(at_ms);
    head
}

/// Cuts records out of the bytes of a log, however they arrive.
#[derive(Debug, Default)]
pub struct RecordReader {
    pending: BytesMut,
}

impl RecordReader {
    /// Takes the next bytes of the log.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole record, if it has arrived.
    ///
    /// # Errors
    /// The bytes are no log: unknown source or impossible length.
    pub fn next_record(&mut self) -> Result<Option<Record>, DamagedLog> {
        if self.pending.len() < RECORD_HEADER {
            return Ok(None);
        }
        let mut head = &self.pending[..RECORD_HEADER];
        let source = match head.get_u8() {
            1 => Source::Stdout,
            2 => Source::Stderr,
            _ => return Err(DamagedLog("unknown source of a record")),
        };
        head.advance(3);
        let len = head.get_u32_le() as usize;
        if len > MAX_RECORD {
            return Err(DamagedLog("a record is longer than 64 KiB"));
        }
        let at_ms = head.get_u64_le();
        if self.pending.len() < RECORD_HEADER + len {
            return Ok(None);
        }
        self.pending.advance(RECORD_HEADER);
        Ok(Some(Record { source, at_ms, data: self.pending.split_to(len).freeze() }))
    }

    /// Bytes that wait for the rest of their record.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_round_trip_however_the_bytes_are_cut(
            records in proptest::collection::vec((any::<bool>(), any::<u64>(), any::<Vec<u8>>()), 0..5), cut in 1usize..9,
        ) {
            let mut log = Vec::new();
            for (err, at, data) in &records {
                let source = if *err { Source::Stderr } else { Source::Stdout };
                log.extend_from_slice(&header(source, *at, data.len()));
                log.extend_from_slice(data);
            }
            let mut reader = RecordReader::default();
            let mut back = Vec::new();
            for piece in log.chunks(cut) {
                reader.push(piece);
                while let Some(r) = reader.next_record().expect("valid") {
                    back.push((r.source == Source::Stderr, r.at_ms, r.data.to_vec()));
                }
            }
            prop_assert_eq!(reader.pending(), 0);
            prop_assert_eq!(back, records);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let mut reader = RecordReader::default();
            reader.push(&bytes);
            while let Ok(Some(_)) = reader.next_record() {}
        }
    }
}
