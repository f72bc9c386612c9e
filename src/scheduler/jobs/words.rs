//! What a job hears and what it wants done.

use crate::model::{Digest, Epoch, HostedStatus, PeerId, Totals};
use crate::wire::ipc::Candidate;
use crate::wire::refusal::Refusal;

/// The two clocks: what is written down is wall time, what is waited for is monotonic, so that a clock that jumps
/// (or a laptop that slept) loses no job.
#[derive(Debug, Clone, Copy)]
pub(in crate::scheduler) struct Now {
    /// Milliseconds since 1970.
    pub(in crate::scheduler) wall: u64,
    /// Milliseconds since some start, not counting suspension.
    pub(in crate::scheduler) mono: u64,
}

/// What happened.
#[derive(Debug)]
pub(in crate::scheduler) enum Input {
    /// The job was submitted, or homied came back.
    Start,
    /// The machines were ranked.
    Ranked(Vec<Candidate>),
    /// The worker could not be asked how the job stands.
    Unanswered(Refusal),
    /// The worker answered the offer.
    Answered(Result<HostedStatus, Refusal>),
    /// The inputs went over, or not.
    Uploaded(Result<u64, Refusal>),
    /// The worker reported.
    Reported(HostedStatus),
    /// The output log is complete (with its length), or following it broke.
    Followed(Result<u64, Refusal>),
    /// The results are in our store, or not.
    Fetched(Result<Totals, Refusal>),
    /// A link to this peer came up.
    LinkUp(PeerId),
    /// The link to this peer went down, after nothing was heard over it for so many milliseconds.
    LinkDown(PeerId, u64),
    /// Somebody cancels it.
    Cancel(String),
    /// The record cannot be written.
    PersistFailed(Refusal),
    /// Time passed.
    Tick,
}

/// What to do. Intents of one job are begun in order; `Persist` is finished before the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::scheduler) enum Intent {
    /// Write the record down, durably.
    Persist,
    /// Tell the followers.
    Announce,
    /// Tell the followers a line.
    Note(String),
    /// Rank the machines.
    Rank,
    /// Offer the job.
    Offer(PeerId, Epoch),
    /// Send its inputs.
    Upload(PeerId, Epoch),
    /// Follow its output and state.
    Follow(PeerId, Epoch),
    /// Ask how it stands.
    Query(PeerId, Epoch),
    /// Fetch its results.
    Fetch(PeerId, Epoch, Digest),
    /// Kill it there.
    Stop(PeerId, Epoch),
    /// Let the worker forget it.
    Acknowledge(PeerId, Epoch),
    /// Kill and forget an assignment we gave up, whenever its worker comes back.
    Abandon(PeerId, Epoch),
    /// The job has ended and is written down.
    Close,
}
