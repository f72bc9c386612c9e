//! Moves staged results to their places.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::Mode;

use super::decide::{Facts, Landing, Named, Present, beside, landing};
use super::stage::Staging;
use crate::ctl::exit::CtlError;
use crate::model::{CleanPath, Digest, FileEntry, JobId};
use crate::wire::ipc::Placed;

/// So many names beside are tried; more copies of one file in one directory are a mistake elsewhere.
const MAX_BESIDE: u32 = 100;

/// What is known of a job's files before its results are placed.
#[derive(Debug)]
pub(super) struct Known {
    /// Whose results.
    pub(super) job: JobId,
    /// What was sent with it.
    pub(super) sent: HashMap<CleanPath, Digest>,
    /// What earlier jobs put at these absolute paths.
    pub(super) placed: HashMap<String, Digest>,
    /// `--output`.
    pub(super) named: Named,
}

/// One result at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Landed {
    /// Where, relative to the destination.
    pub(super) path: String,
    /// What to remember of it: `None` when the same content was there already.
    pub(super) record: Option<Placed>,
    /// What the user should know.
    pub(super) warning: Option<String>,
}

/// The absolute path under which a result is remembered.
pub(super) fn absolute(dest: &Path, path: &str) -> String {
    dest.join(path).to_string_lossy().into_owned()
}

/// Moves one staged file to its place below `dest` (the destination's real path).
pub(super) fn place(staging: &Staging, dest: &Path, known: &Known, entry: &FileEntry) -> Result<Landed, CtlError> {
    try_place(staging, dest, known, entry).map_err(|e| {
        let what = format!("cannot put {} into {}", entry.path, dest.display());
        match e.kind() {
            io::ErrorKind::StorageFull => {
                CtlError::io(format!("{what} (the results wait: `homie results {}`)", known.job.short()), e)
            }
            _ => CtlError::io(what, e),
        }
    })
}

fn try_place(staging: &Staging, dest: &Path, known: &Known, entry: &FileEntry) -> io::Result<Landed> {
    let mut parents: Vec<&str> = entry.path.components().collect();
    let name = parents.pop().unwrap_or_default();
    let from = staging.dir.descend(parents.iter().copied())?;

    // A parent that is a file or a link is not walked through: the tree below it lands beside it.
    let mut warning = None;
    let mut dir = staging.dest.descend(std::iter::empty())?;
    let mut walked = PathBuf::new();
    for parent in parents {
        let mut real = parent.to_owned();
        dir = match dir.make(parent, Mode::from_bits_truncate(0o777)) {
            Err(e)
                if matches!(
                    e.raw_os_error().map(Errno::from_raw),
                    Some(Errno::ELOOP | Errno::ENOTDIR | Errno::EMLINK)
                ) =>
            {
                real = beside(parent, known.job, 1);
                warning = Some(format!("{} is no directory", walked.join(parent).display()));
                dir.make(&real, Mode::from_bits_truncate(0o777))?
            }
            other => other?,
        };
        walked.push(real);
    }

    let mut present = dir.present(name)?;
    let path = |name: &str| walked.join(name).to_string_lossy().into_owned();
    let landed = |name: &str, fresh: bool, warning: Option<String>| {
        let path = path(name);
        let record = fresh.then(|| Placed { path: absolute(dest, &path), hash: entry.hash });
        let warning = warning.map(|why| format!("{} is kept; the job's is {path} ({why})", entry.path));
        Landed { path, record, warning }
    };
    loop {
        let facts = Facts {
            result: entry.hash,
            present,
            sent: known.sent.get(&entry.path).copied(),
            placed: known.placed.get(&absolute(dest, &path(name))).copied(),
            named: known.named.names(&entry.path),
        };
        match landing(&facts) {
            Landing::Same => return Ok(landed(name, false, warning)),
            Landing::New if from.move_new(name, &dir, name)? => return Ok(landed(name, true, warning)),
            // Somebody was faster: look again at what is there now.
            Landing::New => present = known_file(dir.present(name)?),
            Landing::Replace => {
                from.move_over(name, &dir, name)?;
                return Ok(landed(name, true, warning));
            }
            Landing::Beside(why) => {
                for number in 1..=MAX_BESIDE {
                    let other = beside(name, known.job, number);
                    if dir.present(&other)? == Present::File(entry.hash) {
                        return Ok(landed(&other, false, Some(why.into())));
                    }
                    if from.move_new(name, &dir, &other)? {
                        return Ok(landed(&other, true, Some(why.into())));
                    }
                }
                return Err(io::Error::other("there are a hundred copies of it already"));
            }
        }
    }
}

/// After losing a race for a name, a place that looks empty again is treated as taken, so that the loop ends.
fn known_file(present: Present) -> Present {
    if present == Present::Nothing { Present::Other } else { present }
}
