//! The life of one job that this machine sends out, as a pure state machine: what happened and when goes in, what to
//! do comes out. Every intent is idempotent, so a restart simply begins with [`Input::Start`] again.

mod ending;
mod words;

use super::ranking::may_come_free;
use super::retry;
use crate::model::{
    Attempt, Delivery, Epoch, FailKind, HostedState, HostedStatus, JobRecord, JobState, Outcome, PeerId, Totals,
};
use crate::wire::ipc::Candidate;
use crate::wire::refusal::{Refusal, RefusalKind};

pub(super) use words::{Input, Intent, Now};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Seeking,
    Offering,
    Uploading,
    Following,
    Fetching,
    Ended,
}

/// One job.
#[derive(Debug)]
pub(super) struct Job {
    record: JobRecord,
    phase: Phase,
    /// Who refused in this round, and why.
    refused: Vec<(PeerId, String, RefusalKind)>,
    /// Workers that were lost with it; taken again only when nobody else is there.
    lost_workers: Vec<PeerId>,
    /// When following broke; `None` while all is well.
    down_since: Option<u64>,
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
    cancelled: Option<(String, u64)>,
    told_waiting: bool,
}

impl Job {
    pub(super) fn new(record: JobRecord) -> Self {
        Self {
            record,
            phase: Phase::Seeking,
            refused: Vec::new(),
            lost_workers: Vec::new(),
            down_since: None,
            next_try: None,
            done: None,
            output_in: false,
            fetch_only: false,
            unwritten: None,
            idle_since: None,
            troubles: 0,
            cancelled: None,
            told_waiting: false,
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
            Input::Start => self.start(),
            Input::Ranked(candidates) if self.phase == Phase::Seeking => self.ranked(&candidates, now),
            Input::Answered(answer) if self.phase == Phase::Offering => self.answered(answer, now),
            Input::Unanswered(refusal) if self.phase == Phase::Following && self.output_in => {
                self.follow_broke(&refusal, now)
            }
            Input::Uploaded(result) if self.phase == Phase::Uploading => self.uploaded(result, now),
            Input::Reported(status) => self.reported(status, now),
            Input::Followed(result) if self.phase == Phase::Following => self.followed(result, now),
            Input::Fetched(result) if self.phase == Phase::Fetching => self.fetched(result, now),
            Input::LinkUp(peer) => self.link_up(peer, now),
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

    fn start(&mut self) -> Vec<Intent> {
        let accepted = self.record.attempts.last().is_some_and(|a| a.accepted && a.end.is_none());
        match self.record.peer {
            // The same offer again: the worker answers how the job stands, whatever happened meanwhile.
            Some(peer) if accepted => {
                self.phase = Phase::Offering;
                vec![Intent::Offer(peer, self.record.epoch)]
            }
            // Offered, but the answer never came: the worker may hold a slot for it.
            Some(peer) if self.record.attempts.last().is_some_and(|a| a.end.is_none()) => {
                vec![Intent::Abandon(peer, self.record.epoch), Intent::Rank]
            }
            _ => vec![Intent::Rank],
        }
    }

    fn ranked(&mut self, candidates: &[Candidate], now: Now) -> Vec<Intent> {
        if self.cancelled.is_some() {
            return self.finish_cancelled(now);
        }
        let fit = |c: &&Candidate| c.score.is_some() && !self.refused.iter().any(|(p, ..)| *p == c.peer.id);
        let fresh = |c: &&Candidate| !self.lost_workers.contains(&c.peer.id);
        let best = candidates.iter().filter(fit).find(fresh).or_else(|| candidates.iter().find(fit));
        if let Some(best) = best {
            let (peer, name) = (best.peer.id, best.peer.name.clone());
            return self.offer(peer, name, now);
        }
        let waiting =
            candidates.iter().any(may_come_free) || self.refused.iter().any(|(_, _, kind)| *kind == RefusalKind::Busy);
        let reasons = self.reasons(candidates);
        self.refused.clear();
        if now.mono < retry::SETTLE_MS && !waiting {
            self.next_try = Some(now.mono + retry::SETTLE_PAUSE_MS);
            return Vec::new();
        }
        if waiting {
            self.next_try = Some(now.mono + retry::SEEK_MS);
            if std::mem::replace(&mut self.told_waiting, true) {
                return Vec::new();
            }
            return vec![Intent::Note(format!("waiting for a free slot ({reasons})"))];
        }
        let message = if reasons.is_empty() {
            "no machine is there to run it".to_owned()
        } else {
            format!("no machine can run it: {reasons}")
        };
        self.finish(Outcome::failed(FailKind::NoPeer, message), now)
    }

    fn reasons(&self, candidates: &[Candidate]) -> String {
        let refused = self.refused.iter().map(|(peer, why, _)| {
            let name = candidates.iter().find(|c| c.peer.id == *peer).map_or("a peer", |c| c.peer.name.as_str());
            format!("{name}: {why}")
        });
        let unfit = candidates.iter().filter(|c| c.score.is_none()).map(|c| format!("{}: {}", c.peer.name, c.why));
        refused.chain(unfit).collect::<Vec<_>>().join("; ")
    }

    fn offer(&mut self, peer: PeerId, peer_name: String, now: Now) -> Vec<Intent> {
        let epoch = Epoch(self.record.epoch.0 + 1);
        self.record.epoch = epoch;
        self.record.peer = Some(peer);
        self.record.peer_name = Some(peer_name.clone());
        self.record.attempts.push(Attempt { epoch, peer, peer_name, offered_ms: now.wall, accepted: false, end: None });
        self.record.state = JobState::Queued;
        self.record.output_bytes = 0;
        self.phase = Phase::Offering;
        self.next_try = None;
        // The epoch is on disk before the worker hears of it, so that it is never given out twice.
        vec![Intent::Persist, Intent::Offer(peer, epoch)]
    }

    fn answered(&mut self, answer: Result<HostedStatus, Refusal>, now: Now) -> Vec<Intent> {
        let Some(peer) = self.record.peer else { return Vec::new() };
        let epoch = self.record.epoch;
        match answer {
            Ok(status) => {
                self.down_since = None;
                self.next_try = None;
                if let Some(attempt) = self.record.attempts.last_mut() {
                    attempt.accepted = true;
                }
                let upload = status.state == HostedState::Accepted && self.cancelled.is_none();
                self.apply(&status, now);
                let mut intents = vec![Intent::Persist, Intent::Announce];
                if self.cancelled.is_some() {
                    intents.push(Intent::Stop(peer, epoch));
                }
                if upload {
                    self.phase = Phase::Uploading;
                    intents.push(Intent::Upload(peer, epoch));
                } else {
                    self.phase = Phase::Following;
                    self.output_in = false;
                    intents.push(Intent::Follow(peer, epoch));
                }
                intents
            }
            Err(refusal) => {
                let accepted = self.record.attempts.last().is_some_and(|a| a.accepted);
                if accepted && passing(&refusal) {
                    return self.down(now);
                }
                if accepted {
                    return self.lost(&refusal.message, now);
                }
                let mut intents = Vec::new();
                // Perhaps it was heard and accepted, and only the answer was lost.
                if matches!(refusal.kind, RefusalKind::Unreachable | RefusalKind::Internal) {
                    intents.push(Intent::Abandon(peer, epoch));
                }
                intents.extend(self.refused_by(peer, &refusal, now));
                intents
            }
        }
    }

    /// A peer did not take it, or could not be given what it needs: the next one.
    fn refused_by(&mut self, peer: PeerId, refusal: &Refusal, now: Now) -> Vec<Intent> {
        let name = self.record.peer_name.clone().unwrap_or_default();
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.end = Some(refusal.message.clone());
        }
        if self.cancelled.is_some() {
            return self.finish_cancelled(now);
        }
        if !refusal.kind.another_peer_may_take_it() && refusal.kind != RefusalKind::StaleEpoch {
            return self.finish(Outcome::failed(FailKind::Inputs, format!("{name}: {}", refusal.message)), now);
        }
        // A stale epoch means that this machine's records are older than the worker's; the next number may do.
        if refusal.kind != RefusalKind::StaleEpoch {
            self.refused.push((peer, refusal.message.clone(), refusal.kind));
        }
        self.phase = Phase::Seeking;
        vec![Intent::Note(format!("{name} does not take it: {}", refusal.message)), Intent::Rank]
    }

    fn uploaded(&mut self, result: Result<u64, Refusal>, now: Now) -> Vec<Intent> {
        let Some(peer) = self.record.peer else { return Vec::new() };
        let epoch = self.record.epoch;
        match result {
            // A cancelled job's upload ends one way or another; following it brings its end.
            Ok(_) | Err(_) if self.cancelled.is_some() => self.follow(peer, epoch),
            Ok(_) => self.follow(peer, epoch),
            Err(refusal) if passing(&refusal) => {
                self.phase = Phase::Offering;
                self.down(now)
            }
            Err(refusal) => {
                let mut intents = vec![Intent::Abandon(peer, epoch)];
                intents.extend(self.refused_by(peer, &refusal, now));
                intents
            }
        }
    }

    fn follow(&mut self, peer: PeerId, epoch: Epoch) -> Vec<Intent> {
        self.phase = Phase::Following;
        self.output_in = false;
        vec![Intent::Follow(peer, epoch)]
    }

    fn reported(&mut self, status: HostedStatus, now: Now) -> Vec<Intent> {
        if status.epoch != self.record.epoch || !matches!(self.phase, Phase::Uploading | Phase::Following) {
            return Vec::new();
        }
        let before = (self.record.state, self.record.engine.clone());
        self.down_since = None;
        self.apply(&status, now);
        if self.phase == Phase::Following && self.done.is_some() && self.output_in {
            return self.output_and_end_are_in(now);
        }
        if before == (self.record.state, self.record.engine.clone()) {
            return Vec::new();
        }
        vec![Intent::Persist, Intent::Announce]
    }

    fn apply(&mut self, status: &HostedStatus, now: Now) {
        self.record.state = status.state.job_state();
        self.record.usage = status.usage;
        if status.engine.is_some() {
            self.record.engine.clone_from(&status.engine);
        }
        if status.state >= HostedState::Running && self.record.started_ms.is_none() {
            self.record.started_ms = Some(now.wall.saturating_sub(status.usage.wall_ms));
        }
        if status.state == HostedState::Done {
            self.done = Some(status.clone());
        }
        let idle = self.phase == Phase::Following && status.state == HostedState::Accepted;
        self.idle_since = idle.then(|| self.idle_since.unwrap_or(now.mono));
    }

    fn followed(&mut self, result: Result<u64, Refusal>, now: Now) -> Vec<Intent> {
        let Some(peer) = self.record.peer else { return Vec::new() };
        match result {
            Ok(len) => {
                self.down_since = None;
                self.output_in = true;
                self.record.output_bytes = len;
                if self.done.is_some() {
                    return self.output_and_end_are_in(now);
                }
                // The report of the end may have been lost on its way.
                self.next_try = Some(now.mono + retry::LINK_MS);
                vec![Intent::Query(peer, self.record.epoch)]
            }
            Err(refusal) => self.follow_broke(&refusal, now),
        }
    }

    fn follow_broke(&mut self, refusal: &Refusal, now: Now) -> Vec<Intent> {
        if self.cancelled.is_some() {
            return self.finish_cancelled(now);
        }
        if passing(refusal) {
            return self.down(now);
        }
        if is_gone(refusal) {
            return self.lost(&refusal.message, now);
        }
        // Somebody of this machine follows it already, and will say how that ended.
        if refusal.kind == RefusalKind::Busy {
            return Vec::new();
        }
        self.trouble_here("output", refusal, now)
    }

    fn fetched(&mut self, result: Result<Totals, Refusal>, now: Now) -> Vec<Intent> {
        match result {
            Ok(totals) => {
                self.record.results = self.done.as_ref().and_then(|d| d.results.as_ref()).map(|r| r.manifest);
                self.record.result_totals = totals;
                self.record.delivery = Delivery::Waiting;
                self.finish_as_reported(now)
            }
            Err(_) if self.cancelled.is_some() => self.finish_cancelled(now),
            Err(refusal) if passing(&refusal) => self.down(now),
            Err(refusal) => self.trouble_here("results", &refusal, now),
        }
    }

    fn link_up(&mut self, peer: PeerId, now: Now) -> Vec<Intent> {
        if self.record.peer == Some(peer) && self.down_since.is_some() {
            self.next_try = Some(now.mono);
            return self.tick(now);
        }
        Vec::new()
    }

    fn cancel(&mut self, by: String, now: Now) -> Vec<Intent> {
        if self.cancelled.is_some() {
            return Vec::new();
        }
        if self.fetch_only {
            return self.leave_results("you stopped fetching the results; they stay at the worker", now);
        }
        self.cancelled = Some((by, now.mono));
        let down = self.down_since.is_some();
        match (self.phase, self.record.peer) {
            (Phase::Uploading | Phase::Following | Phase::Fetching, Some(peer)) if !down => {
                vec![Intent::Stop(peer, self.record.epoch)]
            }
            // The answer to the offer comes first, so that the worker is not left with the job.
            (Phase::Offering, _) if !down => Vec::new(),
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
            Phase::Seeking | Phase::Offering if self.record.attempts.last().is_none_or(|a| !a.accepted) => {
                self.finish(Outcome::failed(FailKind::Internal, refusal.message.clone()), now)
            }
            _ => {
                self.unwritten = Some(now.mono + retry::LINK_MS);
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
                return self.lost("its worker was out of reach for 120 s", now);
            }
            if retry::is_unreachable(since, now.mono) && self.record.state != JobState::Unreachable {
                self.record.state = JobState::Unreachable;
                intents.extend([Intent::Persist, Intent::Announce]);
            }
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

/// Whether the worker says that it does not have the job (any more).
fn is_gone(refusal: &Refusal) -> bool {
    use RefusalKind::{Integrity, NotAllowed, StaleEpoch, UnknownJob};
    matches!(refusal.kind, UnknownJob | StaleEpoch | NotAllowed | Integrity)
}

/// Whether the same request may well succeed in a moment, without the job being lost.
pub(super) fn passing(refusal: &Refusal) -> bool {
    // A worker that was not heard of since this homied started is out of reach, not gone.
    matches!(refusal.kind, RefusalKind::Unreachable | RefusalKind::ShuttingDown | RefusalKind::UnknownPeer)
}

#[cfg(test)]
mod tests;
