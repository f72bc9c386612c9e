//! The house rules that a compiler does not check: who may import whom, who may name which crate, how long a file may
//! grow, what stands at the top level. ARCHITECTURE.md says why. Each rule is a function from a path and its text to
//! complaints, so that the last tests can show that it is able to complain.

// Test code: a failed expectation is the report.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// A rule: the path and the text of a file in, complaints out.
type Rule = fn(&str, &str) -> Vec<String>;

/// Words: both binaries, no IO, no clock.
const WORDS: &[&str] = &["model", "wire", "paths"];
/// Small ports under the rooms (daemon only).
const GROUND: &[&str] =
    &["blobs", "cached", "clock", "config", "identity", "mailbox", "net", "networks", "pipe", "secret"];
/// Capabilities with a door.
const ROOMS: &[&str] = &["discovery", "history", "ipc", "link", "monitor", "registry", "sandbox", "scheduler"];
/// Files that decide: they take `now` as an argument and know nothing but words.
const PURE: &[&str] = &[
    "discovery/beacon",
    "discovery/direct",
    "discovery/schedule",
    "history/stats",
    "link/direct",
    "link/gate",
    "link/greet",
    "link/handshake",
    "link/hint",
    "link/links",
    "link/roster/cards",
    "link/roster/introductions",
    "link/roster/spread",
    "link/tickets",
    "monitor/smoothing",
    "registry/liveness",
    "registry/paths",
    "registry/table",
    "sandbox/admission",
    "sandbox/envs/proxy/address",
    "sandbox/envs/proxy/request",
    "sandbox/envs/proxy/rules",
    "sandbox/envs/proxy/upstream",
    "sandbox/policy",
    "sandbox/envs/books",
    "sandbox/envs/locks",
    "sandbox/envs/read",
    "scheduler/environment",
    "sandbox/warm/shelf",
    "scheduler/jobs",
    "scheduler/ranking",
    "scheduler/retry",
];
/// Files over the limit of lines: (path, reason). The list may only get shorter.
const LONG: &[(&str, &str)] = &[];
/// Lines that are not tests. People lose the thread in longer files; 300 is where to think again.
const MOST_LINES: usize = 500;
/// What may stand beside the sources.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".git",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "benches",
    "build.rs",
    "clippy.toml",
    "deny.toml",
    "docs",
    "examples",
    "fuzz",
    "launchd",
    "packaging",
    "rustfmt.toml",
    "src",
    "systemd",
    "target",
    // Inputs that once failed a property test, kept so that they are tried first.
    "proptest-regressions",
    "tests",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under `dir`, as (path from the root with `/`, text); files that are not text are left out.
fn files_under(dir: &str) -> Vec<(String, String)> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let path = entry.expect("readable directory").path();
            if path.is_dir() { walk(&path, into) } else { into.push(path) }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(dir), &mut paths);
    paths.sort();
    let name = |path: &Path| path.strip_prefix(root()).expect("under the root").to_string_lossy().into_owned();
    paths.iter().filter_map(|path| Some((name(path), fs::read_to_string(path).ok()?))).collect()
}

fn sources() -> Vec<(String, String)> {
    let found: Vec<_> = files_under("src").into_iter().filter(|(path, _)| path.ends_with(".rs")).collect();
    assert!(found.len() > 30, "the walk lost the sources");
    found
}

/// `text` with comments and the insides of literals blanked, line by line as before.
fn bare(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let blank = |out: &mut String, c: char| out.push(if c == '\n' { '\n' } else { ' ' });
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    while i < chars.len() {
        let raw_hashes = (at(i) == 'r' && !at(i.wrapping_sub(1)).is_alphanumeric())
            .then(|| chars[i + 1..].iter().take_while(|c| **c == '#').count())
            .filter(|hashes| at(i + 1 + hashes) == '"');
        if at(i) == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            while i < chars.len() && !(at(i) == '*' && at(i + 1) == '/') {
                blank(&mut out, at(i));
                i += 1;
            }
            i += 2;
        } else if let Some(hashes) = raw_hashes {
            i += hashes + 2;
            let end = format!("\"{}", "#".repeat(hashes));
            while i < chars.len() && !chars[i..].iter().take(hashes + 1).collect::<String>().eq(&end) {
                blank(&mut out, at(i));
                i += 1;
            }
            i += hashes + 1;
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 1 } else { 0 };
                blank(&mut out, at(i));
                i += 1;
            }
            i += 1;
        } else if at(i) == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
        } else {
            out.push(at(i));
            i += 1;
        }
    }
    out
}

/// `code` (bare) without what stands under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..start]);
        let after = &rest[start..];
        let mut depth = 0;
        let end = after.char_indices().find(|(_, c)| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0 && (*c == '}' || *c == ';')
        });
        rest = end.map_or("", |(at, _)| &after[at + 1..]);
    }
    kept.push_str(rest);
    kept
}

/// The paths under the crate's root that `code` names (`use crate::a::{b, c::d}` gives `a::b` and `a::c::d`), also
/// those reached by `super`.
fn crate_paths(path: &str, code: &str) -> Vec<String> {
    let flat: String = code.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ::", "::").replace(":: ", "::");
    let own = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let depth = own.split('/').count();
    let supers = "super::".repeat(depth);
    let mut found = Vec::new();
    // The binaries reach the library by its name.
    for start in ["crate::", "homie::", supers.as_str()] {
        for (at, _) in flat.match_indices(start) {
            let before = flat[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            expand(&flat[at + start.len()..], "", &mut found);
        }
    }
    found
}

/// Reads one path or group at the start of `text`; returns what is left.
fn expand<'a>(text: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches([' ', ',']);
            match rest.strip_prefix('}') {
                Some(after) => return after,
                None if rest.is_empty() => return rest,
                None => {
                    let left = expand(rest, prefix, found);
                    // Something that is no path (`as name`): skip to the next comma or brace.
                    rest = left.trim_start_matches(|c| c != ',' && c != '}');
                }
            }
        }
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let name = if prefix.is_empty() { text[..end].to_owned() } else { format!("{prefix}::{}", &text[..end]) };
    match text[end..].strip_prefix("::") {
        Some(rest) if rest.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{') => {
            expand(rest, &name, found)
        }
        _ => {
            found.push(name);
            &text[end..]
        }
    }
}

/// The part of the house that a source file belongs to: `model`, `sandbox`, `homied`...
fn part_of(path: &str) -> &str {
    let inside = path.trim_start_matches("src/").trim_start_matches("bin/");
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

fn is_pure(path: &str) -> bool {
    let name = path.trim_start_matches("src/").trim_end_matches(".rs");
    PURE.iter().any(|pure| name == *pure || name.starts_with(&format!("{pure}/")))
}

/// Whether the file holds nothing but a room's tests (`#[cfg(test)] mod tests;`).
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Who may import whom.
fn layers(path: &str, text: &str) -> Vec<String> {
    let part = part_of(path);
    if part == "lib" || is_test(path) {
        return Vec::new();
    }
    // Tests of a pure file may use what they like of its own room, no more.
    let code = without_tests(&bare(text));
    let mut complaints = Vec::new();
    for target in crate_paths(path, &code) {
        let to = target.split("::").next().unwrap_or(&target);
        let inner = target.split("::").nth(1).unwrap_or("");
        let known = |list: &[&str]| list.contains(&to);
        // A path into something that is no part of the house is a crate of the same name or a macro: not ours.
        let is_part = known(WORDS) || known(GROUND) || known(ROOMS) || ["ctl", "daemon", "transfer"].contains(&to);
        if to == part || !is_part {
            continue;
        }
        let allowed = match part {
            "model" => false,
            "wire" => to == "model",
            "paths" => known(WORDS),
            // Keys are plain values, too.
            _ if is_pure(path) => known(&["model", "wire", "secret"]),
            "transfer" => known(&["model", "wire"]),
            "ctl" => known(WORDS) || to == "transfer",
            _ if GROUND.contains(&part) => known(WORDS) || known(GROUND) || to == "transfer",
            // The actor's name is the type of its door; nothing else of another room may be seen.
            _ if ROOMS.contains(&part) => {
                known(WORDS)
                    || known(GROUND)
                    || to == "transfer"
                    || (known(ROOMS) && (inner == "messages" || inner.ends_with("Actor")))
            }
            "daemon" => to != "ctl",
            // A job's supervisor is homied started again, before there is a daemon.
            "homied" => to == "daemon" || to == "paths" || (to == "sandbox" && inner == "reexecuted"),
            "homie-ctl" => known(&["ctl"]),
            _ => false,
        };
        if !allowed {
            complaints.push(format!("{path}: {part} may not import {target}"));
        }
    }
    complaints
}

/// Who may name which crate, and what nobody may write.
fn words(path: &str, text: &str) -> Vec<String> {
    let code = bare(text);
    let serving = without_tests(&code);
    let names = |code: &str, name: &str| {
        code.match_indices(name).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            let after = code[at + name.len()..].chars().next();
            let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            !word(before) && !word(after)
        })
    };
    let file = path.rsplit('/').next().unwrap_or(path);
    let mut complaints = Vec::new();
    let mut only = |name: &str, here: bool, place: &str| {
        if !here && !is_test(path) && names(&serving, name) {
            complaints.push(format!("{path}: only {place} may name {name}"));
        }
    };
    let mailboxed = ["actor.rs", "messages.rs", "mailbox.rs"].contains(&file) || part_of(path) == "daemon";
    only("actix", mailboxed, "actor.rs, messages.rs, mailbox.rs and daemon/");
    only("bollard", path.starts_with("src/sandbox/engine/docker"), "sandbox/engine/docker");
    only("rusqlite", path.starts_with("src/history/"), "history");
    only("nvml_wrapper", path.starts_with("src/monitor/"), "monitor");
    only("daemonize", part_of(path) == "daemon" || path == "src/bin/homied.rs", "daemon");
    // The init program of containers has no crates, so it calls the kernel itself.
    let calls = ["src/sandbox/engine/native/sys.rs", "src/sandbox/engine/docker/init/sys.rs"].contains(&path);
    only("unsafe", calls, "sandbox/engine/native/sys.rs and sandbox/engine/docker/init/sys.rs");
    for (banned, reason) in [
        ("todo!", "leave nothing unfinished"),
        ("unimplemented!", "leave nothing unfinished"),
        ("dbg!", "use tracing"),
        (".do_send(", "its queue has no bound; use mailbox::tell or mailbox::ask"),
        ("thread::sleep", "wait for a condition"),
        ("Arbiter::new", "leaks its thread"),
        ("#[ignore", "a test that does not run is no test"),
    ] {
        if code.contains(banned) {
            complaints.push(format!("{path}: {banned} ({reason})"));
        }
    }
    if is_pure(path) {
        for effect in
            ["Instant::now", "SystemTime::now", "std::fs", "std::net::Tcp", "std::net::Udp", "tokio", "tracing"]
        {
            if names(&serving, effect) {
                complaints.push(format!("{path}: a file that decides may not use {effect}"));
            }
        }
    }
    complaints
}

/// How long a file may be.
fn length(path: &str, text: &str) -> Vec<String> {
    let lines = if is_test(path) { 0 } else { without_tests(&bare(text)).lines().count() };
    let listed = LONG.iter().any(|(long, _)| *long == path);
    match (lines > MOST_LINES, listed) {
        (true, false) => vec![format!("{path}: {lines} lines that are not tests; {MOST_LINES} is the most")],
        (false, true) => vec![format!("{path}: is short enough again; take it off the list")],
        _ => Vec::new(),
    }
}

/// Every room says at its door what it is for.
fn door(path: &str, text: &str) -> Vec<String> {
    let wants = path.ends_with("/mod.rs") || path.matches('/').count() == 1;
    let said: usize =
        text.lines().take_while(|l| l.starts_with("//!")).map(|l| l.trim_start_matches("//!").len()).sum();
    if wants && (said < 20 || text.starts_with("//! Being built")) {
        return vec![format!("{path}: begin with //! and say what this is for")];
    }
    Vec::new()
}

/// No trace of the machine it was made on.
fn places(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    // Put together here, so that this file does not find itself.
    let kept_out = [["/ro", "ot/.cargo"].concat(), ["/wo", "rk/main"].concat(), root().display().to_string()];
    for (number, line) in text.lines().enumerate() {
        if let Some(place) = kept_out.iter().find(|place| line.contains(place.as_str())) {
            complaints.push(format!("{path}:{}: names {place}, a place of one machine", number + 1));
        }
    }
    complaints
}

/// No half-done merge. A line of seven equals signs alone may underline a heading.
fn merged(path: &str, text: &str) -> Vec<String> {
    let marks = ["<".repeat(7), ">".repeat(7)];
    let marked = |line: &str| marks.iter().any(|mark| line.starts_with(&format!("{mark} ")));
    let lines = text.lines().enumerate().filter(|(_, line)| marked(line));
    lines.map(|(number, _)| format!("{path}:{}: a merge that was not finished", number + 1)).collect()
}

/// Every ban says why.
fn bans(path: &str, text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| line.contains("path = ") && !line.contains("reason = \""))
        .map(|line| format!("{path}: a ban without a reason: {}", line.trim()))
        .collect()
}

/// What may stand at the top level.
fn top_level(names: &[String]) -> Vec<String> {
    names
        .iter()
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()))
        .map(|name| format!("{name}: the top level is fixed; see ARCHITECTURE.md"))
        .collect()
}

fn complain(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn imports_follow_the_layers() {
    complain(sources().iter().flat_map(|(path, text)| layers(path, text)).collect());
}

#[test]
fn crates_and_words_stay_in_their_places() {
    complain(sources().iter().flat_map(|(path, text)| words(path, text)).collect());
}

#[test]
fn files_stay_readable() {
    complain(sources().iter().flat_map(|(path, text)| length(path, text)).collect());
    for (path, reason) in LONG {
        assert!(reason.len() > 20, "{path} is long without a reason");
        assert!(root().join(path).exists(), "{path} is listed as long but is not there");
    }
}

#[test]
fn every_room_has_a_sign_at_its_door() {
    complain(sources().iter().flat_map(|(path, text)| door(path, text)).collect());
}

#[test]
fn the_tree_names_no_place_of_the_machine_it_was_made_on_and_holds_no_half_done_merge() {
    let mut files: Vec<_> = TOP_LEVEL
        .iter()
        .filter(|name| !["target", ".git", "Cargo.lock"].contains(name))
        .flat_map(|name| files_under(name))
        // What the fuzzer builds and finds is no part of the tree.
        .filter(|(path, _)| !path.starts_with("fuzz/target/") && !path.starts_with("fuzz/artifacts/"))
        .collect();
    for name in TOP_LEVEL.iter().filter(|name| **name != ".git" && root().join(name).is_file()) {
        files.push(((*name).to_owned(), fs::read_to_string(root().join(name)).expect("text")));
    }
    complain(files.iter().flat_map(|(path, text)| [places(path, text), merged(path, text)].concat()).collect());
}

#[test]
fn every_ban_has_a_reason() {
    let text = fs::read_to_string(root().join("clippy.toml")).expect("clippy.toml");
    assert!(text.contains("do_send") && text.contains("thread::sleep"), "the bans are gone");
    complain(bans("clippy.toml", &text));
}

#[test]
fn the_top_level_is_fixed() {
    let names: Vec<String> = fs::read_dir(root())
        .expect("readable root")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    complain(top_level(&names));
}

#[test]
fn every_rule_can_complain() {
    let bad: &[(Rule, &str, &str)] = &[
        (layers, "src/model/job.rs", "use crate::wire::frame;"),
        (layers, "src/model/job.rs", "use super::super::wire::frame;"),
        (layers, "src/wire/ipc.rs", "use crate::{model::JobId, transfer};"),
        (layers, "src/ctl/run.rs", "fn f() { crate::sandbox::boot() }"),
        (layers, "src/blobs/store.rs", "use crate::scheduler::messages::SubmitJob;"),
        (layers, "src/link/session.rs", "use crate::sandbox::{messages::AdmitJob, admission};"),
        (layers, "src/link/session.rs", "use crate::daemon::boot;"),
        (layers, "src/scheduler/ranking.rs", "use crate::blobs::BlobStore;"),
        (layers, "src/bin/homie-ctl.rs", "fn main() { homie::ctl::main(); homie::daemon::x() }"),
        (words, "src/link/session.rs", "use actix::Addr;"),
        (words, "src/scheduler/jobs.rs", "use tokio::time;"),
        (words, "src/scheduler/jobs.rs", "fn f() { let now = std::time::Instant::now(); }"),
        (words, "src/sandbox/runner.rs", "bollard::Docker::connect()"),
        (words, "src/ipc/session.rs", "use rusqlite::Connection;"),
        (words, "src/sandbox/runner.rs", "unsafe { libc::kill(1, 9) };"),
        (words, "src/sandbox/runner.rs", "fn f() { todo!() }"),
        (words, "src/sandbox/actor.rs", "addr.do_send(Message);"),
        (words, "src/net.rs", "std::thread::sleep(second);"),
        (length, "src/ctl/run.rs", &"let a = 1;\n".repeat(MOST_LINES + 1)),
        (door, "src/owner/mod.rs", "pub mod messages;"),
        (door, "src/owner/mod.rs", "//! Being built.\n"),
        (bans, "clippy.toml", "    { path = \"std::thread::sleep\" },"),
    ];
    for (rule, path, text) in bad {
        assert!(!rule(path, text).is_empty(), "no complaint about {path}: {text}");
    }
    let here = format!("see {}/src", root().display());
    assert!(!places("README.md", &here).is_empty(), "no complaint about {here}");
    assert!(!top_level(&["scripts".to_owned()]).is_empty());
    assert!(!merged("README.md", &format!("{} HEAD", "<".repeat(7))).is_empty());
}

#[test]
fn no_rule_complains_about_what_is_right() {
    let good: &[(Rule, &str, &str)] = &[
        (layers, "src/wire/ipc.rs", "use super::refusal::Refusal;\nuse crate::model::{Digest, JobId as Id, PeerView};"),
        (layers, "src/link/session.rs", "use crate::sandbox::{SandboxActor, messages::{AdmitJob, StartJob}};"),
        (layers, "src/link/session.rs", "// crate::daemon is not for us\nlet text = \"crate::daemon::boot\";"),
        (layers, "src/model/job.rs", "#[cfg(test)]\nmod tests { use crate::wire::frame; }"),
        (layers, "src/daemon/boot.rs", "use crate::sandbox::runner;"),
        (words, "src/link/session.rs", "/* actix */ let a = 'x'; let b: &'static str = r#\"todo!()\"#;"),
        (words, "src/history/store.rs", "use rusqlite::Connection;"),
        (words, "src/link/actor.rs", "use actix::prelude::*;"),
        (length, "src/ctl/run.rs", &format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "let a = 1;\n".repeat(900))),
        (door, "src/owner/mod.rs", "//! Who may use this machine now, and why not.\n"),
    ];
    for (rule, path, text) in good {
        assert_eq!(rule(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}
