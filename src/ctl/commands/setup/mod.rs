//! `homie setup`: name, group and secret into the config file; a look at the engines; the service, if wanted.

mod ask;
mod engine;
mod plan;
mod service;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use self::engine::Engines;
use self::plan::{Present, SecretChoice, Wanted};
use crate::ctl::args::SetupArgs;
use crate::ctl::config_file::{self, EditError, StoreError, check_name, config_path, name_from_hostname};
use crate::ctl::connect::Connection;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::render::Style;
use crate::model::weakness;
use crate::paths::{Places, Surroundings};
use crate::wire::ipc::{ConfigRow, StatusView, method};

/// The sentence that must not be missed (document B).
pub const TRUST: &str = "Only use Homie on networks you trust, with people you trust: whoever has the\n\
                         group secret can run jobs here, in a sandbox and within your limits.";

/// The group of those who set none.
const DEFAULT_GROUP: &str = "homie";

/// Runs it.
///
/// # Errors
/// There is nobody to ask and not enough was given, an answer cannot be used, or the file cannot be written.
pub async fn run(ctx: &Context, args: SetupArgs) -> Result<ExitCode, CtlError> {
    set_up(ctx, &args, Next::Told).await.map(|()| ExitCode::SUCCESS)
}

/// What comes after the set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The user is told.
    Told,
    /// homied is started by the caller, who also prints the document of `--json`.
    Up,
}

/// Does it.
///
/// # Errors
/// See [`run`].
pub async fn set_up(ctx: &Context, args: &SetupArgs, next: Next) -> Result<(), CtlError> {
    let mut homied = match ctx.connect().await {
        Ok(homied) => Some(homied),
        Err(CtlError::NoDaemon { .. }) => None,
        Err(e) => return Err(e),
    };
    let around = Surroundings::current();
    let places = Places::of(&around).map_err(|e| CtlError::usage(e.to_string()))?;
    let path = config_path(&around, homied.as_ref().map(|h| h.socket.as_path()))
        .map_err(|e| CtlError::usage(e.to_string()))?;
    let old = config_file::read(&path).map_err(store_error)?;
    let bad_file = |e: EditError| CtlError::usage(format!("{}: {e}", path.display()));
    let present = plan::present(old.as_deref()).map_err(bad_file)?;
    let asking = !args.yes && can_ask();
    if !asking && !args.yes && !is_enough(args, &present) {
        return Err(CtlError::usage_hint(
            "there is no terminal to ask on",
            "`homie setup --yes` takes the defaults and makes a secret; `--secret-file FILE` joins a group",
        ));
    }
    if asking {
        ctx.note(&format!("{}\n\n{TRUST}\n", ctx.err.bold("Homie setup")));
    }
    let wanted = decide(ctx, args, &present, asking)?;
    let new = plan::after(old.as_deref(), &wanted).map_err(bad_file)?;
    let changed = old.as_deref() != Some(new.as_str());
    if changed {
        config_file::write(&path, &new).map_err(store_error)?;
        reload(homied.as_mut(), &path, old.as_deref()).await?;
    }
    let engines = engine::look(config_file::get(&new, "docker_host").ok().flatten().as_deref());
    if ctx.json {
        if next == Next::Told {
            ctx.print_json(&document(&path, &wanted, changed, &engines))?;
        }
    } else {
        ctx.print(&summary(&ctx.out, &path, &wanted, changed))?;
    }
    report_engines(ctx, &engines);
    if !asking {
        ctx.note(&format!("\n{TRUST}"));
    }
    service::offer(ctx, args, &around, &places, asking).await?;
    if next == Next::Up {
        return Ok(());
    }
    if homied.is_none() {
        ctx.note("\nNext: `homie up`");
    } else if changed {
        ctx.note("\nhomied goes by it already. Next: `homie peers`");
    }
    Ok(())
}

/// Writes the group that this machine was invited to into the config of `homied`, which goes by it afterwards. Whether
/// it was in another group before.
///
/// # Errors
/// The file cannot be read, edited or written, or homied refuses it (then the file is as it was).
pub async fn become_member(
    ctx: &Context,
    homied: &mut Connection,
    group: &str,
    secret: &str,
) -> Result<bool, CtlError> {
    let path =
        config_path(&Surroundings::current(), Some(&homied.socket)).map_err(|e| CtlError::usage(e.to_string()))?;
    let old = config_file::read(&path).map_err(store_error)?;
    let bad_file = |e: EditError| CtlError::usage(format!("{}: {e}", path.display()));
    let present = plan::present(old.as_deref()).map_err(bad_file)?;
    let status: StatusView = homied.call(method::STATUS, &()).await?;
    let wanted = Wanted {
        name: present.name.clone().unwrap_or(status.name),
        // A group of the usual name needs no line.
        group: (present.group.is_some() || group != DEFAULT_GROUP).then(|| group.to_owned()),
        secret: SecretChoice::Given(secret.to_owned()),
    };
    let new = plan::after(old.as_deref(), &wanted).map_err(bad_file)?;
    if old.as_deref() == Some(new.as_str()) {
        return Ok(false);
    }
    config_file::write(&path, &new).map_err(store_error)?;
    reload(Some(homied), &path, old.as_deref()).await?;
    if ctx.json {
        return Ok(present.has_secret);
    }
    ctx.note(&format!("{} {} is written", ctx.err.tick(), path.display()));
    Ok(present.has_secret)
}

/// The document of `--json`. Like the screen it has a secret only if it was made now.
fn document(path: &Path, wanted: &Wanted, changed: bool, engines: &Engines) -> serde_json::Value {
    let made = match &wanted.secret {
        SecretChoice::Generated(secret) => Some(secret),
        SecretChoice::Keep | SecretChoice::Given(_) => None,
    };
    serde_json::json!({ "version": 1, "setup": {
        "config": path,
        "changed": changed,
        "name": wanted.name,
        "new_secret": made,
        "container_engine": engines.container.as_ref().ok(),
        "container_engine_error": engines.container.as_ref().err(),
        "native_engine_error": engines.native.as_ref().err(),
    } })
}

/// Whether somebody is there to answer questions.
pub fn can_ask() -> bool {
    ask::somebody_answers()
}

/// The user's words for a file that cannot be read or written.
pub fn store_error(error: StoreError) -> CtlError {
    match error {
        StoreError::Io { what, path, error } => CtlError::io(format!("cannot {what} {}", path.display()), error),
        other => CtlError::usage(other.to_string()),
    }
}

/// Whether the flags and the file leave nothing open that must not be decided silently: the secret.
fn is_enough(args: &SetupArgs, present: &Present) -> bool {
    present.has_secret || args.secret.is_some() || args.secret_file.is_some() || args.new_secret
}

fn decide(ctx: &Context, args: &SetupArgs, present: &Present, asking: bool) -> Result<Wanted, CtlError> {
    let checked = |text: &str| check_name(text).map_err(CtlError::usage);
    let name = match (&args.name, &present.name) {
        (Some(name), _) => name.clone(),
        (None, Some(name)) => name.clone(),
        (None, None) => {
            let default = name_from_hostname(&nix::unistd::gethostname().unwrap_or_default().to_string_lossy());
            if asking { ask::ask("Name of this machine", &default, check_name)? } else { default }
        }
    };
    checked(&name)?;
    // Not asked for: the secret alone tells groups apart, and one question less is one place less to paste it by mistake.
    let group = args.group.clone();
    let given = match (&args.secret, &args.secret_file) {
        (Some(secret), _) => Some(secret.clone()),
        (None, Some(file)) => Some(first_line(file)?),
        (None, None) => None,
    };
    let generate = || {
        config_file::generate_secret()
            .map(SecretChoice::Generated)
            .map_err(|e| CtlError::io("no random bytes", e.into()))
    };
    let secret = match given {
        Some(secret) => SecretChoice::Given(secret),
        None if args.new_secret => generate()?,
        None if present.has_secret => SecretChoice::Keep,
        None if asking => {
            let how = ask::choose("Start a new group, or join that of a friend", &["new", "join"], "new")?;
            if how == "new" { generate()? } else { SecretChoice::Given(ask::ask_hidden("The group's secret")?) }
        }
        None => generate()?,
    };
    if let Some(group) = &group {
        checked(group)?;
    }
    if let SecretChoice::Given(secret) = &secret {
        config_file::find_key("group_secret")
            .and_then(|key| key.yaml(secret))
            .map_err(|e| CtlError::usage_hint(e.to_string(), "paste the secret that your group was given"))?;
        if let Some(why) = weakness(secret) {
            ctx.note(&weak(&why, &ctx.err));
        }
    }
    Ok(Wanted { name, group, secret })
}

/// What is said of a secret that was given and can be guessed. Who gives one has it from a group, and a new one made
/// here alone would only take this machine out of it.
fn weak(why: &str, style: &Style) -> String {
    format!(
        "{} this secret can be guessed: {why}.\n\
         Whoever guesses it can run jobs on all machines of the group. Change it together: one of you runs\n\
         `homie setup --new-secret`, the others `homie setup --secret-file -` with what it shows.",
        style.red("WARNING:")
    )
}

/// The first line of a file, or of standard input for `-`.
fn first_line(path: &Path) -> Result<String, CtlError> {
    let failed = |e| CtlError::io(format!("cannot read {}", path.display()), e);
    if path == Path::new("-") {
        return super::config::first_line_of_stdin();
    }
    let mut line = String::new();
    // Longer than any secret; a file given by mistake is not read to its end.
    BufReader::new(File::open(path).map_err(failed)?.take(64 << 10)).read_line(&mut line).map_err(failed)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A running homied reads the new file; what it refuses is put back.
async fn reload(homied: Option<&mut Connection>, path: &Path, old: Option<&str>) -> Result<(), CtlError> {
    let Some(homied) = homied else { return Ok(()) };
    let read: Result<Vec<ConfigRow>, CtlError> = homied.call_rows(method::CONFIG_RELOAD, &()).await;
    match read {
        Ok(_) => Ok(()),
        Err(refused) => {
            config_file::write(path, old.unwrap_or_default()).map_err(store_error)?;
            Err(refused)
        }
    }
}

/// What was done. A secret that was made now is shown, this once, with the way for a friend to join.
fn summary(style: &Style, path: &Path, wanted: &Wanted, changed: bool) -> String {
    let mut out = if changed {
        format!("{} {} is written: this machine is {}\n", style.tick(), path.display(), style.bold(&wanted.name))
    } else {
        format!(
            "{} Nothing to change in {}: this machine is {}\n  \
             Another group: `homie setup --secret-file -` and paste, or `--new-secret`\n",
            style.tick(),
            path.display(),
            style.bold(&wanted.name)
        )
    };
    if let SecretChoice::Generated(secret) = &wanted.secret {
        let group = match wanted.group.as_deref() {
            Some(group) if group != "homie" => format!(" --group {group}"),
            _ => String::new(),
        };
        out.push_str(&format!(
            "\nThe secret of your group, shown this once:\n\n    {}\n\n\
             Give it to your friends over a channel you trust. On their machines:\n\n    \
             homie setup{group}   (choose `join` and paste it)\n    homie up\n\n\
             To let one machine in, once, without it: `homie invite`, after `homie up` here.\n\n",
            style.cyan(secret)
        ));
    }
    out
}

fn report_engines(ctx: &Context, found: &Engines) {
    let line = |ok: bool, text: String| {
        format!("  {} {text}", if ok { ctx.err.tick() } else { ctx.err.yellow(ctx.err.pick("○", "o")) })
    };
    ctx.note("Sandboxes on this machine:");
    ctx.note(&match &found.container {
        Ok(engine) => line(true, engine.clone()),
        Err(why) => line(false, format!("No container engine: {why}")),
    });
    ctx.note(&match &found.native {
        Ok(()) => line(true, "Homie's own engine (Linux namespaces)".into()),
        Err(why) => line(false, format!("Not Homie's own engine: {why}")),
    });
    if found.container.is_err() && found.native.is_err() {
        ctx.note(&format!(
            "{} no job can run here until one of them works; you can still send jobs to friends",
            ctx.err.yellow("warning:")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::golden;

    #[test]
    fn a_secret_is_shown_only_when_it_was_made_now() {
        let path = Path::new("/home/raj/.homie/config.yaml");
        let made = Wanted {
            name: "raj".into(),
            group: Some("lab".into()),
            secret: SecretChoice::Generated("k7qm-2x4p-abcd-efgh-ijkl-mnop-qrst".into()),
        };
        golden::check_styles("setup_new", |style| summary(style, path, &made, true));
        let typed = Wanted { secret: SecretChoice::Given("correct horse battery".into()), ..made.clone() };
        let kept = Wanted { secret: SecretChoice::Keep, ..made };
        let style = golden::STYLES[0].1;
        assert!(!summary(&style, path, &typed, true).contains("horse"));
        golden::check("setup_again_80", &summary(&style, path, &kept, false));
    }

    #[test]
    fn the_document_has_a_secret_only_if_it_was_made_now() {
        let engines = Engines { container: Ok("Docker 28.5.2 at /x".into()), native: Err("no".into()) };
        let told = |secret| {
            let wanted = Wanted { name: "raj".into(), group: None, secret };
            document(Path::new("/c"), &wanted, true, &engines)["setup"].clone()
        };
        let made = told(SecretChoice::Generated("k7qm".into()));
        assert_eq!(made["new_secret"], "k7qm");
        assert_eq!((made["config"].as_str(), made["changed"].as_bool()), (Some("/c"), Some(true)));
        assert_eq!(
            (made["container_engine"].as_str(), made["native_engine_error"].as_str()),
            (Some("Docker 28.5.2 at /x"), Some("no"))
        );
        assert!(!told(SecretChoice::Given("k7qm".into())).to_string().contains("k7qm"));
    }

    #[test]
    fn who_joins_with_a_weak_secret_is_not_sent_out_of_the_group() {
        let style = golden::STYLES[0].1;
        let text = weak(&weakness("my-secret-password").expect("weak"), &style);
        assert!(text.contains("Change it together") && text.contains("--secret-file -"), "{text}");
    }

    #[test]
    fn without_a_terminal_only_the_secret_must_be_decided() {
        let args = SetupArgs::default();
        assert!(!is_enough(&args, &Present::default()));
        assert!(is_enough(&args, &Present { has_secret: true, ..Present::default() }));
        assert!(is_enough(&SetupArgs { new_secret: true, ..SetupArgs::default() }, &Present::default()));
    }
}
