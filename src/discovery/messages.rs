//! Words discovery understands.

use crate::mailbox::Word;

/// Sends our own next beat now (at most once in 250 ms), because somebody new was heard.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct BeatSoon;

/// Why we do not broadcast, if so.
#[derive(Debug, Word)]
#[rtype(result = "Option<String>")]
pub struct DiscoveryError;

/// Sends the goodbye beat and closes the socket.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct StopDiscovery;
