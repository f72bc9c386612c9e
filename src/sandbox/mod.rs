//! Jobs that this machine hosts: admission, jail, output, results.
//!
//! I am the only authority on what runs here. Peers' jobs (and our own) come by [`messages::AdmitJob`] from the link;
//! [`admission`] and [`policy`] decide, one task a job ([`life`]) carries it through, and a process of its own
//! ([`supervisor`]) stands by the program, so that a job outlives homied. Bytes of output are a file, never a message.

mod actor;
mod admission;
mod adopt;
mod assignments;
mod clocks;
pub mod engine;
mod engines;
pub mod envs;
mod error;
pub mod escape;
mod follow;
mod hosted;
mod life;
mod live;
mod lookout;
pub mod messages;
mod parts;
mod policy;
mod prepare;
mod relimit;
mod results;
mod seen;
mod spare;
mod standby;
mod supervisor;
mod warm;
mod workspace;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

pub use actor::SandboxActor;
pub use error::SandboxError;
pub use lookout::Lookout;
pub use parts::{SandboxParts, start};

/// What homied does when it was executed again on behalf of a job: `__supervise DIR` and `__probe DIR`, of its owner:
/// `__build-base`, or of its service: `__adopt PID`. `None` for every other command line. To be called before anything else: these processes must have one thread.
pub fn reexecuted(args: &[OsString]) -> Option<ExitCode> {
    if args.get(1).is_some_and(|word| word == engine::docker::base::command::WORD) {
        return Some(engine::docker::base::command::main(&args[2..]));
    }
    let (word, dir, when_told) = match args {
        [_, word, dir] => (word, dir, false),
        [_, word, dir, when] => (word, dir, when == supervisor::WHEN_TOLD),
        _ => return None,
    };
    match word.to_str()? {
        supervisor::WORD => Some(supervisor::main(Path::new(dir), when_told)),
        engine::native::ADOPT_WORD => Some(engine::native::adopt_main(dir)),
        engine::native::PROBE_WORD => Some(engine::native::probe_main(Path::new(dir))),
        _ => None,
    }
}

/// Free bytes on the disk of `dir` that anybody may use.
fn free_bytes(dir: &Path) -> u64 {
    nix::sys::statvfs::statvfs(dir).map_or(u64::MAX, |s| s.blocks_available() * s.fragment_size())
}
