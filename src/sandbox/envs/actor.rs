//! What the sandbox answers about environments. Whatever takes time runs in a task of its own.

use actix::{Handler, MessageResult, ResponseFuture};
use tokio::sync::{oneshot, watch};

use super::keeper::{Ask, Keeper};
use super::read::{Reading, read, write};
use crate::model::{BuildFailure, BuildProgress, EnvView, FailedBuild, WantedEnv};
use crate::sandbox::SandboxActor;
use crate::sandbox::messages::{
    BuildEnv, CreateEnv, EnvBuilding, EnvHeld, EnvText, FindEnv, ListEnvs, RemoveEnv, ShowEnv, WishEnv,
};
use crate::wire::env::{EnvBuild, EnvCreated};
use crate::wire::refusal::{Refusal, RefusalKind};

impl Handler<ListEnvs> for SandboxActor {
    type Result = MessageResult<ListEnvs>;

    fn handle(&mut self, _: ListEnvs, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.keeper().list())
    }
}

impl Handler<ShowEnv> for SandboxActor {
    type Result = Result<EnvText, Refusal>;

    fn handle(&mut self, m: ShowEnv, _: &mut Self::Context) -> Self::Result {
        let detail = self.keeper().show(&m.name)?;
        let recipe = write(&detail.recipe, None);
        let locked = write(&detail.recipe, detail.lock.as_ref());
        Ok(EnvText { view: detail.view, recipe, locked })
    }
}

impl Handler<CreateEnv> for SandboxActor {
    type Result = ResponseFuture<Result<EnvCreated, Refusal>>;

    fn handle(&mut self, m: CreateEnv, _: &mut Self::Context) -> Self::Result {
        let keeper = self.keeper().clone();
        Box::pin(async move {
            let CreateEnv { order, files } = m;
            let problem = |e: crate::model::RecipeProblem| Refusal::new(RefusalKind::BadRequest, e.to_string());
            match read(&order.main, &files, &order.name).map_err(problem)? {
                Reading::Wants(names) => Ok(EnvCreated::Wants(names)),
                Reading::Recipe(recipe, lock) => {
                    let view = keeper.create(*recipe, lock.map(|l| *l), order.auto, order.replace).await?;
                    Ok(EnvCreated::Known(Box::new(view)))
                }
            }
        })
    }
}

impl Handler<BuildEnv> for SandboxActor {
    type Result = Result<EnvBuilding, Refusal>;

    fn handle(&mut self, m: BuildEnv, _: &mut Self::Context) -> Self::Result {
        let keeper = self.keeper().clone();
        // Refuses a name that nobody knows before anything begins.
        keeper.show(&m.order.name)?;
        let (progress_tx, progress) = watch::channel(BuildProgress::default());
        let (mut end_tx, end) = oneshot::channel();
        self.builds().spawn(async move {
            let built = build(&keeper, m.order, &progress_tx);
            tokio::select! {
                ended = built => drop(end_tx.send(ended)),
                // Whoever asked has gone.
                () = end_tx.closed() => {}
            }
        });
        while self.builds().try_join_next().is_some() {}
        Ok(EnvBuilding { progress, end })
    }
}

async fn build(
    keeper: &Keeper,
    order: EnvBuild,
    progress: &watch::Sender<BuildProgress>,
) -> Result<EnvView, BuildFailure> {
    let EnvBuild { name, engine, again } = order;
    let engine = keeper.engine(engine).await?;
    let wish = keeper.wish(&name).await;
    // Anew means with today's versions.
    let wish = wish.map(|wish| WantedEnv { lock: wish.lock.filter(|_| !again), ..wish });
    let ask = Ask { name: name.clone(), wish, engine, from: None, again };
    drop(keeper.ensure(&ask, progress).await?);
    let detail = keeper.show(&name).map_err(|e| BuildFailure::new(FailedBuild::Internal, e.message))?;
    Ok(detail.view)
}

impl Handler<RemoveEnv> for SandboxActor {
    type Result = ResponseFuture<Result<(), Refusal>>;

    fn handle(&mut self, m: RemoveEnv, _: &mut Self::Context) -> Self::Result {
        let keeper = self.keeper().clone();
        Box::pin(async move { keeper.remove(&m.name).await })
    }
}

impl Handler<WishEnv> for SandboxActor {
    type Result = ResponseFuture<Option<WantedEnv>>;

    fn handle(&mut self, m: WishEnv, _: &mut Self::Context) -> Self::Result {
        let keeper = self.keeper().clone();
        Box::pin(async move { keeper.wish(&m.name).await })
    }
}

impl Handler<FindEnv> for SandboxActor {
    type Result = MessageResult<FindEnv>;

    fn handle(&mut self, m: FindEnv, _: &mut Self::Context) -> Self::Result {
        MessageResult::<FindEnv>(self.keeper().take((m.digest, m.engine)) as Option<EnvHeld>)
    }
}
