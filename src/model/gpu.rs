//! A GPU as its own machine knows it: what peers are told ([`Gpu`]) and what only the host needs.

use serde::{Deserialize, Serialize};

use super::ids::JobId;
use super::resources::Gpu;

/// How a GPU that a job was given is named to engines and drivers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GpuDevice {
    /// NVML's index, by PCI address: what Docker and CDI go by.
    pub index: u32,
    /// The N of `/dev/nvidiaN`, which need not be the index.
    pub minor: u32,
    /// NVIDIA's own name for it (`GPU-8c1a…`), the same wherever it is seen from.
    pub uuid: String,
}

/// A process that has a context on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuProcess {
    /// Its number, as the driver sees it.
    pub pid: u32,
    /// GPU memory it holds, in bytes; 0 when the driver does not tell.
    pub memory_bytes: u64,
    /// It computes (CUDA); otherwise it draws.
    pub compute: bool,
    /// The hosted job it belongs to.
    pub job: Option<JobId>,
}

/// A GPU of this machine. Hardware ids and processes never leave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenGpu {
    /// What peers are told. `taken` says here only whether its owner uses it.
    pub gpu: Gpu,
    /// How engines name it.
    pub device: GpuDevice,
    /// Who is on it.
    pub processes: Vec<GpuProcess>,
}
