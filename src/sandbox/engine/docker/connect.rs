//! A connection to the engine that was found.

use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};

use super::error;
use super::find::{self, Found, Surroundings};
use crate::sandbox::engine::EngineError;

/// How long the engine may take to answer a request. Creating and starting take 0.1 to 0.3 s; a machine whose disk
/// is busy can need a hundred times that.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// A client of the engine, speaking a version of its API that both know.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// bollard's client.
    pub(super) docker: Docker,
    /// Where it is and who.
    pub(super) found: Found,
}

/// Searches the engine and connects to it.
///
/// # Errors
/// [`EngineError::NotReady`] when none answers.
pub(super) async fn connect(env: &Surroundings) -> Result<Client, EngineError> {
    let found = find::find(env).await?;
    let version = negotiated(found.pong.api);
    let socket = found.socket.to_string_lossy();
    let docker = Docker::connect_with_unix(&socket, REQUEST_LIMIT.as_secs(), &version)
        .map_err(|e| EngineError::NotReady(format!("{socket}: {}", error::words(&e))))?;
    Ok(Client { docker, found })
}

/// The lower of what the engine and bollard speak; every engine of the last years takes it.
fn negotiated((major_version, minor_version): (usize, usize)) -> ClientVersion {
    let theirs = ClientVersion { major_version, minor_version };
    let ours = ClientVersion {
        major_version: API_DEFAULT_VERSION.major_version,
        minor_version: API_DEFAULT_VERSION.minor_version,
    };
    if theirs < ours { theirs } else { ours }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_version_is_spoken() {
        let text = |v: ClientVersion| format!("{}.{}", v.major_version, v.minor_version);
        assert_eq!(text(negotiated((1, 41))), "1.41");
        assert_eq!(text(negotiated((1, 999))), text(negotiated((2, 0))));
    }
}
