//! The log of a job's output, which comes from a peer: the same records however it is cut.

#![no_main]

use homie::wire::output::{MAX_RECORD, Record, RecordReader};
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8], step: usize) -> (Vec<Record>, bool) {
    let (mut reader, mut records) = (RecordReader::default(), Vec::new());
    for piece in bytes.chunks(step) {
        reader.push(piece);
        loop {
            match reader.next_record() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => break,
                Err(_) => return (records, false),
            }
        }
    }
    (records, true)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((step, bytes)) = bytes.split_first() else { return };
    let (records, fine) = read(bytes, usize::from(*step).max(1));
    assert!(records.iter().all(|r| r.data.len() <= MAX_RECORD));
    assert_eq!((records, fine), read(bytes, usize::MAX));
});
