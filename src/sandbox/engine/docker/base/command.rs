//! `homied __build-base`: what `homie env build base` runs. Not for typing, though nothing prevents it.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::{BaseOrder, Recipe, build};
use crate::config;
use crate::paths::{Places, Surroundings};
use crate::sandbox::engine::docker::DockerEngine;

/// The word on homied's command line.
pub(in crate::sandbox) const WORD: &str = "__build-base";

/// Makes the container image of environment `base` on this machine.
#[derive(Debug, Parser)]
#[command(name = "homied __build-base")]
struct Args {
    /// Pull this image from its registry and use it, instead of building from the distribution's packages
    #[arg(long, value_name = "IMAGE")]
    from: Option<String>,
    /// Where packages come from, instead of the distribution's own servers
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Where Docker or Podman answers, if not at the usual places
    #[arg(long, value_name = "SOCKET")]
    engine: Option<String>,
    /// Where built root file systems are kept
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Build although it is there
    #[arg(long)]
    again: bool,
}

/// Does it and says so. `args` are those after [`WORD`].
pub(in crate::sandbox) fn main(args: &[OsString]) -> ExitCode {
    let args = match Args::try_parse_from(std::iter::once(OsString::from(WORD)).chain(args.iter().cloned())) {
        Ok(args) => args,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(2);
        }
    };
    let engine = DockerEngine::at(args.engine.or_else(configured).as_deref());
    let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let order = BaseOrder {
        recipe: args.from.map_or_else(|| Recipe::for_machine(&os_release), |reference| Recipe::Image { reference }),
        mirror: args.mirror,
        cache: args.cache.unwrap_or_else(cache_dir),
        again: args.again,
    };
    let mut steps = Steps { tty: std::io::stderr().is_terminal() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let built = runtime.map_err(|e| e.to_string()).and_then(|runtime| {
        runtime.block_on(build(&engine, &order, |line| steps.show(line))).map_err(|e| e.to_string())
    });
    steps.clear();
    match built {
        Ok(id) => {
            println!("environment base is ready ({})", id.trim_start_matches("sha256:").get(..12).unwrap_or(&id));
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("environment base cannot be built: {e}");
            ExitCode::FAILURE
        }
    }
}

/// What homied itself was told. A configuration that cannot be read is homied's to complain about.
fn configured() -> Option<String> {
    let places = Places::of(&Surroundings::current()).ok()?;
    config::load(&places, &config::host_name(), std::env::vars(), &[]).ok()?.settings.docker_host
}

/// Where a system keeps what can be had again.
fn cache_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return "/var/cache/homie".into();
    }
    let named = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("homie")
}

/// Progress on standard error: one line that changes on a terminal, only the larger steps elsewhere.
struct Steps {
    tty: bool,
}

impl Steps {
    /// The most of a line that is shown; longer ones would wrap and stay.
    const COLUMNS: usize = 76;

    fn show(&mut self, line: &str) {
        if self.tty {
            let line: String = crate::model::visible_controls(line.as_bytes()).chars().take(Self::COLUMNS).collect();
            eprint!("\r\x1b[K{line}");
            let _ = std::io::stderr().flush();
        } else if !is_detail(line) {
            eprintln!("{line}");
        }
    }

    fn clear(&self) {
        if self.tty {
            eprint!("\r\x1b[K");
        }
    }
}

/// debootstrap tells of each package five times.
fn is_detail(line: &str) -> bool {
    let step = line.strip_prefix("I: ").unwrap_or_default();
    ["Retrieving ", "Validating ", "Extracting ", "Unpacking ", "Configuring "].iter().any(|s| step.starts_with(s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_from_details() {
        assert!(is_detail("I: Retrieving libc6 2.36-9"));
        assert!(!is_detail("I: Base system installed successfully."));
        assert!(!is_detail("E: Couldn't download packages: libc6"));
    }

    #[test]
    fn the_flags_are_as_documented() {
        let args = ["x", "--from", "python@sha256:1", "--engine", "/run/podman/podman.sock", "--again"];
        let args = Args::try_parse_from(args).expect("valid");
        assert_eq!((args.from.as_deref(), args.again), (Some("python@sha256:1"), true));
        assert!(Args::try_parse_from(["x", "extra"]).is_err());
    }
}
