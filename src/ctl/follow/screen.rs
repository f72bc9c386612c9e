//! What a person sees of a running job: the header, the stages before it runs, its lines, the breaks between attempts.

use std::io::{self, Write};

use super::document::Document;
use super::printer::Printer;
use crate::ctl::context::{Context, output_error};
use crate::ctl::exit::CtlError;
use crate::ctl::render::{Progress, Style, card};
use crate::model::{Epoch, JobEvent, JobId, JobRecord, JobState, Placement, Stage, visible_controls};
use crate::wire::output::Record;

/// Bytes of the end of the output that are kept to look for a reason in after a failure.
const TAIL: usize = 16 << 10;

/// What is drawn beside the job's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Header, stages and breaks.
    pub story: bool,
    /// The job's bytes as they are.
    pub raw: bool,
    /// With `--json`: its output is the document itself, not something beside it.
    pub document: bool,
}

/// The screen of one job.
pub(super) struct Screen<'a> {
    ctx: &'a Context,
    look: Look,
    printer: Printer<Box<dyn Write>>,
    /// Where output goes instead of the printer.
    document: Option<Document<io::Stdout>>,
    /// Spinners and bars.
    pub(super) progress: Progress,
    record: Option<JobRecord>,
    header_drawn: bool,
    /// The attempt whose beginning the user was told.
    told: Epoch,
    tail: Vec<u8>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(ctx: &'a Context, job: JobId, look: Look) -> Self {
        // With --json standard output is for the document alone.
        let (out, style): (Box<dyn Write>, Style) =
            if ctx.json { (Box::new(io::stderr()), ctx.err) } else { (Box::new(io::stdout()), ctx.out) };
        let printer = Printer::new((out, style), (Box::new(io::stderr()), ctx.err), look.raw);
        let progress = Progress::new(ctx);
        let document = (ctx.json && look.document).then(|| Document::new(io::stdout(), job));
        Self {
            ctx,
            look,
            printer,
            document,
            progress,
            record: None,
            header_drawn: false,
            told: Epoch(0),
            tail: Vec::new(),
        }
    }

    /// The last lines that the job wrote.
    pub(super) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }

    pub(super) fn event(&mut self, event: JobEvent) -> Result<(), CtlError> {
        match event {
            JobEvent::Record { record } => self.record(*record),
            JobEvent::Progress { stage, done, total } => {
                self.show_stage(stage, done, total);
                Ok(())
            }
            JobEvent::Note { text } => self.note(&text),
        }
    }

    /// The job's record changed.
    pub(super) fn record(&mut self, record: JobRecord) -> Result<(), CtlError> {
        if self.look.story {
            self.story(&record)?;
        }
        self.record = Some(record);
        Ok(())
    }

    fn story(&mut self, record: &JobRecord) -> Result<(), CtlError> {
        let name = record.peer_name.as_deref().map(|n| visible_controls(n.as_bytes())).unwrap_or_default();
        let placed = !name.is_empty() && record.state > JobState::Queued;
        if placed && !std::mem::replace(&mut self.header_drawn, true) {
            self.told = record.epoch;
            self.aside(&header(&self.ctx.err, record, &name))?;
        } else if placed && record.epoch > self.told {
            // A worker that never accepted lost nothing: that was told by a note.
            let before = record.attempts.iter().rev().find(|a| a.epoch < record.epoch && a.accepted);
            if let Some(before) = before {
                let lost = visible_controls(before.peer_name.as_bytes());
                let text = format!("[{lost}] lost; restarted on {name}, attempt {}\n", record.epoch);
                self.printer.finish().map_err(output_error)?;
                self.aside(&self.ctx.err.yellow(&text))?;
            }
            self.told = record.epoch;
        }
        let before = self.record.as_ref().map(|r| r.state);
        if before == Some(record.state) {
            return Ok(());
        }
        match record.state {
            JobState::Queued => self.progress.spin("looking for a machine"),
            JobState::Uploading => self.progress.spin(format!("sending files to {name}")),
            JobState::Preparing => self.progress.spin(format!("{name} makes the job's directory ready")),
            JobState::Starting => self.progress.spin(format!("starting on {name}")),
            JobState::Running => self.progress.clear(),
            JobState::Paused => self.note(&format!("[{name}] paused by its owner"))?,
            JobState::Unreachable => self.progress.spin(format!("{name} is out of reach; the job may well run on")),
            JobState::Collecting => self.progress.spin(format!("bringing files from {name}")),
            _ => self.progress.clear(),
        }
        Ok(())
    }

    fn show_stage(&self, stage: Stage, done: u64, total: u64) {
        if self.look.story {
            let step = match stage {
                Stage::Uploading => "sending files",
                Stage::Building => "building the environment",
                Stage::Pulling => "fetching the environment",
                Stage::Collecting => "bringing files",
            };
            self.progress.bytes(step, done, total);
        }
    }

    /// A remark that is not the job's.
    pub(super) fn note(&mut self, text: &str) -> Result<(), CtlError> {
        if self.ctx.quiet || !self.look.story {
            return Ok(());
        }
        let text = visible_controls(text.as_bytes());
        self.aside(&(self.ctx.err.dim(&text) + "\n"))
    }

    /// Output of assignment `epoch`.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(super) fn output(&mut self, epoch: Epoch, record: &Record) -> Result<(), CtlError> {
        let (source, data) = (record.source, &record.data[..]);
        if let Some(document) = &mut self.document {
            return document.push(epoch, source, record.at_ms, data).map_err(output_error);
        }
        self.progress.clear();
        if let Some(record) = &self.record {
            let attempt = record.attempts.iter().find(|a| a.epoch == epoch);
            let name = attempt.map(|a| a.peer_name.as_str()).or(record.peer_name.as_deref());
            self.printer.set_name(name.unwrap_or("job"));
        }
        self.printer.output(source, data);
        self.tail.extend_from_slice(data);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
        Ok(())
    }

    /// Ends the document, if the output is one; with `error` in it when it has begun and is not whole.
    ///
    /// # Errors
    /// `error`, when nothing was written yet; or standard output is closed.
    pub(super) fn end_document(&mut self, error: Option<CtlError>) -> Result<(), CtlError> {
        match (&mut self.document, error) {
            (None, Some(error)) => Err(error),
            (None, None) => Ok(()),
            (Some(document), Some(error)) => {
                if document.has_begun() && !matches!(error, CtlError::OutputClosed) {
                    document.end(Some(error.document())).map_err(output_error)?;
                    return Err(CtlError::Told(error.exit_code()));
                }
                Err(error)
            }
            (Some(document), None) => document.end(None).map_err(output_error),
        }
    }

    /// One attempt's output ends.
    pub(super) fn finish(&mut self) -> Result<(), CtlError> {
        self.progress.clear();
        self.printer.finish().map_err(output_error)
    }

    pub(super) fn idle(&mut self) -> Result<(), CtlError> {
        if let Some(document) = &mut self.document {
            return document.idle().map_err(output_error);
        }
        self.printer.idle().map_err(output_error)
    }

    pub(super) fn has_pending(&self) -> bool {
        self.printer.has_pending()
    }

    pub(super) fn show_pending(&mut self) -> Result<(), CtlError> {
        self.printer.show_pending().map_err(output_error)
    }

    /// Clears the way for something on the terminal.
    pub(super) fn step_aside(&mut self) -> Result<(), CtlError> {
        self.progress.clear();
        self.printer.step_aside().map_err(output_error)
    }

    /// Writes `text` to standard error, between the job's lines.
    fn aside(&mut self, text: &str) -> Result<(), CtlError> {
        if self.ctx.quiet {
            return Ok(());
        }
        self.step_aside()?;
        // Without standard error there is nobody to tell.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        Ok(())
    }
}

/// The card that opens a job.
fn header(style: &Style, record: &JobRecord, name: &str) -> String {
    let why = match (&record.spec.peer, record.spec.placement) {
        (Some(_), _) => "",
        (None, Placement::Local) => " (this machine)",
        (None, _) => " (best available)",
    };
    let shown = visible_controls(record.spec.name.as_bytes());
    let rows = [format!("Job ID: {}", record.id.short()), format!("Script: {shown}")];
    card(style, &format!("Sending to {name}{why}"), &rows) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fake;

    #[test]
    fn the_header_looks_as_the_documents_draw_it() {
        let style = Style { tty: true, color: false, unicode: true, width: 80 };
        let mut record = fake::record(JobId([0xa1; 16]));
        assert_eq!(
            header(&style, &record, "raj"),
            "\
╭─ Sending to raj (best available) ────────────────────╮
│ Job ID: a1a1a1a1                                     │
│ Script: train.py                                     │
╰──────────────────────────────────────────────────────╯

"
        );
        record.spec.peer = Some("raj".into());
        assert!(header(&style, &record, "raj").starts_with("╭─ Sending to raj ───"));
    }
}
