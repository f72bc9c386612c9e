//! The documents tell the truth: every command in them parses, every config key exists, every link leads somewhere.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use homie::ctl::args::Cli;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Every document: (path from the root, text). Empty where the tests run away from the tree.
fn documents() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut todo = vec![root()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() && !["target", ".git", "src", "tests", "node_modules"].contains(&name.as_str()) {
                todo.push(path);
            } else if name.ends_with(".md") {
                let relative = path.strip_prefix(root()).expect("inside").to_string_lossy().into_owned();
                found.push((relative, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    found
}

/// The `homie ...` commands of a document: lines of code blocks, and whole code spans.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    let mut take = |line: &str| {
        let line = line.trim().trim_start_matches("$ ");
        let line = line.split(" #").next().unwrap_or(line).split(" | ").next().unwrap_or(line).trim();
        let line = line.strip_prefix("sudo ").unwrap_or(line);
        if line.starts_with("homie ") {
            found.push(line.to_owned());
        }
    };
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            take(line);
        } else {
            line.split('`').skip(1).step_by(2).for_each(&mut take);
        }
    }
    found
}

/// The words of a command line, quotes undone; placeholders such as `[PATH]` make it a shape, not a command.
fn words(line: &str) -> Option<Vec<OsString>> {
    if line.contains("...") || line.contains('…') || line.contains('[') || line.contains('<') || line.contains(" && ")
    {
        return None;
    }
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut any) = (None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (None, '"' | '\'') => (quote, any) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if any || !word.is_empty() {
                    words.push(OsString::from(std::mem::take(&mut word)));
                }
                any = false;
            }
            _ => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word.into());
    }
    Some(words)
}

#[test]
fn every_command_in_the_documents_parses() {
    let documents = documents();
    if documents.is_empty() {
        return super::world::skip("the documents are not here");
    }
    let mut checked = 0;
    for (path, text) in documents {
        for line in commands(&text) {
            let Some(argv) = words(&line) else { continue };
            checked += 1;
            // `homie add` in the middle of a sentence names the verb.
            if let [_, verb] = argv.as_slice()
                && Cli::command().find_subcommand(verb).is_some()
            {
                continue;
            }
            if let Err(e) = Cli::read(argv) {
                use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
                assert!(matches!(e.kind(), DisplayHelp | DisplayVersion), "{path}: {line}\n{e}");
            }
        }
    }
    assert!(checked > 40, "only {checked} commands were found: the search is broken");
}

#[test]
fn a_wrong_command_is_found() {
    let wrong = commands("```\n$ homie run --no-such-flag x.py # why\n```\nand `homie frobnicate` too");
    assert_eq!(wrong, ["homie run --no-such-flag x.py", "homie frobnicate"]);
    for line in wrong {
        assert!(Cli::read(words(&line).expect("words")).is_err(), "{line}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (path, text) in documents() {
        let dir = root().join(&path).parent().expect("inside").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            assert!(dir.join(target).exists(), "{path}: nothing at {target}");
        }
    }
}
