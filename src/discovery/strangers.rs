//! Pure: machines that are heard on this network and belong to another group, or have another secret.
//!
//! Shown so that a mistyped secret is found in a minute. Nothing in such a datagram can be checked, so a row is a hint
//! and no more: few rows, only of those who keep a heartbeat's pace, soon forgotten, and never one against an address
//! that a friend speaks from.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::wire::heartbeat::INTERVAL;
use crate::wire::ipc::Stranger;

/// Rows, shown or not yet: what a person reads. Whoever forges more addresses than this is not heard at all.
const MOST: usize = 8;
/// Nobody is shown for less: one datagram is a slip or a forgery, a Homie machine beats on.
const BEATS: u32 = 3;
/// ... and its beats span at least this, two intervals less what jitter and a hello take off.
const SPAN: Duration = Duration::from_millis(INTERVAL.as_millis() as u64 * 3 / 2);
/// A row is forgotten after so much silence: ten beats, so that a machine that was mended is soon gone from the list.
const FORGET: Duration = INTERVAL.saturating_mul(10);

#[derive(Debug, Clone, Copy)]
struct Heard {
    from: IpAddr,
    first: Instant,
    last: Instant,
    beats: u32,
}

impl Heard {
    fn is_fresh(&self, now: Instant) -> bool {
        // Who is not shown yet holds a row only while it keeps the pace.
        let patience = if self.is_steady() { FORGET } else { SPAN };
        now.saturating_duration_since(self.last) < patience
    }

    fn is_steady(&self) -> bool {
        self.beats >= BEATS && self.last.saturating_duration_since(self.first) >= SPAN
    }
}

/// Who was heard lately.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    heard: Vec<Heard>,
}

impl Strangers {
    /// A heartbeat of another group came. `friend`: right ones come from there too.
    pub(super) fn heard(&mut self, from: IpAddr, friend: bool, now: Instant) {
        if friend {
            return self.heard.retain(|h| h.from != from);
        }
        if let Some(known) = self.heard.iter_mut().find(|h| h.from == from && h.is_fresh(now)) {
            known.last = now;
            known.beats = known.beats.saturating_add(1);
            return;
        }
        self.heard.retain(|h| h.from != from && h.is_fresh(now));
        if self.heard.len() < MOST {
            self.heard.push(Heard { from, first: now, last: now, beats: 1 });
        }
    }

    /// Those to show, in the order they were first heard.
    pub(super) fn list(&self, now: Instant) -> Vec<Stranger> {
        let shown = self.heard.iter().filter(|h| h.is_fresh(now) && h.is_steady());
        shown
            .map(|h| Stranger {
                addr: h.from,
                heard_ms_ago: u64::try_from(now.saturating_duration_since(h.last).as_millis()).unwrap_or(u64::MAX),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn ip(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n))
    }

    fn shown(strangers: &Strangers, now: Instant) -> Vec<IpAddr> {
        strangers.list(now).into_iter().map(|s| s.addr).collect()
    }

    /// Beats as a machine does, for `seconds`. Returns when it ended.
    fn beat(strangers: &mut Strangers, who: IpAddr, seconds: u64, mut now: Instant) -> Instant {
        for _ in 0..=seconds / 2 {
            strangers.heard(who, false, now);
            now += INTERVAL;
        }
        now - INTERVAL
    }

    #[test]
    fn a_machine_with_another_secret_is_shown_while_it_beats_and_soon_forgotten() {
        let (mut strangers, start) = (Strangers::default(), Instant::now());
        beat(&mut strangers, ip(1), 2, start);
        assert!(shown(&strangers, start + INTERVAL).is_empty(), "two beats are not enough");
        let end = beat(&mut strangers, ip(1), 60, start + INTERVAL * 2);
        assert_eq!(strangers.list(end + INTERVAL)[0].heard_ms_ago, 2000);
        assert!(shown(&strangers, end + FORGET).is_empty());
        strangers.heard(ip(1), false, end + FORGET);
        assert!(shown(&strangers, end + FORGET).is_empty(), "it begins anew");
    }

    #[test]
    fn a_burst_shows_nobody() {
        let (mut strangers, start) = (Strangers::default(), Instant::now());
        for i in 0..10_000u32 {
            strangers.heard(ip(1), false, start + Duration::from_micros(u64::from(i) * 100));
        }
        assert!(shown(&strangers, start + Duration::from_secs(1)).is_empty());
    }

    #[test]
    fn forged_addresses_push_nobody_out_and_fill_no_memory() {
        let (mut strangers, start) = (Strangers::default(), Instant::now());
        let end = beat(&mut strangers, ip(1), 10, start);
        for i in 0..100_000u32 {
            strangers.heard(ip(1000 + i), false, end);
        }
        assert_eq!(shown(&strangers, end), [ip(1)]);
        assert_eq!(strangers.heard.len(), MOST);
        // Even with the pace of beats they get no more than the other rows.
        let mut now = end;
        for _ in 0..30 {
            now += INTERVAL;
            for i in 0..1000u32 {
                strangers.heard(ip(1000 + i), false, now);
            }
            strangers.heard(ip(1), false, now);
        }
        assert_eq!(shown(&strangers, now).len(), MOST);
        assert!(shown(&strangers, now).contains(&ip(1)));
        // And when the flood is over, its places are free again.
        let later = beat(&mut strangers, ip(2), 10, now + FORGET);
        assert_eq!(shown(&strangers, later), [ip(2)]);
    }

    #[test]
    fn an_address_that_a_friend_speaks_from_is_not_accused() {
        let (mut strangers, start) = (Strangers::default(), Instant::now());
        let end = beat(&mut strangers, ip(1), 10, start);
        strangers.heard(ip(1), true, end);
        assert!(shown(&strangers, end).is_empty());
    }
}
