//! Verbs about this machine and its friends.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

use crate::model::Roles;

/// `homie setup`
#[derive(Debug, Default, Args)]
#[command(after_help = "Only use Homie on networks you trust, with people you trust.")]
pub struct SetupArgs {
    /// Name of this machine
    #[arg(long)]
    pub name: Option<String>,
    /// Name of the group
    #[arg(long)]
    pub group: Option<String>,
    /// The group's secret. Other users can see it in the list of processes: rather use --secret-file
    #[arg(long, value_name = "SECRET")]
    pub secret: Option<String>,
    /// Read the group's secret from the first line of a file, or of standard input for `-`
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    pub secret_file: Option<PathBuf>,
    /// Make a new secret even if there is one: the start of another group
    #[arg(long, conflicts_with_all = ["secret", "secret_file"])]
    pub new_secret: bool,
    /// Start homied with the machine (systemd)
    #[arg(long, overrides_with = "no_service")]
    pub service: bool,
    /// Do not ask about that
    #[arg(long)]
    pub no_service: bool,
    /// Ask nothing: take what is given, the present values, then the defaults
    #[arg(long, short)]
    pub yes: bool,
}

/// `homie up`
#[derive(Debug, Default, Args)]
pub struct UpArgs {
    /// Stay with a live dashboard
    #[arg(long, short, visible_alias = "dashboard")]
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
    /// One machine, with every way to it
    pub name: Option<String>,
    /// Offline ones too
    #[arg(long, short)]
    pub all: bool,
    /// Refresh until interrupted
    #[arg(long, short)]
    pub watch: bool,
}

/// `homie config`
#[derive(Debug, Default, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConfigArgs {
    /// Most cores a job may use here (2, 0.5)
    #[arg(long, value_name = "CORES")]
    pub cpu: Option<String>,
    /// Most memory a job may use here (512m, 4g)
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Longest time a job may run here (600, 10m, 2h)
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
    /// Most disk a job may fill here (10g)
    #[arg(long, value_name = "SIZE")]
    pub disk: Option<String>,
    /// Most processes and threads of a job
    #[arg(long, value_name = "N")]
    pub pids: Option<String>,
    /// Most GPUs a job may have here: all, or a number; 0 lends none
    #[arg(long, value_name = "N|all")]
    pub gpu: Option<String>,
    /// Jobs that run here at once
    #[arg(long, value_name = "N")]
    pub jobs: Option<String>,
    /// Bytes a second that transfers with other machines may take each way (10m), or none
    #[arg(long, value_name = "SIZE")]
    pub bandwidth: Option<String>,
    /// What to do; without it the configuration is shown
    #[command(subcommand)]
    pub action: Option<ConfigAction>,
}

/// `homie config ...`
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Print one value
    Get {
        /// Which
        key: String,
    },
    /// Change one value
    Set {
        /// Which
        key: String,
        /// To what; `-` reads it from standard input
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Take a value out of the file, so that its default holds
    Unset {
        /// Which
        key: String,
    },
    /// Let homied read its file again
    Reload,
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

/// `homie invite`
#[derive(Debug, Args)]
#[command(after_help = "The line works once and for 15 minutes; when homied restarts, it is void.")]
pub struct InviteArgs {
    /// An address at which your friend can reach this machine, if it has one that it does not know itself
    #[arg(long, value_name = "ADDRESS", action = clap::ArgAction::Append)]
    pub at: Vec<String>,
}

/// `homie join`
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// What `homie invite` printed; `-` reads it from standard input
    pub token: String,
}

/// `homie kick`
#[derive(Debug, Args)]
#[command(
    after_help = "Everybody else gets a new secret of the group. Whoever is not there gets it when they are back at their \
last address or dial a member; otherwise `homie invite` brings them in again."
)]
pub struct KickArgs {
    /// Which machine
    pub name: String,
}

/// `homie trust`
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// Only this machine
    pub name: Option<String>,
    /// Its key has changed (it was set up anew): take the one it shows now. With more than one, the beginning of its id
    #[arg(long, value_name = "ID", num_args = 0..=1, require_equals = true, requires = "name", conflicts_with = "role")]
    pub new_key: Option<Option<String>>,
    /// What it may do on this machine: run (jobs without GPUs), run,gpu (everything, as at first) or none
    #[arg(long, value_name = "ROLES", requires = "name")]
    pub role: Option<Roles>,
}

/// `homie list-direct`
#[derive(Debug, Args)]
pub struct ListDirectArgs {}

/// `homie demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// What runs the job on the other machine
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = ["auto", "docker", "native"])]
    pub engine: String,
    /// The directory with train.py and its data; looked for beside the program otherwise
    #[arg(long, value_name = "DIR")]
    pub example: Option<PathBuf>,
    /// No network namespaces even as root: two ports of this machine
    #[arg(long)]
    pub loopback: bool,
    /// Keep the state of both machines afterwards
    #[arg(long)]
    pub keep: bool,
}

/// `homie env`
#[derive(Debug, Args)]
pub struct EnvArgs {
    /// What to do
    #[command(subcommand)]
    pub action: EnvAction,
}

/// `homie env ...`
#[derive(Debug, Subcommand)]
pub enum EnvAction {
    /// Name an environment and what it is made of; nothing is built yet
    Create(EnvCreateArgs),
    /// List the environments that are known and ready here, and those at your friends'
    List,
    /// Show what an environment is made of and how it stands
    Show {
        /// Which
        name: String,
    },
    /// Build an environment on this machine now, instead of when a job needs it
    Build {
        /// Which; `base` is the one that always exists
        #[arg(default_value = "base")]
        name: String,
        /// For this engine: docker or native
        #[arg(long, value_name = "ENGINE", value_parser = ["docker", "native"])]
        engine: Option<String>,
        /// Build although it is there, with versions chosen anew
        #[arg(long)]
        again: bool,
        /// Only for base: from this image of a registry instead of the distribution's packages
        #[arg(long, value_name = "IMAGE")]
        from: Option<String>,
        /// Only for base: where packages come from; the distribution's own servers otherwise
        #[arg(long, value_name = "URL", conflicts_with = "from")]
        mirror: Option<String>,
    },
    /// Remove an environment: its name and what was built for it here
    #[command(visible_alias = "remove")]
    Rm {
        /// Which
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Print an environment as a homie.env.yaml, with the versions that were chosen
    Export {
        /// Which
        name: String,
        /// Into this file instead of standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Name an environment by a file: homie.env.yaml, requirements.txt, a lock (pylock.toml, uv.lock, poetry.lock), or a script's header
    Import {
        /// The file
        file: PathBuf,
        /// What to call it, if the file does not say
        #[arg(long)]
        name: Option<String>,
        /// In the place of another environment of that name
        #[arg(long)]
        replace: bool,
    },
}

/// `homie env create NAME`
#[derive(Debug, Args)]
#[command(after_help = "Example: homie env create ml-demo --python 3.11 -r requirements.txt --apt libgomp1")]
pub struct EnvCreateArgs {
    /// What to call it
    pub name: String,
    /// An image of a registry
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["dockerfile", "python", "requirements", "packages", "apt"])]
    pub from: Option<String>,
    /// A Dockerfile; it is built without other files
    #[arg(long, value_name = "FILE", conflicts_with_all = ["python", "requirements", "packages", "apt"])]
    pub dockerfile: Option<PathBuf>,
    /// The Python it needs (3.11, ">=3.10")
    #[arg(long, value_name = "VERSION")]
    pub python: Option<String>,
    /// A file of requirements, or a lock: pylock.toml, uv.lock, poetry.lock
    #[arg(long, short, value_name = "FILE")]
    pub requirements: Option<PathBuf>,
    /// A requirement (numpy, "scikit-learn>=1.3"); once for each
    #[arg(long = "pip", value_name = "REQUIREMENT", action = clap::ArgAction::Append)]
    pub packages: Vec<String>,
    /// Packages of the distribution, separated by commas
    #[arg(long, value_name = "PACKAGES", value_delimiter = ',', action = clap::ArgAction::Append)]
    pub apt: Vec<String>,
    /// In the place of another environment of that name
    #[arg(long)]
    pub replace: bool,
}

/// `homie doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Run every known way out of a jail, in each engine of this machine; takes about a minute
    #[arg(long)]
    pub sandbox: bool,
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
