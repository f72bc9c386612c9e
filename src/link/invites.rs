//! Invitations (pure): which are open, which were used and by whom. They live in memory only: a restart of homied voids
//! them all.

use std::time::{Duration, Instant};

use super::gate::{GATE_BYTES, opens};
use crate::model::{PeerId, TOKEN_SECRET_BYTES};
use crate::secret::GroupKeys;
use crate::wire::refusal::{Refusal, RefusalKind};

/// How long a token is good, on the clock that nobody sets: time to paste it into a chat and for a friend to see it.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(15 * 60);
/// For so long afterwards its holder is told that it is used or too old, instead of being met with silence.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// Invitations at once: a party, and each costs every stranger at the gate one more HMAC.
const MOST: usize = 32;

/// All invitations.
#[derive(Debug, Default)]
pub(super) struct Invites {
    last: u64,
    all: Vec<Invite>,
}

#[derive(Debug)]
struct Invite {
    number: u64,
    keys: GroupKeys,
    made: Instant,
    used_by: Option<PeerId>,
}

impl Invites {
    /// Opens one with this secret.
    ///
    /// # Errors
    /// Too many are open.
    pub(super) fn open(&mut self, secret: &[u8; TOKEN_SECRET_BYTES], now: Instant) -> Result<(), Refusal> {
        self.all.retain(|i| now.saturating_duration_since(i.made) < REMEMBERED);
        if self.all.len() >= MOST {
            // The oldest that nobody can use any more makes room.
            let over = |i: &Invite| i.used_by.is_some() || now.saturating_duration_since(i.made) >= GOOD_FOR;
            match self.all.iter().position(over) {
                Some(at) => _ = self.all.remove(at),
                None => {
                    let text = format!("{MOST} invitations are open, which is the most");
                    return Err(Refusal::new(RefusalKind::Limits, text).hint("each ends after 15 minutes"));
                }
            }
        }
        self.last += 1;
        self.all.push(Invite { number: self.last, keys: GroupKeys::of_token(secret), made: now, used_by: None });
        Ok(())
    }

    /// Which invitation opens the gate with these bytes, and its keys.
    pub(super) fn opened_by(&self, gate: &[u8; GATE_BYTES]) -> Option<(u64, GroupKeys)> {
        self.all.iter().find(|i| opens(&i.keys, gate)).map(|i| (i.number, i.keys.clone()))
    }

    /// Uses an invitation up for `peer`, who has proven to know its secret. The same machine may ask again while it is
    /// good: its first answer may have been lost.
    ///
    /// # Errors
    /// Another has used it, or it is too old.
    pub(super) fn admit(&mut self, number: u64, peer: PeerId, now: Instant) -> Result<(), Refusal> {
        let refuse = |text: &str| {
            Refusal::new(RefusalKind::NotAllowed, text).hint("ask your friend for another one: `homie invite`")
        };
        let Some(invite) = self.all.iter_mut().find(|i| i.number == number) else {
            return Err(refuse("this invitation is known no longer"));
        };
        if invite.used_by.is_some_and(|by| by != peer) {
            return Err(refuse("this invitation was used already, by another machine"));
        }
        if now.saturating_duration_since(invite.made) >= GOOD_FOR {
            return Err(refuse("this invitation is older than 15 minutes"));
        }
        invite.used_by = Some(peer);
        Ok(())
    }

    /// Voids all of them: this machine is in another group now.
    pub(super) fn void(&mut self) {
        self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::gate::gate;

    const RAJ: PeerId = PeerId([1; 32]);
    const EVE: PeerId = PeerId([2; 32]);

    #[test]
    fn one_machine_wins_and_only_in_time() {
        let (mut invites, start) = (Invites::default(), Instant::now());
        invites.open(&[7; 16], start).expect("room");
        let (number, _) = invites.opened_by(&gate(&GroupKeys::of_token(&[7; 16]), [1; 16])).expect("known");
        assert!(invites.opened_by(&gate(&GroupKeys::of_token(&[8; 16]), [1; 16])).is_none());
        assert_eq!(invites.admit(number, RAJ, start), Ok(()));
        assert_eq!(invites.admit(number, RAJ, start), Ok(()), "its answer may have been lost");
        let used = invites.admit(number, EVE, start).expect_err("used");
        assert!(used.message.contains("used already"), "{used}");
        let old = invites.admit(number, RAJ, start + GOOD_FOR).expect_err("old");
        assert!(old.message.contains("15 minutes"), "{old}");
        invites.void();
        assert!(invites.admit(number, RAJ, start).is_err());
    }

    #[test]
    fn a_hundred_at_once_and_one_is_in() {
        let invites = std::sync::Mutex::new(Invites::default());
        let now = Instant::now();
        invites.lock().expect("lock").open(&[7; 16], now).expect("room");
        let won = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..100u8)
                .map(|n| {
                    let invites = &invites;
                    scope.spawn(move || invites.lock().expect("lock").admit(1, PeerId([n; 32]), now).is_ok())
                })
                .collect();
            tries.into_iter().filter_map(|t| t.join().ok()).filter(|won| *won).count()
        });
        assert_eq!(won, 1);
    }

    #[test]
    fn there_is_an_end_to_open_invitations_and_used_ones_make_room() {
        let (mut invites, now) = (Invites::default(), Instant::now());
        for n in 0..MOST {
            invites.open(&[n as u8; 16], now).expect("room");
        }
        assert_eq!(invites.open(&[99; 16], now).map_err(|r| r.kind), Err(RefusalKind::Limits));
        invites.admit(3, RAJ, now).expect("open");
        invites.open(&[99; 16], now).expect("the used one made room");
        assert!(invites.open(&[98; 16], now + GOOD_FOR).is_ok(), "so do old ones");
    }
}
