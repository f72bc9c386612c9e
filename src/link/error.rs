//! Why a connection to a peer is not there.

use std::io;

use super::handshake::HelloError;
use super::hint::unreached;
use crate::model::PeerId;
use crate::wire::frame::FrameError;
use crate::wire::refusal::{Refusal, RefusalKind};

/// A connection that was not made, or not kept.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The host name means nothing.
    #[error("cannot resolve {host}: {why}")]
    Resolve {
        /// What was asked for.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// Nobody answered there.
    #[error("cannot reach {target}: {source}")]
    Connect {
        /// Where.
        target: String,
        /// Why.
        source: io::Error,
    },
    /// A proxy stands between, and said no.
    #[error("cannot reach {target} through the proxy {proxy}: {why}")]
    Proxy {
        /// Its URL, without a login.
        proxy: String,
        /// Who was asked for.
        target: String,
        /// What it said.
        why: String,
    },
    /// It took longer than it may.
    #[error("{0} did not answer in time")]
    Slow(String),
    /// It hung up before it said anything.
    #[error("closed without a word: its group secret differs, or it is not Homie")]
    Silent,
    /// TLS failed after the gate: somebody else's protocol, or somebody in between.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// It hung up instead of answering HELLO.
    #[error("it refused our HELLO without a word")]
    NoHello,
    /// HELLO was not believed.
    #[error("refused: {0}")]
    Hello(String),
    /// Somebody else lives there.
    #[error("{at} answers with the key of {found:?}, not of {wanted:?}")]
    Stranger {
        /// Where.
        at: String,
        /// Who was wanted.
        wanted: PeerId,
        /// Who answered.
        found: PeerId,
    },
    /// We dialled ourselves.
    #[error("that is this machine itself")]
    Myself,
    /// It spoke nonsense, or broke off.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// One of the two sides does not accept the other.
    #[error("{0}")]
    Refused(Refusal),
    /// A link that works is as short.
    #[error("the link that is up is as short")]
    NotNeeded,
    /// There is no group secret, so there is nobody to talk to.
    #[error("this machine is in no group yet")]
    NoGroup,
}

impl From<HelloError> for LinkError {
    fn from(error: HelloError) -> Self {
        Self::Hello(error.to_string())
    }
}

impl LinkError {
    /// What the user is told.
    pub(super) fn refusal(self) -> Refusal {
        let text = self.to_string();
        let unreachable = |hint: &str| Refusal::new(RefusalKind::Unreachable, text.clone()).hint(hint);
        match self {
            Self::Refused(refusal) => refusal,
            Self::NoGroup => Refusal::new(RefusalKind::Config, text)
                .hint("run `homie setup`, or set `group_secret` to the one your friends use"),
            Self::Silent => unreachable("compare `group_secret` and `group` in both configurations"),
            Self::Resolve { .. } => unreachable("check the name, or add the peer by its address"),
            Self::Connect { target, source } => unreachable(&unreached(&target, source.kind())),
            Self::Slow(_) => unreachable(
                "it is dialled again by itself; if it stays so, see there with `homie status` whether homied is busy or stuck",
            ),
            Self::Proxy { .. } => unreachable(
                "the proxy comes from `proxy` or `proxy_rules` in the configuration, or from ALL_PROXY and its sisters",
            ),
            Self::Stranger { .. } => {
                unreachable("its address changed hands; it is found again with its next heartbeat")
            }
            Self::Tls(_) => unreachable(
                "does something else listen there, or stand in between? check address and port, and `homie --version` on both",
            ),
            Self::NoHello => unreachable(
                "it may have put this machine out of the group (ask there for `homie invite`), or it runs another release \
(`homie --version` on both)",
            ),
            Self::Hello(_) => unreachable(
                "compare `group_secret`, `group` and `homie --version` on both; `homie status` on both may say more",
            ),
            Self::Frame(_) => unreachable(
                "it is dialled again by itself; if it stays so, compare `homie --version` on both, and check address and port",
            ),
            Self::Myself => unreachable("give the address of another machine; `homie remove ADDRESS` forgets this one"),
            Self::NotNeeded => unreachable("nothing is wrong: the link that is up stays"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_a_next_step() {
        let (wanted, found) = (PeerId([1; 32]), PeerId([2; 32]));
        let connect = |kind: io::ErrorKind| LinkError::Connect { target: "10.0.0.1:5556".into(), source: kind.into() };
        let errors = [
            LinkError::Resolve { host: "raj".into(), why: "no such name".into() },
            connect(io::ErrorKind::ConnectionRefused),
            connect(io::ErrorKind::Other),
            LinkError::Proxy { proxy: "http://p:1".into(), target: "raj:5556".into(), why: "no".into() },
            LinkError::Slow("the handshake".into()),
            LinkError::Silent,
            LinkError::Tls("no certificate".into()),
            LinkError::NoHello,
            LinkError::Hello("its ticket is not good".into()),
            LinkError::Stranger { at: "10.0.0.1:5556".into(), wanted, found },
            LinkError::Myself,
            LinkError::Frame(FrameError::Closed),
            LinkError::NotNeeded,
            LinkError::NoGroup,
        ];
        for error in errors {
            let refusal = error.refusal();
            assert!(refusal.hint.is_some_and(|hint| hint.len() > 20), "{}", refusal.message);
        }
        assert!(
            LinkError::NoHello.refusal().hint.is_some_and(|hint| hint.contains("put this machine out of the group"))
        );
    }
}
