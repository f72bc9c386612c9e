//! Why a build failed (pure), from its end and what its tools said.

use super::lines::Lines;
use crate::model::{BuildFailure, FailKind, FailedBuild, Limits, Outcome, format_bytes};

/// What ended how: nothing, or a failure that says what to do.
pub(super) fn judge(outcome: &Outcome, lines: &Lines, refused: &[String], limits: &Limits) -> Result<(), BuildFailure> {
    let fail = |kind, message: String| Err(BuildFailure::new(kind, message));
    match outcome {
        Outcome::Exited { code: 0 } => Ok(()),
        Outcome::Exited { code } => Err(tool(*code, lines.all(), refused)),
        Outcome::TimedOut => {
            fail(FailedBuild::TimedOut, format!("the build took longer than {} minutes", limits.timeout_s / 60))
        }
        Outcome::Cancelled { .. } => fail(FailedBuild::Cancelled, "the build was stopped".to_owned()),
        Outcome::Failed { reason: FailKind::DiskLimit, .. } => {
            let most = format_bytes(limits.disk_bytes);
            fail(
                FailedBuild::DiskFull,
                format!("the build needed more disk than the {most} that environments may take"),
            )
        }
        Outcome::Failed { reason: FailKind::OutOfMemory, .. } => {
            let most = format_bytes(limits.memory_bytes);
            fail(FailedBuild::Step, format!("the build needed more than its {most} of memory"))
        }
        Outcome::Failed { reason: FailKind::Engine | FailKind::Spawn, message } => {
            fail(FailedBuild::Cannot, message.clone())
        }
        Outcome::Failed { message, .. } => fail(FailedBuild::Internal, message.clone()),
        other => fail(FailedBuild::Step, format!("the build was ended: {other:?}")),
    }
}

/// A tool that gave up. The order matters: a network that is not there makes pip say that nothing matches, too.
pub(super) fn tool(code: i32, lines: &[String], refused: &[String]) -> BuildFailure {
    let says = |words: &[&str]| lines.iter().any(|l| words.iter().any(|w| l.contains(w)));
    let reason =
        lines.iter().rev().find_map(|l| Some(l.strip_prefix("ERROR: ").or_else(|| l.strip_prefix("E: "))?.to_owned()));
    let reason = reason.or_else(|| lines.last().cloned()).unwrap_or_else(|| format!("a tool ended with {code}"));
    if says(&["No space left on device", "Disk quota exceeded"]) {
        return BuildFailure::new(FailedBuild::DiskFull, "the disk is full").hint("homie env rm NAME frees some");
    }
    if says(&["DO NOT MATCH THE HASHES", "its hash differs", "Hashes are required"]) {
        return BuildFailure::new(FailedBuild::Integrity, reason)
            .hint("the index serves other files than the recipe names; build it anew, or ask who wrote the hashes");
    }
    if let Some(refused) = refused.first() {
        return BuildFailure::new(FailedBuild::Network, refused.clone());
    }
    if says(&[
        "Tunnel connection failed",
        "Connection refused",
        "ProxyError",
        "Temporary failure",
        "urlopen error",
        "cannot be reached",
        "Could not connect",
        "CERTIFICATE_VERIFY_FAILED",
    ]) {
        return BuildFailure::new(FailedBuild::Network, format!("the package index does not answer: {reason}"))
            .hint("builds use the index, proxy and certificates of homied's own environment and of pip.conf");
    }
    if says(&[
        "ResolutionImpossible",
        "No matching distribution found",
        "Could not find a version",
        "Unable to locate package",
        "has no installation candidate",
        "requires a different Python",
    ]) {
        let only_wheels = BuildFailure::new(FailedBuild::Unresolvable, reason);
        return only_wheels.hint("check names and versions; where builds are limited to wheels, a package that has only sources counts as none");
    }
    BuildFailure::new(FailedBuild::Step, format!("a step ended with {code}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(lines: &[&str], refused: &[&str]) -> FailedBuild {
        let own = |list: &[&str]| list.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        tool(1, &own(lines), &own(refused)).kind
    }

    #[test]
    fn the_cause_is_told_from_its_consequences() {
        let nothing = "ERROR: No matching distribution found for nope==99";
        assert_eq!(kind(&[nothing], &[]), FailedBuild::Unresolvable);
        assert_eq!(kind(&["WARNING: Retrying ... ProxyError('x')", nothing], &[]), FailedBuild::Network);
        assert_eq!(kind(&[nothing], &["evil.com:443 is not one of the hosts"]), FailedBuild::Network);
        assert_eq!(kind(&["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"], &[]), FailedBuild::Integrity);
        assert_eq!(kind(&["error: [Errno 28] No space left on device"], &[]), FailedBuild::DiskFull);
        assert_eq!(kind(&["gcc: error: x.c"], &[]), FailedBuild::Step);
        assert_eq!(kind(&[], &[]), FailedBuild::Step);
    }

    #[test]
    fn the_message_is_the_tools_own_last_error() {
        let lines = [
            "ERROR: first".to_owned(),
            "ERROR: No matching distribution found for x".to_owned(),
            "[notice] y".to_owned(),
        ];
        assert_eq!(tool(1, &lines, &[]).message, "No matching distribution found for x");
    }
}
