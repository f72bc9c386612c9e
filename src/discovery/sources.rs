//! Pure: how much work a source of forgeries may cause.
//!
//! Checking a MAC takes about a microsecond, so a flood costs little; this bounds it all the same. Only failures
//! count, and an address that lately sent a right beat is always listened to: whoever forges its source address
//! must not be able to silence it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::wire::heartbeat::LOST_AFTER;

/// Failures a second that one address may cause: 0.1 % of a core.
const PER_SOURCE: f64 = 1_000.0;
/// Failures a second of all addresses together: 2 % of a core. It is far above `PER_SOURCE`, so that one flooder does
/// not use up the share of a newcomer.
const TOGETHER: f64 = 20_000.0;
/// Addresses watched; more are only counted together.
const MAX_SOURCES: usize = 1024;

/// A bucket that fills by failures and leaks with time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
    rate: f64,
}

impl Bucket {
    fn new(rate: f64, now: Instant) -> Self {
        Self { level: 0.0, at: now, rate }
    }

    /// The level now. A bucket holds what leaks in one second.
    fn leak(&mut self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level - passed * self.rate).max(0.0);
        self.at = now;
        self.level
    }

    fn has_room(&mut self, now: Instant) -> bool {
        self.leak(now) + 1.0 <= self.rate
    }
}

#[derive(Debug)]
struct Source {
    bucket: Bucket,
    /// When it last sent a right beat.
    right: Option<Instant>,
}

impl Source {
    fn is_trusted(&self, now: Instant) -> bool {
        self.right.is_some_and(|at| now.saturating_duration_since(at) <= LOST_AFTER)
    }
}

/// What is known of those who send.
#[derive(Debug)]
pub(super) struct Sources {
    each: HashMap<IpAddr, Source>,
    together: Bucket,
}

impl Sources {
    /// Nobody yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { each: HashMap::new(), together: Bucket::new(TOGETHER, now) }
    }

    /// Whether a MAC from there is worth checking.
    pub(super) fn may_check(&mut self, from: IpAddr, now: Instant) -> bool {
        match self.each.get_mut(&from) {
            Some(source) if source.is_trusted(now) => true,
            Some(source) => source.bucket.has_room(now) && self.together.has_room(now),
            None => self.together.has_room(now),
        }
    }

    /// Whether right beats come from there.
    pub(super) fn is_friend(&self, from: IpAddr, now: Instant) -> bool {
        self.each.get(&from).is_some_and(|source| source.is_trusted(now))
    }

    /// The MAC was checked.
    pub(super) fn checked(&mut self, from: IpAddr, right: bool, now: Instant) {
        if !right {
            self.together.leak(now);
            self.together.level += 1.0;
        }
        if let Some(source) = self.entry(from, right, now) {
            if right {
                source.right = Some(now);
            } else {
                source.bucket.leak(now);
                source.bucket.level += 1.0;
            }
        }
    }

    fn entry(&mut self, from: IpAddr, right: bool, now: Instant) -> Option<&mut Source> {
        if !self.each.contains_key(&from) && self.each.len() >= MAX_SOURCES {
            self.each.retain(|_, s| s.is_trusted(now) || s.bucket.leak(now) > 0.0);
            // A right beat is worth more than the memory of a forger.
            if right && self.each.len() >= MAX_SOURCES {
                let forger = self.each.iter().find(|(_, s)| !s.is_trusted(now)).map(|(ip, _)| *ip);
                forger.and_then(|ip| self.each.remove(&ip));
            }
            if self.each.len() >= MAX_SOURCES {
                return None;
            }
        }
        Some(self.each.entry(from).or_insert_with(|| Source { bucket: Bucket::new(PER_SOURCE, now), right: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn ip(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n))
    }

    /// Lets `who` forge `rate` beats a second for `seconds`; gives how many were checked.
    fn flood(sources: &mut Sources, who: impl Fn(u32) -> IpAddr, rate: u32, seconds: u32, start: Instant) -> u32 {
        let mut checked = 0;
        for i in 0..rate * seconds {
            let now = start + Duration::from_secs(1) * i / rate;
            if sources.may_check(who(i), now) {
                sources.checked(who(i), false, now);
                checked += 1;
            }
        }
        checked
    }

    #[test]
    fn one_flooder_is_held_to_its_share_and_nobody_else_notices() {
        let start = Instant::now();
        let mut sources = Sources::new(start);
        let checked = flood(&mut sources, |_| ip(1), 100_000, 5, start);
        assert!((5_000..=6_001).contains(&checked), "{checked}");
        assert!(sources.may_check(ip(2), start + Duration::from_secs(5)));
    }

    #[test]
    fn a_flood_with_the_address_of_a_friend_does_not_silence_it() {
        let start = Instant::now();
        let mut sources = Sources::new(start);
        sources.checked(ip(1), true, start);
        flood(&mut sources, |_| ip(1), 10_000, 5, start);
        assert!(sources.may_check(ip(1), start + Duration::from_secs(5)));
    }

    #[test]
    fn a_flood_from_everywhere_is_bounded_and_forgets_no_friend() {
        let start = Instant::now();
        let mut sources = Sources::new(start);
        let checked = flood(&mut sources, |i| ip(1000 + i), 100_000, 3, start);
        assert!((60_000..=80_001).contains(&checked), "{checked}");
        assert!(sources.each.len() <= MAX_SOURCES);
        let end = start + Duration::from_secs(3);
        sources.checked(ip(1), true, end);
        assert!(sources.may_check(ip(1), end) && sources.each.len() <= MAX_SOURCES);
    }
}
