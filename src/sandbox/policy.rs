//! From what a job asks and what the owner allows to what it gets. Pure.

use std::collections::BTreeMap;

use crate::model::{JobSpec, Limits, Needs, format_bytes, format_duration};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Bytes of the argument vector and of the variables: what Linux takes in any case (a quarter of the 8 MiB stack).
const MAX_STRINGS: usize = 2 << 20;
/// One string of them (MAX_ARG_STRLEN).
const MAX_STRING: usize = 128 << 10;

/// What the machine itself has: caps above it mean nothing. Zero is "not known".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) cores: u16,
    pub(super) memory_bytes: u64,
}

/// The limits of a job: its wishes where it has some, else the owner's caps.
///
/// # Errors
/// It needs more than the cap or the machine; the refusal has both numbers.
pub(super) fn limits(needs: &Needs, caps: &Limits, machine: Machine) -> Result<Limits, Refusal> {
    let millis = |m: u32| format!("{} cores", f64::from(m) / 1000.0);
    let time = |s: u64| format_duration(s.saturating_mul(1000));
    let cores_millis = u32::from(machine.cores) * 1000;
    let cpu_cap = if cores_millis == 0 { caps.cpu_millis } else { caps.cpu_millis.min(cores_millis) };
    let memory_cap =
        if machine.memory_bytes == 0 { caps.memory_bytes } else { caps.memory_bytes.min(machine.memory_bytes) };
    Ok(Limits {
        cpu_millis: within("cpu", needs.cpu_millis, cpu_cap, millis)?,
        memory_bytes: within("memory", needs.memory_bytes, memory_cap, format_bytes)?,
        timeout_s: within("time", needs.timeout_s, caps.timeout_s, time)?,
        disk_bytes: within("disk", needs.disk_bytes, caps.disk_bytes, format_bytes)?,
        // A tmpfs larger than the job's memory could never be filled.
        tmp_bytes: caps.tmp_bytes.min(needs.memory_bytes.unwrap_or(memory_cap)),
        pids: caps.pids,
        output_bytes: caps.output_bytes,
        gpus: caps.gpus,
    })
}

fn within<T: Copy + PartialOrd>(what: &str, need: Option<T>, cap: T, show: impl Fn(T) -> String) -> Result<T, Refusal> {
    match need {
        Some(need) if need > cap => Err(Refusal::new(
            RefusalKind::Limits,
            format!("the job needs {} of {what}; this machine gives at most {}", show(need), show(cap)),
        )
        .hint(format!("ask for less {what}, or let its owner raise the limit"))),
        Some(need) => Ok(need),
        None => Ok(cap),
    }
}

/// Whether command and variables can be given to a program at all.
///
/// # Errors
/// An empty command, a NUL byte, a name that is none, or more than a kernel takes.
pub(super) fn check_command(spec: &JobSpec) -> Result<(), Refusal> {
    let bad = |text: String| Err(Refusal::new(RefusalKind::BadRequest, text));
    if spec.command.first().is_none_or(String::is_empty) {
        return bad("the command is empty".into());
    }
    if let Some(name) = spec.vars.keys().find(|n| !is_variable_name(n)) {
        return bad(format!("{name:?} is not the name of a variable"));
    }
    let strings = || spec.command.iter().chain(spec.vars.keys()).chain(spec.vars.values());
    if strings().any(|s| s.contains('\0')) {
        return bad("an argument or variable has a NUL byte".into());
    }
    if strings().any(|s| s.len() >= MAX_STRING) || strings().map(|s| s.len() + 9).sum::<usize>() > MAX_STRINGS {
        return bad("the arguments are longer than a program can be given; put them into a file".into());
    }
    Ok(())
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The submitter's variables without those that steer the loader: they could only hurt the job itself, but a typo in
/// one makes every program of the job fail in ways nobody understands.
pub(super) fn variables(spec: &JobSpec) -> BTreeMap<String, String> {
    spec.vars.iter().filter(|(name, _)| !name.starts_with("LD_")).map(|(k, v)| (k.clone(), v.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MACHINE: Machine = Machine { cores: 4, memory_bytes: 8 << 30 };

    #[test]
    fn wishes_win_below_the_caps_and_are_refused_above_with_both_numbers() {
        let caps = Limits::default();
        let got = limits(&Needs::default(), &caps, MACHINE).expect("no wishes");
        assert_eq!(got, caps);
        let needs = Needs { cpu_millis: Some(500), memory_bytes: Some(1 << 30), ..Needs::default() };
        let got = limits(&needs, &caps, MACHINE).expect("small wishes");
        assert_eq!((got.cpu_millis, got.memory_bytes), (500, 1 << 30));
        for (needs, words) in [
            (Needs { cpu_millis: Some(3000), ..Needs::default() }, ["3 cores", "2 cores"]),
            (Needs { memory_bytes: Some(5 << 30), ..Needs::default() }, ["5.0 GB", "4.0 GB"]),
            (Needs { timeout_s: Some(7200), ..Needs::default() }, ["2h 00m", "10m 00s"]),
            (Needs { disk_bytes: Some(1 << 40), ..Needs::default() }, ["1.0 TB", "10.0 GB"]),
        ] {
            let refusal = limits(&needs, &caps, MACHINE).expect_err("too much");
            assert_eq!(refusal.kind, RefusalKind::Limits);
            assert!(words.iter().all(|w| refusal.message.contains(w)), "{}", refusal.message);
        }
    }

    #[test]
    fn a_cap_above_the_machine_is_the_machine() {
        let small = Machine { cores: 1, memory_bytes: 1 << 30 };
        let got = limits(&Needs::default(), &Limits::default(), small).expect("no wishes");
        assert_eq!((got.cpu_millis, got.memory_bytes), (1000, 1 << 30));
    }

    #[test]
    fn what_no_program_could_be_given_is_refused() {
        let with = |command: &[&str], vars: &[(&str, &str)]| {
            let own = |s: &str| s.to_owned();
            check_command(&JobSpec {
                command: command.iter().map(|s| own(s)).collect(),
                vars: vars.iter().map(|(k, v)| (own(k), own(v))).collect(),
                ..JobSpec::default()
            })
            .is_ok()
        };
        let long = "x".repeat(MAX_STRING);
        assert!(with(&["python3", "a b", ""], &[("A_1", "=\n")]));
        for (command, vars) in [
            (&[][..], &[][..]),
            (&[""], &[]),
            (&["a\0"], &[]),
            (&["a"], &[("", "")]),
            (&["a"], &[("1A", "")]),
            (&["a"], &[("A=B", "")]),
            (&["a"], &[("A", "\0")]),
            (&["a", &long], &[]),
        ] {
            assert!(!with(command, vars), "{command:?} {vars:?}");
        }
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_owner_allows(cpu: Option<u32>, memory: Option<u64>, time: Option<u64>, disk: Option<u64>) {
            let needs = Needs { cpu_millis: cpu, memory_bytes: memory, timeout_s: time, disk_bytes: disk, ..Needs::default() };
            let caps = Limits::default();
            if let Ok(got) = limits(&needs, &caps, MACHINE) {
                prop_assert!(got.cpu_millis <= caps.cpu_millis && got.memory_bytes <= caps.memory_bytes);
                prop_assert!(got.timeout_s <= caps.timeout_s && got.disk_bytes <= caps.disk_bytes);
                prop_assert!(got.tmp_bytes <= got.memory_bytes);
            }
        }
    }
}
