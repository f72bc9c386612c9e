//! Pure: how often a link to an unproven address is tried.
//!
//! A captured beat sent from a foreign address makes us dial that address, so dialling is rare: once in five
//! seconds for each address, and rarer the longer nobody there proves a key.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Least time between two tries at one address; doubled with each further try.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause: a friend whose firewall was mended is found within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Addresses remembered, as many as a registry has rumours.
const MAX_ADDRESSES: usize = 4096;

/// Where links were tried.
#[derive(Debug, Default)]
pub(super) struct Greetings {
    tried: HashMap<SocketAddr, Try>,
}

#[derive(Debug)]
struct Try {
    at: Instant,
    pause: Duration,
}

impl Greetings {
    /// Whether a link to `addr` may be tried now; then it counts as tried.
    pub(super) fn may_greet(&mut self, addr: SocketAddr, now: Instant) -> bool {
        if let Some(before) = self.tried.get_mut(&addr) {
            if now.saturating_duration_since(before.at) < before.pause {
                return false;
            }
            before.at = now;
            before.pause = (before.pause * 2).min(LONGEST_PAUSE);
            return true;
        }
        if self.tried.len() >= MAX_ADDRESSES {
            self.tried.retain(|_, t| now.saturating_duration_since(t.at) < LONGEST_PAUSE);
            if self.tried.len() >= MAX_ADDRESSES {
                return false;
            }
        }
        self.tried.insert(addr, Try { at: now, pause: FIRST_PAUSE });
        true
    }

    /// A machine at `addr` is proven: when it is unproven again (a new run), the first try is at once.
    pub(super) fn settled(&mut self, addr: SocketAddr) {
        self.tried.remove(&addr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn an_hour_of_beats_from_an_address_that_proves_nothing_costs_few_tries() {
        let (mut greetings, start) = (Greetings::default(), Instant::now());
        let beats = (0..1800).map(|i| start + Duration::from_secs(2) * i);
        let tries = beats.filter(|now| greetings.may_greet(addr(1), *now)).count();
        assert!((55..=70).contains(&tries), "{tries}");
        assert!(greetings.may_greet(addr(2), start), "another address has its own");
    }

    #[test]
    fn a_burst_is_one_try_and_a_settled_address_starts_afresh() {
        let (mut greetings, start) = (Greetings::default(), Instant::now());
        let tries = (0..1000).filter(|_| greetings.may_greet(addr(1), start)).count();
        assert_eq!(tries, 1);
        greetings.settled(addr(1));
        assert!(greetings.may_greet(addr(1), start));
    }

    #[test]
    fn forged_addresses_fill_no_memory() {
        let (mut greetings, start) = (Greetings::default(), Instant::now());
        let tries = (0..60_000).filter(|port| greetings.may_greet(addr(*port), start)).count();
        assert_eq!(tries, MAX_ADDRESSES);
        assert!(greetings.may_greet(addr(61_000), start + LONGEST_PAUSE));
    }
}
