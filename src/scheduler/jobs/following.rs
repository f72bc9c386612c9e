//! With a worker: inputs there, output and results back.

use super::{Intent, Job, Now, Phase, passing};
use crate::model::{Delivery, Epoch, HostedState, HostedStatus, Limits, PeerId, Totals, describe_change};
use crate::scheduler::retry;
use crate::wire::refusal::{Refusal, RefusalKind};

/// What to look for when control connections work and files do not pass.
const LOOK: &str = "look for a firewall, a proxy or a VPN with a small MTU between the two machines that stops further or \
                    large connections to the worker's port (5556 unless configured)";

impl Job {
    pub(super) fn uploaded(&mut self, result: Result<u64, Refusal>, now: Now) -> Vec<Intent> {
        let Some(peer) = self.record.peer else { return Vec::new() };
        let epoch = self.record.epoch;
        match result {
            // A cancelled job's upload ends one way or another; following it brings its end.
            Ok(_) | Err(_) if self.cancelled.is_some() => self.follow(peer, epoch),
            Ok(_) => {
                (self.stuck, self.lacking) = (None, None);
                self.follow(peer, epoch)
            }
            Err(refusal) if passing(&refusal) => {
                if self.is_stuck(now) {
                    return self.inputs_do_not_get_there(peer, &refusal, now);
                }
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

    /// Inputs that a restarted worker lost did not get there once more; it is tried again while it idles.
    pub(super) fn sent_again(&mut self, refusal: &Refusal, now: Now) -> Vec<Intent> {
        let Some(peer) = self.record.peer else { return Vec::new() };
        if self.idle_since.is_some() && self.cancelled.is_none() && self.is_stuck(now) {
            return self.inputs_do_not_get_there(peer, refusal, now);
        }
        Vec::new()
    }

    /// A transfer begins where the last one broke off, so each should find less to do.
    pub(super) fn lacking(&mut self, bytes: u64) -> Vec<Intent> {
        if self.lacking.is_none_or(|before| bytes < before) {
            self.stuck = None;
        }
        self.lacking = Some(bytes);
        Vec::new()
    }

    /// Counts a transfer that broke; whether to give up. The worker's answers in between tell that it is there.
    fn is_stuck(&mut self, now: Now) -> bool {
        let (tries, since) = self.stuck.map_or((1, now.mono), |(tries, since)| (tries + 1, since));
        self.stuck = Some((tries, since));
        tries >= retry::STUCK_TRIES && now.mono.saturating_sub(since) >= retry::STUCK_MS
    }

    /// Another peer, for good: this one answers, but files do not reach it.
    fn inputs_do_not_get_there(&mut self, peer: PeerId, refusal: &Refusal, now: Now) -> Vec<Intent> {
        let mut intents = vec![Intent::Abandon(peer, self.record.epoch)];
        let tries = self.stuck.take().map_or(0, |(tries, _)| tries);
        self.lacking = None;
        let why =
            format!("it answers, but after {tries} tries the inputs did not get there ({}); {LOOK}", refusal.message);
        intents.extend(self.refused_by(peer, &Refusal::new(RefusalKind::Unreachable, why), now));
        if let Some(refused) = self.refused.last_mut() {
            refused.for_good = true;
        }
        intents
    }

    pub(super) fn follow(&mut self, peer: PeerId, epoch: Epoch) -> Vec<Intent> {
        self.phase = Phase::Following;
        self.output_in = false;
        vec![Intent::Follow(peer, epoch)]
    }

    pub(super) fn reported(&mut self, status: HostedStatus, now: Now) -> Vec<Intent> {
        if status.epoch != self.record.epoch || !matches!(self.phase, Phase::Uploading | Phase::Following) {
            return Vec::new();
        }
        let before = (self.record.state, self.record.engine.clone());
        let limits = self.record.limits.clone();
        self.down_since = None;
        self.apply(&status, now);
        let note = limits.zip(self.record.limits.as_ref()).and_then(|(old, new)| self.limits_note(&old, new));
        if self.phase == Phase::Following && self.done.is_some() && self.output_in {
            return self.output_and_end_are_in(now);
        }
        if note.is_none() && before == (self.record.state, self.record.engine.clone()) {
            return Vec::new();
        }
        note.into_iter().chain([Intent::Persist, Intent::Announce]).collect()
    }

    /// The owner of the worker has changed what the job gets: its user should know.
    fn limits_note(&self, old: &Limits, new: &Limits) -> Option<Intent> {
        let what = describe_change(old, new);
        let name = self.record.peer_name.as_deref().unwrap_or("the worker");
        (!what.is_empty()).then(|| Intent::Note(format!("the owner of {name} has changed the job's limits: {what}")))
    }

    pub(super) fn apply(&mut self, status: &HostedStatus, now: Now) {
        self.record.state = status.state.job_state();
        self.record.usage = status.usage;
        if status.limits.is_some() {
            self.record.limits.clone_from(&status.limits);
        }
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

    pub(super) fn followed(&mut self, result: Result<u64, Refusal>, now: Now) -> Vec<Intent> {
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

    pub(super) fn follow_broke(&mut self, refusal: &Refusal, now: Now) -> Vec<Intent> {
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

    pub(super) fn fetched(&mut self, result: Result<Totals, Refusal>, now: Now) -> Vec<Intent> {
        match result {
            Ok(totals) => {
                self.record.results = self.done.as_ref().and_then(|d| d.results.as_ref()).map(|r| r.manifest);
                self.record.result_totals = totals;
                self.record.delivery = Delivery::Waiting;
                self.finish_as_reported(now)
            }
            Err(_) if self.cancelled.is_some() => self.finish_cancelled(now),
            Err(refusal) if passing(&refusal) => {
                if self.is_stuck(now) {
                    let name = self.record.peer_name.clone().unwrap_or_default();
                    let why = format!(
                        "{name} answers, but its results do not get here ({}) and stay there: {LOOK}, then \
                         `homie results {}`",
                        refusal.message,
                        self.record.id.short()
                    );
                    return self.leave_results(&why, now);
                }
                self.down(now)
            }
            Err(refusal) => self.trouble_here("results", &refusal, now),
        }
    }
}

/// Whether the worker says that it does not have the job (any more).
pub(in crate::scheduler) fn is_gone(refusal: &Refusal) -> bool {
    use RefusalKind::{Integrity, NotAllowed, StaleEpoch, UnknownJob};
    matches!(refusal.kind, UnknownJob | StaleEpoch | NotAllowed | Integrity)
}
