use super::*;
use crate::ctl::fake::{FakeHomied, State, record};
use crate::wire::output::{Source, header};

const JOB: JobId = JobId([0xcd; 16]);

fn log(records: &[&[u8]]) -> Vec<u8> {
    let mut log = Vec::new();
    for data in records {
        log.extend_from_slice(&header(Source::Stdout, 0, data.len()));
        log.extend_from_slice(data);
    }
    log
}

#[tokio::test]
async fn a_view_goes_on_at_its_offset_when_homied_restarts() {
    let lines: Vec<Vec<u8>> = (0..200).map(|i| format!("line {i}\n").into_bytes()).collect();
    let log = log(&lines.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let total = log.len() as u64;
    // Connections break in the middle of a header, of a record, and right at a border.
    let border = RECORD_HEADER + lines[0].len();
    let breaks = vec![5, border, border, 1234, 3000];
    let homied = FakeHomied::start(State { record: Some(record(JOB)), log, breaks, ..State::default() });
    let ctx = homied.context();
    let mut watch = Watch::new(&ctx, JOB, Look { story: false, raw: true, document: false }, true);
    // What is shown goes to this process's standard output; the tail is the same bytes.
    let seen = watch.run().await.expect("watched");
    assert!(matches!(seen, Seen::All(r) if r.id == JOB));
    assert_eq!(watch.tail().into_bytes(), lines.concat());
    assert_eq!(watch.offset, total);
    assert!(homied.state().breaks.is_empty());
}

#[tokio::test]
async fn a_damaged_log_is_an_error_and_no_endless_loop() {
    let homied = FakeHomied::start(State { record: Some(record(JOB)), log: vec![9; 64], ..State::default() });
    let ctx = homied.context();
    let mut watch = Watch::new(&ctx, JOB, Look { story: false, raw: true, document: false }, true);
    let error = watch.run().await.expect_err("damaged");
    assert!(error.to_string().contains("damaged"), "{error}");
}
