//! Ctrl-C while a job runs: the first asks whether to leave it or to cancel it, the second cancels.

use std::io::{BufRead as _, BufReader, Write as _};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;

/// What the user wants of a job after Ctrl-C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Leave; the job goes on.
    Detach,
    /// Cancel it.
    Cancel,
    /// Go on watching.
    Stay,
}

/// Hears Ctrl-C. While it lives, Ctrl-C does not end the process.
#[derive(Debug)]
pub(super) struct Interrupts(Signal);

impl Interrupts {
    /// Begins to hear.
    pub(super) fn new() -> Result<Self, CtlError> {
        signal(SignalKind::interrupt()).map(Self).map_err(|e| CtlError::io("cannot watch for Ctrl-C", e))
    }

    /// Waits for the next Ctrl-C.
    pub(super) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }

    /// Asks on the terminal. Without one nobody can answer, and Ctrl-C means what it always meant.
    pub(super) async fn ask(&mut self, ctx: &Context, job: &str) -> Wish {
        let terminal = std::fs::File::open("/dev/tty");
        let (true, Ok(terminal)) = (ctx.err.tty, terminal) else { return Wish::Cancel };
        let text = format!(
            "\n{} [d]etach and let job {job} go on, [c]ancel it, or Enter to stay (Ctrl-C again cancels): ",
            ctx.err.bold("Ctrl-C:")
        );
        // If it cannot be written, nobody sees the question either, and the answer below decides.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
        let (tell, answer) = oneshot::channel();
        // A thread of its own, because a read from a terminal cannot be called off; it ends with the process.
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(terminal).read_line(&mut line);
            let _ = tell.send(line);
        });
        tokio::select! {
            line = answer => wish(&line.unwrap_or_default()),
            () = self.next() => {
                ctx.note("");
                Wish::Cancel
            }
        }
    }
}

fn wish(line: &str) -> Wish {
    match line.trim().to_ascii_lowercase().as_str() {
        "d" | "detach" => Wish::Detach,
        "c" | "cancel" => Wish::Cancel,
        _ => Wish::Stay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_answer_ends_anything() {
        assert_eq!(
            ["d\n", "Detach", "c", "CANCEL\n"].map(wish),
            [Wish::Detach, Wish::Detach, Wish::Cancel, Wish::Cancel]
        );
        assert_eq!(["", "\n", "x", "dc"].map(wish), [Wish::Stay; 4]);
    }
}
