//! Words ipc understands, all of them from its own sessions and from daemon/.

use crate::mailbox::Word;
use crate::wire::ipc::{AddPeer, ConfigRow, DirectPeer, RemovePeer};
use crate::wire::refusal::Refusal;

/// Reads the config file again and hands what changed to the rooms. Answers with what holds now, when the rooms go by
/// it; what needs a restart says so in its row.
#[derive(Debug, Word)]
#[rtype(result = "Result<Vec<ConfigRow>, Refusal>")]
pub struct ReloadConfig;

/// What holds now.
#[derive(Debug, Word)]
#[rtype(result = "Vec<ConfigRow>")]
pub struct ShowConfig;

/// Writes a direct peer into the config file and starts dialling it.
#[derive(Debug, Word)]
#[rtype(result = "Result<DirectPeer, Refusal>")]
pub struct AddDirectPeer {
    /// Which.
    pub peer: AddPeer,
}

/// Takes a direct peer out of the config file.
#[derive(Debug, Word)]
#[rtype(result = "Result<DirectPeer, Refusal>")]
pub struct RemoveDirectPeer {
    /// Which.
    pub peer: RemovePeer,
}

/// Stops accepting clients; the ones that are connected are let go.
#[derive(Debug, Word)]
#[rtype(result = "()")]
pub struct CloseSocket;
