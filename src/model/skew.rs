//! Clocks that differ: no harm to jobs, but times on two screens then do not match.

/// Below this nobody sees it, and NTP over Wi-Fi does no better on a bad day.
const WORTH_A_WORD_MS: u64 = 2_000;

/// What is said of a peer whose clock differs from ours by so many milliseconds; `None` when it hardly does.
pub fn describe_skew(name: &str, skew_ms: i64) -> Option<String> {
    let off = skew_ms.unsigned_abs();
    let direction = if skew_ms > 0 { "ahead of" } else { "behind" };
    (off >= WORTH_A_WORD_MS).then(|| {
        format!(
            "the clock of {name} is {} {direction} this machine's; jobs do not mind. Where it is wrong: {MEND}",
            roughly(off / 1000)
        )
    })
}

/// The commands that set a clock, by system: which of the two machines is wrong only their owners can see.
const MEND: &str =
    "`sudo timedatectl set-ntp true` (Linux), `sudo sntp -sS time.apple.com` (macOS), `w32tm /resync` (Windows)";

/// The largest unit of which there are two at least.
fn roughly(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(31_557_600, "years"), (86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let unit = UNITS.iter().find(|(length, _)| seconds >= 2 * length);
    unit.map_or_else(|| format!("{seconds} seconds"), |(length, name)| format!("{} {name}", seconds / length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_named_with_the_remedy() {
        assert_eq!(describe_skew("bob", 1_999), None);
        assert_eq!(describe_skew("bob", -1_999), None);
        for (skew, wanted) in [
            (2_000, "bob is 2 seconds ahead of"),
            (-3_600_000, "bob is 60 minutes behind"),
            (10_800_000, "bob is 3 hours ahead of"),
            (315_576_000_000, "bob is 10 years ahead of"),
            (i64::MIN, "years behind"),
        ] {
            let text = describe_skew("bob", skew).expect("worth a word");
            assert!(text.contains(wanted) && text.contains("timedatectl") && text.contains("w32tm"), "{text}");
        }
    }
}
