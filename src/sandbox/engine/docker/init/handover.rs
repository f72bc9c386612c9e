//! Laying out what a container's init needs, and handing a job over to it.
//!
//! The pipes are the supervisor's own. So a job's output and its end reach the supervisor without the engine: a daemon
//! that is slow costs nothing, and one that is killed and comes back interrupts nothing.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{OpenOptions as PipeOptions, Receiver, Sender};
use tokio::time::timeout;

use super::PROGRAM;
use super::protocol::{ERR, GO, IN, INIT, OUT, Order, PIPES, STATUS, Said};

/// Room in the output pipes: what an ordinary user may have (pipe(7)). With the usual 64 KiB writer and reader take
/// turns for every record.
const PIPE_BYTES: i32 = 1 << 20;
/// How long init may take to answer: it only has to be scheduled, on a machine that may be very busy.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Makes the directory `ctl` with the init program, the pipes and the given file `hosts`. Blocks.
///
/// # Errors
/// It is there already, or cannot be written.
pub(in super::super) fn furnish(ctl: &Path, hosts: &str) -> io::Result<()> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", ctl.display()));
    let file = |name: &str, mode: u32, bytes: &[u8]| {
        let path = ctl.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        file.write_all(bytes)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))
    };
    let all = || {
        DirBuilder::new().mode(0o755).create(ctl)?;
        fs::set_permissions(ctl, Permissions::from_mode(0o755))?;
        file(INIT, 0o755, PROGRAM)?;
        file("hosts", 0o644, hosts.as_bytes())?;
        for name in PIPES {
            let path = ctl.join(name);
            mkfifo(&path, Mode::empty())?;
            // Init runs as whichever user the engine maps the job's to; nobody else can enter the job's directory.
            fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        }
        Ok(())
    };
    all().map_err(named)
}

/// Why init did not take its order.
#[derive(Debug)]
pub(in super::super) enum NoAnswer {
    /// It is not there, or says what it never says.
    Silent(String),
    /// It cannot start the program; the number of the error.
    Refused(i32),
}

impl From<io::Error> for NoAnswer {
    fn from(e: io::Error) -> Self {
        Self::Silent(e.to_string())
    }
}

/// The supervisor's ends of the pipes.
#[derive(Debug)]
pub(in super::super) struct Line {
    /// Kept open for as long as the job may live.
    pub(in super::super) order: Sender,
    /// What init says.
    pub(in super::super) status: Receiver,
    /// The program's output.
    pub(in super::super) stdout: Receiver,
    /// The program's errors.
    pub(in super::super) stderr: Receiver,
}

impl Line {
    /// Opens the pipes in `ctl`; init may come later.
    ///
    /// # Errors
    /// They are not there.
    pub(in super::super) fn open(ctl: &Path) -> io::Result<Self> {
        let read = |name| PipeOptions::new().open_receiver(ctl.join(name));
        let (status, stdout, stderr) = (read(STATUS)?, read(OUT)?, read(ERR)?);
        for pipe in [&stdout, &stderr] {
            // Over the user's share of pipe memory it stays at its size, which is only slower.
            let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        }
        // For reading too: a pipe without a reader could not be opened to write yet.
        let order = PipeOptions::new().read_write(true).open_sender(ctl.join(IN))?;
        Ok(Self { order, status, stdout, stderr })
    }

    /// Calls init and waits until it holds its ends; then takes the names of the pipes away from `ctl`, before any
    /// program of the job could find them.
    ///
    /// # Errors
    /// It does not answer.
    pub(in super::super) async fn call(&mut self, ctl: &Path) -> Result<(), NoAnswer> {
        self.order.write_all(&[GO]).await?;
        match self.hear().await? {
            Said::Ready => {}
            other => return Err(NoAnswer::Silent(format!("init says {other:?}"))),
        }
        for name in PIPES {
            fs::remove_file(ctl.join(name))?;
        }
        Ok(())
    }

    /// Gives the order and waits until the program runs.
    ///
    /// # Errors
    /// The program cannot be started, or init is gone.
    pub(in super::super) async fn give(&mut self, order: &Order) -> Result<(), NoAnswer> {
        self.order.write_all(&order.encode()).await?;
        match self.hear().await? {
            Said::Started => Ok(()),
            Said::Failed(errno) => Err(NoAnswer::Refused(errno)),
            other => Err(NoAnswer::Silent(format!("init says {other:?}"))),
        }
    }

    async fn hear(&mut self) -> Result<Said, NoAnswer> {
        let mut message = [0; Said::BYTES];
        let heard = timeout(ANSWER_LIMIT, self.status.read_exact(&mut message)).await;
        heard.map_err(|_| NoAnswer::Silent("init does not answer".to_owned()))??;
        Said::decode(message).ok_or_else(|| NoAnswer::Silent("init says something unheard of".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    /// Init as an ordinary process, in a mount namespace where it finds `ctl` at its place.
    fn init(ctl: &Path, seconds: u32) -> Child {
        let script =
            "mount -t tmpfs none /run && mkdir /run/homie && mount --bind \"$1\" /run/homie && exec /run/homie/init $2";
        let namespaces = if nix::unistd::geteuid().is_root() { "-m" } else { "-Urm" };
        Command::new("unshare")
            .args([namespaces, "--propagation", "private", "sh", "-c", script, "sh"])
            .arg(ctl)
            .arg(seconds.to_string())
            .spawn()
            .expect("unshare")
    }

    fn place() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("tempdir");
        let ctl = dir.path().join("ctl");
        furnish(&ctl, "127.0.0.1 localhost\n").expect("furnished");
        (dir, ctl)
    }

    fn order(command: &[&str]) -> Order {
        Order {
            dir: b"/".to_vec(),
            command: command.iter().map(|w| w.as_bytes().to_vec()).collect(),
            vars: vec![(b"A".to_vec(), b"1".to_vec())],
        }
    }

    #[tokio::test]
    async fn a_program_is_run_and_its_output_and_end_are_told() {
        let (_dir, ctl) = place();
        let mut line = Line::open(&ctl).expect("opened");
        let mut child = init(&ctl, 60);
        line.call(&ctl).await.expect("answered");
        assert!(PIPES.iter().all(|name| !ctl.join(name).exists()));
        line.give(&order(&["sh", "-c", "echo $A; echo err >&2; kill -9 $$"])).await.expect("started");
        let (mut out, mut err) = (String::new(), String::new());
        line.stdout.read_to_string(&mut out).await.expect("stdout");
        line.stderr.read_to_string(&mut err).await.expect("stderr");
        assert_eq!((out.as_str(), err.as_str()), ("1\n", "err\n"));
        assert_eq!(line.hear().await.expect("end"), Said::Ended(9));
        assert_eq!(child.wait().expect("ended").code(), Some(128 + 9));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_told_by_its_error() {
        let (_dir, ctl) = place();
        let mut line = Line::open(&ctl).expect("opened");
        let mut child = init(&ctl, 60);
        line.call(&ctl).await.expect("answered");
        let refused = line.give(&order(&["no-such-program"])).await.expect_err("not there");
        assert!(matches!(refused, NoAnswer::Refused(libc::ENOENT)), "{refused:?}");
        child.wait().expect("ended");
    }

    #[tokio::test]
    async fn init_goes_with_its_supervisor_and_does_not_wait_for_ever() {
        let (_dir, ctl) = place();
        let mut line = Line::open(&ctl).expect("opened");
        let mut child = init(&ctl, 60);
        line.call(&ctl).await.expect("answered");
        line.give(&order(&["sleep", "1000"])).await.expect("started");
        drop(line);
        assert_eq!(child.wait().expect("ended").code(), Some(128 + 9));

        let (_dir, ctl) = place();
        assert_eq!(init(&ctl, 0).wait().expect("ended").code(), Some(0));
    }
}
