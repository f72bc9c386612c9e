//! Tickets (pure): a bulk connection is taken only with one of these, once, from the peer it was given to.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::model::PeerId;

/// A ticket is used within a round trip or two; this leaves time for a slow dial.
pub(super) const TICKET_LIFE: Duration = Duration::from_secs(15);
/// Unused tickets one peer may hold: more transfers at once than any link carries.
const MAX_OPEN: usize = 32;

/// The name of a ticket, hex of 16 random bytes on the wire.
pub(super) type TicketId = [u8; 16];

/// Tickets that were given and not used yet, with what each is good for.
pub(super) struct Tickets<T> {
    open: HashMap<TicketId, (PeerId, Instant, T)>,
}

impl<T> Default for Tickets<T> {
    fn default() -> Self {
        Self { open: HashMap::new() }
    }
}

impl<T> Tickets<T> {
    /// Writes down that `peer` may open one bulk connection for `what`. False when it holds too many already.
    pub(super) fn give(&mut self, ticket: TicketId, peer: PeerId, what: T, now: Instant) -> bool {
        self.open.retain(|_, (_, until, _)| *until > now);
        if self.open.values().filter(|(p, _, _)| *p == peer).count() >= MAX_OPEN {
            return false;
        }
        self.open.insert(ticket, (peer, now + TICKET_LIFE, what)).is_none()
    }

    /// Uses a ticket up. Somebody else's stays good for its owner; so nobody can spoil a ticket by guessing.
    pub(super) fn take(&mut self, ticket: &TicketId, peer: PeerId, now: Instant) -> Option<T> {
        let (owner, until, _) = self.open.get(ticket)?;
        if *owner != peer {
            return None;
        }
        let late = *until <= now;
        let (_, _, what) = self.open.remove(ticket)?;
        (!late).then_some(what)
    }

    /// Takes a ticket back that its giver needs no more.
    pub(super) fn revoke(&mut self, ticket: &TicketId) {
        self.open.remove(ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    #[test]
    fn a_ticket_is_good_once_for_its_owner_and_not_for_long() {
        let now = Instant::now();
        let mut tickets = Tickets::default();
        assert!(tickets.give([1; 16], A, "one", now));
        assert_eq!(tickets.take(&[1; 16], B, now), None, "somebody else's");
        assert_eq!(tickets.take(&[1; 16], A, now), Some("one"));
        assert_eq!(tickets.take(&[1; 16], A, now), None, "used");
        assert!(tickets.give([2; 16], A, "two", now));
        assert_eq!(tickets.take(&[2; 16], A, now + TICKET_LIFE), None, "late");
        assert!(tickets.give([3; 16], A, "three", now));
        tickets.revoke(&[3; 16]);
        assert_eq!(tickets.take(&[3; 16], A, now), None, "revoked");
    }

    #[test]
    fn one_peer_cannot_hoard() {
        let now = Instant::now();
        let mut tickets = Tickets::default();
        assert_eq!((0..99u8).filter(|i| tickets.give([*i; 16], A, (), now)).count(), MAX_OPEN);
        assert!(tickets.give([200; 16], B, (), now), "others are not hindered");
        assert!(tickets.give([201; 16], A, (), now + TICKET_LIFE), "unused ones expire");
    }

    proptest! {
        #[test]
        fn no_ticket_is_taken_twice(moves in proptest::collection::vec((0u8..6, any::<bool>(), 0u64..30), 0..60)) {
            let start = Instant::now();
            let mut now = start;
            let mut tickets = Tickets::default();
            let mut given = 0u32;
            let mut taken = 0u32;
            for (n, give, later) in moves {
                now += Duration::from_secs(later / 10);
                if give {
                    given += u32::from(tickets.give([n; 16], A, (), now));
                } else {
                    taken += u32::from(tickets.take(&[n; 16], A, now).is_some());
                }
                prop_assert!(taken <= given);
            }
        }
    }
}
