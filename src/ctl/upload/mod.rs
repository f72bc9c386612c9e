//! What goes to the worker: the script and the files beside it.
//!
//! The client alone opens paths of the user. It picks ([`pick`]), reads and hashes what it does not know ([`hash`],
//! [`known`]), shows what is large,
//! and streams to homied what that lacks ([`source`]). `commands/run.rs` calls it.

mod hash;
mod known;
mod pick;
mod script;
mod source;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use self::known::Known;
use self::pick::{Origin, Picked, Picker};
use super::args::RunArgs;
use super::connect::Connection;
use super::exit::CtlError;
use super::render::Progress;
use crate::model::{CleanPath, Digest, Manifest, Totals, format_bytes, visible_controls};
use crate::transfer;
use crate::wire::ipc::{FilesPut, method};

/// From here on a user is shown what is sent, and asked: minutes on a home network.
const LARGE: u64 = 100 << 20;
/// The script that came on standard input is a file of this name in the job.
const STDIN_NAME: &str = "homie-stdin";
/// The longest `-c` code: it travels in the job's own message, which is a frame of 64 KiB.
const MAX_CODE: usize = 32 << 10;
/// The longest argument vector, for the same reason.
const MAX_WORDS: usize = 40 << 10;

/// What a job needs of this machine, found but not yet read.
#[derive(Debug)]
pub struct Selection {
    /// What people call the job.
    pub name: String,
    /// What starts it.
    pub command: Vec<String>,
    /// What was found but is not sent, and why.
    pub left: Vec<String>,
    files: BTreeMap<CleanPath, Picked>,
}

/// What is sent, read and hashed.
#[derive(Debug)]
pub struct Inputs {
    /// The files.
    pub manifest: Manifest,
    origins: Vec<Origin>,
    /// Where it is written down what the files hold.
    known: Option<PathBuf>,
}

/// Finds everything that `args` name, relative to `cwd`.
///
/// # Errors
/// A usage error for what does not exist or cannot be run; an IO error for what cannot be read.
pub fn select(args: &RunArgs, cwd: &Path, home: Option<PathBuf>) -> Result<Selection, CtlError> {
    let mut picker = Picker::new(cwd.to_owned(), home);
    let (name, mut command, own) = match (&args.code, args.rest.split_first()) {
        (Some(code), _) => ("-c".to_owned(), vec!["python3".into(), "-c".into(), self::code(code)?], &args.rest[..]),
        (None, Some((script, own))) if script == "-" => {
            let (name, command) = from_stdin(&mut picker)?;
            (name, command, own)
        }
        (None, Some((script, own))) => {
            let (name, command) = from_file(&mut picker, Path::new(script))?;
            (name, command, own)
        }
        (None, None) => {
            return Err(CtlError::usage_hint(
                "which script?",
                "homie run SCRIPT [ARGS], or -c CODE, or `-` for standard input",
            ));
        }
    };
    for word in own {
        command.push(text(word, "an argument of the script")?);
    }
    if command.iter().map(|word| word.len() + 3).sum::<usize>() > MAX_WORDS {
        return Err(CtlError::usage_hint(
            "the script's arguments are longer than 40 KiB",
            "put them into a file, and send it with -f",
        ));
    }
    for value in &args.files {
        picker.named(Path::new(value))?;
    }
    if let Some(dir) = &args.dir {
        picker.project(dir)?;
    }
    Ok(Selection { name, command, left: picker.left, files: picker.files })
}

impl Selection {
    /// Number and size of the files, as they were found.
    pub fn totals(&self) -> Totals {
        Totals { files: self.files.len() as u64, bytes: self.files.values().map(|f| f.size).sum() }
    }

    /// What is about to be sent, for people: `None` unless it is large.
    pub fn preview(&self) -> Option<String> {
        let totals = self.totals();
        if totals.bytes < LARGE {
            return None;
        }
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by_key(|(_, f)| std::cmp::Reverse(f.size));
        let mut out = format!("{} in {} file(s); the largest:\n", format_bytes(totals.bytes), totals.files);
        for (path, file) in files.iter().take(5) {
            out.push_str(&format!("  {:>10}  {path}\n", format_bytes(file.size)));
        }
        Some(out)
    }

    /// Reads and hashes the files, less what is known of them from the last time that something was sent from
    /// `cwd`, which stands in `cache`.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn read(self, cache: Option<&Path>, cwd: &Path) -> Result<Inputs, CtlError> {
        let known = Known::open(cache, cwd);
        let (manifest, kept) = hash::manifest(&self.files, &known)?;
        // Both are sorted by name.
        let mut origins: Vec<Origin> = self.files.into_values().map(|picked| picked.origin).collect();
        for (place, bytes) in kept {
            origins[place] = Origin::Memory(bytes);
        }
        Ok(Inputs { manifest, origins, known: known.save() })
    }
}

fn from_file(picker: &mut Picker, script: &Path) -> Result<(String, Vec<String>), CtlError> {
    let path = picker.script(script)?;
    let picked = &mut picker.files.get_mut(&path);
    let (mut head, mut exec) = (Vec::new(), false);
    if let Some(picked) = picked
        && let Origin::Disk(source) = &picked.origin
    {
        let read = std::fs::File::open(source).and_then(|f| f.take(script::HEAD_BYTES as u64).read_to_end(&mut head));
        read.map_err(|e| CtlError::io(format!("cannot read {}", pick::shown(script)), e))?;
        exec = picked.exec;
    }
    let command = script::resolve(path.as_str(), &head, exec)?;
    // A program that was copied without its mode is still meant to be run.
    if command[0].starts_with("./")
        && let Some(picked) = picked
    {
        picked.exec = true;
    }
    Ok((pick::shown(script), command))
}

fn from_stdin(picker: &mut Picker) -> Result<(String, Vec<String>), CtlError> {
    let mut script = Vec::new();
    io::stdin().lock().read_to_end(&mut script).map_err(|e| CtlError::io("cannot read standard input", e))?;
    if script.is_empty() {
        return Err(CtlError::usage_hint("standard input is empty", "homie run - < script.py"));
    }
    let name = if script.starts_with(b"#!") { STDIN_NAME.to_owned() } else { format!("{STDIN_NAME}.py") };
    let command = script::resolve(&name, &script[..script.len().min(script::HEAD_BYTES)], false)?;
    picker.text(&name, Bytes::from(script))?;
    Ok(("-".to_owned(), command))
}

fn code(code: &OsStr) -> Result<String, CtlError> {
    let code = text(code, "the code")?;
    if code.len() > MAX_CODE {
        return Err(CtlError::usage_hint("the code after -c is longer than 32 KiB", "put it into a file"));
    }
    Ok(code)
}

/// A word of the command line that has to cross the wire as text.
fn text(word: &OsStr, what: &str) -> Result<String, CtlError> {
    let shown = || visible_controls(word.as_encoded_bytes());
    match word.to_str() {
        Some(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(CtlError::usage(format!("{what} is not UTF-8: {}", shown()))),
    }
}

/// Texts in memory as files to send.
///
/// # Errors
/// A name is no clean path.
pub fn texts(texts: &BTreeMap<String, Bytes>) -> Result<Inputs, CtlError> {
    let mut files = BTreeMap::new();
    for (name, text) in texts {
        let clean = CleanPath::new(name.clone())
            .map_err(|e| CtlError::usage_hint(e.to_string(), "files that a recipe names lie beside it or below"))?;
        files.insert(
            clean,
            Picked { size: text.len() as u64, origin: Origin::Memory(text.clone()), exec: false, stamp: None },
        );
    }
    let (manifest, _) = hash::manifest(&files, &Known::open(None, Path::new("")))?;
    Ok(Inputs { manifest, origins: files.into_values().map(|picked| picked.origin).collect(), known: None })
}

/// Sends to homied what it lacks of `inputs`. Gives the manifest's name, which a job refers to.
///
/// # Errors
/// homied refuses (quota, disk full), a file changed or cannot be read, or the connection breaks.
pub async fn send(homied: &mut Connection, inputs: &Inputs, progress: &Progress) -> Result<Digest, CtlError> {
    let request = homied.request(method::FILES_PUT, &()).await?;
    homied.ready(request).await?;
    let mut files = source::Files::new(&inputs.origins);
    let shown = |done, total| progress.bytes("reading files", done, total);
    let sent = transfer::send(homied.wire(), &inputs.manifest, &mut files, shown).await;
    if let (Err(_), Some(known)) = (&sent, &inputs.known) {
        // Perhaps a file is not what was known of it: the next time it is read.
        let _ = std::fs::remove_file(known);
    }
    sent?;
    let put: FilesPut = homied.answer(request).await?;
    progress.clear();
    Ok(put.inputs)
}

#[cfg(test)]
mod tests;
