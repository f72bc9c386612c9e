//! What must be there before a job's supervisor is started: its environment, its directory, a container that waits for it
//! if there is one, and `launch.json`, which says what to run and is written last.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::engine::{JobLaunch, Warm, native};
use super::envs::{Key, for_job};
use super::error::SandboxError;
use super::hosted::{ENV, INPUTS};
use super::life::{Life, blocking};
use super::standby::{Early, Standby};
use super::supervisor::{LAUNCH, write_json};
use super::warm::move_in;
use super::{policy, workspace};
use crate::link::messages::inputs_pin;
use crate::model::{HostedState, Outcome};

impl Life {
    /// Has the environment, makes the directory and says what is to be run; an outcome when that comes to nothing. `again`
    /// where an earlier homied may have begun with it.
    pub(super) async fn prepare(&mut self, again: bool) -> Result<Option<Outcome>, SandboxError> {
        self.set(HostedState::Preparing);
        let friend = self.base.peer.filter(|peer| peer.to_string() != self.shared.node);
        let (envs, engine) = (self.shared.envs.clone(), self.grant.engine);
        match for_job(&envs, &self.base.spec, engine, friend, &mut self.orders, &self.status).await {
            Ok(held) => self.env = held,
            Err(outcome) => return Ok(Some(outcome)),
        }
        let env: Option<Key> = self.env.as_ref().map(|held| (held.built.digest, held.built.engine));
        let mut launch = self.launch();
        let (uid, gid) = (launch.uid, launch.gid);
        let (blobs, inputs) = (self.shared.blobs.clone(), self.base.inputs);
        let pin = inputs_pin(self.base.id, self.base.epoch);
        let dir = self.dir.clone();
        if again {
            // Left half made by a homied that was killed.
            blocking(move || ["work", "ctl"].iter().try_for_each(|name| workspace::remove(&dir.join(name)))).await?;
        }
        let taken = self.shared.pool.take(&launch);
        launch.warm.clone_from(&taken);
        let filled = blocking(move || {
            launch.warm = launch.warm.filter(|warm| move_in(warm, &launch.job_dir));
            let dir = &launch.job_dir;
            let manifest = blobs.manifest(&inputs)?.ok_or(crate::blobs::BlobError::Missing(inputs))?;
            let work = launch.work_dir();
            match launch.warm {
                Some(_) => workspace::fill(&work, &manifest, &blobs, uid, gid)?,
                None => {
                    // Half a move may have left one.
                    workspace::remove(&work)?;
                    workspace::materialise(&work, &manifest, &blobs, uid, gid)?;
                }
            }
            let list = dir.join(INPUTS);
            std::fs::write(&list, manifest.encode()).map_err(SandboxError::io("write", &list))?;
            if let Some(env) = env {
                let path = dir.join(ENV);
                write_json(&path, &env).map_err(SandboxError::io("write", &path))?;
            }
            let path = dir.join(LAUNCH);
            write_json(&path, &launch).map_err(SandboxError::io("write", &path))?;
            if let Some(Warm { made_in, .. }) = &launch.warm {
                std::fs::remove_dir(made_in).map_err(SandboxError::io("remove", made_in))?;
            }
            // The copy is complete: the store may forget its own.
            blobs.unpin(&pin)?;
            Ok(launch.warm.is_some())
        });
        let filled = filled.await;
        if let Some(unused) = taken
            && !matches!(filled, Ok(true))
        {
            self.shared.pool.discard(unused).await;
        }
        filled.map(|_| None)
    }

    /// What is to be run, with the environment if that is here already.
    fn launch(&self) -> JobLaunch {
        let (uid, gid) = native::job_user();
        JobLaunch {
            job: self.base.id,
            epoch: self.base.epoch,
            node: self.shared.node.clone(),
            job_dir: self.dir.clone(),
            command: self.base.spec.command.clone(),
            vars: policy::variables(&self.base.spec),
            env: self.grant.env.clone(),
            limits: self.grant.limits.clone(),
            uid,
            gid,
            gpus: self.grant.gpus.clone(),
            engine: self.grant.engine,
            image: self.env.as_ref().and_then(|held| held.built.image.clone()).or_else(|| self.image.clone()),
            tree: self.env.as_ref().and_then(|held| held.tree.clone()),
            warm: None,
        }
    }

    /// Starts a supervisor, to stand by, where none waits: before the submitter says that the job may start, while its
    /// inputs come and its directory is filled.
    pub(super) fn look_ahead(&mut self) {
        self.shared.pool.starting();
        if matches!(self.standby, Early::No) {
            let (shared, dir) = (Arc::clone(&self.shared), self.dir.clone());
            // To fork a process takes a millisecond, in which this thread has others to serve.
            let start = move || Standby::start(&shared.exe, &dir, shared.docker_host.as_deref());
            self.standby = Early::Coming(spawn_blocking(start));
        }
    }
}
