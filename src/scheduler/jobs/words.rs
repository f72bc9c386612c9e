//! What a job hears and what it wants done.

use crate::model::{BuildProgress, Digest, Epoch, HostedStatus, PeerId, Totals};
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

/// Everything that an assignment brought: its end, and with it output and results in our store.
#[derive(Debug, Clone)]
pub(in crate::scheduler) struct Complete {
    /// The worker's last report.
    pub(in crate::scheduler) status: HostedStatus,
    /// Length of the output.
    pub(in crate::scheduler) output_bytes: u64,
    /// What the results are.
    pub(in crate::scheduler) totals: Totals,
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
    /// A transfer of inputs or results has begun, and so many bytes of it are still lacking on the other side.
    Lacking(u64),
    /// The inputs went over, or not.
    Uploaded(Result<u64, Refusal>),
    /// The worker reported.
    Reported(HostedStatus),
    /// The output log is complete (with its length), or following it broke.
    Followed(Result<u64, Refusal>),
    /// The results are in our store, or not.
    Fetched(Result<Totals, Refusal>),
    /// The worker of an assignment that was given up is back and says how it stands; or it is gone for good.
    Back(Epoch, Result<HostedStatus, Refusal>),
    /// Such an assignment was collected, or that broke.
    Late(Epoch, Result<Box<Complete>, Refusal>),
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
    /// Tell the followers how the environment comes about.
    Preparing(Box<BuildProgress>),
    /// Rank the machines.
    Rank,
    /// Offer the job.
    Offer(PeerId, Epoch),
    /// Send its inputs, once what is to be persisted with this is.
    Upload(PeerId, Epoch),
    /// Follow its output and state.
    Follow(PeerId, Epoch),
    /// Ask how it stands.
    Query(PeerId, Epoch),
    /// Fetch its results.
    Fetch(PeerId, Epoch, Digest),
    /// Kill it there.
    Stop(PeerId, Epoch),
    /// Ask a lost worker how it stands with an assignment, until it is back.
    Await(PeerId, Epoch),
    /// Wait for the end of an assignment that another one has replaced, and bring everything of it.
    Collect(PeerId, Epoch),
    /// Let the worker forget it.
    Acknowledge(PeerId, Epoch),
    /// Kill and forget an assignment we gave up, whenever its worker comes back.
    Abandon(PeerId, Epoch),
    /// The job has ended and is written down.
    Close,
}
