//! Which of two links to one peer stays (pure).

use std::time::Duration;

/// A link that was silent for so long may be dead without anybody knowing: then a new one is believed over it. Facts
/// come every 2 s, so two were missed.
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// What counts about a link to a peer when another one comes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contender {
    /// We dialled it.
    pub(super) ours: bool,
    /// Which run of the peer is at the other end.
    pub(super) boot: [u8; 16],
    /// How long nothing was heard on it.
    pub(super) silent_for: Duration,
    /// This machine has lost the address at its near end.
    pub(super) cut: bool,
}

/// What becomes of two links to one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The old one stays; the new one ends as soon as nobody uses it.
    OldStays,
    /// The new one stays; the old one ends as soon as nobody uses it.
    NewStays,
    /// The new one stays; the old one is dead and whoever waits on it should know at once.
    OldIsDead,
}

/// Decides between the link that is there and one that just came up. `lower` is whether our id is the lower one.
///
/// When both sides dialled at the same moment, both come to the same answer: what the lower id dialled stays.
pub(super) fn judge(old: Contender, new: Contender, lower: bool) -> Verdict {
    if old.boot != new.boot || old.cut || old.silent_for >= FRESH {
        Verdict::OldIsDead
    } else if old.ours == new.ours || new.ours == lower {
        // The same side dialled again: it has its reasons.
        Verdict::NewStays
    } else {
        Verdict::OldStays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ours: bool, boot: u8, silent: u64) -> Contender {
        Contender { ours, boot: [boot; 16], silent_for: Duration::from_secs(silent), cut: false }
    }

    #[test]
    fn when_both_dial_at_once_both_keep_the_same_connection() {
        // Connection X was dialled by the lower id, Y by the higher; the two sides may see them in either order.
        for lower_sees_x_first in [true, false] {
            for higher_sees_x_first in [true, false] {
                let kept_x = |lower: bool, x_first: bool| {
                    let (x, y) = (link(lower, 1, 0), link(!lower, 1, 0));
                    if x_first {
                        judge(x, y, lower) == Verdict::OldStays
                    } else {
                        judge(y, x, lower) == Verdict::NewStays
                    }
                };
                assert!(kept_x(true, lower_sees_x_first) && kept_x(false, higher_sees_x_first));
            }
        }
    }

    #[test]
    fn a_restarted_or_silent_peer_and_a_second_dial_replace_the_old_link() {
        for lower in [true, false] {
            assert_eq!(judge(link(lower, 1, 0), link(!lower, 2, 0), lower), Verdict::OldIsDead, "restarted");
            assert_eq!(judge(link(lower, 1, 9), link(!lower, 1, 0), lower), Verdict::OldIsDead, "silent");
            let cut = Contender { cut: true, ..link(lower, 1, 0) };
            assert_eq!(judge(cut, link(!lower, 1, 0), lower), Verdict::OldIsDead, "its address is gone");
            assert_eq!(judge(link(true, 1, 0), link(true, 1, 0), lower), Verdict::NewStays, "dialled again");
            assert_eq!(judge(link(false, 1, 0), link(false, 1, 0), lower), Verdict::NewStays, "dialled us again");
        }
    }
}
