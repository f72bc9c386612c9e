//! Which environment `homie run` asks for: a name, a file, or what the script itself says.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use super::args::RunArgs;
use super::connect::Connection;
use super::context::Context;
use super::exit::CtlError;
use super::recipe::{Asked, RecipeFiles, asked_by, is_file};

/// What is to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    /// `base`, or whatever has that name.
    Name(Option<String>),
    /// The environment that a file describes.
    File(PathBuf),
    /// The script says what it needs, and the user has not said what to do about it.
    Offer(Asked),
}

/// From the command line and the script to a wish. Looks at files only where it has to.
fn wish(args: &RunArgs, cwd: &Path) -> Result<Wish, CtlError> {
    let script = args.rest.first().filter(|s| args.code.is_none() && *s != "-").map(|s| cwd.join(s));
    match args.env.as_deref() {
        Some("auto") => match script.as_deref().and_then(asked_by) {
            Some(asked) => Ok(Wish::File(asked.path)),
            None => Err(CtlError::usage_hint(
                "--env auto: the script says nothing of what it needs",
                "give it a PEP 723 header, or put a requirements.txt, pylock.toml, uv.lock or poetry.lock beside it",
            )),
        },
        Some(value) if is_file(value) => Ok(Wish::File(cwd.join(value))),
        Some(name) => Ok(Wish::Name(Some(name.to_owned()))),
        None => Ok(script.as_deref().and_then(asked_by).map_or(Wish::Name(None), Wish::Offer)),
    }
}

/// The name of the environment to submit the job with. A recipe in a file is made known to homied first.
///
/// # Errors
/// A file cannot be read, or homied says what is wrong with it.
pub async fn choose(
    ctx: &Context,
    args: &RunArgs,
    cwd: &Path,
    homied: &mut Connection,
) -> Result<Option<String>, CtlError> {
    let path = match wish(args, cwd)? {
        Wish::Name(name) => return Ok(name),
        Wish::File(path) => path,
        Wish::Offer(asked) if !may_ask(ctx, args) => {
            ctx.note(&format!(
                "note: {} names packages; `--env auto` runs it with them, `--env base` without",
                asked.by
            ));
            return Ok(None);
        }
        Wish::Offer(asked) => match ask(&asked)? {
            true => asked.path,
            false => return Ok(None),
        },
    };
    // Under its own name where that is free, so that a second run finds what the first one built.
    let view = RecipeFiles::read(&path, None)?.register(ctx, homied, true, false).await?;
    Ok(Some(view.name))
}

/// Whether somebody is there to answer. Whoever said yes to everything is not asked, and gets what is proposed only
/// when it was asked for.
fn may_ask(ctx: &Context, args: &RunArgs) -> bool {
    ctx.err.tty && !ctx.quiet && !args.yes && !args.detach && io::stdin().is_terminal()
}

fn ask(asked: &Asked) -> Result<bool, CtlError> {
    let mut answer = String::new();
    let question = format!("{} names packages. Run it in an environment with them? [Y/n] ", asked.by);
    let asked = write!(io::stderr().lock(), "{question}").and_then(|()| io::stdin().lock().read_line(&mut answer));
    asked.map_err(|e| CtlError::io("cannot ask", e))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes") && answer.ends_with('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::sample::run_args;

    #[test]
    fn names_files_and_what_the_script_says() {
        let dir = tempfile::tempdir().expect("tempdir");
        let cwd = dir.path();
        let of = |line: &[&str]| wish(&run_args(line), cwd);
        std::fs::write(cwd.join("plain.py"), "print()").expect("write");
        std::fs::write(cwd.join("asks.py"), "# /// script\n# dependencies = [\"numpy\"]\n# ///\n").expect("write");
        assert_eq!(of(&["plain.py"]).expect("fine"), Wish::Name(None));
        assert_eq!(of(&["--env", "ml", "asks.py"]).expect("fine"), Wish::Name(Some("ml".into())));
        assert_eq!(of(&["asks.py", "--env", "base"]).expect("fine"), Wish::Name(Some("base".into())));
        assert_eq!(of(&["asks.py", "--env", "auto"]).expect("fine"), Wish::File(cwd.join("asks.py")));
        assert_eq!(
            of(&["--env=./homie.env.yaml", "plain.py"]).expect("fine"),
            Wish::File(cwd.join("./homie.env.yaml"))
        );
        assert!(matches!(of(&["asks.py"]), Ok(Wish::Offer(_))));
        assert_eq!(of(&["-c", "print()"]).expect("fine"), Wish::Name(None));
        let error = of(&["--env", "auto", "plain.py"]).expect_err("nothing asked for");
        assert!(error.hint().is_some_and(|h| h.contains("PEP 723")), "{error}");
    }
}
