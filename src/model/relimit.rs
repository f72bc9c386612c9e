//! A change to the limits of a running job, and what it comes to.

use serde::{Deserialize, Serialize};

use super::limits::{Limits, ParseAmountError, format_bytes, format_duration};

/// A new value for a limit, or how much more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", content = "amount", rename_all = "kebab-case")]
pub enum Amount {
    /// This much from now on.
    To(u64),
    /// This much more than now.
    More(u64),
}

impl Amount {
    /// `8g` or `+2g`, read by the parser of the amount.
    ///
    /// # Errors
    /// Those of the parser.
    pub fn parse(text: &str, parse: impl Fn(&str) -> Result<u64, ParseAmountError>) -> Result<Self, ParseAmountError> {
        match text.trim().strip_prefix('+') {
            // Numbers may have a sign of their own, but not a second one.
            Some(more) => parse(if more.starts_with('+') { "++" } else { more }).map(Self::More),
            None => parse(text).map(Self::To),
        }
    }

    fn from(self, now: u64) -> u64 {
        match self {
            Self::To(value) => value,
            Self::More(more) => now.saturating_add(more),
        }
    }
}

/// What an owner changes of a job's limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitChange {
    /// Processor time, in thousandths of a core.
    pub cpu_millis: Option<Amount>,
    /// Memory in bytes.
    pub memory_bytes: Option<Amount>,
    /// Wall time in seconds, counted from the start of the program.
    pub timeout_s: Option<Amount>,
    /// Processes and threads.
    pub pids: Option<Amount>,
}

impl LimitChange {
    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The limits after the change.
    pub fn apply(&self, now: &Limits) -> Limits {
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let from = |change: Option<Amount>, now: u64| change.map_or(now, |c| c.from(now));
        Limits {
            cpu_millis: small(from(self.cpu_millis, now.cpu_millis.into())),
            memory_bytes: from(self.memory_bytes, now.memory_bytes),
            timeout_s: from(self.timeout_s, now.timeout_s),
            pids: small(from(self.pids, now.pids.into())),
            ..now.clone()
        }
    }
}

/// What differs, for people: `memory from 4.0 GB to 8.0 GB, time from 10m 00s to 2h 10m`; empty when nothing does.
pub fn describe_change(before: &Limits, after: &Limits) -> String {
    let cores = |m: u32| format!("{}", f64::from(m) / 1000.0);
    let time = |s: u64| format_duration(s.saturating_mul(1000));
    let mut parts = Vec::new();
    let mut differs = |what: &str, before: String, after: String| {
        if before != after {
            parts.push(format!("{what} from {before} to {after}"));
        }
    };
    differs("cores", cores(before.cpu_millis), cores(after.cpu_millis));
    differs("memory", format_bytes(before.memory_bytes), format_bytes(after.memory_bytes));
    differs("time", time(before.timeout_s), time(after.timeout_s));
    differs("processes", before.pids.to_string(), after.pids.to_string());
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{parse_duration, parse_size};
    use proptest::prelude::*;

    #[test]
    fn a_plus_adds_and_no_plus_sets() {
        assert_eq!(Amount::parse("8g", parse_size), Ok(Amount::To(8 << 30)));
        assert_eq!(Amount::parse(" +2h ", parse_duration), Ok(Amount::More(7200)));
        assert!(Amount::parse("+", parse_size).is_err() && Amount::parse("++1g", parse_size).is_err());
        let now = Limits::default();
        let change = LimitChange {
            memory_bytes: Some(Amount::To(8 << 30)),
            timeout_s: Some(Amount::More(7200)),
            ..LimitChange::default()
        };
        let after = change.apply(&now);
        assert_eq!((after.memory_bytes, after.timeout_s, after.cpu_millis), (8 << 30, 7800, now.cpu_millis));
        assert_eq!(describe_change(&now, &after), "memory from 4.0 GB to 8.0 GB, time from 10m 00s to 2h 10m");
        assert_eq!(describe_change(&now, &now), "");
        assert!(LimitChange::default().is_empty() && !change.is_empty());
    }

    proptest! {
        #[test]
        fn no_amount_overflows(value: u64) {
            let all = Some(Amount::More(value));
            let change = LimitChange { cpu_millis: all, memory_bytes: all, timeout_s: all, pids: all };
            let after = change.apply(&Limits::default());
            prop_assert!(after.cpu_millis >= 2000 && after.memory_bytes >= 4 << 30 && after.timeout_s >= 600);
            let _ = describe_change(&Limits::default(), &after);
        }
    }
}
