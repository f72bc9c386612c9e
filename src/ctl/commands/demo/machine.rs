//! One machine of the demo: a real homied with a home of its own.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::network::Place;
use crate::ctl::config_file::{self, EditError, NewConfig, quote};
use crate::ctl::connect::connect;
use crate::ctl::exit::CtlError;
use crate::ctl::homied::until;

/// How long homied may take to stop in order.
const END: Duration = Duration::from_secs(30);
/// Lines of a log that are shown after a failure.
const LAST_LINES: usize = 20;

/// A homied of the demo.
#[derive(Debug)]
pub(super) struct Machine {
    /// Its name.
    pub(super) name: &'static str,
    /// HOMIE_HOME.
    pub(super) home: PathBuf,
    log: PathBuf,
    homied: Child,
}

/// What makes one.
#[derive(Debug)]
pub(super) struct Recipe<'a> {
    /// Its name.
    pub(super) name: &'static str,
    /// The directory that gets its home.
    pub(super) under: &'a Path,
    /// Where it stands.
    pub(super) place: &'a Place,
    /// The group's secret.
    pub(super) secret: &'a str,
    /// `auto`, `docker` or `native`.
    pub(super) engine: &'a str,
}

impl Recipe<'_> {
    /// The text of its config file.
    fn config(&self) -> Result<String, EditError> {
        let mut text = config_file::new_file(&NewConfig { name: self.name, secret: self.secret, group: Some("demo") });
        let direct: Vec<String> = self.place.direct.iter().map(|d| format!("\"{d}\"")).collect();
        for (key, value) in [
            ("discovery_port", self.place.discovery_port.to_string()),
            ("worker_port", self.place.worker_port.to_string()),
            ("engine", quote(self.engine)),
            // Two homied of one machine do not hear each other's broadcasts: their ports differ.
            ("broadcast", self.place.space.is_some().to_string()),
            ("direct", format!("[{}]", direct.join(", "))),
        ] {
            text = config_file::set(&text, key, &value)?;
        }
        Ok(text)
    }

    /// Starts it.
    ///
    /// # Errors
    /// Its files cannot be written, or its program does not start.
    pub(super) fn start(&self, program: &Path) -> Result<Machine, CtlError> {
        let home = self.under.join(self.name);
        let failed = |e| CtlError::io(format!("cannot set up {}", home.display()), e);
        DirBuilder::new().mode(0o700).create(&home).map_err(failed)?;
        let text = self.config().map_err(|e| CtlError::usage(e.to_string()))?;
        config_file::write(&home.join("config.yaml"), &text).map_err(|e| CtlError::usage(e.to_string()))?;
        let log = home.join("homied.log");
        let to = File::create(&log).map_err(failed)?;
        let mut command = self.place.command(program);
        isolate(&mut command, &home);
        let homied = command
            .stdin(Stdio::null())
            .stdout(to.try_clone().map_err(failed)?)
            .stderr(to)
            // Ctrl-C is for the demo, which then stops both machines in order.
            .process_group(0)
            .spawn()
            .map_err(|e| CtlError::io(format!("cannot start {}", program.display()), e))?;
        Ok(Machine { name: self.name, home, log, homied })
    }
}

/// Nothing of the user's own Homie may reach the demo's: neither settings nor places.
pub(super) fn isolate(command: &mut Command, home: &Path) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HOMIE_") {
            command.env_remove(name);
        }
    }
    command.env("HOMIE_HOME", home);
}

impl Machine {
    /// Asks its homied.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub(super) async fn ask<P: Serialize, T: DeserializeOwned>(&self, method: &str, params: &P) -> Result<T, CtlError> {
        connect(&|name| self.variable(name)).await?.call(method, params).await
    }

    /// Asks it for a list.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub(super) async fn rows<P: Serialize, T: DeserializeOwned>(
        &self,
        method: &str,
        params: &P,
    ) -> Result<Vec<T>, CtlError> {
        connect(&|name| self.variable(name)).await?.call_rows(method, params).await
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        match name {
            "HOMIE_HOME" => Some(self.home.clone().into_os_string()),
            // A home whose path is too long for a socket has it in the runtime directory.
            "XDG_RUNTIME_DIR" => std::env::var_os(name),
            _ => None,
        }
    }

    /// Why it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<String> {
        match self.homied.try_wait() {
            Ok(Some(status)) => Some(format!("{}'s homied ended: {status}", self.name)),
            _ => None,
        }
    }

    /// Stops it in order. Whether it did; if not, it is killed.
    pub(super) async fn stop(&mut self) -> bool {
        if let Ok(pid) = i32::try_from(self.homied.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let homied = &mut self.homied;
        let ended = until(END, || std::future::ready(homied.try_wait().ok().flatten())).await;
        if ended.is_none() {
            let _ = self.homied.kill();
            let _ = self.homied.wait();
        }
        ended.is_some_and(|status| status.success())
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Only where the orderly end was not reached; a homied that has ended is not touched.
        if matches!(self.homied.try_wait(), Ok(None)) {
            let _ = self.homied.kill();
            let _ = self.homied.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::commands::demo::network::Network;

    #[test]
    fn each_machine_has_a_config_of_its_own() {
        let network = Network::loopback().expect("free ports");
        let text = |i: usize| {
            let recipe = Recipe {
                name: super::super::network::NAMES[i],
                under: Path::new("/nowhere"),
                place: &network.places[i],
                secret: "k7qm",
                engine: "native",
            };
            recipe.config().expect("editable")
        };
        let get = |text: &str, key: &str| config_file::get(text, key).expect("readable");
        assert_eq!(get(&text(0), "name").as_deref(), Some("alice"));
        assert_eq!(get(&text(1), "worker_port"), Some(network.places[1].worker_port.to_string()));
        assert_eq!(get(&text(1), "broadcast").as_deref(), Some("false"));
        assert_eq!(get(&text(1), "engine").as_deref(), Some("native"));
        assert!(text(0).contains(&format!("direct: [\"127.0.0.1:{}\"]", network.places[1].worker_port)), "{}", text(0));
        assert!(text(1).contains("direct: []"), "{}", text(1));
    }
}
