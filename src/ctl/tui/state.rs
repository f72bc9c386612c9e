//! What the dashboard knows: the last picture, the recent load, and where the list of peers is scrolled to.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::ctl::exit::CtlError;
use crate::model::{JobRecord, PeerStatus, PeerView, Via};
use crate::wire::ipc::StatusView;

/// Seconds of load that are kept: the widest curve drawn.
const CURVE: usize = 240;

/// One picture of everything.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// This machine.
    pub(super) status: StatusView,
    /// The others, online first.
    pub(super) peers: Vec<PeerView>,
    /// Jobs that are not ended, hosted and sent.
    pub(super) jobs: Vec<JobRecord>,
    /// When, in milliseconds since 1970.
    pub(super) at_ms: u64,
}

impl Snapshot {
    /// Puts the rows in order.
    pub(super) fn new(status: StatusView, mut peers: Vec<PeerView>, mut jobs: Vec<JobRecord>, at_ms: u64) -> Self {
        peers.retain(|p| p.via != Via::Own);
        peers.sort_by(|a, b| {
            let offline = |p: &PeerView| p.status == PeerStatus::Offline;
            offline(a).cmp(&offline(b)).then_with(|| a.name.cmp(&b.name)).then_with(|| a.id.cmp(&b.id))
        });
        jobs.retain(|j| !j.is_terminal());
        jobs.sort_by(|a, b| b.created_ms.cmp(&a.created_ms).then_with(|| a.id.cmp(&b.id)));
        Self { status, peers, jobs, at_ms }
    }
}

/// What is drawn.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The last picture; `None` before the first.
    pub(super) seen: Option<Snapshot>,
    /// When it was taken.
    pub(super) seen_at: Option<Instant>,
    /// Why there is no newer one.
    pub(super) trouble: Option<String>,
    /// CPU use in percent, oldest first.
    pub(super) curve: VecDeque<u8>,
    /// First row of the peers' table.
    pub(super) first: usize,
}

impl State {
    /// Takes in a picture, or the reason why there is none.
    pub(super) fn heard(&mut self, news: Result<Snapshot, CtlError>, now: Instant) {
        match news {
            Ok(seen) => {
                self.curve.push_back(seen.status.facts.cpu_percent.min(100));
                if self.curve.len() > CURVE {
                    self.curve.pop_front();
                }
                self.first = self.first.min(seen.peers.len().saturating_sub(1));
                self.seen = Some(seen);
                self.seen_at = Some(now);
                self.trouble = None;
            }
            Err(e) => self.trouble = Some(e.to_string()),
        }
    }

    /// Moves the peers' table by `rows`.
    pub(super) fn scroll(&mut self, rows: isize) {
        let last = self.seen.as_ref().map_or(0, |s| s.peers.len().saturating_sub(1));
        self.first = self.first.saturating_add_signed(rows).min(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::sample;

    fn snapshot() -> Snapshot {
        Snapshot::new(sample::status(), sample::peers(), sample::jobs(), sample::NOW_MS)
    }

    #[test]
    fn a_picture_holds_the_others_and_the_open_jobs() {
        let seen = snapshot();
        let names: Vec<&str> = seen.peers.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["mike", "raj", "bob-in-new-york-city"]);
        assert!(seen.jobs.iter().all(|j| !j.is_terminal()) && seen.jobs.len() == 2);
    }

    #[test]
    fn trouble_keeps_the_last_picture_and_goes_with_the_next() {
        let mut state = State::default();
        let now = Instant::now();
        state.heard(Ok(snapshot()), now);
        state.heard(Err(CtlError::Broken("gone".into())), now);
        assert!(state.seen.is_some() && state.trouble.is_some());
        state.heard(Ok(snapshot()), now);
        assert!(state.trouble.is_none());
        assert_eq!(state.curve, [23, 23]);
    }

    #[test]
    fn scrolling_stays_inside_and_follows_a_shorter_list() {
        let mut state = State::default();
        state.scroll(5);
        assert_eq!(state.first, 0);
        state.heard(Ok(snapshot()), Instant::now());
        state.scroll(99);
        assert_eq!(state.first, 2);
        let mut fewer = snapshot();
        fewer.peers.truncate(1);
        state.heard(Ok(fewer), Instant::now());
        assert_eq!(state.first, 0);
        state.scroll(-1);
        assert_eq!(state.first, 0);
    }

    #[test]
    fn the_curve_does_not_grow_for_ever() {
        let mut state = State::default();
        for _ in 0..1000 {
            state.heard(Ok(snapshot()), Instant::now());
        }
        assert_eq!(state.curve.len(), CURVE);
    }
}
