//! What every command is given: how to print, and how to reach homied.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde::Serialize;

use super::connect::{Connection, connect};
use super::exit::CtlError;
use super::render::Style;

/// The surroundings of one command.
#[derive(Debug, Clone)]
pub struct Context {
    /// Print one JSON document instead of cards and tables.
    pub json: bool,
    /// Print only what was asked for.
    pub quiet: bool,
    /// How standard output may be written.
    pub out: Style,
    /// How standard error may be written.
    pub err: Style,
    /// The only socket to try; `None` searches the usual places.
    pub socket: Option<PathBuf>,
    /// The user's directory for what can be found out again; `None` keeps nothing.
    pub cache: Option<PathBuf>,
}

impl Context {
    /// Looks at the terminal and the environment.
    pub fn detect(json: bool, no_color: bool, quiet: bool) -> Self {
        let var = |name: &str| std::env::var_os(name);
        Self {
            json,
            quiet,
            out: Style::detect(&io::stdout(), no_color, &var),
            err: Style::detect(&io::stderr(), no_color, &var),
            socket: None,
            cache: cache_dir(&|name| environment(name).map(PathBuf::from)),
        }
    }

    /// Connects to the homied of this user or this machine.
    ///
    /// # Errors
    /// No homied answers, the socket belongs to somebody else, or it speaks another protocol.
    pub async fn connect(&self) -> Result<Connection, CtlError> {
        match &self.socket {
            Some(socket) => connect(&|name| (name == "HOMIE_SOCKET").then(|| socket.clone().into())).await,
            None => connect(&environment).await,
        }
    }

    /// Writes `text` to standard output.
    ///
    /// # Errors
    /// The output cannot be written; [`CtlError::OutputClosed`] when its reader has gone.
    pub fn print(&self, text: &str) -> Result<(), CtlError> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(output_error)
    }

    /// Writes a remark to standard error, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            // Nobody to tell that nobody listens.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Writes `document` to standard output as indented JSON.
    ///
    /// # Errors
    /// As [`Context::print`].
    pub fn print_json<T: Serialize>(&self, document: &T) -> Result<(), CtlError> {
        let text = serde_json::to_string_pretty(document).map_err(|e| CtlError::io("cannot write JSON", e.into()))?;
        self.print(&(text + "\n"))
    }

    /// Writes `{"version":1,"<name>":rows}`, the shape of everything that lists.
    ///
    /// # Errors
    /// As [`Context::print`].
    pub fn print_list<T: Serialize>(&self, name: &str, rows: &[T]) -> Result<(), CtlError> {
        self.print_json(&serde_json::json!({ "version": 1, name: rows }))
    }
}

/// A variable of this process's environment.
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|v| !v.is_empty())
}

/// The user's cache directory, if it is theirs: who runs one command by sudo is not to be left with files there that they
/// cannot remove.
fn cache_dir(env: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let is_own = |dir: &PathBuf| std::fs::metadata(dir).is_ok_and(|meta| meta.uid() == nix::unistd::geteuid().as_raw());
    let named = env("XDG_CACHE_HOME").filter(|dir| dir.is_absolute());
    match named {
        Some(dir) => Some(dir).filter(is_own),
        None => Some(env("HOME").filter(is_own)?.join(".cache")),
    }
}

/// The error of a failed write to standard output.
pub fn output_error(error: io::Error) -> CtlError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        CtlError::OutputClosed
    } else {
        CtlError::io("cannot write to standard output", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_cache_directory_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (own, cache) = (dir.path().to_owned(), dir.path().join(".cache"));
        let found = |home: &Path, xdg: Option<&Path>| {
            let (home, xdg) = (home.to_owned(), xdg.map(Path::to_owned));
            cache_dir(&move |name| if name == "HOME" { Some(home.clone()) } else { xdg.clone() })
        };
        assert_eq!(found(&own, None), Some(cache.clone()));
        assert_eq!(found(&own, Some(Path::new("relative"))), Some(cache));
        assert_eq!(found(Path::new("/nonexistent"), Some(&own)), Some(own.clone()));
        assert_eq!(found(&own, Some(Path::new("/nonexistent"))), None);
        assert_eq!(found(Path::new("/nonexistent"), None), None);
    }
}
