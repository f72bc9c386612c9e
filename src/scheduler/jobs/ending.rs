//! The ways a job goes wrong for a while or for good, and its end.

use super::{Intent, Job, Now, Phase};
use crate::model::{FailKind, JobState, Outcome};
use crate::scheduler::retry;
use crate::wire::refusal::Refusal;

impl Job {
    /// Output and end are known: the results, then the end.
    pub(super) fn output_and_end_are_in(&mut self, now: Now) -> Vec<Intent> {
        let Some(done) = &self.done else { return Vec::new() };
        if self.cancelled.is_some() {
            return self.finish_cancelled(now);
        }
        if let Some(Outcome::Lost { message }) = &done.outcome {
            let why = message.clone();
            return self.lost(&why, now);
        }
        if let (Some(results), Some(peer)) = (&done.results, self.record.peer) {
            self.record.skipped.clone_from(&results.skipped);
            if results.totals.files > 0 {
                self.phase = Phase::Fetching;
                self.record.state = JobState::Collecting;
                self.record.result_totals = results.totals;
                let fetch = Intent::Fetch(peer, self.record.epoch, results.manifest);
                return vec![Intent::Persist, Intent::Announce, fetch];
            }
        }
        self.finish_as_reported(now)
    }

    pub(super) fn finish_as_reported(&mut self, now: Now) -> Vec<Intent> {
        let reported = self.done.as_ref().and_then(|d| d.outcome.clone());
        let outcome = reported.unwrap_or_else(|| {
            Outcome::failed(FailKind::Internal, "the worker reported the end without saying how it ended")
        });
        self.finish(outcome, now)
    }

    /// What came could not be kept on this machine. The worker keeps it for now.
    pub(super) fn trouble_here(&mut self, what: &str, refusal: &Refusal, now: Now) -> Vec<Intent> {
        self.troubles += 1;
        if self.troubles < retry::TRIES_HERE {
            self.next_try = Some(now.mono + retry::LINK_MS);
            return vec![Intent::Note(format!("{what}: {}; trying again", refusal.message))];
        }
        let name = self.record.peer_name.clone().unwrap_or_default();
        self.leave_results(&format!("the {what} could not be brought home from {name}: {}", refusal.message), now)
    }

    /// Ends without acknowledging: the worker keeps what it has, and `homie results` fetches again.
    pub(super) fn leave_results(&mut self, message: &str, now: Now) -> Vec<Intent> {
        self.end(Outcome::failed(FailKind::Results, message), now, false)
    }

    /// The worker cannot be reached just now.
    pub(super) fn down(&mut self, now: Now) -> Vec<Intent> {
        self.next_try = Some(now.mono + retry::LINK_MS);
        if self.down_since.is_some() {
            return Vec::new();
        }
        let since = self.silent_since.take().map_or(now.mono, |since| since.min(now.mono));
        self.down_since = Some(since);
        let name = self.record.peer_name.clone().unwrap_or_default();
        let text = format!("{name} is out of reach; the job goes on there, trying to reach it again");
        let mut intents = vec![Intent::Note(text)];
        intents.extend(self.show_unreachable(since, now));
        intents
    }

    /// The state says so once the worker was out of reach for long enough.
    pub(super) fn show_unreachable(&mut self, since: u64, now: Now) -> Vec<Intent> {
        if !retry::is_unreachable(since, now.mono) || self.record.state == JobState::Unreachable {
            return Vec::new();
        }
        self.record.state = JobState::Unreachable;
        vec![Intent::Persist, Intent::Announce]
    }

    /// This assignment is lost, and nothing more is expected of it.
    pub(super) fn lost(&mut self, why: &str, now: Now) -> Vec<Intent> {
        self.give_up(why, false, now)
    }

    /// This assignment is given up: the next one elsewhere, or the end. With `awaited`, what it still brings counts.
    pub(super) fn give_up(&mut self, why: &str, awaited: bool, now: Now) -> Vec<Intent> {
        let Some(peer) = self.record.peer else { return Vec::new() };
        let epoch = self.record.epoch;
        let name = self.record.peer_name.clone().unwrap_or_default();
        if self.fetch_only {
            return self.leave_results(&format!("the results could not be fetched from {name}: {why}"), now);
        }
        let awaited = awaited && self.cancelled.is_none();
        if let Some(attempt) = self.present_mut() {
            attempt.end = Some(format!("lost: {why}"));
            attempt.awaited = awaited;
        }
        let mut intents = vec![if awaited { Intent::Await(peer, epoch) } else { Intent::Abandon(peer, epoch) }];
        if self.cancelled.is_some() {
            intents.extend(self.finish_cancelled(now));
            return intents;
        }
        self.lost_workers.push(peer);
        if !self.may_run_again() && !self.is_anybody_awaited() {
            intents.extend(self.finish_lost(now));
            return intents;
        }
        self.phase = Phase::Seeking;
        self.down_since = None;
        self.next_try = None;
        self.done = None;
        self.output_in = false;
        self.idle_since = None;
        (self.stuck, self.lacking) = (None, None);
        self.refused.retain(|r| r.for_good);
        self.record.state = JobState::Queued;
        self.record.started_ms = None;
        self.record.engine = None;
        intents.push(Intent::Note(format!("{name}: lost ({why}); looking for another machine")));
        intents.extend([Intent::Persist, Intent::Announce, Intent::Rank]);
        intents
    }

    pub(super) fn finish_lost(&mut self, now: Now) -> Vec<Intent> {
        let last = self.record.attempts.iter().rev().find(|a| a.accepted);
        let message = last.map_or_else(
            || "its worker is gone".to_owned(),
            |a| {
                let end = a.end.as_deref().unwrap_or_default();
                format!("{}: {}", a.peer_name, end.strip_prefix("lost: ").unwrap_or(end))
            },
        );
        self.finish(Outcome::Lost { message }, now)
    }

    pub(super) fn finish_cancelled(&mut self, now: Now) -> Vec<Intent> {
        let by = self.cancelled.as_ref().map_or_else(|| "you".to_owned(), |(by, _)| by.clone());
        self.finish(Outcome::Cancelled { by }, now)
    }

    pub(super) fn finish(&mut self, outcome: Outcome, now: Now) -> Vec<Intent> {
        self.end(outcome, now, true)
    }

    pub(super) fn end(&mut self, outcome: Outcome, now: Now, acknowledge: bool) -> Vec<Intent> {
        let state = outcome.state();
        self.record.state = state;
        if let Some(attempt) = self.present_mut()
            && attempt.end.is_none()
        {
            attempt.end = Some(state.as_str().to_owned());
        }
        self.record.outcome = Some(outcome);
        self.record.ended_ms = Some(now.wall);
        self.record.cancel = None;
        let accepted = self.present().is_some_and(|a| a.accepted);
        let late = self.release_awaited();
        let mut intents = vec![Intent::Persist, Intent::Announce];
        // Only what is written down here may be forgotten there.
        if let (true, true, Some(peer)) = (acknowledge, accepted, self.record.peer) {
            intents.push(Intent::Acknowledge(peer, self.record.epoch));
        }
        intents.extend(late);
        self.phase = Phase::Ended;
        intents.push(Intent::Close);
        intents
    }
}
