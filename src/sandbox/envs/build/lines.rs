//! What tools say while they build, as progress.

use crate::model::{BuildProgress, BuildStep};
use crate::sandbox::envs::builder::ProgressSink;
use crate::wire::output::RecordReader;

/// Longest line that is waited for; a longer one is cut.
const MAX_LINE: usize = 4096;
/// Lines of the driver itself; anything a package prints may look the same, so nothing is decided by them.
const MARK: &str = "==> ";

/// The lines of one build so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    kept: Vec<String>,
}

impl Lines {
    /// Takes the next bytes of the log.
    pub(super) fn take(&mut self, reader: &mut RecordReader, bytes: &[u8], progress: &ProgressSink) {
        reader.push(bytes);
        while let Ok(Some(record)) = reader.next_record() {
            for piece in record.data.split_inclusive(|b| *b == b'\n') {
                self.pending.extend_from_slice(piece);
                if piece.ends_with(b"\n") || self.pending.len() > MAX_LINE {
                    let line = std::mem::take(&mut self.pending);
                    self.line(&line, progress);
                }
            }
        }
    }

    /// Takes one line.
    pub(super) fn line(&mut self, line: &[u8], progress: &ProgressSink) {
        let text = crate::model::visible_controls(line.trim_ascii());
        if text.is_empty() {
            return;
        }
        // All that a judgement looks at; the last lines are what people are shown.
        const KEPT: usize = 200;
        if self.kept.len() >= KEPT {
            self.kept.remove(0);
        }
        self.kept.push(text.clone());
        progress.send_modify(|p| {
            p.push_line(text.as_bytes());
            if let Some((step, what)) = step_of(&text).filter(|(step, _)| p.steps > 1 || *step == p.step) {
                p.step = step;
                p.what = what;
                p.detail.clear();
            } else if let Some(detail) = detail_of(&text) {
                p.detail = detail;
            }
        });
    }

    /// Tells how much came over the network.
    pub(super) fn moved(&self, bytes: u64, progress: &ProgressSink) {
        progress.send_if_modified(|p| std::mem::replace(&mut p.done, bytes) != bytes);
    }

    /// Every line that is kept, the oldest first.
    pub(super) fn all(&self) -> &[String] {
        &self.kept
    }

    /// The newest line.
    pub(super) fn last(&self) -> Option<&String> {
        self.kept.last()
    }

    /// What the driver said about itself: the words after its mark.
    pub(super) fn marked(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().filter_map(|l| l.strip_prefix(MARK))
    }
}

/// The steps of a build of Python packages.
pub(super) const STEPS: u32 = 3;

fn step_of(line: &str) -> Option<(u32, BuildStep)> {
    match line.strip_prefix(MARK)? {
        "choosing versions" => Some((1, BuildStep::Resolve)),
        "downloading" | "downloading pip" => Some((1, BuildStep::Download)),
        "installing" => Some((2, BuildStep::Install)),
        "finishing" => Some((3, BuildStep::Finish)),
        _ => None,
    }
}

/// The package at hand, from what pip, apt and the image builder say.
fn detail_of(line: &str) -> Option<String> {
    /// Characters of it that fit beside the rest of a line of progress.
    const MOST: usize = 60;
    let rest = [
        "Collecting ",
        "Downloading ",
        "Building wheel for ",
        "Processing ",
        "Get:",
        "Setting up ",
        "Unpacking ",
        "Step ",
    ];
    let (start, word) = rest.iter().find_map(|s| Some((s, line.strip_prefix(s)?)))?;
    let word = match *start {
        "Step " => word,
        "Processing " => word.rsplit('/').next().unwrap_or(word),
        _ => word.split([' ', ';']).next().unwrap_or(word),
    };
    Some(word.chars().take(MOST).collect())
}

/// A fresh account of a build of so many steps.
pub(super) fn begin(steps: u32, what: BuildStep) -> BuildProgress {
    BuildProgress { step: 1, steps, what, ..BuildProgress::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::watch;

    #[test]
    fn lines_become_steps_and_details() {
        let (progress, seen) = watch::channel(begin(STEPS, BuildStep::Download));
        let mut lines = Lines::default();
        for (line, want) in [
            ("==> downloading", "step 1/3: downloading"),
            ("Collecting numpy>=1.24 (from x)", "step 1/3: downloading (numpy>=1.24)"),
            ("==> installing\n", "step 2/3: installing Python packages"),
            (
                "Processing ./files/six-1.17.0-py3-none-any.whl",
                "step 2/3: installing Python packages (six-1.17.0-py3-none-any.whl)",
            ),
            ("\x1b[31mnoise", "step 2/3: installing Python packages (six-1.17.0-py3-none-any.whl)"),
            ("==> finishing", "step 3/3: finishing"),
        ] {
            lines.line(line.as_bytes(), &progress);
            assert_eq!(seen.borrow().sentence(), want);
        }
        assert!(seen.borrow().lines.iter().all(|l| !l.contains('\x1b')));
        assert_eq!(lines.marked().collect::<Vec<_>>(), ["downloading", "installing", "finishing"]);
    }

    #[test]
    fn records_are_cut_into_lines_however_they_come() {
        let (progress, _seen) = watch::channel(BuildProgress::default());
        let (mut lines, mut reader) = (Lines::default(), RecordReader::default());
        let mut log = Vec::new();
        for text in ["a\nb", "c\n", "\n\nd"] {
            log.extend(crate::wire::output::header(crate::wire::output::Source::Stdout, 0, text.len()));
            log.extend(text.as_bytes());
        }
        log.chunks(3).for_each(|c| lines.take(&mut reader, c, &progress));
        assert_eq!(lines.all(), ["a", "bc"]);
    }
}
