//! The clocks of a job's worker: the one that shows the date may be set while the job runs, those of the kernel's own may not.

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What lies between two readings, and a leap second. A clock that is put right bit by bit takes the kernel's others along
/// (clock_gettime(2)), so nothing else moves them apart.
const APART_MS: i128 = 1000;

/// What they said at one moment, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clocks {
    /// Since 1970 (CLOCK_REALTIME), as files are stamped.
    wall: i64,
    /// Since boot (CLOCK_BOOTTIME), also while the machine sleeps.
    boot: i64,
    /// Since boot without sleep (CLOCK_MONOTONIC), as deadlines are counted.
    awake: i64,
}

impl Clocks {
    /// Reads them.
    pub(super) fn now() -> Self {
        // Every Linux has these three; one that has not reads as a clock that stands.
        let read = |id| clock_gettime(id).map_or(0, |t| t.tv_sec() * 1000 + t.tv_nsec() / 1_000_000);
        Self {
            wall: read(ClockId::CLOCK_REALTIME),
            boot: read(ClockId::CLOCK_BOOTTIME),
            awake: read(ClockId::CLOCK_MONOTONIC),
        }
    }

    /// Milliseconds that the machine has been awake since `then`.
    pub(super) fn awake_since(&self, then: &Self) -> u64 {
        u64::try_from(self.awake.saturating_sub(then.awake)).unwrap_or(0)
    }

    /// Milliseconds since 1970.
    pub(super) fn wall_ms(&self) -> i64 {
        self.wall
    }

    /// Whether the date was put back since `then`, so that what was written later may be stamped earlier.
    pub(super) fn put_back_since(&self, then: &Self) -> bool {
        let [passed, shown] =
            [(self.boot, then.boot), (self.wall, then.wall)].map(|(b, a)| i128::from(b) - i128::from(a));
        shown + APART_MS < passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_that_was_put_back_is_told_from_one_that_was_not() {
        let then = Clocks { wall: 5_000_000, boot: 1_000_000, awake: 400_000 };
        let later = |wall, boot| Clocks { wall, boot, awake: 400_000 + 77 };
        for (wall, boot, back) in [
            (5_000_000, 1_000_000, false),
            (5_060_000, 1_060_000, false),
            // Ten years forwards; a leap second; an hour back; a few seconds; to 1970.
            (5_000_000 + 315_360_000_000, 1_060_000, false),
            (5_000_000 + 59_000, 1_060_000, false),
            (5_000_000 - 3_540_000, 1_060_000, true),
            (5_000_000 + 57_000, 1_060_000, true),
            (0, 1_060_000, true),
            (i64::MIN, i64::MAX, true),
        ] {
            assert_eq!(later(wall, boot).put_back_since(&then), back, "{wall} {boot}");
        }
        assert_eq!((later(0, 0).awake_since(&then), then.awake_since(&later(0, 0))), (77, 0));
        let (one, two) = (Clocks::now(), Clocks::now());
        assert!(one.boot > 0 && one.awake > 0 && two.awake_since(&one) < 60_000 && !two.put_back_since(&one));
    }
}
