//! Pure: which other keys were shown under names that are pinned. Only one of these can be trusted later, so that what
//! the owner accepts is what the owner was shown.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::model::PeerId;
use crate::wire::ipc::OtherKey;
use crate::wire::refusal::{Refusal, RefusalKind};

/// Claims remembered. They come from members of the group, over links; a member that makes up keys fills the list with
/// its own and is seen doing it.
const MOST: usize = 16;
/// A claim is forgotten after so long: a machine that still wants the name has shown its key again by then.
const FORGET: Duration = Duration::from_secs(600);

#[derive(Debug, Clone)]
struct Claim {
    name: String,
    key: PeerId,
    addr: SocketAddr,
    at: Instant,
}

/// The refused keys of the last minutes.
#[derive(Debug, Default)]
pub(super) struct Claims {
    list: Vec<Claim>,
}

impl Claims {
    /// `key` was proven under `name`, which belongs to another.
    pub(super) fn note(&mut self, name: &str, key: PeerId, addr: SocketAddr, now: Instant) {
        self.list.retain(|c| is_fresh(c, now) && !(c.name == name && c.key == key));
        if self.list.len() >= MOST {
            self.list.remove(0);
        }
        self.list.push(Claim { name: name.to_owned(), key, addr, at: now });
    }

    /// The keys shown under `name`, oldest sight first.
    pub(super) fn of(&self, name: &str, now: Instant) -> Vec<OtherKey> {
        let shown = self.list.iter().filter(|c| c.name == name && is_fresh(c, now));
        shown
            .map(|c| OtherKey {
                id: c.key,
                addr: c.addr,
                seen_ms_ago: u64::try_from(now.saturating_duration_since(c.at).as_millis()).unwrap_or(u64::MAX),
            })
            .collect()
    }

    /// The one key under `name` that `wanted` (the beginning of its id; `None` for any) means.
    ///
    /// # Errors
    /// None was shown, or more than one.
    pub(super) fn choose(&self, name: &str, wanted: Option<&str>, now: Instant) -> Result<OtherKey, Refusal> {
        let plain = |text: &str| text.replace('-', "").to_ascii_uppercase();
        let wanted = wanted.map(plain).unwrap_or_default();
        let mut fit: Vec<OtherKey> =
            self.of(name, now).into_iter().filter(|k| plain(&k.id.to_string()).starts_with(&wanted)).collect();
        if fit.len() > 1 {
            let ids: Vec<String> = fit.iter().map(|k| k.id.to_string()).collect();
            let text = format!("{} machines say that they are {name}: {}", fit.len(), ids.join(", "));
            return Err(Refusal::new(RefusalKind::BadRequest, text).hint(format!(
                "`homie whoami` there shows which is which; then `homie trust {name} --new-key=` and the first group of its id"
            )));
        }
        fit.pop().ok_or_else(|| {
            Refusal::new(RefusalKind::UnknownPeer, format!("no such other key was shown under the name {name} lately"))
                .hint("start homied there and wait for it to be heard, or try `homie add` with its address; then try again")
        })
    }

    /// What was shown under `name` is settled.
    pub(super) fn settle(&mut self, name: &str) {
        self.list.retain(|c| c.name != name);
    }
}

fn is_fresh(claim: &Claim, now: Instant) -> bool {
    now.saturating_duration_since(claim.at) < FORGET
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 5556))
    }

    #[test]
    fn only_what_was_shown_lately_can_be_chosen() {
        let (mut claims, now) = (Claims::default(), Instant::now());
        assert_eq!(claims.choose("bob", None, now).map_err(|r| r.kind), Err(RefusalKind::UnknownPeer));
        claims.note("bob", PeerId([1; 32]), at(1), now);
        claims.note("bob", PeerId([1; 32]), at(2), now);
        assert_eq!(claims.choose("bob", None, now).map(|k| (k.id, k.addr)), Ok((PeerId([1; 32]), at(2))));
        assert!(claims.choose("bo", None, now).is_err());
        assert!(claims.choose("bob", None, now + FORGET).is_err(), "forgotten");
    }

    #[test]
    fn of_two_the_owner_says_which() {
        let (mut claims, now) = (Claims::default(), Instant::now());
        let (first, second) = (PeerId([1; 32]), PeerId([2; 32]));
        claims.note("bob", first, at(1), now);
        claims.note("bob", second, at(2), now);
        let refusal = claims.choose("bob", None, now).expect_err("which?");
        assert!(refusal.message.contains(&first.to_string()) && refusal.message.contains(&second.to_string()));
        for (typed, wanted) in [
            (second.to_string(), second),
            (first.short().to_lowercase(), first),
            (second.to_string().replace('-', ""), second),
        ] {
            assert_eq!(claims.choose("bob", Some(&typed), now).map(|k| k.id), Ok(wanted), "{typed}");
        }
        assert!(claims.choose("bob", Some("7777777"), now).is_err());
        claims.settle("bob");
        assert!(claims.of("bob", now).is_empty());
    }

    #[test]
    fn made_up_keys_fill_no_memory() {
        let (mut claims, now) = (Claims::default(), Instant::now());
        for i in 0..1000u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&i.to_le_bytes());
            claims.note("bob", PeerId(key), at(1), now);
        }
        assert_eq!(claims.of("bob", now).len(), MOST);
    }
}
