//! Jobs that this machine hosts: admission, jail, output, results.

mod admission;
pub mod engine;
mod error;
pub mod messages;
mod policy;
mod results;
mod supervisor;
mod workspace;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

pub use error::SandboxError;

/// What homied does when it was executed again on behalf of a job: `__supervise DIR` and `__probe DIR`. `None` for every
/// other command line. To be called before anything else: these processes must have one thread.
pub fn reexecuted(args: &[OsString]) -> Option<ExitCode> {
    let [_, word, dir] = args else { return None };
    match word.to_str()? {
        supervisor::WORD => Some(supervisor::main(Path::new(dir))),
        engine::native::PROBE_WORD => Some(engine::native::probe_main(Path::new(dir))),
        _ => None,
    }
}
