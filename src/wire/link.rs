//! The peer link: what two homied say to each other once TLS stands.
//!
//! Every connection starts with [`Hello`] both ways. A control connection then carries [`LinkFrame`]s and raw frames
//! of output logs; a bulk connection carries one transfer (see [`crate::transfer`]).
//!
//! Everything is idempotent by (job, epoch), and every report carries whole state, so a broken link and a restarted
//! homied are the same case: connect, ask, go on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::rekey::Rekey;
use crate::model::{BootId, Digest, EngineKind, Epoch, Facts, HostedStatus, JobId, Offer};

/// Bytes of an output log that may be in flight on one stream before the receiver has written them down.
pub const OUTPUT_WINDOW: u64 = 1 << 20;

/// What a [`Hello`] says under `features` if its sender understands cards (see [`super::roster`]).
pub const ROSTER: &str = "roster";

/// The first message each way, under [`super::frame::MAX_JSON_PRE_HELLO`]. The accepting side sends its own only
/// after it has checked the dialler's proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Protocol versions the sender speaks.
    pub versions: Vec<u32>,
    /// Its release.
    pub release: String,
    /// Its name.
    pub name: String,
    /// Which run of it.
    pub boot: BootId,
    /// Its worker port, for dialling back.
    pub worker_port: u16,
    /// What the connection is for; only the dialler's counts.
    pub purpose: Purpose,
    /// Its clock, milliseconds since 1970, to show the skew; nothing depends on it.
    pub now_ms: u64,
    /// Hex of HMAC(proof key, role || TLS exporter || own key hash || peer key hash).
    pub proof: String,
    /// What it understands beyond its version; what the other side does not know means nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// What a connection is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Purpose {
    /// Control: messages and logs.
    Control,
    /// One transfer.
    Bulk {
        /// A single-use ticket the accepting side gave, hex of 16 bytes.
        ticket: String,
    },
    /// The dialler has a token of `homie invite`; gate and proof are made with its keys. After HELLO the accepting side
    /// says one [`Welcomed`] and closes.
    Join,
}

/// The answer to [`Purpose::Join`].
pub type Welcomed = Result<Welcome, Refusal>;

/// What makes the dialler a member.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The group's name.
    pub group: String,
    /// The group's secret.
    pub secret: String,
}

impl std::fmt::Debug for Welcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Welcome({:?})", self.group)
    }
}

/// A message on the control connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "kebab-case")]
pub enum LinkFrame {
    /// Asks for something.
    Request {
        /// Unique among the sender's requests on this connection, and not 0: a reply to 0 answers HELLO itself, by
        /// which a side says why it does not accept the other (a name that belongs to another key).
        id: u64,
        /// What.
        request: LinkRequest,
    },
    /// Answers a request.
    Reply {
        /// Which.
        id: u64,
        /// The answer.
        reply: Result<LinkReply, Refusal>,
    },
    /// A hosted job changed.
    Status {
        /// Its whole state.
        status: HostedStatus,
    },
    /// The sender's load; also the sign of life. Sent every 2 s.
    Facts {
        /// Its whole state.
        facts: Facts,
        /// Its name, which may change by a reload.
        name: String,
        /// Its clock, milliseconds since 1970, for showing the skew only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        now_ms: Option<u64>,
    },
    /// Asks for [`Self::Pong`] at once, to measure the round trip. An earlier release passes over it.
    Ping {
        /// Any number; comes back as it was.
        at_us: u64,
    },
    /// Answers [`Self::Ping`].
    Pong {
        /// That of the ping.
        at_us: u64,
    },
    /// The receiver of a log has written bytes down; as many more may be sent.
    Credit {
        /// Which stream.
        stream: u32,
        /// How many.
        bytes: u64,
    },
    /// A log stream cannot go on (the log cannot be read, or our copy not be written). Goes both ways.
    Broken {
        /// Which stream.
        stream: u32,
        /// Why.
        refusal: Refusal,
    },
    /// Which cards the sender has: hex of the first 8 bytes of a peer id, and the sequence number. Said once, first. Only to
    /// whoever understands [`ROSTER`], as the next one.
    Heads {
        /// Of each peer.
        heads: BTreeMap<String, u64>,
    },
    /// Cards that the other side has not, or older: all that its `heads` lacked, then whatever is new.
    Cards {
        /// Base64 of each (RFC 4648, with padding), at most [`super::roster::MAX_IN_FRAME`].
        cards: Vec<String>,
    },
    /// The sender closes in order.
    Goodbye {
        /// Whether it will be back at once (an upgrade or restart).
        restart: bool,
    },
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum LinkRequest {
    /// Take this job.
    Offer {
        /// The job.
        offer: Box<Offer>,
    },
    /// Give me a ticket with which I may dial a bulk connection.
    Ticket {
        /// What I will transfer.
        transfer: Transfer,
    },
    /// Dial me a bulk connection with this ticket: I cannot dial you.
    DialBulk {
        /// My ticket.
        ticket: String,
        /// What will be transferred.
        transfer: Transfer,
    },
    /// Send me the output log from this offset on, as raw frames of `stream`, and status reports as they happen.
    Follow {
        /// The job.
        job: JobId,
        /// The assignment.
        epoch: Epoch,
        /// Where to begin.
        from: u64,
        /// The stream for the raw frames.
        stream: u32,
    },
    /// Stop it (killed at once).
    Stop {
        /// The job.
        job: JobId,
        /// The assignment.
        epoch: Epoch,
    },
    /// I have everything; forget it.
    Acknowledge {
        /// The job.
        job: JobId,
        /// The assignment.
        epoch: Epoch,
    },
    /// Another secret of the group is in force, because somebody was put out of it. Done when it is written down.
    Rekey(Rekey),
    /// How does it stand?
    Query {
        /// The job.
        job: JobId,
        /// The assignment.
        epoch: Epoch,
    },
}

/// What a bulk connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum Transfer {
    /// Inputs, from the submitter to the worker.
    Inputs {
        /// The job.
        job: JobId,
        /// The assignment.
        epoch: Epoch,
    },
    /// Results, from the worker to the submitter.
    Results {
        /// The job.
        job: JobId,
        /// The assignment.
        epoch: Epoch,
    },
    /// An environment that is a directory, from whoever has it to the asker.
    Env {
        /// Its identity: the digest of its lock.
        digest: Digest,
        /// The engine it was made for.
        engine: EngineKind,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum LinkReply {
    /// It was done.
    Done,
    /// The offer is accepted and persisted.
    Accepted {
        /// How it stands: `accepted` when its inputs are awaited, further when this offer was heard before.
        status: HostedStatus,
    },
    /// A ticket.
    Ticket {
        /// Hex of 16 bytes.
        ticket: String,
    },
    /// How the job stands.
    Status {
        /// Its whole state.
        status: HostedStatus,
    },
}
