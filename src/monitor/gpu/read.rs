//! One round of questions to NVML. A GPU that does not answer is left out; the others are still offered.

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml};

use crate::model::{Gpu, GpuDevice, GpuProcess, SeenGpu};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Each with its bus address.
    pub(super) gpus: Vec<(SeenGpu, String)>,
    /// Those that did not answer.
    pub(super) trouble: Vec<String>,
}

/// Asks every GPU.
///
/// # Errors
/// The library itself is of no more use (the driver was unloaded or exchanged).
pub(super) fn all(nvml: &Nvml) -> Result<Found, NvmlError> {
    let mut found = Found::default();
    for index in 0..nvml.device_count()? {
        match nvml.device_by_index(index).and_then(|device| one(index, &device)) {
            Ok(seen) => found.gpus.push(seen),
            Err(e @ (NvmlError::Uninitialized | NvmlError::DriverNotLoaded | NvmlError::LibRmVersionMismatch)) => {
                return Err(e);
            }
            Err(e) => found.trouble.push(format!("GPU {index}: {e}; it is not offered")),
        }
    }
    Ok(found)
}

/// What a GPU of this kind cannot tell is not known, which is no reason to leave it out.
fn if_told<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, NvmlError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(
            NvmlError::NotSupported
            | NvmlError::NoPermission
            | NvmlError::FunctionNotFound
            | NvmlError::FailedToLoadSymbol(_),
        ) => Ok(None),
        Err(e) => Err(e),
    }
}

fn one(index: u32, device: &Device<'_>) -> Result<(SeenGpu, String), NvmlError> {
    // GPUs that share the memory of the processor (GB10) have none of their own to tell of.
    let memory = if_told(device.memory_info())?;
    // Some (vGPU, MIG parents) count no use; they are taken as idle, and their memory tells.
    let busy = if_told(device.utilization_rates())?.map_or(0, |rates| rates.gpu);
    let power_watts = if_told(device.power_usage())?.map(|mw| u16::try_from((mw + 500) / 1000).unwrap_or(u16::MAX));
    let gpu = Gpu {
        index,
        name: device.name()?,
        memory_bytes: memory.as_ref().map_or(0, |m| m.total),
        memory_free_bytes: memory.map_or(0, |m| m.free),
        busy_percent: u8::try_from(busy).unwrap_or(100).min(100),
        temperature_c: if_told(device.temperature(TemperatureSensor::Gpu))?.and_then(|c| u16::try_from(c).ok()),
        power_watts,
        taken: None,
    };
    let minor = if_told(device.minor_number())?.unwrap_or(index);
    let uuid = if_told(device.uuid())?.unwrap_or_default();
    // A process that computes and draws is in both lists.
    let mut processes = told_of(if_told(device.running_compute_processes())?, true);
    for drawing in told_of(if_told(device.running_graphics_processes())?, false) {
        if !processes.iter().any(|p| p.pid == drawing.pid) {
            processes.push(drawing);
        }
    }
    let bus = if_told(device.pci_info())?.map(|pci| pci.bus_id).unwrap_or_default();
    Ok((SeenGpu { gpu, device: GpuDevice { index, minor, uuid }, processes }, bus))
}

fn told_of(list: Option<Vec<ProcessInfo>>, compute: bool) -> Vec<GpuProcess> {
    let bytes = |used| match used {
        UsedGpuMemory::Used(bytes) => bytes,
        UsedGpuMemory::Unavailable => 0,
    };
    let one = |p: ProcessInfo| GpuProcess { pid: p.pid, memory_bytes: bytes(p.used_gpu_memory), compute, job: None };
    list.unwrap_or_default().into_iter().map(one).collect()
}
