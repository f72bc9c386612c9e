//! A friend in the place of the link: what it has travels as it would, into the asker's store.

use std::path::PathBuf;

use actix::{Actor, Context, Handler, ResponseFuture};
use tokio_util::codec::Framed;

use crate::blobs::{BlobStore, StoreSink};
use crate::link::messages::{FetchEnv, env_pin};
use crate::mailbox::Outlet;
use crate::model::Digest;
use crate::sandbox::envs::tree;
use crate::sandbox::messages::ResultsSource;
use crate::transfer::{receive, send};
use crate::wire::frame::FrameCodec;
use crate::wire::refusal::{Refusal, RefusalKind};

struct Friend {
    tree: Option<PathBuf>,
    into: BlobStore,
}

impl Actor for Friend {
    type Context = Context<Self>;
}

/// A friend that has the environment at `tree`, or none.
pub(super) fn friend(tree: Option<PathBuf>, into: BlobStore) -> Outlet<FetchEnv> {
    Friend { tree, into }.start().recipient()
}

impl Handler<FetchEnv> for Friend {
    type Result = ResponseFuture<Result<Digest, Refusal>>;
    fn handle(&mut self, ask: FetchEnv, _: &mut Self::Context) -> Self::Result {
        let (tree, into) = (self.tree.clone(), self.into.clone());
        Box::pin(async move {
            let tree = tree.ok_or_else(|| Refusal::new(RefusalKind::NoEnvironment, "it is not here"))?;
            let manifest = tree::scan(&tree).map_err(|e| Refusal::internal(e.to_string()))?;
            let (a, b) = tokio::io::duplex(64 << 10);
            let (mut a, mut b) = (Framed::new(a, FrameCodec::bulk()), Framed::new(b, FrameCodec::bulk()));
            let mut source = ResultsSource::new(tree, std::collections::HashMap::new());
            let mut sink = StoreSink::new(into, env_pin(ask.digest, ask.engine));
            let tell = |done, all| {
                ask.progress.send_replace((done, all));
            };
            let (sent, got) =
                tokio::join!(send(&mut a, &manifest, &mut source, |_, _| ()), receive(&mut b, None, &mut sink, tell));
            sent.map_err(|e| e.into_refusal())?;
            Ok(got.map_err(|e| e.into_refusal())?.0.digest())
        })
    }
}
