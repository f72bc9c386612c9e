//! What an admission goes by that others know: looked at before the sandbox decides.

use std::time::Duration;

use super::assignments::Taken;
use super::engines::Survey;
use super::envs::EnvRoad;
use crate::mailbox::{Outlet, ask_outlet};
use crate::model::{EngineKind, SeenGpu};
use crate::monitor::messages::LookAtGpus;
use crate::wire::refusal::{Refusal, RefusalKind};

/// A look at the GPUs takes milliseconds, the first after a start or a sleep a second or two.
const GPU_LIMIT: Duration = Duration::from_secs(8);

/// How an admission goes on.
pub(super) enum Next {
    /// The offer was heard before.
    Taken(Taken),
    /// It is new.
    Decide(Seen),
}

/// What an admission goes by that only others know.
pub(super) struct Seen {
    pub(super) survey: Survey,
    pub(super) gpus: Vec<SeenGpu>,
    /// How the job's environment would be had, by engine; nothing for `base`.
    pub(super) roads: Vec<(EngineKind, EnvRoad)>,
}

/// How the GPUs are, if the job wants one.
pub(super) async fn look_at_gpus(look: &Outlet<LookAtGpus>, wanted: bool) -> Result<Vec<SeenGpu>, Refusal> {
    if !wanted {
        return Ok(Vec::new());
    }
    ask_outlet(look, LookAtGpus, GPU_LIMIT).await.map_err(|_| {
        Refusal::new(RefusalKind::NoGpu, "its GPU driver does not answer")
            .hint("its owner can look with nvidia-smi, and reload the driver")
    })
}
