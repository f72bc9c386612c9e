//! A job's output as one JSON document, written while it arrives: line by line, since a log may be larger than memory.

use std::io::{self, BufWriter, Write};

use serde_json::json;

use crate::ctl::render::rfc3339;
use crate::model::{Epoch, JobId};
use crate::wire::output::Source;

/// A line that is longer comes in several entries, so that output without newlines needs no memory.
const MAX_LINE: usize = 64 << 10;

/// One source's unfinished line.
#[derive(Debug, Default)]
struct Line {
    text: Vec<u8>,
    at_ms: u64,
}

/// The document, on its way out. Nothing is written before the first byte of output or the end, so that an error before
/// that is a document of its own.
#[derive(Debug)]
pub(super) struct Document<W: Write> {
    to: BufWriter<W>,
    job: JobId,
    lines: [Line; 2],
    epoch: Epoch,
    entries: u64,
    begun: bool,
}

impl<W: Write> Document<W> {
    /// An empty one for the output of `job`.
    pub(super) fn new(to: W, job: JobId) -> Self {
        let lines = [Line::default(), Line::default()];
        Self { to: BufWriter::new(to), job, lines, epoch: Epoch(0), entries: 0, begun: false }
    }

    /// Takes the next bytes of attempt `epoch`.
    pub(super) fn push(&mut self, epoch: Epoch, source: Source, at_ms: u64, mut data: &[u8]) -> io::Result<()> {
        if epoch != self.epoch {
            self.flush_lines()?;
            self.epoch = epoch;
        }
        while !data.is_empty() {
            let line = &mut self.lines[index(source)];
            if line.text.is_empty() {
                line.at_ms = at_ms;
            }
            let room = MAX_LINE - line.text.len();
            let (part, ended) = match data.iter().take(room).position(|b| *b == b'\n') {
                Some(at) => (at + 1, true),
                None => (data.len().min(room), data.len() >= room),
            };
            line.text.extend_from_slice(&data[..part]);
            data = &data[part..];
            if ended {
                self.entry(source)?;
            }
        }
        Ok(())
    }

    /// Shows what is complete; an unfinished line waits for its rest.
    pub(super) fn idle(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// Ends the document; with the reason in it when not everything could be had.
    pub(super) fn end(&mut self, error: Option<serde_json::Value>) -> io::Result<()> {
        self.flush_lines()?;
        self.begin()?;
        write!(self.to, "{}]", if self.entries == 0 { "" } else { "\n  " })?;
        if let Some(error) = error {
            write!(self.to, ",\n  \"error\": {error}")?;
        }
        writeln!(self.to, "\n}}")?;
        self.to.flush()
    }

    /// Whether some of it is out.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    fn flush_lines(&mut self) -> io::Result<()> {
        for source in [Source::Stdout, Source::Stderr] {
            if !self.lines[index(source)].text.is_empty() {
                self.entry(source)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, source: Source) -> io::Result<()> {
        self.begin()?;
        let line = std::mem::take(&mut self.lines[index(source)]);
        let entry = json!({
            "attempt": self.epoch,
            "stream": if source == Source::Stdout { "stdout" } else { "stderr" },
            "time": rfc3339(line.at_ms),
            "text": String::from_utf8_lossy(&line.text),
        });
        write!(self.to, "{}\n    {entry}", if self.entries == 0 { "" } else { "," })?;
        self.entries += 1;
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            write!(self.to, "{{\n  \"version\": 1,\n  \"job\": {},\n  \"output\": [", json!(self.job))?;
        }
        Ok(())
    }
}

fn index(source: Source) -> usize {
    match source {
        Source::Stdout => 0,
        Source::Stderr => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn document(parts: &[(u64, Source, &[u8])], error: Option<Value>) -> Value {
        let mut out = Vec::new();
        let mut document = Document::new(&mut out, JobId([0xa1; 16]));
        for (at, (epoch, source, data)) in parts.iter().enumerate() {
            document.push(Epoch(*epoch as _), *source, 1_700_000_000_000 + at as u64, data).expect("memory");
        }
        document.end(error).expect("memory");
        drop(document);
        serde_json::from_slice(&out).expect("one document")
    }

    #[test]
    fn output_is_told_line_by_line_with_its_stream_time_and_attempt() {
        use Source::{Stderr, Stdout};
        let parts: &[(u64, Source, &[u8])] = &[
            (1, Stdout, b"a\nb"),
            (1, Stderr, b"warn\n"),
            (1, Stdout, b"c\xff\n"),
            (1, Stdout, b"cut"),
            (2, Stdout, b"again\n"),
        ];
        let told = document(parts, None);
        assert_eq!((told["version"].as_u64(), told["job"].as_str()), (Some(1), Some("a1".repeat(16).as_str())));
        let lines: Vec<_> = told["output"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|l| {
                (l["stream"].as_str().expect("s"), l["text"].as_str().expect("t"), l["attempt"].as_u64().expect("a"))
            })
            .collect();
        assert_eq!(
            lines,
            [
                ("stdout", "a\n", 1),
                ("stderr", "warn\n", 1),
                ("stdout", "bc\u{fffd}\n", 1),
                ("stdout", "cut", 1),
                ("stdout", "again\n", 2)
            ]
        );
        assert_eq!(told["output"][2]["time"], "2023-11-14T22:13:20.000Z");
    }

    #[test]
    fn nothing_and_a_broken_end_are_documents_too() {
        assert_eq!(document(&[], None)["output"], json!([]));
        let told = document(&[(1, Source::Stdout, b"x\n")], Some(json!({ "kind": "connection" })));
        assert_eq!(
            (told["error"]["kind"].as_str(), told["output"][0]["text"].as_str()),
            (Some("connection"), Some("x\n"))
        );
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_and_no_line_is_endless(
            parts in proptest::collection::vec(("[a-z\n]{0,20}", 0usize..3), 0..8)
        ) {
            let texts: Vec<String> = parts.iter().map(|(text, n)| format!("{text}{}", "x".repeat(n * 40_000))).collect();
            let given: Vec<_> = texts.iter().map(|t| (1, Source::Stdout, t.as_bytes())).collect();
            let told = document(&given, None);
            let lines: Vec<&str> = told["output"].as_array().expect("a list").iter().map(|l| l["text"].as_str().expect("text")).collect();
            prop_assert_eq!(lines.concat(), texts.concat());
            prop_assert!(lines.iter().all(|line| line.len() <= MAX_LINE && !line.trim_end_matches('\n').contains('\n')));
        }
    }
}
