//! GPUs, as NVIDIA's NVML shows them. A machine without the library has none, and says so once.
//!
//! [`read`] asks the library, [`sleep`] keeps a GPU that sleeps asleep, [`owner`] tells the owner's programs from
//! hosted jobs; this file decides when to look. Everything here blocks, and a hanging driver hangs it.

mod owner;
mod read;
mod sleep;

use std::path::PathBuf;
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use self::sleep::PciPower;
use super::messages::GpuHolder;
use crate::model::{GpuUse, SeenGpu};

/// Between two looks while a hosted job has a GPU: often enough to see what memory it takes.
const WITH_JOBS: Duration = Duration::from_secs(2);
/// While somebody else uses one: `homie peers` should follow within a few beats.
const IN_USE: Duration = Duration::from_secs(10);
/// While nobody does. A job that wants a GPU makes a look of its own before it is taken.
const IDLE: Duration = Duration::from_secs(30);
/// How often a missing driver is looked for again: somebody may install or reload it.
const MISSING: Duration = Duration::from_secs(300);

/// The GPUs of this machine.
pub(super) struct Gpus {
    /// Where the library is, if not where the loader finds it.
    library: Option<PathBuf>,
    power: PciPower,
    nvml: Option<Nvml>,
    last: Vec<SeenGpu>,
    /// The bus addresses of `last`.
    buses: Vec<String>,
    /// What was last said about trouble, so that it is said once.
    told: Option<String>,
}

impl Gpus {
    /// None are looked for now: loading their driver may take a second. `library` is another one than the system's.
    pub(super) fn new(library: Option<PathBuf>) -> Self {
        Self { library, power: PciPower::system(), nvml: None, last: Vec::new(), buses: Vec::new(), told: None }
    }

    /// The GPUs as they are now.
    pub(super) fn look(&mut self, jobs: &[GpuHolder]) -> Vec<SeenGpu> {
        if self.power.all_asleep(&self.buses) {
            // Whoever used one would have woken it; asking would wake it too.
            for seen in &mut self.last {
                (seen.gpu.busy_percent, seen.gpu.taken) = (0, None);
                seen.processes.clear();
            }
            return self.last.clone();
        }
        if self.nvml.is_none() {
            self.nvml = self.open();
        }
        let asked = self.nvml.as_ref().map(read::all);
        (self.last, self.buses) = match asked {
            None => (Vec::new(), Vec::new()),
            Some(Ok(found)) => {
                self.tell(found.trouble.join("; "));
                found.gpus.into_iter().unzip()
            }
            Some(Err(e)) => {
                // The driver was exchanged under us, or is gone: begin again at the next look.
                self.tell(format!("NVML: {e}; no GPU is offered for now"));
                self.nvml = None;
                (Vec::new(), Vec::new())
            }
        };
        for seen in &mut self.last {
            seen.gpu.taken = owner::uses(seen, jobs).then_some(GpuUse::Owner);
        }
        if self.power.any_may_sleep(&self.buses) {
            // An open library keeps the GPU of a laptop awake for ever.
            self.nvml = None;
        }
        self.last.clone()
    }

    /// When to look again.
    pub(super) fn pause(&self, jobs: &[GpuHolder]) -> Duration {
        let used = |seen: &SeenGpu| seen.gpu.busy_percent > 0 || seen.gpu.taken.is_some();
        match &self.last {
            none if none.is_empty() && self.nvml.is_none() => MISSING,
            _ if jobs.iter().any(|j| !j.gpus.is_empty()) => WITH_JOBS,
            seen if seen.iter().any(used) => IN_USE,
            _ => IDLE,
        }
    }

    fn open(&mut self) -> Option<Nvml> {
        let opened = match &self.library {
            Some(path) => Nvml::builder().lib_path(path.as_os_str()).init(),
            None => Nvml::init(),
        };
        match opened {
            Ok(nvml) => Some(nvml),
            // No library is the usual case.
            Err(NvmlError::LibloadingError(e)) if self.library.is_none() => {
                tracing::debug!("no NVML: {e}");
                None
            }
            Err(e) => {
                self.tell(format!("NVML is installed but does not work: {e}; no GPU is offered"));
                None
            }
        }
    }

    fn tell(&mut self, trouble: String) {
        let trouble = (!trouble.is_empty()).then_some(trouble);
        if self.told != trouble {
            match &trouble {
                Some(text) => tracing::warn!("{text}"),
                None => tracing::info!("the GPUs answer again"),
            }
            self.told = trouble;
        }
    }
}

#[cfg(test)]
mod tests;
