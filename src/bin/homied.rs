//! The service that runs on every machine of a group.

use std::process::ExitCode;

use clap::Parser;
use homie::daemon::background::{self, Readiness};
use homie::daemon::{self, Options, logging};
use homie::paths::{Places, Surroundings};

/// Lends this machine to friends and sends jobs to theirs. Usually started by `homie up` or the service manager.
#[derive(Debug, Parser)]
#[command(name = "homied", version, about)]
struct Args {
    /// Go to the background once the socket answers; the log goes to homied.log in the state directory
    #[arg(long)]
    background: bool,
    /// A setting over the config file and the environment, such as `name=raj`; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    // First of all: a job's supervisor forks, and must do so before this process has a second thread.
    let args: Vec<_> = std::env::args_os().collect();
    if let Some(code) = homie::sandbox::reexecuted(&args) {
        return code;
    }
    let args = Args::parse();
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("homied: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: Args) -> anyhow::Result<()> {
    let places = Places::of(&Surroundings::current())?;
    // Before any thread exists: a fork keeps only the one that calls it.
    let ready = if args.background { background::detach(&places.state)? } else { Readiness::default() };
    logging::start();
    logging::abort_on_panic();
    let options = Options { places, flags: args.settings, ready };
    daemon::run(options)
}
