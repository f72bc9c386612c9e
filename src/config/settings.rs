//! The validated settings, and the slice of them that each room gets.

use super::proxy::{ProxyChoice, ProxyRule};
use crate::model::{AllowBuilds, DEFAULT_BUILD_HOSTS, DEFAULT_WORKER_PORT, Isolation, Limits};
use crate::secret::Secret;

/// Which engine hosts jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineChoice {
    /// Docker (or Podman) when one answers and has the environment, else native.
    #[default]
    Auto,
    /// Only Docker or Podman.
    Docker,
    /// Only the embedded Linux engine.
    Native,
}

/// Everything homied was told, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Name of this machine.
    pub name: String,
    /// Name of the group; part of the key derivation, so two groups with one secret stay apart.
    pub group: String,
    /// The shared secret; empty means: not set up yet, this machine stays alone.
    pub group_secret: Secret,
    /// The group's secrets of before, if somebody was put out of it: who still has one is of the same group.
    pub previous_secrets: Vec<Secret>,
    /// UDP port of heartbeats.
    pub discovery_port: u16,
    /// TCP port of links.
    pub worker_port: u16,
    /// On which addresses.
    pub listen: Listen,
    /// Caps of a hosted job.
    pub limits: Limits,
    /// Whether a GPU may be given to more than one job at a time.
    pub gpu_share: bool,
    /// Jobs hosted at once.
    pub job_slots: u16,
    /// Which engine.
    pub engine: EngineChoice,
    /// The weakest jail a friend's job is put in.
    pub min_isolation: Isolation,
    /// Users who may administer homied beside root and its own user.
    pub admins: Vec<String>,
    /// Peers to dial: (`HOST:PORT`, label).
    pub direct: Vec<(String, Option<String>)>,
    /// How named peers are dialled where no rule says otherwise.
    pub proxy: ProxyChoice,
    /// How certain peers are dialled; the first that covers one decides.
    pub proxy_rules: Vec<ProxyRule>,
    /// Whether to broadcast heartbeats.
    pub broadcast: bool,
    /// Bytes that inputs and results may take in homied's store.
    pub store_bytes: u64,
    /// Bytes a second that transfers with other machines may take each way; 0: no limit.
    pub bandwidth_bytes: u64,
    /// Seconds that results wait for their owner.
    pub keep_results_s: u64,
    /// Containers of recently used environments that wait for a job; 0: none.
    pub warm_containers: u16,
    /// Seconds that one waits, and that an environment counts as recently used; as long waits the supervisor of the next job.
    pub warm_idle_s: u64,
    /// Where Docker answers (`unix:///…` or a path), if not at the usual places: a service has no DOCKER_HOST.
    pub docker_host: Option<String>,
    /// What friends' jobs may have built here.
    pub allow_builds: AllowBuilds,
    /// Hosts that builds may fetch from (`pypi.org`, `*.pytorch.org`, `local:pypi.lan:3141`).
    pub build_hosts: Vec<String>,
    /// Bytes that environments may take.
    pub env_bytes: u64,
}

/// The group of those who set none.
pub const DEFAULT_GROUP: &str = "homie";
/// UDP port of heartbeats, as in the sources.
pub const DEFAULT_DISCOVERY_PORT: u16 = 5555;

/// On which addresses links are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listen {
    /// Private ones, link-local ones, those of a tailnet, and this machine itself.
    #[default]
    Private,
    /// Every one, also those that the internet reaches.
    All,
}

impl Listen {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::All => "all",
        }
    }
}

impl EngineChoice {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Docker => "docker",
            Self::Native => "native",
        }
    }
}

impl Settings {
    /// The keys, as in the file, whose new values homied takes up only when it starts.
    pub fn needing_a_restart(&self, started_with: &Self) -> Vec<&'static str> {
        let (old, new) = (started_with, self);
        let changed = [
            ("store_limit", old.store_bytes != new.store_bytes),
            ("keep_results", old.keep_results_s != new.keep_results_s),
            ("bandwidth_limit", old.bandwidth_bytes != new.bandwidth_bytes),
            ("docker_host", old.docker_host != new.docker_host),
            ("proxy", old.proxy != new.proxy),
            ("proxy_rules", old.proxy_rules != new.proxy_rules),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }

    /// The settings of a machine that nobody configured.
    pub fn defaults(host_name: &str) -> Self {
        Self {
            name: host_name.to_owned(),
            group: DEFAULT_GROUP.to_owned(),
            group_secret: Secret::default(),
            previous_secrets: Vec::new(),
            discovery_port: DEFAULT_DISCOVERY_PORT,
            worker_port: DEFAULT_WORKER_PORT,
            listen: Listen::default(),
            limits: Limits::default(),
            gpu_share: false,
            // At the default limits two jobs take 4 cores and 8 GiB, what a common laptop can spare.
            job_slots: 2,
            engine: EngineChoice::Auto,
            min_isolation: Isolation::Namespace,
            admins: Vec::new(),
            direct: Vec::new(),
            proxy: ProxyChoice::default(),
            proxy_rules: Vec::new(),
            broadcast: true,
            // Two large jobs of 10 GiB at their disk limit.
            store_bytes: 20 << 30,
            bandwidth_bytes: 0,
            keep_results_s: 7 * 86_400,
            // As many as jobs run at once by default; each costs the 14 MiB of its shim.
            warm_containers: 2,
            warm_idle_s: 600,
            docker_host: None,
            allow_builds: AllowBuilds::default(),
            build_hosts: DEFAULT_BUILD_HOSTS.map(str::to_owned).into(),
            // PyTorch with CUDA takes 6 GB: three such, and the small ones.
            env_bytes: 20 << 30,
        }
    }
}
