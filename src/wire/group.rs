//! The local socket's words about the group: who comes in and who must go.

use serde::{Deserialize, Serialize};

use crate::model::{PeerId, Roles};

/// `homie invite`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InviteParams {
    /// Where the machine can be reached, beside what it knows itself: `HOST` or `HOST:PORT`.
    pub at: Vec<String>,
    /// Whether a QR code is wanted.
    pub qr: bool,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteView {
    /// The line to paste.
    pub token: String,
    /// The addresses in it.
    pub addresses: Vec<String>,
    /// Milliseconds for which it is good.
    pub good_for_ms: u64,
    /// The same as a QR code of half blocks, if it was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
}

/// An invitation as the link makes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Invited {
    /// The line to paste.
    pub token: String,
    /// The addresses in it.
    pub addresses: Vec<String>,
    /// Milliseconds for which it is good.
    pub good_for_ms: u64,
}

impl std::fmt::Debug for Invited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Invited(at {:?})", self.addresses)
    }
}

/// `homie join`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinParams {
    /// What was pasted.
    pub token: String,
}

impl std::fmt::Debug for JoinParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinParams(********)")
    }
}

/// `homie trust NAME --role ROLES`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleParams {
    /// The machine's name.
    pub name: String,
    /// What it may do here.
    pub roles: Roles,
}

/// `homie kick`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KickParams {
    /// The machine's name.
    pub name: String,
}

/// A machine was put out of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kicked {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: PeerId,
    /// Machines that have the group's new secret.
    pub told: Vec<String>,
    /// Machines that were not there; they get it when they are seen at their last address or dial a member.
    pub absent: Vec<String>,
}

/// What a machine that was admitted gets. It is a member as soon as its config says so.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The group's name.
    pub group: String,
    /// The group's secret.
    pub secret: String,
    /// The name of who invited.
    pub inviter: String,
    /// Its id.
    pub id: PeerId,
    /// Where it answered.
    pub address: String,
}

impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Joined({:?} by {:?} at {})", self.group, self.inviter, self.address)
    }
}
