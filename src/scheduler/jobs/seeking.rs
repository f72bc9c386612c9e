//! Finding a worker: whom the job is offered to, and what becomes of the offer.

use super::{Intent, Job, Now, Phase, Refused, passing};
use crate::model::{Attempt, Epoch, FailKind, HostedState, HostedStatus, JobState, Outcome, PeerId};
use crate::scheduler::ranking::may_come_free;
use crate::scheduler::retry;
use crate::wire::ipc::Candidate;
use crate::wire::refusal::{Refusal, RefusalKind};

/// Different reasons to wait that are told: they go to and fro for as long as the machines are busy.
const MOST_REASONS: usize = 8;

impl Job {
    pub(super) fn start(&mut self, now: Now) -> Vec<Intent> {
        self.cancelled = self.record.cancel.clone().map(|by| (by, now.mono));
        let mut intents: Vec<Intent> =
            self.record.attempts.iter().filter(|a| a.awaited).map(|a| Intent::Await(a.peer, a.epoch)).collect();
        match (self.record.peer, self.present()) {
            // The same offer again: the worker answers how the job stands, whatever happened meanwhile.
            (Some(peer), Some(Attempt { accepted: true, end: None, .. })) => {
                self.phase = Phase::Offering;
                intents.push(Intent::Offer(peer, self.record.epoch));
            }
            // Offered, but the answer never came: the worker may hold a slot for it.
            (Some(peer), Some(Attempt { end: None, .. })) => {
                intents.extend([Intent::Abandon(peer, self.record.epoch), Intent::Rank]);
            }
            _ => intents.push(Intent::Rank),
        }
        intents
    }

    /// The assignment that the record speaks of.
    pub(super) fn present(&self) -> Option<&Attempt> {
        self.record.attempts.iter().find(|a| a.epoch == self.record.epoch)
    }

    pub(super) fn present_mut(&mut self) -> Option<&mut Attempt> {
        self.record.attempts.iter_mut().find(|a| a.epoch == self.record.epoch)
    }

    pub(super) fn ranked(&mut self, candidates: &[Candidate], now: Now) -> Vec<Intent> {
        if self.cancelled.is_some() {
            return self.finish_cancelled(now);
        }
        // A worker that may still have the job is not given it anew: that would end what runs there.
        let fit = |c: &&Candidate| {
            c.score.is_some() && !self.refused.iter().any(|r| r.peer == c.peer.id) && !self.is_awaited(c.peer.id)
        };
        let fresh = |c: &&Candidate| !self.lost_workers.contains(&c.peer.id);
        let best = candidates.iter().filter(fit).find(fresh).or_else(|| candidates.iter().find(fit));
        if let Some(best) = best.filter(|_| self.may_run_again()) {
            let (peer, name) = (best.peer.id, best.peer.name.clone());
            return self.offer(peer, name, now);
        }
        let busy: Vec<String> =
            candidates.iter().filter(|c| may_come_free(c)).map(|c| format!("{}: {}", c.peer.name, c.why)).collect();
        let waiting = !busy.is_empty() || self.refused.iter().any(|r| r.busy);
        let reasons = self.reasons(candidates);
        self.refused.retain(|r| r.for_good);
        if now.mono < retry::SETTLE_MS && !waiting {
            self.next_try = Some(now.mono + retry::SETTLE_PAUSE_MS);
            return Vec::new();
        }
        let may_run = self.may_run_again();
        if waiting && may_run {
            self.next_try = Some(now.mono + retry::SEEK_MS);
            let text = format!("waiting for a free slot ({reasons})");
            self.waiting = Some(text.clone());
            // Whoever waits for an owner's program now, and no longer for a slot, wants to know.
            if self.told_waiting.contains(&busy) || self.told_waiting.len() == MOST_REASONS {
                return Vec::new();
            }
            self.told_waiting.push(busy);
            return vec![Intent::Note(text)];
        }
        if self.is_anybody_awaited() {
            return self.wait_for_the_lost(now);
        }
        if !may_run {
            return self.finish_lost(now);
        }
        let message = if reasons.is_empty() {
            "no machine is there to run it".to_owned()
        } else {
            format!("no machine can run it: {reasons}")
        };
        self.finish(Outcome::failed(FailKind::NoPeer, message), now)
    }

    pub(super) fn reasons(&self, candidates: &[Candidate]) -> String {
        let refused = self.refused.iter().map(|r| format!("{}: {}", r.name, r.why));
        let unfit = candidates.iter().filter(|c| c.score.is_none()).map(|c| format!("{}: {}", c.peer.name, c.why));
        refused.chain(unfit).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn offer(&mut self, peer: PeerId, peer_name: String, now: Now) -> Vec<Intent> {
        let last = self.record.attempts.iter().map(|a| a.epoch).max().unwrap_or_default();
        let epoch = Epoch(last.max(self.record.epoch).0 + 1);
        self.record.epoch = epoch;
        self.record.peer = Some(peer);
        self.record.peer_name = Some(peer_name.clone());
        let offered_ms = now.wall;
        self.record.attempts.push(Attempt {
            epoch,
            peer,
            peer_name,
            offered_ms,
            accepted: false,
            end: None,
            awaited: false,
        });
        self.record.state = JobState::Queued;
        self.record.output_bytes = 0;
        self.phase = Phase::Offering;
        self.next_try = None;
        self.waiting = None;
        // The silence of another worker's link says nothing about this one.
        self.silent_since = None;
        // The epoch is on disk before the worker hears of it, so that it is never given out twice.
        vec![Intent::Persist, Intent::Offer(peer, epoch)]
    }

    pub(super) fn answered(&mut self, answer: Result<HostedStatus, Refusal>, now: Now) -> Vec<Intent> {
        let Some(peer) = self.record.peer else { return Vec::new() };
        let epoch = self.record.epoch;
        match answer {
            Ok(status) => {
                self.down_since = None;
                self.silent_since = None;
                self.next_try = None;
                if let Some(attempt) = self.present_mut() {
                    attempt.accepted = true;
                }
                let upload = status.state == HostedState::Accepted && self.cancelled.is_none();
                self.apply(&status, now);
                if upload {
                    // A way for them is made ready while the acceptance is written down; none goes before that.
                    self.phase = Phase::Uploading;
                    return vec![Intent::Upload(peer, epoch), Intent::Persist, Intent::Announce];
                }
                self.phase = Phase::Following;
                self.output_in = false;
                let mut intents = vec![Intent::Persist, Intent::Announce];
                if self.cancelled.is_some() {
                    intents.push(Intent::Stop(peer, epoch));
                }
                intents.push(Intent::Follow(peer, epoch));
                intents
            }
            Err(refusal) => {
                let accepted = self.present().is_some_and(|a| a.accepted);
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
    pub(super) fn refused_by(&mut self, peer: PeerId, refusal: &Refusal, now: Now) -> Vec<Intent> {
        let name = self.record.peer_name.clone().unwrap_or_default();
        if let Some(attempt) = self.present_mut() {
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
            let (name, why) = (name.clone(), refusal.message.clone());
            self.refused.push(Refused { peer, name, why, busy: refusal.kind == RefusalKind::Busy, for_good: false });
        }
        self.phase = Phase::Seeking;
        vec![Intent::Note(format!("{name} does not take it: {}", refusal.message)), Intent::Rank]
    }
}
