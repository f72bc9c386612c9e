//! The output log, as its one writer sees it: whole records only, never over the cap.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::wire::output::{MAX_RECORD, Source, header};

/// Whether a piece of output found room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// All of it.
    Enough,
    /// The part that fits was kept; there is more than the cap.
    Over,
}

/// The log and how much may still go in.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// Length of the file: headers and data.
    len: u64,
    /// Data that the cap still permits.
    left: u64,
}

impl Log {
    /// Opens the log for a job that is about to start.
    ///
    /// # Errors
    /// It cannot be created.
    pub(super) fn open(path: &Path, cap: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file, len, left: cap })
    }

    /// Its length.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends one record of at most [`MAX_RECORD`] bytes. After an error the log ends where it ended before.
    ///
    /// # Errors
    /// The disk is full or broken.
    pub(super) fn append(&mut self, source: Source, at_ms: u64, data: &[u8]) -> io::Result<Room> {
        debug_assert!(data.len() <= MAX_RECORD);
        let keep = (self.left.min(data.len() as u64)) as usize;
        if keep > 0 {
            let head = header(source, at_ms, keep);
            if let Err(e) = self.write(&head, &data[..keep]) {
                // A full disk can take half a record; what cannot be read must not stay.
                let _ = self.file.set_len(self.len);
                return Err(e);
            }
            self.len += (head.len() + keep) as u64;
            self.left -= keep as u64;
        }
        Ok(if keep == data.len() { Room::Enough } else { Room::Over })
    }

    /// Header and data in one call as a rule, so that a reader is woken once.
    fn write(&mut self, head: &[u8], data: &[u8]) -> io::Result<()> {
        let written = loop {
            match self.file.write_vectored(&[IoSlice::new(head), IoSlice::new(data)]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if written < head.len() {
            self.file.write_all(&head[written..])?;
            return self.file.write_all(data);
        }
        self.file.write_all(&data[written - head.len()..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::output::{RECORD_HEADER, RecordReader};

    #[test]
    fn the_log_keeps_whole_records_up_to_the_cap() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("output");
        let mut log = Log::open(&path, 7).expect("opened");
        assert_eq!(log.append(Source::Stdout, 1, b"hello").expect("written"), Room::Enough);
        assert_eq!(log.append(Source::Stderr, 2, b"abc").expect("written"), Room::Over);
        assert_eq!(log.append(Source::Stdout, 3, b"x").expect("written"), Room::Over);
        assert_eq!(log.append(Source::Stdout, 3, b"").expect("written"), Room::Enough);

        let bytes = std::fs::read(&path).expect("there");
        assert_eq!(bytes.len() as u64, log.len());
        assert_eq!(bytes.len(), 2 * RECORD_HEADER + 7);
        let mut reader = RecordReader::default();
        reader.push(&bytes);
        let mut next = || reader.next_record().expect("sound").map(|r| (r.source, r.at_ms, r.data.to_vec()));
        assert_eq!(next(), Some((Source::Stdout, 1, b"hello".to_vec())));
        assert_eq!(next(), Some((Source::Stderr, 2, b"ab".to_vec())));
        assert_eq!(next(), None);
    }
}
