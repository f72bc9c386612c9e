//! Results arrive in a directory of their own inside the destination, so that moving them to their places is a rename.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use bytes::Bytes;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::Mode;

use super::tree::Dir;
use crate::ctl::exit::CtlError;
use crate::model::{CleanPath, JobId, Manifest};
use crate::transfer::{ChunkAt, ChunkSink, chunks};
use crate::wire::refusal::{Refusal, RefusalKind};

/// The staging directory of one job; it goes with this value.
#[derive(Debug)]
pub(super) struct Staging {
    /// The destination.
    pub(super) dest: Dir,
    /// The staging directory in it.
    pub(super) dir: Dir,
    name: String,
    /// Held while this process works here; the kernel lets go of it if we are killed.
    _lock: Flock<File>,
}

impl Staging {
    /// Makes it, or takes over what a killed client left.
    pub(super) fn open(dest: &Path, job: JobId) -> Result<Self, CtlError> {
        let name = format!(".homie-{}.partial", job.short());
        let cannot = |e| CtlError::io(format!("cannot write into {}", dest.display()), e);
        let dest_dir = Dir::at_path(dest).map_err(cannot)?;
        let make = || dest_dir.make(&name, Mode::S_IRWXU);
        let lock = |dir: &Dir| {
            let busy = |_| {
                CtlError::usage(format!(
                    "another homie is bringing the results of {} to {}",
                    job.short(),
                    dest.display()
                ))
            };
            Flock::lock(dir.file().map_err(cannot)?, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| busy(e))
        };
        let left_behind = make().map_err(cannot)?;
        // In a directory that others write to, somebody could have made it first, to change what lands in it.
        if left_behind.owner().map_err(cannot)? != nix::unistd::geteuid().as_raw() {
            return Err(cannot(io::Error::other(format!("{name} belongs to somebody else"))));
        }
        let held = lock(&left_behind)?;
        dest_dir.remove_tree(&name).map_err(cannot)?;
        drop(held);
        let dir = make().map_err(cannot)?;
        let lock = lock(&dir)?;
        Ok(Self { dest: dest_dir, dir, name, _lock: lock })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next client that brings this job's results here.
        let _ = self.dest.remove_tree(&self.name);
    }
}

/// Writes what a transfer brings into a staging directory.
pub(super) struct StageSink<'a> {
    staging: &'a Staging,
    wanted: &'a (dyn Fn(&CleanPath) -> bool + Sync),
    shown: String,
    job: JobId,
    /// The file being written; chunks come in order.
    open: Option<(usize, File)>,
}

impl<'a> StageSink<'a> {
    /// Only files for which `wanted` says so are fetched.
    pub(super) fn new(
        staging: &'a Staging,
        job: JobId,
        dest: &Path,
        wanted: &'a (dyn Fn(&CleanPath) -> bool + Sync),
    ) -> Self {
        Self { staging, wanted, shown: dest.display().to_string(), job, open: None }
    }

    fn create(&self, manifest: &Manifest, index: usize) -> Result<File, Refusal> {
        let entry = &manifest.files()[index];
        let mut names: Vec<&str> = entry.path.components().collect();
        let name = names.pop().unwrap_or_default();
        let made = self.staging.dir.descend(names.into_iter()).and_then(|dir| dir.create(name, entry.exec));
        made.map_err(|e| self.refusal(&entry.path, &e))
    }

    fn refusal(&self, path: &CleanPath, error: &io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.full(format!("{error}")),
            _ => Refusal::new(RefusalKind::Internal, format!("cannot write {path} into {}: {error}", self.shown))
                .hint(self.again()),
        }
    }

    fn full(&self, why: String) -> Refusal {
        let text = format!("the disk of {} is full: {why}", self.shown);
        Refusal::new(RefusalKind::DiskFull, text).hint(self.again())
    }

    fn again(&self) -> String {
        format!("the results wait: make room, then `homie results {} [--output-dir DIR]`", self.job.short())
    }
}

impl ChunkSink for StageSink<'_> {
    async fn wants(&mut self, manifest: &Manifest) -> Result<Vec<bool>, Refusal> {
        let files: Vec<bool> = manifest.files().iter().map(|f| (self.wanted)(&f.path)).collect();
        let total: u64 = manifest.files().iter().zip(&files).filter(|(_, want)| **want).map(|(f, _)| f.size).sum();
        // Better now than after an hour; where the file system does not tell, the writes will.
        if let Ok(free) = self.staging.dir.free_bytes()
            && free < total
        {
            let [total, free] = [total, free].map(crate::model::format_bytes);
            return Err(self.full(format!("{total} are to come and {free} are free")));
        }
        Ok(chunks(manifest).map(|at| files[at.file]).collect())
    }

    async fn write(&mut self, manifest: &Manifest, at: ChunkAt, bytes: Bytes) -> Result<(), Refusal> {
        let mut file = match self.open.take() {
            Some((index, file)) if index == at.file => file,
            _ => self.create(manifest, at.file)?,
        };
        file.write_all(&bytes).map_err(|e| self.refusal(&manifest.files()[at.file].path, &e))?;
        self.open = Some((at.file, file));
        Ok(())
    }

    async fn finish(&mut self, manifest: &Manifest) -> Result<(), Refusal> {
        self.open = None;
        for (index, entry) in manifest.files().iter().enumerate() {
            if entry.size == 0 && (self.wanted)(&entry.path) {
                self.create(manifest, index)?;
            }
        }
        self.staging.dir.sync().map_err(|e| self.full(format!("{e}")))
    }
}
