//! What comes home: a job's results, from homied's store into the user's directory.
//!
//! They are received into a staging directory inside the destination, hash-checked by the transfer, made durable, then
//! renamed to their places by the rules in [`decide`]. Nothing is ever written through a link, and nothing is replaced
//! that Homie does not know to be a copy. `run`, `attach` and `results` call it.

mod decide;
mod place;
mod stage;
mod tree;

use std::collections::HashMap;
use std::path::Path;

use self::decide::Named;
use self::place::{Known, absolute, place};
use self::stage::{StageSink, Staging};
use super::connect::Connection;
use super::context::Context;
use super::exit::CtlError;
use super::render::Progress;
use crate::model::{CleanPath, Digest, JobId, JobRecord, Manifest};
use crate::transfer;
use crate::wire::ipc::{Delivered, JobRef, Placed, PlacedQuery, SentFile, method};

/// Paths in one message: half a frame, which leaves room for JSON's quotes and escapes.
const PAGE_BYTES: usize = 24 << 10;

/// What was brought home.
#[derive(Debug, Default)]
pub struct Home {
    /// The files, relative to the destination, in the order of their names.
    pub files: Vec<String>,
    /// What the user should know: kept files, files left behind.
    pub warnings: Vec<String>,
}

/// Whether a new result of this name would be put into the user's directory though nobody named it.
pub fn would_place(path: &str) -> bool {
    CleanPath::new(path).is_ok_and(|path| !path.is_hidden())
}

/// Whether a result would take the place of a file that was sent, though nobody named it.
pub fn would_replace_sent() -> bool {
    let (sent, result) = (Digest([0; 32]), Digest([1; 32]));
    let present = decide::Present::File(sent);
    let facts = decide::Facts { result, present, sent: Some(sent), placed: None, named: false };
    matches!(decide::landing(&facts), decide::Landing::New | decide::Landing::Replace)
}

/// Brings the results of `record` into `dest`. `outputs` are the globs of `--output`.
///
/// # Errors
/// The results cannot be had or cannot be written; they wait in homied's store then.
pub async fn bring_home(
    ctx: &Context,
    record: &JobRecord,
    dest: &Path,
    outputs: &[String],
    progress: &Progress,
) -> Result<Home, CtlError> {
    let mut homied = ctx.connect().await?;
    let named = Named::new(outputs)?;
    let job = record.id;
    let sent: Vec<SentFile> = homied.call_rows(method::JOB_INPUTS, &JobRef { job: job.to_string() }).await?;

    let staging = Staging::open(dest, job)?;
    let dest = std::fs::canonicalize(dest).map_err(|e| CtlError::io(format!("cannot open {}", dest.display()), e))?;
    // What nobody asked for by name may not hide in the user's directory.
    let wanted = |path: &CleanPath| !path.is_hidden() || named.names(path);
    let manifest = receive(&mut homied, record, &staging, &dest, &wanted, progress).await?;
    progress.clear();

    let mut homied = ctx.connect().await?;
    let paths = manifest.files().iter().filter(|f| wanted(&f.path)).map(|f| absolute(&dest, f.path.as_str())).collect();
    let placed = placed_earlier(&mut homied, paths).await?;
    let sent = sent.into_iter().map(|f| (f.path, f.hash)).collect();
    let mut home = Home::default();
    let left = manifest.files().iter().filter(|f| !wanted(&f.path));
    home.warnings.extend(left.map(|f| format!("{} was left behind: it is hidden, and no --output names it", f.path)));
    let known = Known { job, sent, placed, named };
    let mut records = Vec::new();
    for entry in manifest.files().iter().filter(|f| !f.path.is_hidden() || known.named.names(&f.path)) {
        let landed = place(&staging, &dest, &known, entry)?;
        home.files.push(landed.path);
        home.warnings.extend(landed.warning);
        records.extend(landed.record);
    }
    drop(staging);
    delivered(&mut homied, job, records).await?;
    Ok(home)
}

async fn receive(
    homied: &mut Connection,
    record: &JobRecord,
    staging: &Staging,
    dest: &Path,
    wanted: &(dyn Fn(&CleanPath) -> bool + Sync),
    progress: &Progress,
) -> Result<Manifest, CtlError> {
    let request = homied.request(method::RESULTS_GET, &JobRef { job: record.id.to_string() }).await?;
    homied.ready(request).await?;
    let mut sink = StageSink::new(staging, record.id, dest, wanted);
    let shown = |done, total| progress.bytes("bringing files home", done, total);
    let (manifest, _) = transfer::receive(homied.wire(), record.results, &mut sink, shown).await?;
    let _: serde_json::Value = homied.answer(request).await?;
    Ok(manifest)
}

/// Which of `paths` earlier jobs of this user put there, and what they put.
async fn placed_earlier(homied: &mut Connection, paths: Vec<String>) -> Result<HashMap<String, Digest>, CtlError> {
    let mut placed = HashMap::new();
    for paths in pages(paths, |path| path.len()) {
        let rows: Vec<Placed> = homied.call_rows(method::RESULTS_PLACED, &PlacedQuery { paths }).await?;
        placed.extend(rows.into_iter().map(|p| (p.path, p.hash)));
    }
    Ok(placed)
}

/// Tells homied what lies where, so that it may let go of its copy and later jobs may replace these.
async fn delivered(homied: &mut Connection, job: JobId, records: Vec<Placed>) -> Result<(), CtlError> {
    /// A hash in hex with its JSON key.
    const HASH_BYTES: usize = 90;
    let mut pages = pages(records, |record| record.path.len() + HASH_BYTES);
    if pages.is_empty() {
        pages.push(Vec::new());
    }
    let count = pages.len();
    for (i, placed) in pages.into_iter().enumerate() {
        let _: serde_json::Value =
            homied.call(method::RESULTS_DELIVERED, &Delivered { job, placed, last: i + 1 == count }).await?;
    }
    Ok(())
}

/// Cuts `items` so that each piece stays below [`PAGE_BYTES`] (or is a single item).
fn pages<T>(items: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut pages: Vec<Vec<T>> = Vec::new();
    let mut used = 0;
    for item in items {
        let bytes = size(&item);
        match pages.last_mut() {
            Some(page) if used + bytes <= PAGE_BYTES => page.push(item),
            _ => {
                pages.push(vec![item]);
                used = 0;
            }
        }
        used += bytes;
    }
    pages
}

#[cfg(test)]
mod tests;
