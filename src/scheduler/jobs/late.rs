//! Assignments that were given up because their worker was out of reach. It may well run on there, and the first complete
//! result of any assignment is the job's (design §6): a laptop that slept costs no result.

use super::{Complete, Intent, Job, Now, Phase, is_gone};
use crate::model::{Delivery, Epoch, HostedState, HostedStatus, JobState, Outcome, PeerId};
use crate::scheduler::retry;
use crate::wire::refusal::{Refusal, RefusalKind};

impl Job {
    pub(super) fn is_awaited(&self, peer: PeerId) -> bool {
        self.record.attempts.iter().any(|a| a.awaited && a.peer == peer)
    }

    pub(super) fn is_anybody_awaited(&self) -> bool {
        self.record.attempts.iter().any(|a| a.awaited)
    }

    /// Whether a lost worker may be replaced once more.
    pub(super) fn may_run_again(&self) -> bool {
        self.lost_workers.is_empty() || (!self.record.spec.at_most_once && self.lost_workers.len() <= retry::RETRIES)
    }

    /// The link was dead for so long that another machine gets the job.
    pub(super) fn out_of_reach(&mut self, now: Now) -> Vec<Intent> {
        self.give_up("its worker was out of reach for 120 s", true, now)
    }

    /// Nobody else can have the job: its worker may come back with it.
    pub(super) fn wait_for_the_lost(&mut self, now: Now) -> Vec<Intent> {
        self.next_try = Some(now.mono + retry::SEEK_MS);
        if std::mem::replace(&mut self.told_awaiting, true) {
            return Vec::new();
        }
        let awaited = self.record.attempts.iter().filter(|a| a.awaited);
        let names: Vec<&str> = awaited.map(|a| a.peer_name.as_str()).collect();
        let names = names.join(" and ");
        self.record.state = JobState::Unreachable;
        let note = format!("no other machine takes it; waiting for {names} to come back (`homie cancel` ends that)");
        vec![Intent::Note(note), Intent::Persist, Intent::Announce]
    }

    /// A lost worker answered, or never will.
    pub(super) fn back(&mut self, epoch: Epoch, how: Result<HostedStatus, Refusal>, now: Now) -> Vec<Intent> {
        let seeking = self.phase == Phase::Seeking;
        let Some(attempt) = self.record.attempts.iter_mut().find(|a| a.awaited && a.epoch == epoch) else {
            return Vec::new();
        };
        let (peer, name, offered_ms) = (attempt.peer, attempt.peer_name.clone(), attempt.offered_ms);
        let status = match how {
            Ok(status) => match lost_there(&status) {
                Some(refusal) => return self.never_back(epoch, &refusal, now),
                None => status,
            },
            Err(refusal) => return self.never_back(epoch, &refusal, now),
        };
        if !seeking {
            return vec![Intent::Collect(peer, epoch)];
        }
        // Nobody else has it yet: it goes on where it was.
        attempt.awaited = false;
        attempt.end = None;
        self.lost_workers.retain(|lost| *lost != peer);
        self.told_awaiting = false;
        self.record.epoch = epoch;
        self.record.peer = Some(peer);
        self.record.peer_name = Some(name.clone());
        self.record.started_ms = (status.state >= HostedState::Running).then_some(offered_ms);
        self.phase = Phase::Offering;
        self.next_try = None;
        vec![Intent::Note(format!("{name} is back")), Intent::Persist, Intent::Announce, Intent::Offer(peer, epoch)]
    }

    /// Nothing more is expected of a lost worker.
    fn never_back(&mut self, epoch: Epoch, refusal: &Refusal, now: Now) -> Vec<Intent> {
        let seeking = self.phase == Phase::Seeking;
        let Some(attempt) = self.record.attempts.iter_mut().find(|a| a.awaited && a.epoch == epoch) else {
            return Vec::new();
        };
        attempt.awaited = false;
        let note = format!("{} is not waited for any more: {}", attempt.peer_name, refusal.message);
        // So that nothing of it is left there, should it be there after all.
        let abandon = Intent::Abandon(attempt.peer, epoch);
        self.told_awaiting = false;
        self.next_try = if seeking { Some(now.mono) } else { self.next_try };
        vec![Intent::Note(note), Intent::Persist, abandon]
    }

    /// Everything of a replaced assignment is here, or that broke.
    pub(super) fn late(&mut self, epoch: Epoch, brought: Result<Box<Complete>, Refusal>, now: Now) -> Vec<Intent> {
        let Some(attempt) = self.record.attempts.iter_mut().find(|a| a.awaited && a.epoch == epoch) else {
            return Vec::new();
        };
        let (peer, name, offered_ms) = (attempt.peer, attempt.peer_name.clone(), attempt.offered_ms);
        let complete = match brought {
            Ok(complete) => match lost_there(&complete.status) {
                Some(refusal) => return self.never_back(epoch, &refusal, now),
                None => *complete,
            },
            Err(refusal) if is_gone(&refusal) => return self.never_back(epoch, &refusal, now),
            Err(_) => return vec![Intent::Await(peer, epoch)],
        };
        if self.cancelled.is_some() {
            return self.finish_cancelled(now);
        }
        attempt.awaited = false;
        attempt.end = None;
        let mut intents = vec![Intent::Note(format!("{name} is back with its result, which is the first"))];
        let (other, at) = (self.record.peer, self.record.epoch);
        if let Some(replaced) = self.present_mut().filter(|a| a.end.is_none()) {
            replaced.end = Some(format!("{name} had a result first"));
            intents.extend(other.map(|peer| Intent::Abandon(peer, at)));
        }
        let Complete { status, output_bytes, totals } = complete;
        self.record.epoch = epoch;
        self.record.peer = Some(peer);
        self.record.peer_name = Some(name);
        // A worker tells how long it ran, not since when; it began right after the offer.
        self.record.started_ms = Some(offered_ms);
        self.apply(&status, now);
        self.record.output_bytes = output_bytes;
        self.record.result_totals = totals;
        if let Some(results) = &status.results {
            self.record.skipped.clone_from(&results.skipped);
            if totals.files > 0 {
                self.record.results = Some(results.manifest);
                self.record.delivery = Delivery::Waiting;
            }
        }
        intents.extend(self.finish_as_reported(now));
        intents
    }

    /// The job has ended: whoever still has it shall let go.
    pub(super) fn release_awaited(&mut self) -> Vec<Intent> {
        let awaited = self.record.attempts.iter_mut().filter(|a| a.awaited);
        awaited
            .map(|attempt| {
                attempt.awaited = false;
                Intent::Abandon(attempt.peer, attempt.epoch)
            })
            .collect()
    }
}

/// A worker that is there but has lost the job has no result that could be the first.
fn lost_there(status: &HostedStatus) -> Option<Refusal> {
    match &status.outcome {
        Some(Outcome::Lost { message }) => Some(Refusal::new(RefusalKind::UnknownJob, message.clone())),
        _ => None,
    }
}
