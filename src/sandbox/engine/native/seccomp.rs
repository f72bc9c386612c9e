//! The list of system calls as a filter that the native engine gives to the kernel itself.
//!
//! The kernel checks, compiles and tries out a filter each time it is given one, which is twice a job: it takes as long as
//! the filter has instructions, and seccompiler needs five for a call that is simply allowed. So those, most of the list,
//! pass in ranges before seccompiler's part, which decides about the others.

use std::collections::{BTreeMap, BTreeSet};

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use crate::sandbox::engine::seccomp::{ALLOWED, Argument, IOCTL, LIMITED, TYPING, UNKNOWN};

/// The compiled filter. A call of another table (32-bit, x32) ends the process. Without a control group to count memory,
/// nothing counts a System V segment that nobody attaches, so then there are none.
///
/// # Errors
/// An impossible rule, or a processor seccompiler does not know.
pub(super) fn program(memory_is_limited: bool) -> Result<BpfProgram, BackendError> {
    let mut plain: BTreeSet<i64> = ALLOWED.iter().flat_map(|group| group.calls).map(|call| call.1).collect();
    let rules = limited()?;
    plain.retain(|call| !rules.contains_key(call) && (memory_is_limited || *call != libc::SYS_shmget));
    let ranges = ranges(&plain).ok_or(BackendError::FilterTooLarge(plain.len()))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Errno(UNKNOWN), SeccompAction::Allow, ARCH)?;
    let mut program: BpfProgram = filter.try_into()?;
    // Behind its check of the table, which takes three instructions, and the loading of the call's number.
    const NUMBER_IS_LOADED: usize = 4;
    program.splice(NUMBER_IS_LOADED..NUMBER_IS_LOADED, ladder(&ranges)?);
    Ok(program)
}

/// The calls that pass with some arguments only.
fn limited() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules = BTreeMap::new();
    for limited in LIMITED {
        let mut any = vec![];
        for all in limited.if_any {
            any.push(SeccompRule::new(all.iter().map(condition).collect::<Result<_, _>>()?)?);
        }
        rules.insert(limited.call.1, any);
    }
    let not_typing = TYPING.iter().map(|n| SeccompCondition::new(1, Dword, SeccompCmpOp::Ne, *n));
    rules.insert(IOCTL.1, vec![SeccompRule::new(not_typing.collect::<Result<_, _>>()?)?]);
    Ok(rules)
}

/// Numbers as (first, last) of those that follow each other; `None` when one is no number of a call.
fn ranges(calls: &BTreeSet<i64>) -> Option<Vec<(u32, u32)>> {
    let mut ranges: Vec<(u32, u32)> = vec![];
    for call in calls {
        let call = u32::try_from(*call).ok()?;
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(call) => *last = call,
            _ => ranges.push((call, call)),
        }
    }
    Some(ranges)
}

/// Instructions that let the loaded number pass when it is in one of the ascending `ranges`, and otherwise end at what
/// comes behind them.
fn ladder(ranges: &[(u32, u32)]) -> Result<Vec<sock_filter>, BackendError> {
    // Two a range, and the one that lets pass.
    let pass = 2 * ranges.len();
    // How far a jump at `from` goes; 255 at most.
    let to = |target: usize, from: usize| {
        u8::try_from(target - (from + 1)).map_err(|_| BackendError::FilterTooLarge(pass + 1))
    };
    let jump = |test: u32, k: u32, jt: u8, jf: u8| sock_filter {
        code: (libc::BPF_JMP | libc::BPF_K | test) as u16,
        jt,
        jf,
        k,
    };
    let mut program = Vec::with_capacity(pass + 1);
    for (n, (first, last)) in ranges.iter().enumerate() {
        let at = 2 * n;
        // Below this range it is in none: the earlier ones end before.
        program.push(jump(libc::BPF_JGE, *first, 0, to(pass + 1, at)?));
        let next = if n + 1 == ranges.len() { to(pass + 1, at + 1)? } else { 0 };
        program.push(jump(libc::BPF_JGT, *last, next, to(pass, at + 1)?));
    }
    program.push(sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW });
    Ok(program)
}

fn condition(argument: &Argument) -> Result<SeccompCondition, BackendError> {
    let (index, value) = (argument.index, u64::from(argument.value));
    match argument.mask {
        u32::MAX => SeccompCondition::new(index, Dword, SeccompCmpOp::Eq, value),
        mask => SeccompCondition::new(index, Dword, SeccompCmpOp::MaskedEq(mask.into()), value),
    }
}

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the kernel would answer to a call, after seccomp(2) and the classic BPF machine.
    fn answer(program: &[sock_filter], call: u32, arguments: [u32; 6]) -> u32 {
        let (mut at, mut loaded) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { jt } else { jf });
            match u32::from(code) {
                0x20 => {
                    loaded = match k {
                        0 => call,
                        // Of the table it was made for, which is what it compares with next.
                        4 => program[1].k,
                        // The low words; the high ones of such calls do not count.
                        k if k >= 16 && (k - 16) % 8 == 0 => arguments[(k as usize - 16) / 8],
                        k => panic!("loads {k}"),
                    }
                }
                0x54 => loaded &= k,
                0x05 => at += k as usize,
                0x15 => at += jump(loaded == k),
                0x25 => at += jump(loaded > k),
                0x35 => at += jump(loaded >= k),
                0x06 => return k,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    /// The same list, all of it by seccompiler.
    fn by_the_book(memory_is_limited: bool) -> BpfProgram {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            ALLOWED.iter().flat_map(|group| group.calls).map(|call| (call.1, vec![])).collect();
        rules.extend(limited().expect("rules"));
        if !memory_is_limited {
            rules.remove(&libc::SYS_shmget);
        }
        let filter = SeccompFilter::new(rules, SeccompAction::Errno(UNKNOWN), SeccompAction::Allow, ARCH);
        filter.expect("a filter").try_into().expect("compiles")
    }

    /// More than there are calls on any processor.
    const CALLS: u32 = 1024;

    #[test]
    fn the_filter_is_short_and_answers_each_call_as_the_list_says() {
        for memory_is_limited in [true, false] {
            let (short, long) = (program(memory_is_limited).expect("compiles"), by_the_book(memory_is_limited));
            assert!(short.len() * 3 < long.len(), "{} instructions instead of {}", short.len(), long.len());
            for call in (0..CALLS).chain([1 << 30, (1 << 30) + 1, u32::MAX]) {
                let arguments = [0; 6];
                assert_eq!(answer(&short, call, arguments), answer(&long, call, arguments), "call {call}");
            }
            let passes = |call: libc::c_long| answer(&short, call as u32, [0; 6]) == libc::SECCOMP_RET_ALLOW;
            assert!(passes(libc::SYS_read) && !passes(libc::SYS_mount) && !passes(libc::SYS_bpf));
            assert_eq!(passes(libc::SYS_shmget), memory_is_limited);
        }
    }

    proptest! {
        #[test]
        fn arguments_count_as_the_list_says(call in 0..CALLS, arguments: [u32; 6], small in any::<bool>()) {
            // Small ones hit constants.
            let arguments = arguments.map(|a| if small { a % 64 } else { a });
            let (short, long) = (program(true).expect("compiles"), by_the_book(true));
            prop_assert_eq!(answer(&short, call, arguments), answer(&long, call, arguments));
        }

        #[test]
        fn a_ladder_lets_exactly_its_ranges_pass(calls in prop::collection::btree_set(0..200_i64, 1..100), call in 0..220_u32) {
            let ranges = ranges(&calls).expect("numbers");
            let mut program = ladder(&ranges).expect("short enough");
            program.push(sock_filter { code: 0x06, jt: 0, jf: 0, k: 7 });
            // A ladder has the number loaded already.
            program.insert(0, sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 });
            let passes = answer(&program, call, [0; 6]) == libc::SECCOMP_RET_ALLOW;
            prop_assert_eq!(passes, calls.contains(&i64::from(call)));
        }
    }
}
