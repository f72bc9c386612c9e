//! systemd's part: is homied a service here, and then start and stop it that way.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::wait::finish;
use crate::ctl::exit::CtlError;
use crate::paths::Kind;

/// The unit's name.
const UNIT: &str = "homied.service";
/// systemd itself gives a unit 90 s to start or stop; a little more, so that its own error arrives.
const PATIENCE: Duration = Duration::from_secs(100);

/// The systemd that would look after this homied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The machine's; root asks it.
    System,
    /// The user's own.
    User,
}

impl Service {
    /// Which systemd fits a homied with these places; `None` without systemd, and for a homied under HOMIE_HOME, of
    /// which there may be several.
    pub fn fitting(kind: Kind) -> Option<Self> {
        // The test that sd_booted(3) documents.
        if !Path::new("/run/systemd/system").is_dir() {
            return None;
        }
        match kind {
            Kind::Home => None,
            Kind::System => Some(Self::System),
            // Without a session there is no user manager to ask.
            Kind::User => std::env::var_os("XDG_RUNTIME_DIR").map(|_| Self::User),
        }
    }

    fn systemctl(self, args: &[&str]) -> Command {
        let mut command = Command::new("systemctl");
        if self == Self::User {
            command.arg("--user");
        }
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn ask(self, args: &[&str]) -> Option<String> {
        let child = self.systemctl(args).spawn().ok()?;
        let done = finish(child, PATIENCE).await.ok()?;
        done.status.success().then_some(done.stdout)
    }

    async fn order(self, args: &[&str]) -> Result<(), CtlError> {
        let what = format!("systemctl {}", args.join(" "));
        let child = self.systemctl(args).spawn().map_err(|e| CtlError::io(format!("cannot run {what}"), e))?;
        let done = finish(child, PATIENCE).await.map_err(|e| CtlError::io(what.clone(), e))?;
        if done.status.success() {
            return Ok(());
        }
        let journal =
            if self == Self::User { "journalctl --user -u homied -n 20" } else { "journalctl -u homied -n 20" };
        Err(CtlError::usage_hint(format!("{what}: {}", done.stderr), format!("`{journal}` tells more")))
    }

    /// Whether systemd knows the unit.
    pub async fn is_installed(self) -> bool {
        self.ask(&["cat", UNIT]).await.is_some()
    }

    /// The process id of the homied that systemd looks after.
    pub async fn main_pid(self) -> Option<u32> {
        self.ask(&["show", "-p", "MainPID", "--value", UNIT]).await?.trim().parse().ok().filter(|pid| *pid > 0)
    }

    /// Starts it; comes back when it says it is ready.
    ///
    /// # Errors
    /// systemd refuses, or homied fails.
    pub async fn start(self) -> Result<(), CtlError> {
        self.order(&["start", UNIT]).await
    }

    /// Stops it.
    ///
    /// # Errors
    /// systemd refuses.
    pub async fn stop(self) -> Result<(), CtlError> {
        self.order(&["stop", UNIT]).await
    }

    /// Makes systemd start it with the machine (or with the user's session).
    ///
    /// # Errors
    /// systemd refuses.
    pub async fn enable(self) -> Result<(), CtlError> {
        self.order(&["daemon-reload"]).await?;
        self.order(&["enable", UNIT]).await
    }

    /// Where a unit file that an administrator (or the user) adds belongs.
    pub fn unit_dir(self, home: Option<&Path>) -> Option<PathBuf> {
        match self {
            Self::System => Some("/etc/systemd/system".into()),
            Self::User => home.map(|h| h.join(".config/systemd/user")),
        }
    }

    /// For people: `the machine starts`, `you log in`.
    pub fn when(self) -> &'static str {
        match self {
            Self::System => "the machine starts",
            Self::User => "you log in",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_homied_is_never_a_service() {
        assert_eq!(Service::fitting(Kind::Home), None);
    }

    #[test]
    fn units_go_where_systemd_looks() {
        let dir = |s: Service| s.unit_dir(Some(Path::new("/home/raj")));
        assert_eq!(dir(Service::System), Some("/etc/systemd/system".into()));
        assert_eq!(dir(Service::User), Some("/home/raj/.config/systemd/user".into()));
        assert_eq!(Service::User.unit_dir(None), None);
    }
}
