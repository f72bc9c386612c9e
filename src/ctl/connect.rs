//! The client's end of the local socket: find it, make sure whose it is, speak.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use interprocess::local_socket::tokio::{Stream, prelude::*};
use interprocess::local_socket::{GenericFilePath, ToFsName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tokio_util::codec::Framed;

use super::exit::CtlError;
use crate::wire::frame::{Frame, FrameCodec, FrameError};
use crate::wire::ipc::{Greeting, READY, Reply, Request};
use crate::wire::version;

/// A connection that carries frames.
pub type Wire = Framed<Stream, FrameCodec>;

/// How long homied may take to greet or to answer. Its slowest answers wait for a peer (10 s); a laptop that is
/// swapping doubles that.
const ANSWER: Duration = Duration::from_secs(30);
/// Where the system service listens.
const SYSTEM_SOCKET: &str = "/run/homie/homied.sock";
/// The name of a socket inside a homied's own directory.
const SOCKET_NAME: &str = "homied.sock";

/// An open, greeted connection to homied.
#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    next_id: u64,
    /// homied's release.
    pub release: String,
    /// The version of the protocol that is spoken.
    pub protocol: u32,
    /// Where it listens.
    pub socket: PathBuf,
}

/// Where homied may listen, in the order of preference, and whether that place was named by the user (then no other
/// is tried).
pub fn candidates(env: &dyn Fn(&str) -> Option<OsString>) -> (Vec<PathBuf>, bool) {
    if let Some(socket) = env("HOMIE_SOCKET") {
        return (vec![socket.into()], true);
    }
    if let Some(home) = env("HOMIE_HOME") {
        return (vec![Path::new(&home).join(SOCKET_NAME)], true);
    }
    let user = env("HOME").map(|home| Path::new(&home).join(".homie").join(SOCKET_NAME));
    (user.into_iter().chain([PathBuf::from(SYSTEM_SOCKET)]).collect(), false)
}

/// Connects to the first homied that answers.
///
/// # Errors
/// None answers, the socket is not ours to use, or it speaks another protocol.
pub async fn connect(env: &dyn Fn(&str) -> Option<OsString>) -> Result<Connection, CtlError> {
    let (places, named) = candidates(env);
    for path in &places {
        match open(path).await {
            Ok(stream) => return greet(stream, path).await,
            Err(e) if is_absent(&e) => {}
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(not_a_member(path)),
            Err(e) => return Err(CtlError::io(format!("cannot connect to {}", path.display()), e)),
        }
    }
    let tried: Vec<_> = places.iter().map(|p| p.display().to_string()).collect();
    let hint = if named {
        "start it with `homie up` (HOMIE_SOCKET or HOMIE_HOME names that place)"
    } else {
        "start it with `homie up`"
    };
    Err(CtlError::NoDaemon {
        message: format!("homied is not running (no answer at {})", tried.join(", ")),
        hint: hint.into(),
    })
}

/// Nothing listens there: no such file, a file left by a dead homied, or no directory to hold one.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory)
}

fn not_a_member(path: &Path) -> CtlError {
    CtlError::Refused(
        crate::wire::refusal::Refusal::new(
            crate::wire::refusal::RefusalKind::NotAllowed,
            format!("you may not use {}", path.display()),
        )
        .hint("ask the owner of this machine to put you into the group `homie` (`usermod -aG homie YOU`), then log in again"),
    )
}

async fn open(path: &Path) -> io::Result<Stream> {
    let stream = Stream::connect(path.to_fs_name::<GenericFilePath>()?).await?;
    // Whoever listens there reads our files and our jobs' output: believe the kernel about who that is, not the path.
    let owner = stream.peer_creds()?.euid().unwrap_or(u32::MAX);
    if is_trusted(owner) {
        Ok(stream)
    } else {
        Err(io::Error::other(format!(
            "it belongs to user {owner}, who is neither root nor `homie` nor you, so it is not used"
        )))
    }
}

fn is_trusted(owner: u32) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    owner == 0
        || owner == own
        || nix::unistd::User::from_name("homie").ok().flatten().is_some_and(|user| user.uid.as_raw() == owner)
}

async fn greet(stream: Stream, path: &Path) -> Result<Connection, CtlError> {
    let mut wire = Framed::new(stream, FrameCodec::bulk());
    let ours = Greeting { protocol: version::IPC.to_vec(), version: version::RELEASE.into() };
    wire.send(Frame::json(&ours)?).await?;
    let theirs: Greeting = next(&mut wire).await?.parse()?;
    let protocol = version::negotiate(version::IPC, &theirs.protocol, &theirs.version)?;
    Ok(Connection { wire, next_id: 1, release: theirs.version, protocol, socket: path.to_owned() })
}

/// The next frame, in time.
async fn next(wire: &mut Wire) -> Result<Frame, CtlError> {
    match timeout(ANSWER, wire.next()).await {
        Err(_) => Err(CtlError::Broken(format!("no answer within {} s", ANSWER.as_secs()))),
        Ok(None) => Err(FrameError::Closed.into()),
        Ok(Some(frame)) => Ok(frame?),
    }
}

impl Connection {
    /// Sends a request and gives its id: for the methods that turn the connection into something else.
    ///
    /// # Errors
    /// The connection broke, or `params` are longer than a frame.
    pub async fn request<P: Serialize>(&mut self, method: &str, params: &P) -> Result<u64, CtlError> {
        let id = self.next_id;
        self.next_id += 1;
        let params = serde_json::to_value(params).map_err(|e| CtlError::Protocol(e.to_string()))?;
        self.wire.send(Frame::json(&Request { id, method: method.into(), params })?).await?;
        Ok(id)
    }

    /// Asks and waits for the answer. Events before it are passed over.
    ///
    /// # Errors
    /// homied refuses, does not answer within 30 s, or the connection breaks.
    pub async fn call<P: Serialize, T: DeserializeOwned>(&mut self, method: &str, params: &P) -> Result<T, CtlError> {
        self.call_each(method, params, |_: serde_json::Value| ()).await
    }

    /// Asks for a list: all rows that come before the answer.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub async fn call_rows<P: Serialize, T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &P,
    ) -> Result<Vec<T>, CtlError> {
        let mut rows = Vec::new();
        self.call_each::<_, _, serde_json::Value>(method, params, |row| rows.push(row)).await?;
        Ok(rows)
    }

    /// Asks, hands every event to `each`, and gives the answer.
    async fn call_each<P: Serialize, E: DeserializeOwned, T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &P,
        mut each: impl FnMut(E),
    ) -> Result<T, CtlError> {
        let wanted = self.request(method, params).await?;
        loop {
            match next(&mut self.wire).await?.parse()? {
                Reply::Event { id, event } if id == wanted => each(shape(event)?),
                Reply::Ok { id, ok } if id == wanted => return shape(ok),
                Reply::Error { id, error } if id == wanted => return Err(error.into()),
                other => return Err(CtlError::Protocol(format!("an answer to another request: {other:?}"))),
            }
        }
    }

    /// Waits for the answer to request `wanted`, after a transfer.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub async fn answer<T: DeserializeOwned>(&mut self, wanted: u64) -> Result<T, CtlError> {
        match next(&mut self.wire).await?.parse()? {
            Reply::Ok { id, ok } if id == wanted => shape(ok),
            Reply::Error { id, error } if id == wanted => Err(error.into()),
            other => Err(CtlError::Protocol(format!("an unexpected answer: {other:?}"))),
        }
    }

    /// Waits for the word that a transfer begins with the next frame.
    ///
    /// # Errors
    /// homied refuses the request, or the connection breaks.
    pub async fn ready(&mut self, wanted: u64) -> Result<(), CtlError> {
        match next(&mut self.wire).await?.parse()? {
            Reply::Event { id, event } if id == wanted && event == READY => Ok(()),
            Reply::Error { id, error } if id == wanted => Err(error.into()),
            other => Err(CtlError::Protocol(format!("an unexpected answer: {other:?}"))),
        }
    }

    /// The frames themselves: for transfers and follows.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

fn shape<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, CtlError> {
    serde_json::from_value(value).map_err(|e| CtlError::Protocol(format!("an answer of another shape: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(vars: &[(&str, &str)]) -> (Vec<PathBuf>, bool) {
        candidates(&|name| vars.iter().find(|(k, _)| *k == name).map(|(_, v)| OsString::from(v)))
    }

    #[test]
    fn a_named_place_is_the_only_one_tried() {
        assert_eq!(places(&[("HOMIE_SOCKET", "/s"), ("HOMIE_HOME", "/h"), ("HOME", "/u")]), (vec!["/s".into()], true));
        assert_eq!(places(&[("HOMIE_HOME", "/h"), ("HOME", "/u")]), (vec!["/h/homied.sock".into()], true));
        assert_eq!(
            places(&[("HOME", "/u")]),
            (vec!["/u/.homie/homied.sock".into(), "/run/homie/homied.sock".into()], false)
        );
    }

    #[tokio::test]
    async fn without_a_daemon_the_error_says_how_to_start_one() {
        let dir = tempfile::tempdir().expect("tempdir");
        let socket = dir.path().join("homied.sock");
        let env = |name: &str| (name == "HOMIE_SOCKET").then(|| socket.clone().into_os_string());
        let error = connect(&env).await.expect_err("nobody listens");
        assert_eq!((error.kind(), error.exit_code()), ("no-daemon", 69));
        assert!(error.hint().is_some_and(|h| h.contains("homie up")), "{error:?}");
        // A socket file that a killed homied left behind is the same case.
        drop(std::os::unix::net::UnixListener::bind(&socket).expect("bind"));
        assert_eq!(connect(&env).await.expect_err("nobody listens").kind(), "no-daemon");
    }
}
