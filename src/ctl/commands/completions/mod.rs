//! `homie completions SHELL`: what the shell needs to complete Homie's verbs and flags, and the names that only homied
//! knows. The script calls `homie` back with [`VARIABLE`] set; [`answer`] is that call.

mod names;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::builder::ValueHint;
use clap::{Arg, Command, CommandFactory};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;

use crate::ctl::args::{AFTER_SCRIPT, Cli, CompletionsArgs};
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;

/// Set to the shell's name by the scripts: complete the words behind `--` instead of running them.
pub const VARIABLE: &str = "_HOMIE_COMPLETE";

/// Where names come from.
type Source = fn() -> Vec<CompletionCandidate>;

/// Which argument of which verb is completed with what.
const NAMES: &[(&[&str], &str, Source)] = &[
    (&["run"], "peer", names::peers),
    (&["run"], "env", names::envs),
    (&["run"], "isolation", names::levels),
    (&["history"], "peer", names::peers),
    (&["logs"], "job", names::jobs),
    (&["attach"], "job", names::jobs),
    (&["results"], "job", names::jobs),
    (&["cancel"], "jobs", names::open_jobs),
    (&["limit"], "job", names::hosted_jobs),
    (&["remove"], "which", names::direct),
    (&["kick"], "name", names::peers),
    (&["trust"], "name", names::peers),
    (&["config", "get"], "key", names::keys),
    (&["config", "set"], "key", names::keys),
    (&["config", "unset"], "key", names::keys),
];

/// Prints the script; the user puts it where the shell looks.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(ctx: &Context, args: CompletionsArgs) -> Result<ExitCode, CtlError> {
    let name = args.shell.to_string();
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(&name) {
        shell
            .write_registration(VARIABLE, "homie", "homie", "homie", &mut script)
            .map_err(|e| CtlError::io("cannot write the completions", e))?;
    }
    ctx.print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Completes the command line in `argv` (`homie -- homie run tr`) for the shell that [`VARIABLE`] names, if it is set.
/// What cannot be completed is answered with nothing: an error would end up in the line that is being typed.
pub fn answer(argv: &[OsString]) -> Option<ExitCode> {
    let shell = std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty())?;
    let words: Vec<OsString> = argv.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    let mut out = Vec::new();
    let here = std::env::current_dir().ok();
    let shells = Shells::builtins();
    let done = match shells.completer(&shell.to_string_lossy()) {
        Some(shell) if !words.is_empty() => {
            // Up to the word that is being typed, which may yet become anything. fish says it by ending there.
            let at = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|at| at.parse().ok());
            let mut tree = tree(&words[..at.unwrap_or(words.len() - 1).min(words.len())]);
            shell.write_complete(&mut tree, words, here.as_deref(), &mut out).is_ok()
        }
        _ => false,
    };
    if done {
        use std::io::Write as _;
        // A shell that has gone needs no completions.
        let _ = std::io::stdout().lock().write_all(&out);
    }
    Some(ExitCode::SUCCESS)
}

/// The command tree for completing what comes after `words`.
fn tree(words: &[OsString]) -> Command {
    let mut tree = Cli::command();
    for (verb, arg, source) in NAMES {
        // Not `mut_arg`: it moves the argument to the end, and the order of positional ones is their meaning.
        let named = |a: Arg| if a.get_id() == *arg { a.add(ArgValueCandidates::new(*source)) } else { a };
        tree = within(tree, verb, &|command| command.mut_args(named));
    }
    let after = script_is_given(words);
    if after {
        // Flags of every verb, but behind the script they are the script's.
        tree = tree.mut_args(|arg| arg.global(false));
    }
    within(tree, &["run"], &|run| scripts(run, after))
}

/// Changes the subcommand at `path`.
fn within(command: Command, path: &[&str], change: &dyn Fn(Command) -> Command) -> Command {
    match path {
        [] => change(command),
        [first, rest @ ..] => command.mut_subcommand(*first, |sub| within(sub, rest, change)),
    }
}

/// `run` as the shell sees it: a script and its arguments are files; after the script only few flags are Homie's.
fn scripts(run: Command, after: bool) -> Command {
    let path = |arg: Arg| arg.last(false).hide(false).required(false).value_hint(ValueHint::AnyPath);
    let run = run.mut_arg("rest", path).mut_arg("files", |a| a.value_hint(ValueHint::AnyPath));
    if !after {
        return run;
    }
    // Made anew: the flags that these conflict with are not there any more.
    let kept = AFTER_SCRIPT.iter().filter_map(|long| {
        let known = run.get_arguments().find(|arg| arg.get_long() == Some(long))?;
        let mut arg = Arg::new(*long).long(*long).help(known.get_help().cloned().unwrap_or_default());
        if known.is_require_equals_set() {
            arg = arg.num_args(0..=1).require_equals(true);
        }
        let source = NAMES.iter().find(|(verb, name, _)| *verb == ["run"] && name == long);
        Some(source.map_or(arg.clone(), |(_, _, source)| arg.add(ArgValueCandidates::new(*source))))
    });
    let kept: Vec<Arg> = kept.chain(run.get_arguments().find(|arg| arg.get_id() == "rest").cloned()).collect();
    Command::new("run").disable_help_flag(true).disable_version_flag(true).args(kept)
}

/// Whether the words of a `run` hold its script already.
fn script_is_given(words: &[OsString]) -> bool {
    let verb = words.iter().skip(1).position(|word| !word.as_encoded_bytes().starts_with(b"-")).map(|at| at + 1);
    let is_run = |at: &usize| words.get(*at).is_some_and(|word| word == OsStr::new("run"));
    verb.filter(is_run).is_some_and(|verb| Cli::script_given(&words[verb + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is offered for the last word.
    fn offered(line: &str) -> Vec<String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let at = words.len() - 1;
        let mut tree = tree(&words[..at]);
        let all = clap_complete::engine::complete(&mut tree, words, at, None).expect("completions");
        all.iter().map(|c| c.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn every_argument_with_names_exists() {
        let tree = Cli::command();
        for (verb, arg, _) in NAMES {
            let command = verb.iter().fold(&tree, |at, name| at.find_subcommand(name).expect(name));
            assert!(command.get_arguments().any(|a| a.get_id() == *arg), "{verb:?} {arg}");
        }
        assert_eq!(offered("homie run --isolation na"), ["namespace"]);
    }

    #[test]
    fn verbs_flags_and_keys_are_offered() {
        assert_eq!(offered("homie hist"), ["history"]);
        assert!(offered("homie run --pe").contains(&"--peer".to_owned()));
        assert_eq!(offered("homie config set container_t"), ["container_timeout", "container_tmp_limit"]);
        assert_eq!(offered("homie config get docker_h"), ["docker_host"]);
    }

    #[test]
    fn after_the_script_only_what_is_homies_there_is_offered() {
        let flags = |line: &str| {
            let mut all = offered(line);
            all.retain(|word| word.starts_with('-'));
            all.sort();
            all
        };
        assert_eq!(flags("homie run train.py --"), ["--env", "--gpu", "--peer"]);
        assert_eq!(flags("homie run --timeout 5 train.py --ti"), [""; 0]);
        assert!(flags("homie run --timeout train.py --").contains(&"--detach".to_owned()));
    }

    #[test]
    fn every_shell_calls_back_with_the_variable() {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let mut script = Vec::new();
            let shells = Shells::builtins();
            let completer = shells.completer(shell).expect(shell);
            completer.write_registration(VARIABLE, "homie", "homie", "homie", &mut script).expect("memory");
            assert!(String::from_utf8_lossy(&script).contains(VARIABLE), "{shell}");
        }
    }
}
