//! New limits for the job that runs: homied writes `limits.json` and sends SIGUSR1, this reads it, lets the engine carry
//! it out, and answers in `limited.json`. Each order has a number, so that none is carried out twice.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::files::{read_json, write_json};
use crate::model::Limits;
use crate::sandbox::engine::{EngineJob, JobLaunch};

pub(in crate::sandbox) const LIMITS: &str = "limits.json";
pub(in crate::sandbox) const LIMITED: &str = "limited.json";

/// `limits.json`: what the owner wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct LimitsOrder {
    /// Grows with each order.
    pub(in crate::sandbox) seq: u64,
    /// All limits of the job from now on.
    pub(in crate::sandbox) limits: Limits,
}

/// `limited.json`: what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct LimitedNote {
    /// The order.
    pub(in crate::sandbox) seq: u64,
    /// What holds now.
    pub(in crate::sandbox) limits: Limits,
    /// Why it is not what was ordered.
    pub(in crate::sandbox) error: Option<String>,
}

/// The supervisor's ear for new limits.
#[derive(Debug)]
pub(super) struct Ear {
    dir: PathBuf,
    signal: Signal,
    /// The last order that was answered.
    answered: u64,
    /// An order may have come before the signal could be heard.
    look: bool,
    /// What holds.
    pub(super) limits: Limits,
}

impl Ear {
    /// Listens from now on. An order that is there already holds from the start.
    ///
    /// # Errors
    /// The signal cannot be taken, or the answer not be written.
    pub(super) fn open(launch: &JobLaunch) -> io::Result<Self> {
        let signal = signal(SignalKind::user_defined1())?;
        let dir = launch.job_dir.clone();
        let mut ear = Self { dir, signal, answered: 0, look: true, limits: launch.limits.clone() };
        if let Some(order) = ear.order() {
            ear.limits = order.limits;
            ear.answer(order.seq, None)?;
        }
        Ok(ear)
    }

    /// Resolves when there may be an order. Cancel-safe.
    pub(super) async fn ordered(&mut self) {
        if !std::mem::take(&mut self.look) {
            self.signal.recv().await;
        }
    }

    /// Carries out what was ordered, if something was.
    pub(super) async fn obey<J: EngineJob>(&mut self, job: &mut J) {
        let Some(order) = self.order() else { return };
        let error = match job.limit(&self.limits, &order.limits).await {
            Ok(()) => {
                self.limits = order.limits;
                None
            }
            Err(e) => {
                // Half a change is none. What was there before can be had again.
                let _ = job.limit(&order.limits, &self.limits).await;
                Some(e.to_string())
            }
        };
        if let Err(e) = self.answer(order.seq, error) {
            eprintln!("{LIMITED}: {e}");
        }
    }

    /// An order that was not answered yet.
    fn order(&self) -> Option<LimitsOrder> {
        read_json::<LimitsOrder>(&self.dir.join(LIMITS)).ok().filter(|order| order.seq > self.answered)
    }

    fn answer(&mut self, seq: u64, error: Option<String>) -> io::Result<()> {
        self.answered = seq;
        write_json(&self.dir.join(LIMITED), &LimitedNote { seq, limits: self.limits.clone(), error })
    }
}
