//! How long to wait and how often to try. Pure.

/// Until the machines are ranked again when everybody was busy: one beat (design §3).
pub(super) const SEEK_MS: u64 = 2_000;
/// After homied's start the group is still being heard; a job is not given up for want of a machine before two beats.
pub(super) const SETTLE_MS: u64 = 4_500;
/// In that time the machines are ranked so often.
pub(super) const SETTLE_PAUSE_MS: u64 = 500;
/// Until a worker that is out of reach is tried again. A link that comes up earlier is used at once.
pub(super) const LINK_MS: u64 = 2_000;
/// A link dead for so long makes its jobs `unreachable` (design §6).
pub(super) const UNREACHABLE_MS: u64 = 45_000;
/// ... and for so long makes them `lost`: the next epoch runs elsewhere (design §6).
pub(super) const LOST_MS: u64 = 120_000;
/// Runs of a job beyond the first, only for lost workers (design §6).
pub(super) const RETRIES: usize = 1;
/// Inputs or results that do not get through although the worker answers are given up after so many tries without one
/// more byte on the other side ...
pub(super) const STUCK_TRIES: u32 = 3;
/// ... and not before this time, so that a link that flaps for a moment is no reason.
pub(super) const STUCK_MS: u64 = 60_000;
/// Tries to bring output and results home when this machine's own disk refuses.
pub(super) const TRIES_HERE: u32 = 3;
/// A worker that has the inputs and does not start in this time is given them again: starting takes milliseconds.
pub(super) const IDLE_WORKER_MS: u64 = 5_000;
/// A worker that does not confirm a cancel in this time is left to itself: the user waited long enough.
pub(super) const CANCEL_MS: u64 = 10_000;

pub(super) fn is_unreachable(down_since: u64, now: u64) -> bool {
    now.saturating_sub(down_since) >= UNREACHABLE_MS
}

pub(super) fn is_lost(down_since: u64, now: u64) -> bool {
    now.saturating_sub(down_since) >= LOST_MS
}
