//! GPUs, as NVIDIA's NVML shows them. A machine without the library has none, and says so once.

use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use crate::model::Gpu;

/// How often GPUs are asked. Each question wakes a sleeping laptop GPU a little, so it is not done at every tick.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// How often a missing driver is looked for again: somebody may install or reload it.
const PROBE_EVERY: Duration = Duration::from_secs(300);

/// The GPUs of this machine.
#[derive(Default)]
pub(super) struct Gpus {
    nvml: Option<Nvml>,
    asked: Option<Instant>,
    last: Vec<Gpu>,
    told: bool,
}

impl Gpus {
    /// None are looked for now: loading their driver may take a second.
    pub(super) fn asleep() -> Self {
        Self { asked: Some(Instant::now()), ..Self::default() }
    }

    /// The GPUs by index, asked anew when it is time. Blocks; a hanging driver hangs it.
    pub(super) fn sample(&mut self, now: Instant) -> Vec<Gpu> {
        let wait = if self.nvml.is_some() { ASK_EVERY } else { PROBE_EVERY };
        if self.asked.is_some_and(|at| now.saturating_duration_since(at) < wait) {
            return self.last.clone();
        }
        self.asked = Some(now);
        if self.nvml.is_none() {
            self.nvml = self.probe();
        }
        let asked = self.nvml.as_ref().map(all);
        self.last = match asked {
            None => Vec::new(),
            Some(Ok(gpus)) => gpus,
            Some(Err(e)) => {
                // A GPU fell off the bus, or the driver was exchanged under us: begin again at the next probe.
                tracing::warn!("NVML: {e}; GPUs are not offered for now");
                self.nvml = None;
                Vec::new()
            }
        };
        self.last.clone()
    }

    fn probe(&mut self) -> Option<Nvml> {
        match Nvml::init() {
            Ok(nvml) => {
                tracing::info!("NVML found, driver {}", nvml.sys_driver_version().unwrap_or_default());
                Some(nvml)
            }
            Err(e) => {
                // No library is the usual case; a library without a working driver is worth one line.
                match (&e, self.told) {
                    (NvmlError::LibloadingError(_), _) | (_, true) => tracing::debug!("no NVML: {e}"),
                    (_, false) => tracing::warn!("NVML is installed but does not work: {e}; no GPU is offered"),
                }
                self.told = true;
                None
            }
        }
    }
}

fn all(nvml: &Nvml) -> Result<Vec<Gpu>, NvmlError> {
    (0..nvml.device_count()?)
        .map(|index| {
            let device = nvml.device_by_index(index)?;
            let memory = device.memory_info()?;
            // Some (vGPU, MIG parents) count no use; they are taken as idle, and their memory tells.
            let busy = match device.utilization_rates() {
                Ok(rates) => rates.gpu,
                Err(NvmlError::NotSupported | NvmlError::NoPermission) => 0,
                Err(e) => return Err(e),
            };
            Ok(Gpu {
                index,
                name: device.name()?,
                memory_bytes: memory.total,
                memory_free_bytes: memory.free,
                busy_percent: u8::try_from(busy).unwrap_or(100).min(100),
                ..Gpu::default()
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nvml_says_is_sane_and_kept_between_questions() {
        let mut gpus = Gpus::default();
        let now = Instant::now();
        let first = gpus.sample(now);
        for gpu in &first {
            assert!(!gpu.name.is_empty() && gpu.memory_bytes > 0, "{gpu:?}");
            assert!(gpu.memory_free_bytes <= gpu.memory_bytes && gpu.busy_percent <= 100, "{gpu:?}");
        }
        // Where a device file is, NVML must find it: the check that fails when probing breaks.
        if std::path::Path::new("/dev/nvidia0").exists() {
            assert!(!first.is_empty());
        }
        assert_eq!(gpus.sample(now), first);
        assert_eq!(gpus.asked, Some(now));
        gpus.sample(now + PROBE_EVERY);
        assert_eq!(gpus.asked, Some(now + PROBE_EVERY));
    }
}
