//! Whose flag is it? The rule of `run`: before the script every flag is Homie's; after it only `--env NAME`,
//! `--gpu[=N]` and `--peer NAME` are; all else is the script's; the first `--` ends that and is dropped.
//!
//! clap cannot say this, so the command line is put into the one form that means the same to it:
//! `run HOMIE'S-FLAGS -- SCRIPT ARGS`. Which flags take a value is read from clap's own tree.

use std::ffi::{OsStr, OsString};

use clap::Args;

use super::RunArgs;

/// Homie's flags after the script, frozen for ever: with a value in the next argument, and without one.
const AFTER_WITH_VALUE: [&str; 2] = ["--env", "--peer"];
const AFTER_WITHOUT_VALUE: [&str; 1] = ["--gpu"];

/// The same, without dashes.
pub const AFTER_SCRIPT: [&str; 3] = ["env", "gpu", "peer"];

/// Whether the words after `run` hold its script, or `-c` in its place.
pub(super) fn script_given(words: &[OsString]) -> bool {
    let run = run();
    let split = split(words, &|flag| takes_value(&run, flag));
    !split.rest.is_empty() || split.flags.iter().any(|flag| is_code_flag(flag))
}

/// The flags of `run`. The whole tree takes as long to make as everything else that a client does before it asks homied.
fn run() -> clap::Command {
    RunArgs::augment_args(clap::Command::new("run"))
}

fn is_code_flag(flag: &OsStr) -> bool {
    flag == "-c"
}

/// Puts `argv` (program name first) of a `run` into clap's form; any other command line is returned as it is.
pub(super) fn normalise(argv: Vec<OsString>) -> Vec<OsString> {
    // The flags before the verb take no values, so the first word that is no flag is the verb.
    let verb = argv.iter().skip(1).position(|a| !a.as_encoded_bytes().starts_with(b"-")).map(|at| at + 1);
    let Some(verb) = verb.filter(|at| argv[*at] == "run") else { return argv };
    let run = run();
    let split = split(&argv[verb + 1..], &|flag| takes_value(&run, flag));
    let mut out = argv[..=verb].to_vec();
    out.extend(split.flags);
    if !split.rest.is_empty() {
        out.push("--".into());
        out.extend(split.rest);
    }
    out
}

/// The two sides of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Split {
    /// Homie's.
    flags: Vec<OsString>,
    /// The script (unless `-c` stands for it) and its arguments.
    rest: Vec<OsString>,
}

/// Splits what follows `run`. `takes_value` knows whether a flag (`--cpu`, `-f`) has its value in the next argument.
fn split(words: &[OsString], takes_value: &dyn Fn(&str) -> bool) -> Split {
    let mut out = Split::default();
    let mut words = words.iter();
    // `-c CODE` stands in the script's place.
    let mut script_seen = false;
    while !script_seen && let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        if text == "--" {
            // Everything behind it is the script and its own.
            out.rest.extend(words.cloned());
            return out;
        }
        if text == "-" || !word.as_encoded_bytes().starts_with(b"-") {
            out.rest.push(word.clone());
            script_seen = true;
            continue;
        }
        out.flags.push(word.clone());
        if let Some(flag) = waits_for_value(text, takes_value) {
            out.flags.extend(words.next().cloned());
            script_seen = flag == "-c";
        } else {
            script_seen = is_code(text, takes_value);
        }
    }
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        if text == "--" {
            out.rest.extend(words.cloned());
            return out;
        }
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        if AFTER_WITH_VALUE.contains(&name) {
            out.flags.push(word.clone());
            if name == text {
                // A `--` is nobody's value: clap will say that one is missing.
                match words.as_slice().first() {
                    Some(value) if value != OsStr::new("--") => out.flags.extend(words.next().cloned()),
                    _ => {}
                }
            }
        } else if AFTER_WITHOUT_VALUE.contains(&name) {
            out.flags.push(word.clone());
        } else {
            out.rest.push(word.clone());
        }
    }
    out
}

/// The flag in `word` (`--cpu`, the `f` of `-df`) whose value is the next argument.
fn waits_for_value(word: &str, takes_value: &dyn Fn(&str) -> bool) -> Option<String> {
    if word.starts_with("--") {
        return takes_value(word).then(|| word.to_owned());
    }
    let (at, flag) = first_short_with_value(word, takes_value)?;
    (at + 1 == word.len()).then_some(flag)
}

/// Whether `word` holds `-c` with its code in the same argument (`-cprint(1)`).
fn is_code(word: &str, takes_value: &dyn Fn(&str) -> bool) -> bool {
    !word.starts_with("--") && first_short_with_value(word, takes_value).is_some_and(|(_, flag)| flag == "-c")
}

/// In a cluster of short flags, the first that takes a value, and where it stands.
fn first_short_with_value(word: &str, takes_value: &dyn Fn(&str) -> bool) -> Option<(usize, String)> {
    let shorts = word.char_indices().skip(1).filter(|(_, c)| c.is_ascii());
    shorts.map(|(at, c)| (at, format!("-{c}"))).find(|(_, flag)| takes_value(flag))
}

/// Whether `flag` takes its value from the next argument, by clap's own definition of the verb.
fn takes_value(verb: &clap::Command, flag: &str) -> bool {
    let named = |arg: &&clap::Arg| match flag.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long) || arg.get_visible_aliases().is_some_and(|all| all.contains(&long)),
        None => flag.strip_prefix('-').is_some_and(|short| arg.get_short() == short.chars().next()),
    };
    verb.get_arguments().find(named).is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command, RunArgs};
    use super::*;
    use proptest::prelude::*;

    fn words(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    fn run(line: &[&str]) -> Result<Box<RunArgs>, clap::Error> {
        let argv = words(&["homie", "run"]).into_iter().chain(words(line));
        match Cli::read(argv)?.command {
            Command::Run(args) => Ok(args),
            other => panic!("not run: {other:?}"),
        }
    }

    #[test]
    fn flags_go_to_whom_the_rule_says() {
        type Want = (&'static [&'static str], &'static [&'static str], Option<&'static str>, Option<u32>);
        let table: &[(&[&str], Want)] = &[
            // The example of the design.
            (
                &["-f", "d.csv", "train.py", "--epochs", "10", "--peer", "bob", "--", "--gpu"],
                (&["train.py", "--epochs", "10", "--gpu"], &["d.csv"], Some("bob"), None),
            ),
            (&["train.py", "--epochs", "10"], (&["train.py", "--epochs", "10"], &[], None, None)),
            (&["--gpu", "train.py"], (&["train.py"], &[], None, Some(1))),
            (&["--gpu=2", "train.py"], (&["train.py"], &[], None, Some(2))),
            (&["train.py", "--gpu=2", "x"], (&["train.py", "x"], &[], None, Some(2))),
            (&["train.py", "--gpu", "2"], (&["train.py", "2"], &[], None, Some(1))),
            (&["-n", "raj", "s.py", "-n", "5"], (&["s.py", "-n", "5"], &[], Some("raj"), None)),
            (&["--name", "raj", "s.py"], (&["s.py"], &[], Some("raj"), None)),
            (&["-nraj", "s.py"], (&["s.py"], &[], Some("raj"), None)),
            (&["-dn", "raj", "s.py"], (&["s.py"], &[], Some("raj"), None)),
            (&["s.py", "--peer=bob", "--peers", "1"], (&["s.py", "--peers", "1"], &[], Some("bob"), None)),
            (&["s.py", "--name", "bob"], (&["s.py", "--name", "bob"], &[], None, None)),
            (&["s.py", "--help", "--json", "-q"], (&["s.py", "--help", "--json", "-q"], &[], None, None)),
            (&["s.py", "a", "--", "b", "--", "c"], (&["s.py", "a", "b", "--", "c"], &[], None, None)),
            (&["--", "s.py", "--peer", "x"], (&["s.py", "--peer", "x"], &[], None, None)),
            (&["-f", "a b.csv", "-f", "ü*", "-"], (&["-"], &["a b.csv", "ü*"], None, None)),
            (&["-fa.csv", "s.py"], (&["s.py"], &["a.csv"], None, None)),
            (&["--file=a.csv", "s.py"], (&["s.py"], &["a.csv"], None, None)),
            (&["s.py", "-"], (&["s.py", "-"], &[], None, None)),
            (&["s.py", ""], (&["s.py", ""], &[], None, None)),
            (&["-c", "print(1)", "a", "--gpu"], (&["a"], &[], None, Some(1))),
            (&["-c", "print(1)", "--", "--gpu"], (&["--gpu"], &[], None, None)),
            (&["-cprint(1)", "a", "--cpu", "2"], (&["a", "--cpu", "2"], &[], None, None)),
            (&["--cpu", "2", "--memory", "4g", "--timeout", "10m", "s.py"], (&["s.py"], &[], None, None)),
        ];
        for (line, (rest, files, peer, gpu)) in table {
            let args = run(line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
            assert_eq!(args.rest, words(rest), "{line:?}");
            assert_eq!(args.files, words(files), "{line:?}");
            assert_eq!((args.peer.as_deref(), args.gpu), (*peer, *gpu), "{line:?}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_a_usage_error() {
        for line in [
            &["s.py", "--peer"][..],
            &["s.py", "--env", "--", "x"],
            &["--nonsense", "s.py"],
            &["--local", "--remote", "s.py"],
            &["--cpu", "many", "s.py"],
            &["--isolation", "prayer", "s.py"],
            &["-f"],
        ] {
            assert_eq!(run(line).expect_err("refused").exit_code(), 2, "{line:?}");
        }
    }

    #[test]
    fn other_verbs_are_left_alone() {
        let line = words(&["homie", "--json", "peers", "--", "-x"]);
        assert_eq!(normalise(line.clone()), line);
    }

    proptest! {
        #[test]
        fn what_is_not_homies_reaches_the_script_unchanged(
            args in proptest::collection::vec("[-a-z=0-9 ]{0,8}", 0..8)
        ) {
            let ours = |a: &str| {
                let name = a.split('=').next().unwrap_or_default();
                a == "--" || AFTER_WITH_VALUE.contains(&name) || AFTER_WITHOUT_VALUE.contains(&name)
            };
            prop_assume!(!args.iter().any(|a| ours(a)));
            let line: Vec<&str> = ["-f", "x", "s.py"].into_iter().chain(args.iter().map(String::as_str)).collect();
            let parsed = run(&line).expect("accepted");
            prop_assert_eq!(&parsed.rest[1..], &args.iter().map(OsString::from).collect::<Vec<_>>()[..]);
        }

        #[test]
        fn behind_the_first_dashes_everything_is_the_scripts(args in proptest::collection::vec("\\PC{0,8}", 0..8)) {
            let line: Vec<&str> = ["s.py", "--"].into_iter().chain(args.iter().map(String::as_str)).collect();
            let parsed = run(&line).expect("accepted");
            prop_assert_eq!(&parsed.rest[1..], &args.iter().map(OsString::from).collect::<Vec<_>>()[..]);
        }

        #[test]
        fn no_word_is_lost(line in proptest::collection::vec("-{0,2}[a-z=]{0,5}", 0..10)) {
            let line = words(&line.iter().map(String::as_str).collect::<Vec<_>>());
            let out = split(&line, &|flag| flag == "-f" || flag == "--x");
            let dropped = line.len() - out.flags.len() - out.rest.len();
            prop_assert!(dropped == 0 || (dropped == 1 && line.iter().any(|w| w == "--")), "{:?}", out);
        }
    }
}
