//! Following a job: its events and its output, from any offset, for as long as the client stays.

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::broadcast::error::RecvError;

use super::methods::{Answer, find, value};
use super::session::{Session, SessionError, params};
use crate::model::{Epoch, JobEvent, JobId, JobRecord};
use crate::pipe::{LogState, OutputLog};
use crate::scheduler::messages::{FollowJob, JobFeed};
use crate::wire::frame::{Frame, FrameError, MAX_RAW_BULK};
use crate::wire::ipc::{Follow, Request};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Between two looks at whether a job's end is written down, which usually takes a millisecond.
const UNWRITTEN: std::time::Duration = std::time::Duration::from_millis(20);

/// Where the client is in the output, and what it was told last.
struct Place {
    epoch: Epoch,
    offset: u64,
    said: Option<String>,
}

impl Place {
    /// Another assignment's output starts at its beginning.
    fn of(&self, record: &JobRecord) -> u64 {
        if self.epoch == record.epoch { self.offset } else { 0 }
    }

    /// Whether a note is not the one that was told last: what a job waits for is told by the job when it begins to wait, and
    /// to whoever begins to follow, which may be the same moment.
    fn is_new(&mut self, note: &str) -> bool {
        let is_new = self.said.as_deref() != Some(note);
        self.said = Some(note.to_owned());
        is_new
    }
}

pub(super) async fn follow(session: &mut Session, request: &Request) -> Answer {
    let wanted: Follow = match params(request) {
        Ok(wanted) => wanted,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let record = match find(session, &wanted.job).await {
        Ok(record) => record,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut place = Place { epoch: wanted.epoch.unwrap_or(record.epoch), offset: wanted.from, said: None };
    let job = record.id;
    if wanted.wait && !wait(session, request.id, job, &mut place).await? {
        // The client has gone; the job goes on.
        return Err(FrameError::Closed.into());
    }
    finish(session, request.id, job, &mut place).await
}

/// Sends what happens until the job has ended. `false`: the client has gone.
async fn wait(session: &mut Session, id: u64, job: JobId, place: &mut Place) -> Result<bool, SessionError> {
    loop {
        let feed = match session.ask(&session.shared.parts.outlets.follow, FollowJob { job }).await {
            Ok(Some(feed)) => feed,
            // Ended, or homied is on its way down: what history has is the rest.
            Ok(None) | Err(_) => return Ok(true),
        };
        match stream(session, id, feed, place).await? {
            Next::Gone => return Ok(false),
            // Decided a moment before it is written down, or much longer on a full disk.
            Next::Ended if is_open(session, job).await => tokio::time::sleep(UNWRITTEN).await,
            Next::Ended => return Ok(true),
            Next::Again => {}
        }
    }
}

/// Whether history does not know of the job's end yet.
async fn is_open(session: &mut Session, job: JobId) -> bool {
    find(session, &job.to_string()).await.is_ok_and(|record| !record.is_terminal())
}

/// How following an assignment ended.
enum Next {
    /// The client has gone.
    Gone,
    /// The job has another assignment, or may have: ask again.
    Again,
    /// The job has ended, and its last record is in history. Nothing but this word tells: the scheduler's end of the
    /// channel may outlive the job, while it still calls back a lost worker.
    Ended,
}

fn is_last(event: &JobEvent) -> bool {
    matches!(event, JobEvent::Record { record } if record.is_terminal())
}

/// Sends what happens until the present assignment ends.
async fn stream(session: &mut Session, id: u64, feed: JobFeed, place: &mut Place) -> Result<Next, SessionError> {
    let JobFeed { record, log, waiting, mut events } = feed;
    if record.is_terminal() {
        return Ok(Next::Ended);
    }
    let mut cursor = log.map(|log| log.cursor(place.of(&record)));
    (place.epoch, place.offset) = (record.epoch, place.of(&record));
    session.event(id, &JobEvent::Record { record: Box::new(record) }).await?;
    if let Some(text) = waiting
        && place.is_new(&text)
    {
        session.event(id, &JobEvent::Note { text }).await?;
    }
    flush(session).await?;
    loop {
        tokio::select! {
            // Output before events: the end of a job must not overtake its last line.
            biased;
            bytes = next(&mut cursor), if cursor.is_some() => match bytes {
                Ok(Some(bytes)) => {
                    place.offset += bytes.len() as u64;
                    session.wire.send(Frame::Raw { stream: place.epoch.0, data: bytes }).await?;
                }
                // The assignment has ended: another one follows, or the job is over. Asking again tells.
                Ok(None) => return wait_for_change(session, id, &mut events).await,
                Err(error) => {
                    tracing::warn!(%error, "cannot read a job's output");
                    cursor = None;
                }
            },
            event = events.recv() => match event {
                // The last record goes out behind the rest of the output.
                Ok(event) if is_last(&event) => return Ok(Next::Ended),
                Ok(JobEvent::Note { text }) if !place.is_new(&text) => {}
                Ok(event) => {
                    let assigned = matches!(&event, JobEvent::Record { record } if record.epoch != place.epoch);
                    session.event(id, &event).await?;
                    flush(session).await?;
                    if assigned || (cursor.is_none() && matches!(event, JobEvent::Record { .. })) {
                        return Ok(Next::Again);
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(Next::Again),
            },
            gone = session.wire.next() => match gone {
                None => return Ok(Next::Gone),
                Some(frame) => { frame?; }
            },
        }
    }
}

async fn next(cursor: &mut Option<crate::pipe::Cursor>) -> std::io::Result<Option<Bytes>> {
    match cursor {
        Some(cursor) => cursor.next(MAX_RAW_BULK).await,
        None => Ok(None),
    }
}

/// The output of an assignment is complete; its job ends or is given to another worker.
async fn wait_for_change(
    session: &mut Session,
    id: u64,
    events: &mut tokio::sync::broadcast::Receiver<JobEvent>,
) -> Result<Next, SessionError> {
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) if is_last(&event) => return Ok(Next::Ended),
                Ok(event) => {
                    session.event(id, &event).await?;
                    flush(session).await?;
                    if matches!(event, JobEvent::Record { .. }) {
                        return Ok(Next::Again);
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(Next::Again),
            },
            gone = session.wire.next() => match gone {
                None => return Ok(Next::Gone),
                Some(frame) => { frame?; }
            },
        }
    }
}

/// The job has ended (or only what is there was asked for): the rest of the output, then the record.
async fn finish(session: &mut Session, id: u64, job: JobId, place: &mut Place) -> Answer {
    let record = match find(session, &job.to_string()).await {
        Ok(record) => record,
        Err(refusal) => return Ok(Err(refusal)),
    };
    session.event(id, &JobEvent::Record { record: Box::new(record.clone()) }).await?;
    let from = place.of(&record);
    (place.epoch, place.offset) = (record.epoch, from);
    let path = session.shared.parts.sent_dir.join(job.to_string()).join(format!("output-{}", record.epoch));
    if let Err(refusal) = rest(session, path, from, record.epoch).await? {
        return Ok(Err(refusal));
    }
    Ok(value(&record))
}

async fn rest(
    session: &mut Session,
    path: PathBuf,
    from: u64,
    epoch: Epoch,
) -> Result<Result<(), Refusal>, SessionError> {
    let len = match tokio::fs::metadata(&path).await {
        Ok(meta) => meta.len(),
        // It never started, or its output is no longer kept.
        Err(_) => return Ok(Ok(())),
    };
    let (_announcer, log) = OutputLog::new(path, LogState { len, done: true });
    let mut cursor = log.cursor(from);
    loop {
        match cursor.next(MAX_RAW_BULK).await {
            Ok(Some(data)) => session.wire.send(Frame::Raw { stream: epoch.0, data }).await?,
            Ok(None) => return Ok(Ok(())),
            Err(e) => return Ok(Err(Refusal::new(RefusalKind::Internal, format!("cannot read the output: {e}")))),
        }
    }
}

async fn flush(session: &mut Session) -> Result<(), SessionError> {
    SinkExt::<Frame>::flush(&mut session.wire).await?;
    Ok(())
}
