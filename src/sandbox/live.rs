//! What the hosted jobs use at this moment, for `homie top`. Nothing is sampled ahead: who asks pays.

use super::engine::Meter;
use crate::model::{JobId, JobRecord, Limits, SeenGpu};
use crate::wire::ipc::LiveJob;

/// A hosted job before its counters are read.
pub(super) struct Measured {
    pub(super) record: JobRecord,
    pub(super) limits: Limits,
    pub(super) gpus: Vec<u32>,
    /// `None` before its program runs.
    pub(super) meter: Option<Meter>,
}

/// GPU memory that a job's processes hold, of all GPUs together.
pub(super) fn gpu_memory(job: JobId, gpus: &[SeenGpu]) -> u64 {
    gpus.iter().flat_map(|g| &g.processes).filter(|p| p.job == Some(job)).map(|p| p.memory_bytes).sum()
}

/// Reads the counters. Blocks for as long as a few small files of the kernel take.
pub(super) fn look(jobs: Vec<Measured>, gpus: &[SeenGpu], now_ms: u64) -> Vec<LiveJob> {
    let read = |job: Measured| {
        let reading = job.meter.map(|meter| meter.read()).unwrap_or_default();
        let mut record = job.record;
        let gpu_memory_bytes = gpu_memory(record.id, gpus);
        let before = record.usage;
        record.usage = reading.usage;
        record.usage.wall_ms = record.started_ms.map_or(0, |at| now_ms.saturating_sub(at));
        record.usage.gpu_memory_bytes = before.gpu_memory_bytes.max(gpu_memory_bytes);
        LiveJob {
            limits: job.limits,
            memory_bytes: reading.memory_bytes,
            processes: reading.processes,
            gpus: job.gpus,
            gpu_memory_bytes,
            at_ms: now_ms,
            record,
        }
    };
    jobs.into_iter().map(read).collect()
}
