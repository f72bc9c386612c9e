//! A job that ended at a limit: whose limit it was, both numbers, and who can raise it.

use crate::model::{FailKind, JobRecord, Outcome, format_bytes, format_duration, visible_controls};

/// Why a job was stopped at its time limit.
pub(super) fn timed_out(record: &JobRecord) -> String {
    let asked = record.spec.needs.timeout_s;
    let given = record.limits.as_ref().map(|limits| limits.timeout_s).or(asked);
    let machine = machine(record);
    match (given.map(time), asked.map(time)) {
        (None, _) => "it reached its time limit".into(),
        (Some(given), Some(asked)) if given == asked => format!("it reached the {given} that --timeout gave it"),
        (Some(given), Some(asked)) => format!("it reached {given}, the limit set on {machine}; {asked} were asked for"),
        (Some(given), None) => format!("it reached {given}, the most that the owner of {machine} gives a job"),
    }
}

/// What the user can do about the limit that ended the job.
pub(super) fn advice(record: &JobRecord) -> Option<String> {
    let needs = &record.spec.needs;
    let limits = record.limits.as_ref();
    let (flag, more, asked, given) = match record.outcome.as_ref()? {
        Outcome::TimedOut => {
            let at = limits.map(|l| l.timeout_s).or(needs.timeout_s);
            let more = at.map_or(7200, |at| at.saturating_mul(2));
            ("--timeout", short_time(more), needs.timeout_s.map(time), at.map(time))
        }
        Outcome::Failed { reason: FailKind::OutOfMemory, .. } => {
            let at = limits.map(|l| l.memory_bytes).or(needs.memory_bytes);
            let more = at.map_or(8 << 30, |at| at.saturating_mul(2));
            ("--memory", short_size(more), needs.memory_bytes.map(format_bytes), at.map(format_bytes))
        }
        Outcome::Failed { reason: FailKind::DiskLimit, .. } => {
            // The message of this failure has the number; which limit it was is known only if one was asked for.
            let at = needs.disk_bytes?;
            ("--disk", short_size(at.saturating_mul(2)), Some(format_bytes(at)), Some(format_bytes(at)))
        }
        _ => return None,
    };
    let machine = machine(record);
    let elsewhere = format!("`homie run {flag} {more} --explain SCRIPT` shows which machines give {more}");
    Some(if asked.is_some() && asked == given {
        format!("ask for more: {flag} {more}; {elsewhere}")
    } else {
        // A flag asks for a share of what an owner gives, never for more than that.
        let key = flag.trim_start_matches('-');
        format!("only the owner of {machine} can raise that, there: `homie config --{key} {more}`; {elsewhere}")
    })
}

fn machine(record: &JobRecord) -> String {
    visible_controls(record.peer_name.as_deref().unwrap_or("its machine").as_bytes())
}

fn time(seconds: u64) -> String {
    format_duration(seconds.saturating_mul(1000))
}

/// `90s`, `20m`, `2h`: as it is typed.
fn short_time(seconds: u64) -> String {
    match seconds {
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// `512m`, `8g`: as it is typed.
fn short_size(bytes: u64) -> String {
    let unit = [(30, 'g'), (20, 'm'), (10, 'k')].into_iter().find(|(shift, _)| bytes.is_multiple_of(1 << shift));
    unit.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fake;
    use crate::model::{JobId, Limits};

    /// A job that ended so, with what was asked for and what its machine gave.
    fn record(outcome: Outcome, asked: Option<u64>, given: Option<u64>) -> JobRecord {
        let mut record = fake::record(JobId([1; 16]));
        let time = outcome == Outcome::TimedOut;
        record.outcome = Some(outcome);
        record.spec.needs.timeout_s = asked.filter(|_| time);
        record.spec.needs.memory_bytes = asked.filter(|_| !time);
        record.limits = given.map(|n| match time {
            true => Limits { timeout_s: n, ..Limits::default() },
            false => Limits { memory_bytes: n, ..Limits::default() },
        });
        record
    }

    #[test]
    fn a_time_limit_is_told_with_its_number_and_who_set_it() {
        let told = |asked, given| {
            let record = record(Outcome::TimedOut, asked, given);
            format!("{} | {}", timed_out(&record), advice(&record).unwrap_or_default())
        };
        for (asked, given, want, not) in [
            // The owner's cap: asking for more is of no use, so that is not what is said.
            (
                None,
                Some(600),
                &["10m 00s, the most that the owner of raj", "homie config --timeout 20m"][..],
                "ask for",
            ),
            (Some(90), Some(90), &["the 1m 30s that --timeout gave it", "--timeout 3m"], "owner"),
            (
                Some(3600),
                Some(1800),
                &["30m 00s, the limit set on raj; 1h 00m were asked for", "--timeout 1h"],
                "ask for more",
            ),
            (Some(5), None, &["the 5.0s that --timeout gave it", "--timeout 10s"], "owner"),
            (None, None, &["it reached its time limit", "--timeout 2h"], "the most"),
        ] {
            let text = told(asked, given);
            assert!(want.iter().all(|w| text.contains(w)) && !text.contains(not), "{text}");
        }
    }

    #[test]
    fn memory_is_told_the_same_way_and_other_endings_are_not() {
        let killed = || Outcome::failed(FailKind::OutOfMemory, "the job needed more than its 4.0 GB of memory");
        let text = advice(&record(killed(), None, Some(4 << 30))).expect("advice");
        assert!(text.contains("owner of raj") && text.contains("--memory 8g"), "{text}");
        let text = advice(&record(killed(), Some(1 << 30), Some(1 << 30))).expect("advice");
        assert!(text.contains("ask for more: --memory 2g"), "{text}");
        assert_eq!(advice(&record(Outcome::Exited { code: 1 }, None, None)), None);
        assert_eq!(advice(&record(Outcome::failed(FailKind::Spawn, "x"), None, None)), None);
    }
}
