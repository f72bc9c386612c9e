//! Watching a job: `run`, `attach` and `logs` are the same view of a job that lives in homied.
//!
//! Events and output arrive over one connection. When homied restarts in the middle, the view connects again and goes
//! on at the offset it had reached, so that nothing is shown twice and nothing is left out.

mod document;
mod hints;
mod interrupt;
mod limits;
mod lines;
mod printer;
mod screen;
mod summary;

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, sleep};

use self::interrupt::{Interrupts, Wish};
use self::screen::Screen;
use super::connect::Connection;
use super::context::Context;
use super::exit::{CtlError, FAILED};
use crate::model::{Epoch, JobId, JobRecord};
use crate::wire::frame::{Frame, FrameError};
use crate::wire::ipc::{Follow, JobRef, Reply, method};
use crate::wire::output::{RECORD_HEADER, RecordReader};

pub use screen::Look;
pub(super) use screen::preparing_line;
pub use summary::{Ending, finish};

/// So long a restarting homied is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is tried meanwhile.
const RETRY: Duration = Duration::from_millis(250);
/// An unfinished line is shown when nothing came for so long: unnoticed by the eye, yet lines are rarely torn.
const QUIET: Duration = Duration::from_millis(150);

/// How a view ended.
#[derive(Debug)]
pub enum Seen {
    /// The job has ended (or, without waiting, everything there is was shown).
    All(Box<JobRecord>),
    /// The user left; the job goes on.
    Detached,
    /// The user left while the job was being cancelled.
    Cancelling,
}

/// What a terminal would get of these bytes of a job's output.
pub fn as_shown(output: &[u8]) -> Vec<u8> {
    printer::as_shown(output)
}

/// A view of one job.
pub struct Watch<'a> {
    ctx: &'a Context,
    job: JobId,
    /// To homied already, for the first look.
    homied: Option<Connection>,
    screen: Screen<'a>,
    /// The assignment whose log is being read, and how far it was: always a record's border.
    epoch: Option<Epoch>,
    offset: u64,
    reader: RecordReader,
    wait: bool,
    interrupts: Option<Interrupts>,
    cancelled: bool,
}

impl std::fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watch({} at {:?}+{})", self.job.short(), self.epoch, self.offset)
    }
}

impl<'a> Watch<'a> {
    /// A view of `job`. With `wait` it lasts until the job ends; otherwise it shows what there is.
    pub fn new(ctx: &'a Context, job: JobId, look: Look, wait: bool) -> Self {
        let screen = Screen::new(ctx, job, look);
        let reader = RecordReader::default();
        Self {
            ctx,
            job,
            homied: None,
            screen,
            epoch: None,
            offset: 0,
            reader,
            wait,
            interrupts: None,
            cancelled: false,
        }
    }

    /// From now on Ctrl-C asks whether to detach or to cancel.
    ///
    /// # Errors
    /// The system does not let us hear Ctrl-C.
    pub fn ask_on_interrupt(&mut self) -> Result<(), CtlError> {
        self.interrupts = Some(Interrupts::new()?);
        Ok(())
    }

    /// Looks first over this connection.
    pub fn begin_on(&mut self, homied: Connection) {
        self.homied = Some(homied);
    }

    /// Which job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// The last lines that the job wrote.
    pub fn tail(&self) -> String {
        self.screen.tail()
    }

    /// Watches to the end.
    ///
    /// # Errors
    /// The job does not exist, homied stays away for a minute, or standard output is closed.
    pub async fn run(&mut self) -> Result<Seen, CtlError> {
        let seen = self.watch().await;
        match seen {
            Ok(seen) => self.screen.end_document(None).map(|()| seen),
            Err(error) => Err(self.screen.end_document(Some(error)).err().unwrap_or(CtlError::Told(FAILED))),
        }
    }

    async fn watch(&mut self) -> Result<Seen, CtlError> {
        let mut away_since = None;
        loop {
            let error = match self.follow(&mut away_since).await {
                Ok(seen) => {
                    self.screen.finish()?;
                    return Ok(seen);
                }
                Err(error) if error.is_away() => error,
                Err(error) => return Err(error),
            };
            let since = match away_since {
                Some(since) => since,
                None => {
                    self.screen.note("homied is away; the job goes on, connecting again")?;
                    *away_since.insert(Instant::now())
                }
            };
            if since.elapsed() > PATIENCE {
                return Err(error);
            }
            // What had begun to arrive comes again from the last border.
            self.reader = RecordReader::default();
            match &mut self.interrupts {
                Some(interrupts) => tokio::select! {
                    () = sleep(RETRY) => {}
                    () = interrupts.next() => return Ok(if self.cancelled { Seen::Cancelling } else { Seen::Detached }),
                },
                None => sleep(RETRY).await,
            }
        }
    }

    /// One connection's worth of watching.
    async fn follow(&mut self, away_since: &mut Option<Instant>) -> Result<Seen, CtlError> {
        let mut homied = match self.homied.take() {
            Some(homied) => homied,
            None => self.ctx.connect().await?,
        };
        let from = Follow { job: self.job.to_string(), from: self.offset, epoch: self.epoch, wait: self.wait };
        let request = homied.request(method::JOB_FOLLOW, &from).await?;
        loop {
            let Some(frame) = self.next(&mut homied).await? else {
                match self.interrupted().await? {
                    Some(seen) => return Ok(seen),
                    None => continue,
                }
            };
            *away_since = None;
            match frame {
                Frame::Raw { stream, data } => self.output(Epoch(stream), &data)?,
                json => match json.parse()? {
                    Reply::Event { id, event } if id == request => {
                        // A newer homied may know events that we do not.
                        if let Ok(event) = serde_json::from_value(event) {
                            self.screen.event(event)?;
                        }
                    }
                    Reply::Ok { id, ok } if id == request => {
                        let record: JobRecord = serde_json::from_value(ok)
                            .map_err(|e| CtlError::Protocol(format!("an answer of another shape: {e}")))?;
                        self.screen.record(record.clone())?;
                        if self.wait && !record.is_terminal() {
                            return Err(CtlError::Broken("homied stopped telling before the job's end".into()));
                        }
                        return Ok(Seen::All(Box::new(record)));
                    }
                    Reply::Error { id, error } if id == request => return Err(error.into()),
                    other => return Err(CtlError::Protocol(format!("an answer to another request: {other:?}"))),
                },
            }
        }
    }

    /// The next frame, or `None` for Ctrl-C. Before it waits, everything that came is shown.
    async fn next(&mut self, homied: &mut Connection) -> Result<Option<Frame>, CtlError> {
        let wire = homied.wire();
        if let Some(interrupts) = &mut self.interrupts
            && interrupts.next().now_or_never().is_some()
        {
            return Ok(None);
        }
        let mut frame = wire.next().now_or_never();
        if frame.is_none() {
            self.screen.idle()?;
        }
        while frame.is_none() {
            let interrupted = async {
                match &mut self.interrupts {
                    Some(interrupts) => interrupts.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                next = wire.next() => frame = Some(next),
                () = interrupted => return Ok(None),
                () = sleep(QUIET), if self.screen.has_pending() => self.screen.show_pending()?,
            }
        }
        match frame.flatten() {
            Some(frame) => Ok(Some(frame?)),
            None => Err(FrameError::Closed.into()),
        }
    }

    fn output(&mut self, epoch: Epoch, data: &[u8]) -> Result<(), CtlError> {
        if self.epoch != Some(epoch) {
            if self.epoch.is_some() {
                self.screen.finish()?;
            }
            (self.epoch, self.offset, self.reader) = (Some(epoch), 0, RecordReader::default());
        }
        self.reader.push(data);
        while let Some(record) = self.reader.next_record().map_err(|e| CtlError::Protocol(e.to_string()))? {
            self.offset += (RECORD_HEADER + record.data.len()) as u64;
            self.screen.output(epoch, &record)?;
        }
        Ok(())
    }

    /// Ctrl-C was pressed. Gives how the view ends, if it does.
    async fn interrupted(&mut self) -> Result<Option<Seen>, CtlError> {
        if self.cancelled {
            return Ok(Some(Seen::Cancelling));
        }
        self.screen.step_aside()?;
        let Some(interrupts) = &mut self.interrupts else { return Ok(None) };
        match interrupts.ask(self.ctx, &self.job.short()).await {
            Wish::Stay => Ok(None),
            Wish::Detach => Ok(Some(Seen::Detached)),
            Wish::Cancel => {
                self.cancelled = true;
                self.screen.note("cancelling")?;
                let job = JobRef { job: self.job.to_string() };
                let _: JobRecord = self.ctx.connect().await?.call(method::JOB_CANCEL, &job).await?;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests;
