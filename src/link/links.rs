//! Which of two links to one peer stays (pure).

use std::time::Duration;

/// A link that was silent for so long may be dead without anybody knowing: then a new one is believed over it. Facts
/// come every 2 s, so two were missed.
const FRESH: Duration = Duration::from_secs(5);

/// What counts about a link to a peer when another one comes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contender {
    /// We dialled it.
    pub(super) ours: bool,
    /// Which run of the peer is at the other end.
    pub(super) boot: [u8; 16],
    /// How long nothing was heard on it.
    pub(super) silent_for: Duration,
}

/// Whether the new link takes the old one's place. `lower` is whether our id is the lower one.
///
/// When both sides dialled at the same moment, both come to the same answer: what the lower id dialled stays.
pub(super) fn new_one_stays(old: Contender, new: Contender, lower: bool) -> bool {
    // The peer was restarted, the same side dialled again, or the old link has gone silent: the old one is history.
    if old.boot != new.boot || old.ours == new.ours || old.silent_for > FRESH {
        return true;
    }
    new.ours == lower
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ours: bool, boot: u8, silent: u64) -> Contender {
        Contender { ours, boot: [boot; 16], silent_for: Duration::from_secs(silent) }
    }

    #[test]
    fn when_both_dial_at_once_both_keep_the_same_connection() {
        // Connection X was dialled by the lower id, Y by the higher; the two sides may see them in either order.
        for lower_sees_x_first in [true, false] {
            for higher_sees_x_first in [true, false] {
                let kept_x = |lower: bool, x_first: bool| {
                    let (x, y) = (link(lower, 1, 0), link(!lower, 1, 0));
                    if x_first { !new_one_stays(x, y, lower) } else { new_one_stays(y, x, lower) }
                };
                assert!(kept_x(true, lower_sees_x_first) && kept_x(false, higher_sees_x_first));
            }
        }
    }

    #[test]
    fn a_restarted_or_silent_peer_and_a_second_dial_replace_the_old_link() {
        for lower in [true, false] {
            assert!(new_one_stays(link(lower, 1, 0), link(!lower, 2, 0), lower), "restarted");
            assert!(new_one_stays(link(lower, 1, 9), link(!lower, 1, 0), lower), "silent");
            assert!(new_one_stays(link(true, 1, 0), link(true, 1, 0), lower), "dialled again");
            assert!(new_one_stays(link(false, 1, 0), link(false, 1, 0), lower), "dialled us again");
        }
    }
}
