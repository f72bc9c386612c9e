//! The list of system calls as a filter that the native engine gives to the kernel itself.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::sandbox::engine::seccomp::{ALLOWED, Argument, IOCTL, LIMITED, TYPING, UNKNOWN};

/// The compiled filter. A call of another table (32-bit, x32) ends the process. Without a control group to count memory,
/// nothing counts a System V segment that nobody attaches, so then there are none.
///
/// # Errors
/// An impossible rule, or a processor seccompiler does not know.
pub(super) fn program(memory_is_limited: bool) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().flat_map(|group| group.calls).map(|call| (call.1, vec![])).collect();
    for limited in LIMITED {
        let mut any = vec![];
        for all in limited.if_any {
            any.push(SeccompRule::new(all.iter().map(condition).collect::<Result<_, _>>()?)?);
        }
        rules.insert(limited.call.1, any);
    }
    let not_typing = TYPING.iter().map(|n| SeccompCondition::new(1, Dword, SeccompCmpOp::Ne, *n));
    rules.insert(IOCTL.1, vec![SeccompRule::new(not_typing.collect::<Result<_, _>>()?)?]);
    if !memory_is_limited {
        rules.remove(&libc::SYS_shmget);
    }
    SeccompFilter::new(rules, SeccompAction::Errno(UNKNOWN), SeccompAction::Allow, ARCH)?.try_into()
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

    #[test]
    fn the_filter_fits_the_kernel() {
        let length = program(true).expect("compiles").len();
        assert!(length < 4096, "BPF_MAXINSNS is 4096, the filter has {length}");
    }
}
