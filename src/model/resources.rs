//! What a machine has and how busy it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::env::{BuildOffer, EnvOffer};
use super::limits::Needs;

/// How strongly a job is separated from the machine that runs it, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Only resource limits.
    Limits,
    /// Seccomp and Landlock around a process.
    Process,
    /// Linux namespaces of the native engine.
    Namespace,
    /// A Docker or Podman container.
    Container,
    /// A container under gVisor.
    Gvisor,
}

impl Isolation {
    /// The name used in flags, JSON and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::Process => "process",
            Self::Namespace => "namespace",
            Self::Container => "container",
            Self::Gvisor => "gvisor",
        }
    }

    /// What is left of it. Every level from `process` on stands on the filter of system calls; a container whose root
    /// or whose job is a user of this machine is worth no more than namespaces. Limits that are lacking let a job take
    /// more than it was given, not get out; Landlock is a second fence.
    #[must_use]
    pub fn without(self, lacks: &[Lack]) -> Self {
        let most = |lack: &Lack| match lack {
            Lack::Seccomp => Self::Limits,
            Lack::OwnUser => Self::Namespace,
            Lack::Memory | Lack::Cpu | Lack::Pids | Lack::Landlock | Lack::Other => Self::Gvisor,
        };
        lacks.iter().map(most).fold(self, Self::min)
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Isolation {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Limits, Self::Process, Self::Namespace, Self::Container, Self::Gvisor]
            .into_iter()
            .find(|i| i.as_str() == text)
            .ok_or_else(|| {
                format!("{text:?} is not an isolation level; levels are limits, process, namespace, container, gvisor")
            })
    }
}

/// The kinds of engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// Docker or Podman, over its API.
    Docker,
    /// The embedded Linux engine.
    Native,
}

impl EngineKind {
    /// The name used in config, JSON and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Native => "native",
        }
    }
}

/// An engine that is ready on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineOffer {
    /// Which one.
    pub kind: EngineKind,
    /// The isolation it gives here and now.
    pub isolation: Isolation,
    /// Names of the environments it can run.
    pub envs: Vec<String>,
    /// What of its jail this machine cannot give, in the order of [`Lack`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Lack>,
}

impl EngineOffer {
    /// The isolation that counts: that of its kind, less what is lacking.
    pub fn level(&self) -> Isolation {
        self.isolation.without(&self.lacks)
    }
}

/// A part of an engine's jail that a kernel, a container engine or missing rights do not give. Never silently dropped:
/// `homie doctor` tells the owner, the heartbeat tells the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// The kernel does not limit a job's memory (the native engine then watches it, and is late for a fast one).
    Memory,
    /// The kernel does not limit a job's processor time.
    Cpu,
    /// The kernel does not limit the number of a job's processes.
    Pids,
    /// No filter of system calls.
    Seccomp,
    /// Jobs run as the user whom homied or the container engine runs as: what gets out of the jail has that user's files.
    OwnUser,
    /// No Landlock behind the mount namespace.
    Landlock,
    /// Something that a later version knows.
    #[serde(other)]
    Other,
}

impl Lack {
    /// All that this version knows.
    pub const ALL: [Self; 6] = [Self::Memory, Self::Cpu, Self::Pids, Self::Seccomp, Self::OwnUser, Self::Landlock];

    /// For people, after `without`.
    pub fn as_text(self) -> &'static str {
        match self {
            Self::Memory => "a limit of memory",
            Self::Cpu => "a limit of processor time",
            Self::Pids => "a limit of processes",
            Self::Seccomp => "a filter of system calls",
            Self::OwnUser => "a user of their own for jobs",
            Self::Landlock => "Landlock",
            Self::Other => "something that this version does not know",
        }
    }
}

/// Who uses a GPU, so that no (other) job gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GpuUse {
    /// A program of the machine's owner.
    Owner,
    /// A hosted job.
    Job,
}

impl GpuUse {
    /// For people, after `GPU 0 is`.
    pub fn as_text(self) -> &'static str {
        match self {
            Self::Owner => "in use by its owner",
            Self::Job => "taken by a job",
        }
    }
}

/// A GPU as NVML shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// NVML's index. GPUs keep theirs when one before them fails, so it need not be the place in a list.
    #[serde(default, skip_serializing_if = "is_first")]
    pub index: u32,
    /// Model name (`NVIDIA GeForce RTX 3080`).
    pub name: String,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Free memory in bytes.
    pub memory_free_bytes: u64,
    /// Use in percent.
    pub busy_percent: u8,
    /// Degrees Celsius, where the driver tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<u16>,
    /// Watts, where the driver tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_watts: Option<u16>,
    /// Who has it, if no job can get it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<GpuUse>,
}

fn is_first(index: &u32) -> bool {
    *index == 0
}

impl Gpu {
    /// Whether it is one of those a job asks for, free or not.
    pub fn suits(&self, needs: &Needs) -> bool {
        let model = needs.gpu_model.as_deref().map(str::to_lowercase);
        needs.gpu_memory_bytes.is_none_or(|least| self.memory_bytes >= least)
            && model.is_none_or(|wanted| self.name.to_lowercase().contains(&wanted))
    }
}

/// What a machine says of itself, refreshed with every heartbeat. A hint for ranking, never an authority: the
/// worker's own admission decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Logical processors.
    pub cores: u16,
    /// Use of all processors together, 0 to 100, smoothed.
    pub cpu_percent: u8,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Memory that a new job could have, in bytes.
    pub memory_free_bytes: u64,
    /// Free disk where jobs live, in bytes.
    pub disk_free_bytes: u64,
    /// GPUs, by NVML index.
    pub gpus: Vec<Gpu>,
    /// Engines that are ready.
    pub engines: Vec<EngineOffer>,
    /// Jobs it hosts now.
    pub jobs_running: u16,
    /// Jobs it would host at once.
    pub job_slots: u16,
    /// Why it takes no jobs now.
    pub paused: Option<String>,
    /// The largest processor limit it would give a job, in thousandths of a core.
    pub cpu_limit_millis: u32,
    /// The largest memory limit it would give a job, in bytes.
    pub memory_limit_bytes: u64,
    /// The longest time it would give a job, in seconds.
    pub timeout_limit_s: u64,
    /// The most GPUs it would give a job; `None` is all it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_limit: Option<u32>,
    /// Environments that stand ready, the last used first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub envs: Vec<EnvOffer>,
    /// What it can build.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub builds: Vec<BuildOffer>,
}

impl Facts {
    /// The strongest isolation among the engines that are ready.
    pub fn isolation(&self) -> Option<Isolation> {
        self.engines.iter().map(EngineOffer::level).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_a_filter_or_a_user_of_its_own_a_container_is_less() {
        use Isolation::{Container, Limits, Namespace};
        assert_eq!(Container.without(&[]), Container);
        assert_eq!(Container.without(&[Lack::Memory, Lack::Cpu, Lack::Pids, Lack::Landlock, Lack::Other]), Container);
        assert_eq!(Container.without(&[Lack::OwnUser]), Namespace);
        assert_eq!(Namespace.without(&[Lack::OwnUser]), Namespace);
        assert_eq!(Namespace.without(&[Lack::OwnUser, Lack::Seccomp]), Limits);
    }

    #[test]
    fn an_offer_of_an_earlier_or_later_version_is_read() {
        let read = |text: &str| serde_json::from_str::<EngineOffer>(text).expect("an offer");
        let early = read(r#"{"kind":"docker","isolation":"container","envs":["base"]}"#);
        assert_eq!((early.level(), early.lacks.as_slice()), (Isolation::Container, &[][..]));
        let late = read(r#"{"kind":"docker","isolation":"container","envs":[],"lacks":["own-user","smell"]}"#);
        assert_eq!((late.level(), late.lacks.as_slice()), (Isolation::Namespace, &[Lack::OwnUser, Lack::Other][..]));
    }

    proptest! {
        #[test]
        fn nothing_that_is_lacking_makes_a_jail_stronger(
            some in proptest::sample::subsequence(&Lack::ALL[..], 0..=6), more in proptest::sample::subsequence(&Lack::ALL[..], 0..=6),
        ) {
            for level in [Isolation::Limits, Isolation::Process, Isolation::Namespace, Isolation::Container, Isolation::Gvisor] {
                let both: Vec<Lack> = some.iter().chain(&more).copied().collect();
                prop_assert!(level.without(&both) <= level.without(&some));
                prop_assert!(level.without(&some) <= level);
            }
        }
    }
}
