//! Pure: what a peer's last sign of life and its facts make of it now.

use std::time::{Duration, Instant};

use crate::model::{Facts, PeerStatus};
use crate::wire::heartbeat::LOST_AFTER;

/// The last signs of life of one run of a peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    /// When it was last heard, by whatever way.
    pub(super) heard: Instant,
    /// It said that it stops.
    pub(super) gone: bool,
}

impl Life {
    /// It was heard.
    pub(super) fn heard_at(now: Instant) -> Self {
        Self { heard: now, gone: false }
    }

    /// Time since the last sign.
    pub(super) fn silence(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    /// Whether it counts as there.
    pub(super) fn is_online(self, now: Instant) -> bool {
        !self.gone && self.silence(now) <= LOST_AFTER
    }

    /// The status to show.
    pub(super) fn status(self, facts: &Facts, now: Instant) -> PeerStatus {
        if self.is_online(now) { willing(facts) } else { PeerStatus::Offline }
    }
}

/// Whether a machine that is there would take a job, by what it says. One that has said nothing yet has no slot.
pub(super) fn willing(facts: &Facts) -> PeerStatus {
    if facts.paused.is_some() {
        PeerStatus::Paused
    } else if facts.jobs_running >= facts.job_slots {
        PeerStatus::Busy
    } else {
        PeerStatus::Idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::heartbeat::INTERVAL;

    #[test]
    fn two_missed_beats_are_forgiven_and_the_third_is_not() {
        let start = Instant::now();
        let life = Life::heard_at(start);
        assert!(life.is_online(start + INTERVAL * 3));
        assert!(!life.is_online(start + INTERVAL * 3 + Duration::from_secs(1)));
        assert!(!Life { gone: true, ..life }.is_online(start), "a goodbye counts at once");
    }

    #[test]
    fn a_pause_outweighs_a_free_slot_and_silence_outweighs_both() {
        let start = Instant::now();
        let mut facts = Facts { job_slots: 2, jobs_running: 1, ..Facts::default() };
        let life = Life::heard_at(start);
        assert_eq!(life.status(&facts, start), PeerStatus::Idle);
        facts.jobs_running = 2;
        assert_eq!(life.status(&facts, start), PeerStatus::Busy);
        facts.paused = Some("in use".into());
        assert_eq!(life.status(&facts, start), PeerStatus::Paused);
        assert_eq!(life.status(&facts, start + LOST_AFTER * 2), PeerStatus::Offline);
    }
}
