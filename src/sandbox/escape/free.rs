//! The probes without a jail: each must reach its canary, or it is no witness.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use super::list::{Attempt, Kind, Probe, Verdict, parse_attempts, parse_list};
use super::{Yard, bomb_limits};
use crate::sandbox::error::SandboxError;

/// A run of all plain attempts takes two seconds; a busy machine, or an attempt that hangs, may take minutes.
const RUN_LIMIT: Duration = Duration::from_secs(600);
/// How long a process that should be gone is watched for a heartbeat, which comes every 20 ms.
const HEARTBEATS: Duration = Duration::from_secs(1);
/// How long one that should live may take for the next: it shares the processors with everything else.
const NEXT_HEARTBEAT: Duration = Duration::from_secs(30);

/// What the program has.
pub(super) async fn probes(yard: &Yard) -> Result<Vec<Probe>, SandboxError> {
    let text = yard.free(&["list".to_owned()], &BTreeMap::new(), RUN_LIMIT).await?;
    Ok(parse_list(&String::from_utf8_lossy(&text)))
}

/// The names of one kind, as arguments of `escape run`.
pub(super) fn run_args(probes: &[Probe], kinds: &[Kind]) -> Vec<String> {
    let names = probes.iter().filter(|p| kinds.contains(&p.kind)).map(|p| p.name.clone());
    std::iter::once("run".to_owned()).chain(names).collect()
}

/// Runs them all.
pub(super) async fn all(yard: &Yard, probes: &[Probe]) -> Result<Vec<Attempt>, SandboxError> {
    let vars = yard.vars(&bomb_limits(), false);
    let mut attempts = parse_attempts(&yard.free(&["all".to_owned()], &vars, RUN_LIMIT).await?);
    let bombs = run_args(probes, &[Kind::Bomb]);
    attempts.extend(parse_attempts(&yard.free(&bombs, &vars, RUN_LIMIT).await?));
    let lingering: Vec<Probe> = probes.iter().filter(|p| p.kind == Kind::Linger).cloned().collect();
    for probe in lingering {
        attempts.push(linger(yard, &probe.name, &vars).await?);
    }
    let plants = run_args(probes, &[Kind::Plant, Kind::Print]);
    let output = yard.free(&plants, &vars, RUN_LIMIT).await?;
    let token = vars.get("CANARY_TOKEN").map(String::as_bytes).unwrap_or_default();
    for attempt in parse_attempts(&output) {
        let print = probes.iter().any(|p| p.name == attempt.name && p.kind == Kind::Print);
        let fooled = if print { output.contains(&0x1b) } else { takes(&yard.free_work(), &attempt.name, token) };
        let taken = attempt.verdict != Verdict::Reached || fooled;
        attempts.push(Attempt { verdict: if taken { attempt.verdict } else { Verdict::Held }, ..attempt });
    }
    Ok(attempts)
}

/// What each probe leaves in the job's directory.
pub(super) fn planted_name(probe: &str) -> &'static [u8] {
    match probe {
        "link" => b"planted-link",
        "link-up" => b"planted-link-up",
        "link-directory" => b"planted-directory",
        "link-proc" => b"planted-proc",
        "hard-link" => b"planted-hard",
        "fifo" => b"planted-fifo",
        "socket-file" => b"planted-socket",
        "device-file" => b"planted-device",
        "sparse-file" => b"planted-sparse",
        "deep-tree" => b"planted-deep",
        "control-name" => b"planted\x1b]0;owned\x07\n-name",
        "bytes-name" => b"planted-\xff\xfe",
        "dot-file" => b".planted-profile",
        _ => b"planted-input",
    }
}

/// Whether a collector that opens what it finds would be taken in.
fn takes(work: &Path, probe: &str, token: &[u8]) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let path = work.join(std::ffi::OsStr::from_bytes(planted_name(probe)));
    let holds = |path: &Path| fs::read(path).is_ok_and(|bytes| bytes.windows(token.len()).any(|w| w == token));
    match probe {
        "link" | "link-up" | "hard-link" => holds(&path),
        "link-directory" => holds(&path.join("canary")),
        "link-proc" => fs::read(&path).is_ok_and(|bytes| !bytes.is_empty()),
        "fifo" => fs::metadata(&path).is_ok_and(|m| m.file_type().is_fifo()),
        "device-file" => fs::metadata(&path).is_ok_and(|m| m.file_type().is_char_device()),
        "sparse-file" => fs::metadata(&path).is_ok_and(|m| m.len() > bomb_limits().disk_bytes),
        "replaced-input" => fs::read(&path).is_ok_and(|bytes| bytes == b"planted\n"),
        _ => fs::symlink_metadata(&path).is_ok(),
    }
}

/// Ends the probe's process, as a naive supervisor would, and looks whether something of it lives on.
async fn linger(yard: &Yard, name: &str, vars: &BTreeMap<String, String>) -> Result<Attempt, SandboxError> {
    let beat = yard.free_work().join("beat");
    let mut child = yard.free_to_kill(name, vars)?;
    // Until it has left something behind, or ended by itself.
    let born = async {
        while !beat.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = tokio::time::timeout(RUN_LIMIT, born).await;
    let _ = child.kill().await;
    let lives = beats(&beat, NEXT_HEARTBEAT).await;
    // It ends when its file is gone.
    let _ = fs::remove_file(&beat);
    let verdict = if lives { Verdict::Reached } else { Verdict::Held };
    Ok(Attempt { name: name.to_owned(), verdict, note: "lives on after its end".into() })
}

/// Whether what should be gone still writes to `beat`.
pub(super) async fn lives_on(beat: &Path) -> bool {
    beats(beat, HEARTBEATS).await
}

/// Whether something writes to `beat` within this time.
async fn beats(beat: &Path, within: Duration) -> bool {
    let length = || fs::metadata(beat).map_or(0, |m| m.len());
    let before = length();
    let grows = async {
        while length() <= before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(within, grows).await.is_ok()
}
