//! The `--json` shape of a job (docs/json.md).

use serde_json::{Value, json};

use super::rfc3339;
use crate::model::{JobRecord, Outcome};

/// One entry of `{"version":1,"jobs":[…]}`: the same for `jobs`, `history`, `run` and `cancel`.
pub fn job_json(job: &JobRecord) -> Value {
    let attempts: Vec<Value> = job
        .attempts
        .iter()
        .map(|a| {
            json!({
                "epoch": a.epoch,
                "peer": a.peer_name,
                "peer_id": a.peer,
                "offered": rfc3339(a.offered_ms),
                "accepted": a.accepted,
                "end": a.end,
            })
        })
        .collect();
    let ended = job.outcome.as_ref();
    json!({
        "id": job.id,
        "role": job.role,
        "name": job.spec.name,
        "command": job.spec.command,
        "state": job.state,
        "peer": job.peer_name,
        "peer_id": job.peer,
        "engine": job.engine,
        "env": job.spec.env,
        "exit_code": ended.map(Outcome::exit_code),
        "outcome": ended,
        "attempts": attempts,
        "created": rfc3339(job.created_ms),
        "started": job.started_ms.map(rfc3339),
        "ended": job.ended_ms.map(rfc3339),
        "wall_ms": job.usage.wall_ms,
        "cpu_ms": job.usage.cpu_ms,
        "peak_memory_bytes": job.usage.peak_memory_bytes,
        "io_read_bytes": job.usage.io_read_bytes,
        "io_write_bytes": job.usage.io_write_bytes,
        "gpu_memory_bytes": job.usage.gpu_memory_bytes,
        "limits": job.limits.as_ref().map(|l| {
            json!({
                "cpu_millis": l.cpu_millis,
                "memory_bytes": l.memory_bytes,
                "timeout_ms": l.timeout_s.saturating_mul(1000),
                "pids": l.pids,
                "disk_bytes": l.disk_bytes,
                "output_bytes": l.output_bytes,
                "tmp_bytes": l.tmp_bytes,
            })
        }),
        "input_files": job.input_totals.files,
        "input_bytes": job.input_totals.bytes,
        "result_files": job.result_totals.files,
        "result_bytes": job.result_totals.bytes,
        "output_bytes": job.output_bytes,
        "delivery": job.delivery,
        "skipped": job.skipped,
        "home_dir": job.home_dir,
    })
}
