//! Landlock: a second fence around the files, which holds even where the mount namespace should have a hole.
//!
//! What the root of the jail shows may be read and executed; written only where the job has its own. Devices can be
//! made nowhere. A kernel without Landlock (before 5.13, or with another `lsm=` list) gives none of it, and
//! `homie doctor` says so.

use std::io;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus,
};

/// The newest rights that are asked for; an older kernel gives those it knows. 5 (Linux 6.10) adds ioctl on devices.
const RIGHTS: ABI = ABI::V5;

/// Restricts this process, and all that it starts, to the files of a jail whose root it is in. Whether the kernel did.
///
/// # Errors
/// A directory of the jail is missing.
pub(super) fn restrict() -> io::Result<bool> {
    let read = AccessFs::from_read(RIGHTS);
    let own = AccessFs::from_all(RIGHTS) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let device = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    let places: [(&str, BitFlags<AccessFs>); 6] = [
        ("/", read),
        ("/work", own),
        ("/tmp", own),
        ("/dev/shm", own),
        ("/dev", device),
        // Its own name and settings; what concerns the machine is read-only there.
        ("/proc", read | AccessFs::WriteFile | AccessFs::Truncate),
    ];
    let mut rules = ruleset().map_err(io::Error::other)?;
    for (path, rights) in places {
        let path = PathFd::new(path).map_err(io::Error::other)?;
        rules = rules.add_rule(PathBeneath::new(path, rights)).map_err(io::Error::other)?;
    }
    let status = rules.restrict_self().map_err(io::Error::other)?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

fn ruleset() -> Result<RulesetCreated, landlock::RulesetError> {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    ruleset.handle_access(AccessFs::from_all(RIGHTS))?.create()
}

/// Whether this kernel has Landlock at all. Locks this process out of every file, so only for one that is about to end.
pub(super) fn kernel_has_it() -> bool {
    let status = ruleset().and_then(RulesetCreated::restrict_self);
    status.is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced)
}
