//! The life of one job that this machine sends out, as a pure state machine: what happened and when goes in, what to
//! do comes out. Every intent is idempotent, so a restart simply begins with [`Input::Start`] again.

mod ending;
mod following;
mod late;
mod seeking;
mod words;

use super::retry;
use crate::model::{Epoch, FailKind, HostedStatus, JobRecord, JobState, Outcome, PeerId};
use crate::wire::ipc::Candidate;
use crate::wire::refusal::{Refusal, RefusalKind};

pub(super) use words::{Complete, Input, Intent, Now};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Seeking,
    Offering,
    Uploading,
    Following,
    Fetching,
    Ended,
}

/// A peer that did not take the job, and why.
#[derive(Debug)]
struct Refused {
    peer: PeerId,
    name: String,
    why: String,
    busy: bool,
    /// Not only in this round: files do not get there.
    for_good: bool,
}

/// One job.
#[derive(Debug)]
pub(super) struct Job {
    record: JobRecord,
    phase: Phase,
    refused: Vec<Refused>,
    /// Workers that were lost with it; taken again only when nobody else is there.
    lost_workers: Vec<PeerId>,
    /// Since when the worker is out of reach; `None` while all is well.
    down_since: Option<u64>,
    /// Since when nothing had been heard over the worker's last link when that went down.
    silent_since: Option<u64>,
    /// When to try again what failed for a passing reason.
    next_try: Option<u64>,
    /// The worker's last report, once it says that the job ended.
    done: Option<HostedStatus>,
    output_in: bool,
    /// The job itself has ended long ago; only its results are wanted, and nothing may run it again.
    fetch_only: bool,
    /// When a record that could not be written is written again.
    unwritten: Option<u64>,
    /// Since when a worker that has all inputs says that it still waits for them.
    idle_since: Option<u64>,
    troubles: u32,
    /// Transfers in a row that broke without getting any further, and since when.
    stuck: Option<(u32, u64)>,
    /// What the other side lacked when the last transfer began.
    lacking: Option<u64>,
    cancelled: Option<(String, u64)>,
    /// Reasons to wait that its user was told, each with all machines that may come free.
    told_waiting: Vec<Vec<String>>,
    /// What it waits for now, for whoever begins to follow.
    waiting: Option<String>,
    /// The followers know that only a lost worker is waited for.
    told_awaiting: bool,
}

/// A job that is begun or gone on with, and what is to be done for it next.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) job: Job,
    pub(super) intents: Vec<Intent>,
}

impl Begun {
    /// Goes on with `record` wherever it stands.
    pub(super) fn with(record: JobRecord, now: Now) -> Self {
        let mut job = Job::new(record);
        let intents = job.on(Input::Start, now);
        Self { job, intents }
    }

    /// A new job together with its first offer, so that one writing serves both: nothing may wait longer for the disk than
    /// a job that could run at once. `None` when there is nobody to offer it to. The record must be written before
    /// anything of this is done.
    pub(super) fn offered(new: &JobRecord, candidates: &[Candidate], now: Now) -> Option<Self> {
        let Self { mut job, .. } = Self::with(new.clone(), now);
        match job.on(Input::Ranked(candidates.to_vec()), now).as_slice() {
            [Intent::Persist, offer @ Intent::Offer(..)] => Some(Self { intents: vec![offer.clone()], job }),
            _ => None,
        }
    }
}

impl Job {
    pub(super) fn new(record: JobRecord) -> Self {
        let lost_workers = record.attempts.iter().filter(|a| a.awaited).map(|a| a.peer).collect();
        Self {
            record,
            phase: Phase::Seeking,
            refused: Vec::new(),
            lost_workers,
            down_since: None,
            silent_since: None,
            next_try: None,
            done: None,
            output_in: false,
            fetch_only: false,
            unwritten: None,
            idle_since: None,
            troubles: 0,
            stuck: None,
            lacking: None,
            cancelled: None,
            told_waiting: Vec::new(),
            waiting: None,
            told_awaiting: false,
        }
    }

    /// A record whose results stayed at the worker, as it was before that failed; `None` for any other.
    pub(super) fn before_failed_fetch(mut record: JobRecord) -> Option<Self> {
        let stayed = matches!(record.outcome, Some(Outcome::Failed { reason: FailKind::Results, .. }));
        if !stayed {
            return None;
        }
        record.state = JobState::Collecting;
        record.outcome = None;
        record.ended_ms = None;
        record.attempts.last_mut()?.end = None;
        Some(Self { fetch_only: true, ..Self::new(record) })
    }

    pub(super) fn record(&self) -> &JobRecord {
        &self.record
    }

    /// What it waits for before anybody can take it, for people.
    pub(super) fn waiting(&self) -> Option<&str> {
        self.waiting.as_deref()
    }

    /// Whether the present assignment is with `peer`.
    pub(super) fn is_with(&self, peer: PeerId, epoch: Epoch) -> bool {
        self.phase != Phase::Seeking && self.record.peer == Some(peer) && self.record.epoch == epoch
    }

    /// The one way anything changes.
    pub(super) fn on(&mut self, input: Input, now: Now) -> Vec<Intent> {
        if self.phase == Phase::Ended {
            return Vec::new();
        }
        match input {
            Input::Start => self.start(now),
            Input::Ranked(candidates) if self.phase == Phase::Seeking => self.ranked(&candidates, now),
            Input::Answered(answer) if self.phase == Phase::Offering => self.answered(answer, now),
            Input::Unanswered(refusal) if self.phase == Phase::Following && self.output_in => {
                self.follow_broke(&refusal, now)
            }
            Input::Uploaded(result) if self.phase == Phase::Uploading => self.uploaded(result, now),
            Input::Uploaded(Err(refusal)) if self.phase == Phase::Following => self.sent_again(&refusal, now),
            Input::Reported(status) => self.reported(status, now),
            Input::Followed(result) if self.phase == Phase::Following => self.followed(result, now),
            Input::Fetched(result) if self.phase == Phase::Fetching => self.fetched(result, now),
            Input::Lacking(bytes) => self.lacking(bytes),
            Input::Back(epoch, how) => self.back(epoch, how, now),
            Input::Late(epoch, brought) => self.late(epoch, brought, now),
            Input::LinkUp(peer) => self.link_up(peer, now),
            Input::LinkDown(peer, silent_ms) => self.link_down(peer, silent_ms, now),
            Input::Cancel(by) => self.cancel(by, now),
            Input::PersistFailed(refusal) => self.persist_failed(&refusal, now),
            Input::Tick => self.tick(now),
            // An answer that came after the job had moved on; the next tick or report says what holds.
            Input::Ranked(_)
            | Input::Unanswered(_)
            | Input::Answered(_)
            | Input::Uploaded(_)
            | Input::Followed(_)
            | Input::Fetched(_) => Vec::new(),
        }
    }

    fn link_up(&mut self, peer: PeerId, now: Now) -> Vec<Intent> {
        if self.record.peer == Some(peer) {
            self.silent_since = None;
        }
        if self.record.peer == Some(peer) && self.down_since.is_some() {
            self.next_try = Some(now.mono);
            return self.tick(now);
        }
        Vec::new()
    }

    /// Whoever was using the link notices by itself that it is down, but not for how long it had been dead; the two may
    /// come in either order.
    fn link_down(&mut self, peer: PeerId, silent_ms: u64, now: Now) -> Vec<Intent> {
        if self.record.peer != Some(peer) {
            return Vec::new();
        }
        let since = now.mono.saturating_sub(silent_ms);
        self.silent_since = Some(since);
        match &mut self.down_since {
            Some(noticed) => {
                *noticed = since.min(*noticed);
                self.tick(now)
            }
            None => Vec::new(),
        }
    }

    fn cancel(&mut self, by: String, now: Now) -> Vec<Intent> {
        if self.cancelled.is_some() {
            // Whoever asks again is answered once it is written down.
            return vec![Intent::Persist];
        }
        if self.fetch_only {
            return self.leave_results("you stopped fetching the results; they stay at the worker", now);
        }
        self.record.cancel = Some(by.clone());
        self.cancelled = Some((by, now.mono));
        let down = self.down_since.is_some();
        match (self.phase, self.record.peer) {
            (Phase::Uploading | Phase::Following | Phase::Fetching, Some(peer)) if !down => {
                vec![Intent::Stop(peer, self.record.epoch), Intent::Persist]
            }
            // The answer to the offer comes first, so that the worker is not left with the job.
            (Phase::Offering, _) if !down => vec![Intent::Persist],
            (Phase::Seeking, _) | (_, None) => self.finish_cancelled(now),
            (_, Some(peer)) => {
                let mut intents = vec![Intent::Abandon(peer, self.record.epoch)];
                intents.extend(self.finish_cancelled(now));
                intents
            }
        }
    }

    fn persist_failed(&mut self, refusal: &Refusal, now: Now) -> Vec<Intent> {
        match self.phase {
            // Not given out yet, so nothing is lost by ending here.
            Phase::Seeking | Phase::Offering
                if self.record.attempts.last().is_none_or(|a| !a.accepted) && !self.is_anybody_awaited() =>
            {
                self.finish(Outcome::failed(FailKind::Internal, refusal.message.clone()), now)
            }
            _ => {
                self.unwritten = Some(now.mono + retry::LINK_MS);
                // What was to follow the writing was not begun.
                self.next_try.get_or_insert(now.mono + retry::LINK_MS);
                Vec::new()
            }
        }
    }

    fn tick(&mut self, now: Now) -> Vec<Intent> {
        let Some(peer) = self.record.peer.or((self.phase == Phase::Seeking).then_some(PeerId([0; 32]))) else {
            return Vec::new();
        };
        if let Some((_, since)) = self.cancelled
            && now.mono.saturating_sub(since) >= retry::CANCEL_MS
        {
            let mut intents = vec![Intent::Abandon(peer, self.record.epoch)];
            intents.extend(self.finish_cancelled(now));
            return intents;
        }
        let mut intents = Vec::new();
        if self.unwritten.is_some_and(|at| at <= now.mono) {
            self.unwritten = None;
            intents.push(Intent::Persist);
        }
        if let Some(since) = self.down_since {
            if retry::is_lost(since, now.mono) {
                return self.out_of_reach(now);
            }
            intents.extend(self.show_unreachable(since, now));
        }
        if self.idle_since.is_some_and(|since| now.mono.saturating_sub(since) >= retry::IDLE_WORKER_MS) {
            // It was restarted between the last byte and the start; what it has is not sent again.
            self.idle_since = Some(now.mono);
            intents.push(Intent::Upload(peer, self.record.epoch));
        }
        if self.next_try.is_some_and(|at| at <= now.mono) {
            self.next_try = None;
            let epoch = self.record.epoch;
            intents.push(match self.phase {
                Phase::Seeking => Intent::Rank,
                Phase::Offering | Phase::Uploading | Phase::Ended => {
                    self.phase = Phase::Offering;
                    Intent::Offer(peer, epoch)
                }
                Phase::Following if self.output_in => {
                    self.next_try = Some(now.mono + retry::LINK_MS);
                    Intent::Query(peer, epoch)
                }
                Phase::Following | Phase::Fetching => {
                    self.phase = Phase::Following;
                    self.output_in = false;
                    Intent::Follow(peer, epoch)
                }
            });
        }
        intents
    }
}

/// Whether the same request may well succeed in a moment, without the job being lost.
pub(super) fn passing(refusal: &Refusal) -> bool {
    // A worker that was not heard of since this homied started is out of reach, not gone.
    matches!(refusal.kind, RefusalKind::Unreachable | RefusalKind::ShuttingDown | RefusalKind::UnknownPeer)
}

pub(super) use following::is_gone;

#[cfg(test)]
mod tests;
