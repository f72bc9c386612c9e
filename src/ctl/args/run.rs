//! `homie run`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::model::{Isolation, parse_cpus, parse_disk, parse_duration, parse_memory, parse_size};

/// `homie run [FLAGS] SCRIPT [ARGS]`
#[derive(Debug, Args)]
#[command(
    override_usage = "homie run [OPTIONS] <SCRIPT|-> [ARGS]...\n       homie run [OPTIONS] -c CODE [ARGS]...",
    after_help = "Before the script every option is Homie's. After it only --env NAME, --gpu[=N] and --peer NAME are; all else is \
                  the script's, and everything behind the first `--`.\n\n\
                  Exit codes: the script's own; 128+signal; 124 timed out; 125 Homie failed; 130 cancelled; 2 usage; 69 no homied or no peer."
)]
pub struct RunArgs {
    /// The machine to run on
    #[arg(long, short = 'n', visible_alias = "name", value_name = "NAME", conflicts_with_all = ["local", "remote"])]
    pub peer: Option<String>,
    /// Only on this machine
    #[arg(long, conflicts_with = "remote")]
    pub local: bool,
    /// Only on other machines
    #[arg(long)]
    pub remote: bool,
    /// On a machine with N free GPUs
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "1",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub gpu: Option<u32>,
    /// Each of them with at least so much memory (10g)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub gpu_mem: Option<u64>,
    /// Each of a model whose name has this in it (3080, h200)
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub gpu_model: Option<String>,
    /// Cores it needs (2, 0.5)
    #[arg(long, value_name = "CORES", value_parser = parse_cpus)]
    pub cpu: Option<u32>,
    /// Memory it needs (512m, 4g)
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory: Option<u64>,
    /// Disk it needs (10g)
    #[arg(long, value_name = "SIZE", value_parser = parse_disk)]
    pub disk: Option<u64>,
    /// Kill it after this time (600, 10m, 2h)
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<u64>,
    /// The weakest jail it may run in: limits, process, namespace, container, gvisor
    #[arg(long, value_name = "LEVEL")]
    pub isolation: Option<Isolation>,
    /// The environment to run in
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Send this too: a file, a directory or a glob; once for each
    #[arg(long = "file", short = 'f', value_name = "FILE|DIR|GLOB", action = ArgAction::Append)]
    pub files: Vec<OsString>,
    /// Send a whole directory (the present one), less what .gitignore and .homieignore name
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    pub dir: Option<PathBuf>,
    /// Let these results replace files that were sent, or be hidden ones
    #[arg(long, value_name = "GLOB", action = ArgAction::Append)]
    pub output: Vec<String>,
    /// Put results there instead of here
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Set an environment variable of the job
    #[arg(long = "set", value_name = "KEY=VALUE", action = ArgAction::Append)]
    pub vars: Vec<String>,
    /// Submit, print the job's id, and leave
    #[arg(long, short)]
    pub detach: bool,
    /// Only show where it would run, and why
    #[arg(long)]
    pub explain: bool,
    /// Never run it a second time, even if its machine is lost
    #[arg(long)]
    pub at_most_once: bool,
    /// Do not ask before a large send
    #[arg(long, short)]
    pub yes: bool,
    /// Exactly the bytes the job writes: no names in front, nothing made printable
    #[arg(long)]
    pub raw: bool,
    /// Run this Python code instead of a script
    #[arg(short = 'c', value_name = "CODE")]
    pub code: Option<OsString>,
    /// The script (`-` reads it from standard input) and its arguments
    #[arg(value_name = "SCRIPT [ARGS]", last = true, hide = true)]
    pub rest: Vec<OsString>,
}
