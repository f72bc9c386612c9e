//! What a command ends with: its exit code, or one clear error with a next step.

use std::io::{self, Write as _};

use serde_json::json;

use super::context::Context;
use crate::model::visible_controls;
use crate::transfer::TransferError;
use crate::wire::frame::FrameError;
use crate::wire::refusal::{Refusal, RefusalKind};
use crate::wire::version::VersionMismatch;

/// Bad usage, as getopt-style tools have it.
pub const USAGE: u8 = 2;
/// No homied, or no peer (sysexits EX_UNAVAILABLE).
pub const UNAVAILABLE: u8 = 69;
/// A program that was to take our place cannot be run, and is not there (as shells have it).
const NO_START: u8 = 126;
const NO_PROGRAM: u8 = 127;
/// Homie itself failed (as `docker run` has it).
pub const FAILED: u8 = 125;
/// Cancelled: 128 + SIGINT.
pub const CANCELLED: u8 = 130;
/// Whoever read our output has gone: 128 + SIGPIPE.
const PIPE: u8 = 141;

/// Why a command cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// The command line asks for something impossible.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to type instead.
        hint: Option<String>,
    },
    /// No homied answers.
    #[error("{message}")]
    NoDaemon {
        /// Where it was looked for.
        message: String,
        /// How to start it.
        hint: String,
    },
    /// homied (or the peer behind it) said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// This machine's system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The program that was to take our place was not started.
    #[error("cannot run {program}: {source}")]
    NotStarted {
        /// As it was typed.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// The connection to homied broke in the middle of a request.
    #[error("the connection to homied broke: {0}")]
    Broken(String),
    /// homied said something that this client does not understand; asking again would not help.
    #[error("homied said something unexpected: {0}")]
    Protocol(String),
    /// homied speaks another protocol.
    #[error(transparent)]
    Version(#[from] VersionMismatch),
    /// The error stands at the end of a document that had begun; its exit code remains.
    #[error("told already")]
    Told(u8),
    /// Standard output was closed by its reader: end quietly.
    #[error("standard output is closed")]
    OutputClosed,
}

impl CtlError {
    /// A wrong command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// A wrong command line, and what to type instead.
    pub fn usage_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// A failed call to the system; `what` names the path (`cannot read data.csv`).
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// Whether homied is away rather than unwilling, so that asking again later may help.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::NoDaemon { .. } | Self::Broken(_))
            || matches!(self, Self::Refused(r) if r.kind == RefusalKind::ShuttingDown)
    }

    /// The word for programs, as in `--json`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Usage { .. } => "usage",
            Self::NoDaemon { .. } => "no-daemon",
            Self::Refused(r) => r.kind.as_str(),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => "disk-full",
            Self::Io { .. } => "io",
            Self::NotStarted { .. } => "not-started",
            Self::Broken(_) => "connection",
            Self::Protocol(_) => "protocol",
            Self::Version(_) => "version",
            Self::Told(_) => "told",
            Self::OutputClosed => "output-closed",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. } => hint.as_deref(),
            Self::NoDaemon { hint, .. } => Some(hint),
            Self::Refused(r) => r.hint.as_deref(),
            Self::NotStarted { source, .. } => Some(match source.kind() {
                io::ErrorKind::NotFound => {
                    "is it installed and in PATH? of a script, also the program in its first line"
                }
                io::ErrorKind::PermissionDenied => "it must be a file with the right to be executed (`chmod +x`)",
                _ => "is it a program for this machine? a script begins with a line such as #!/bin/sh",
            }),
            Self::Broken(_) => Some("see whether homied is up with `homie status`; a job that was submitted goes on"),
            Self::Protocol(_) => Some("update homie and homied to the same release"),
            Self::Io { .. } | Self::Version(_) | Self::Told(_) | Self::OutputClosed => None,
        }
    }

    /// The exit code (design: exit codes).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => USAGE,
            Self::NoDaemon { .. } => UNAVAILABLE,
            Self::Refused(r) => match r.kind {
                RefusalKind::NoPeer => UNAVAILABLE,
                RefusalKind::UnknownPeer | RefusalKind::UnknownJob => USAGE,
                _ => FAILED,
            },
            Self::NotStarted { source, .. } if source.kind() == io::ErrorKind::NotFound => NO_PROGRAM,
            Self::NotStarted { .. } => NO_START,
            Self::Told(code) => *code,
            Self::OutputClosed => PIPE,
            Self::Io { .. } | Self::Broken(_) | Self::Protocol(_) | Self::Version(_) => FAILED,
        }
    }

    /// The `error` of a JSON document (docs/json.md).
    pub fn document(&self) -> serde_json::Value {
        let mut error = json!({ "kind": self.kind(), "message": self.to_string() });
        if let Some(hint) = self.hint() {
            error["hint"] = hint.into();
        }
        error
    }

    /// Tells the user: `error: …` and `hint: …` on standard error, or one JSON document on standard output.
    pub fn report(&self, ctx: &Context) {
        if matches!(self, Self::OutputClosed | Self::Told(_)) {
            return;
        }
        if ctx.json {
            // A reader that has gone needs no error either.
            let _ = ctx.print_json(&json!({ "version": 1, "error": self.document() }));
            return;
        }
        // Messages quote names of files and of other machines.
        let safe = |text: &str| visible_controls(text.as_bytes());
        let mut text = format!("{} {}\n", ctx.err.red("error:"), safe(&self.to_string()));
        if let Some(hint) = self.hint() {
            text.push_str(&format!("{} {}\n", ctx.err.cyan("hint:"), safe(hint)));
        }
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

impl From<clap::Error> for CtlError {
    /// clap's words, less the usage line: programs want the reason, people did not ask for JSON.
    fn from(error: clap::Error) -> Self {
        use clap::error::ErrorKind;
        let text = error.render().to_string();
        let tips: Vec<&str> = text.lines().filter_map(|line| line.trim_start().strip_prefix("tip: ")).collect();
        let hint = if tips.is_empty() { "`--help` shows what can be said".to_owned() } else { tips.join("; ") };
        let message = match error.kind() {
            // The first prints every command, the second is the help itself.
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                "a command is missing".to_owned()
            }
            _ => {
                let first = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
                let words = first.collect::<Vec<_>>().join(" ");
                words.strip_prefix("error: ").map_or(words.clone(), str::to_owned)
            }
        };
        Self::usage_hint(message, hint)
    }
}

impl From<FrameError> for CtlError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(_) | FrameError::Closed => Self::Broken(error.to_string()),
            FrameError::TooLong { .. } | FrameError::UnknownType(_) | FrameError::Malformed(_) => {
                Self::Protocol(error.to_string())
            }
        }
    }
}

impl From<TransferError> for CtlError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Theirs(refusal) | TransferError::Ours(refusal) => Self::Refused(refusal),
            TransferError::Read { path, source } => Self::io(format!("cannot send {path}"), source),
            TransferError::Frame(error) => error.into(),
            TransferError::Idle => Self::Broken(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::args::Cli;

    #[test]
    fn a_wrong_command_line_is_told_to_programs_in_the_shape_of_every_error() {
        let words = |line: &str| line.split(' ').map(std::ffi::OsString::from).collect::<Vec<_>>();
        for (line, json, part) in [
            ("homie --json peers --nonsense", true, "unexpected argument '--nonsense'"),
            ("homie peres --json", true, "unrecognized subcommand 'peres'"),
            ("homie --json", true, "a command is missing"),
            ("homie --json cancel", true, "required arguments were not provided: <JOBS>..."),
            ("homie --json run --cpu many x.py", true, "many"),
            ("homie run --cpu many x.py --json", false, "many"),
        ] {
            let line = words(line);
            let error = CtlError::from(Cli::read(line.iter().cloned()).expect_err("refused"));
            let text = error.to_string();
            assert_eq!((error.kind(), error.exit_code()), ("usage", 2));
            assert!(text.contains(part) && !text.contains('\n') && !text.contains("Usage:"), "{text}");
            assert_eq!(Cli::wants_json(&line), json, "{line:?}");
        }
        let tip = CtlError::from(Cli::read(words("homie peres")).expect_err("refused"));
        assert!(tip.hint().is_some_and(|hint| hint.contains("peers")), "{tip:?}");
    }

    #[test]
    fn every_error_has_the_exit_code_the_documentation_promises() {
        let refused = |kind| CtlError::from(Refusal::new(kind, "no"));
        for (error, code) in [
            (CtlError::usage("x"), 2),
            (CtlError::NoDaemon { message: "x".into(), hint: "y".into() }, 69),
            (refused(RefusalKind::NoPeer), 69),
            (refused(RefusalKind::UnknownPeer), 2),
            (refused(RefusalKind::UnknownJob), 2),
            (refused(RefusalKind::Internal), 125),
            (CtlError::io("x", io::Error::other("y")), 125),
            (CtlError::Broken("x".into()), 125),
            (CtlError::NotStarted { program: "x".into(), source: io::ErrorKind::NotFound.into() }, 127),
            (CtlError::NotStarted { program: "x".into(), source: io::ErrorKind::PermissionDenied.into() }, 126),
        ] {
            assert_eq!(error.exit_code(), code, "{error:?}");
        }
    }
}
