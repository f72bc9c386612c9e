//! The escape suite: does the jail hold, here, now, on this kernel and engine? `homie doctor --sandbox` asks.
//!
//! A probe that fails proves nothing by itself: it may be wrong. So each one first runs without a jail, against canaries
//! planted for it ([`Yard`]), and only what reached its canary there counts as held inside. The probes are one static
//! program in C (`tests/escape/probes`) that homied carries in itself; jobs with it go the way of all jobs, through a
//! supervisor and an engine, and their results through the collector.

mod free;
mod jailed;
mod list;
mod yard;

use std::path::PathBuf;

use tokio::sync::mpsc;

pub use list::{Attempt, Kind, Probe, Verdict, find, parse_attempts, parse_list};
pub use yard::Yard;

use super::error::SandboxError;
use crate::model::{EngineKind, Limits};
use crate::wire::doctor::{Check, DoctorRow, Level, ProbeRow};

/// Where the suite runs.
#[derive(Debug, Clone)]
pub struct Ground {
    /// homied's program, executed again as supervisor.
    pub exe: PathBuf,
    /// Where job directories live.
    pub jobs_dir: PathBuf,
    /// This machine; containers are labelled with it.
    pub node: String,
    /// Where the Docker engine is, if the owner said so.
    pub docker_host: Option<String>,
    /// The engines to try, and the image of environment `base` where there are images.
    pub engines: Vec<(EngineKind, Option<String>)>,
}

/// Small enough that going past them harms nobody, also without a jail.
pub fn bomb_limits() -> Limits {
    Limits {
        cpu_millis: 1000,
        memory_bytes: 64 << 20,
        timeout_s: 120,
        pids: 32,
        disk_bytes: 16 << 20,
        output_bytes: 1 << 20,
        tmp_bytes: 8 << 20,
        ..Limits::default()
    }
}

/// Runs the suite for somebody who listens, and says what prevented it if something does.
pub(super) async fn suite(mut ground: Ground, to: mpsc::Sender<DoctorRow>) {
    // The probes are a job in `base`; an engine that has none yet can be asked nothing.
    let lacks_base = |(kind, image): &(EngineKind, Option<String>)| *kind != EngineKind::Native && image.is_none();
    for (kind, _) in ground.engines.extract_if(.., |engine| lacks_base(engine)) {
        let text = "not tried: environment base is not built yet: run `homie env build base`".into();
        let check = Check { subject: format!("escape probes, {} engine", kind.as_str()), level: Level::Less, text };
        let _ = to.send(DoctorRow::Check(check)).await;
    }
    let (rows, mut coming) = mpsc::channel(1);
    let pass_on = async {
        while let Some(row) = coming.recv().await {
            if to.send(DoctorRow::Probe(row)).await.is_err() {
                break;
            }
        }
        // Closed here, the suite sees that nobody listens.
        coming.close();
    };
    let (ran, ()) = tokio::join!(run(ground, rows), pass_on);
    if let Err(error) = ran {
        let check = Check { subject: "escape probes".into(), level: Level::Bad, text: error.to_string() };
        let _ = to.send(DoctorRow::Check(check)).await;
    }
}

/// Runs every probe, first without a jail, then in each engine, and sends a row for each as it is known. Ends early when
/// nobody listens any more.
///
/// # Errors
/// The suite itself cannot run.
pub async fn run(ground: Ground, rows: mpsc::Sender<ProbeRow>) -> Result<(), SandboxError> {
    let yard = Yard::plant(&ground.jobs_dir).await?;
    let probes = free::probes(&yard).await?;
    let free = free::all(&yard, &probes).await?;
    for (engine, image) in &ground.engines {
        let jail = jailed::Jail { ground: &ground, yard: &yard, engine: *engine, image: image.clone() };
        jail.all(&probes, &free, &rows).await?;
        if rows.is_closed() {
            break;
        }
    }
    Ok(())
}
