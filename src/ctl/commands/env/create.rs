//! `homie env create`, `import` and `export`: recipes in and out.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;

use crate::ctl::args::EnvCreateArgs;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::recipe::{BESIDE, RecipeFiles};
use crate::model::{EnvView, RECIPE_FILE};
use crate::wire::env::{EnvLine, EnvRef};
use crate::wire::ipc::method;

/// The name that a file of requirements or a Dockerfile travels under, after its own ending.
fn travel_name(path: &Path, otherwise: &str) -> String {
    // Locks of other tools go by their whole names.
    if let Some(lock) = path.file_name().and_then(|n| BESIDE.into_iter().find(|known| n == *known)) {
        return lock.to_owned();
    }
    match path.extension().and_then(|e| e.to_str()) {
        Some("toml") => "pylock.toml".to_owned(),
        Some("py") => "script.py".to_owned(),
        _ => otherwise.to_owned(),
    }
}

/// The recipe that the flags say, as the file that people would commit. Texts are quoted as JSON's are, which YAML
/// reads alike.
fn recipe_text(args: &EnvCreateArgs, files: (Option<&str>, Option<&str>)) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let mut out = format!("version: 1\nname: {}\n", quoted(&args.name));
    let (requirements, dockerfile) = files;
    let single = [
        ("python", args.python.as_deref()),
        ("requirements_file", requirements),
        ("image", args.from.as_deref()),
        ("dockerfile", dockerfile),
    ];
    for (key, value) in single {
        out.extend(value.map(|value| format!("{key}: {}\n", quoted(value))));
    }
    for (key, list) in [("requirements", &args.packages), ("apt", &args.apt)] {
        if !list.is_empty() {
            let list: Vec<String> = list.iter().map(|word| quoted(word.trim())).collect();
            out.push_str(&format!("{key}: [{}]\n", list.join(", ")));
        }
    }
    out
}

pub(super) async fn create(ctx: &Context, args: EnvCreateArgs) -> Result<ExitCode, CtlError> {
    let mut texts: BTreeMap<String, Bytes> = BTreeMap::new();
    let mut take = |path: &Option<std::path::PathBuf>, otherwise: &str| -> Result<Option<String>, CtlError> {
        let Some(path) = path else { return Ok(None) };
        let name = travel_name(path, otherwise);
        texts.insert(name.clone(), crate::ctl::recipe::read(path)?);
        Ok(Some(name))
    };
    let requirements = take(&args.requirements, "requirements.txt")?;
    let dockerfile = take(&args.dockerfile, "Dockerfile")?;
    let text = recipe_text(&args, (requirements.as_deref(), dockerfile.as_deref()));
    texts.insert(RECIPE_FILE.to_owned(), text.into());
    let mut homied = ctx.connect().await?;
    let files = RecipeFiles::of_texts(RECIPE_FILE, &args.name, texts);
    let view = files.register(ctx, &mut homied, false, args.replace).await?;
    told(ctx, &view)
}

pub(super) async fn import(
    ctx: &Context,
    file: &Path,
    name: Option<&str>,
    replace: bool,
) -> Result<ExitCode, CtlError> {
    let files = RecipeFiles::read(file, name)?;
    let mut homied = ctx.connect().await?;
    let view = files.register(ctx, &mut homied, false, replace).await?;
    told(ctx, &view)
}

fn told(ctx: &Context, view: &EnvView) -> Result<ExitCode, CtlError> {
    if ctx.json {
        ctx.print_list("envs", &[super::row_json(view)])?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = &view.name;
    ctx.print(&format!("environment {name} is known ({})\n", view.state.as_str()))?;
    ctx.note(&format!("`homie run --env {name} SCRIPT` uses it; `homie env build {name}` builds it here now"));
    Ok(ExitCode::SUCCESS)
}

/// The recipe as text, with its lock.
pub(super) async fn text_of(ctx: &Context, name: &str) -> Result<(EnvView, String, String), CtlError> {
    let mut homied = ctx.connect().await?;
    let lines: Vec<EnvLine> = homied.call_rows(method::ENV_SHOW, &EnvRef { name: name.to_owned() }).await?;
    let (mut view, mut recipe, mut lock) = (None, String::new(), String::new());
    for line in lines {
        match line {
            EnvLine::View(row) => view = Some(*row),
            EnvLine::Recipe(line) => recipe += &(line + "\n"),
            EnvLine::Lock(line) => lock += &(line + "\n"),
        }
    }
    let view = view.ok_or_else(|| CtlError::Protocol("an answer of another shape: no environment in it".into()))?;
    Ok((view, recipe, lock))
}

pub(super) async fn export(ctx: &Context, name: &str, output: Option<&Path>) -> Result<ExitCode, CtlError> {
    let (_, recipe, lock) = text_of(ctx, name).await?;
    let text = recipe + &lock;
    match output {
        None => ctx.print(&text)?,
        Some(path) => {
            // Beside and renamed: a committed file is never half written.
            let beside = path.with_extension("homie-new");
            let written = std::fs::write(&beside, &text).and_then(|()| std::fs::rename(&beside, path));
            written.map_err(|e| CtlError::io(format!("cannot write {}", path.display()), e))?;
            ctx.note(&format!("{} can be committed; `homie run --env {0}` uses it", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::args::{Cli, Command, EnvAction};

    fn args(line: &[&str]) -> EnvCreateArgs {
        let argv = ["homie", "env", "create"].iter().chain(line).map(|w| (*w).into());
        match Cli::read(argv).expect("accepted").command {
            Command::Env(env) => match env.action {
                EnvAction::Create(args) => args,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_become_the_file_that_people_commit() {
        let all = ["ml", "--python", "3.11", "-r", "reqs.txt", "--pip", "numpy<3", "--apt", "g++,libgomp1"];
        assert_eq!(
            recipe_text(&args(&all), (Some("requirements.txt"), None)),
            "version: 1\nname: \"ml\"\npython: \"3.11\"\nrequirements_file: \"requirements.txt\"\n\
             requirements: [\"numpy<3\"]\napt: [\"g++\", \"libgomp1\"]\n"
        );
        assert_eq!(
            recipe_text(&args(&["x", "--from", "python:3.12"]), (None, None)),
            "version: 1\nname: \"x\"\nimage: \"python:3.12\"\n"
        );
        let travels = |path: &str| travel_name(Path::new(path), "requirements.txt");
        assert_eq!(
            ["p/uv.lock", "poetry.lock", "x.toml", "a.lock"].map(travels),
            ["uv.lock", "poetry.lock", "pylock.toml", "requirements.txt"]
        );
        assert!(Cli::read(["homie", "env", "create", "x", "--from", "a", "--apt", "b"].map(Into::into)).is_err());
    }
}
