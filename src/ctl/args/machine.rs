//! Verbs about this machine and its friends.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use crate::model::{parse_cpus, parse_duration, parse_size};

/// `homie setup`
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Name of this machine
    #[arg(long)]
    pub name: Option<String>,
    /// Name of the group
    #[arg(long)]
    pub group: Option<String>,
    /// Read the group's secret from the first line of standard input
    #[arg(long)]
    pub secret_stdin: bool,
    /// Ask nothing: take what is given, the present values, then the defaults
    #[arg(long, short)]
    pub yes: bool,
}

/// `homie up`
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Stay with a live dashboard
    #[arg(long, short)]
    pub foreground: bool,
}

/// `homie down`
#[derive(Debug, Args)]
pub struct DownArgs {}

/// `homie status`
#[derive(Debug, Args)]
pub struct StatusArgs {}

/// `homie whoami`
#[derive(Debug, Args)]
pub struct WhoamiArgs {}

/// `homie peers`
#[derive(Debug, Args)]
pub struct PeersArgs {
    /// Offline ones too
    #[arg(long, short)]
    pub all: bool,
    /// Refresh until interrupted
    #[arg(long, short)]
    pub watch: bool,
}

/// `homie config`
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Most cores a job may use here (2, 0.5)
    #[arg(long, value_name = "CORES", value_parser = parse_cpus)]
    pub cpu: Option<u32>,
    /// Most memory a job may use here (512m, 4g)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Longest time a job may run here (600, 10m, 2h)
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<u64>,
}

/// `homie add ADDRESS`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// HOST or HOST:PORT (port 5556 otherwise)
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// A label for it
    #[arg(long)]
    pub name: Option<String>,
}

/// `homie remove WHICH`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Its address or its name
    #[arg(value_name = "ADDRESS|NAME")]
    pub which: String,
}

/// `homie list-direct`
#[derive(Debug, Args)]
pub struct ListDirectArgs {}

/// `homie demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the state of both machines afterwards
    #[arg(long)]
    pub keep: bool,
}

/// `homie completions SHELL`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: Shell,
}

/// `homie man DIR`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Where to write them
    pub dir: PathBuf,
}
