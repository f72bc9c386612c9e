//! What the rooms of this machine ask of a peer, each as one function. A link that was closed under a question is
//! dialled again: every request is idempotent.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::bulk;
use super::handle::Link;
use super::messages::{
    AcknowledgeJob, FetchEnv, FetchResults, FollowOutput, OfferJob, OutputCopy, QueryJob, SendInputs, StopRemoteJob,
};
use super::room::{Room, lock};
use super::streams::Inbox;
use crate::model::{Digest, HostedStatus, PeerId, Totals};
use crate::wire::link::{LinkFrame, LinkReply, LinkRequest};
use crate::wire::refusal::{Refusal, RefusalKind};

/// How long a peer may take to answer; its sandbox has 10 s for it.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Links that may close under one question: a peer that restarts, or a group that is renewed, closes one, and what was
/// dialled meanwhile may be another.
const MOST_LINKS: u32 = 3;

async fn call(room: &Room, peer: PeerId, request: LinkRequest) -> Result<(Arc<Link>, LinkReply), Refusal> {
    let mut tries = 1;
    loop {
        let link = room.reach(peer).await?;
        match link.request(request.clone(), ANSWER_LIMIT).await {
            Ok(reply) => return Ok((link, reply)),
            Err(refusal) if refusal.kind == RefusalKind::Unreachable && link.is_closed() && tries < MOST_LINKS => {
                tries += 1;
            }
            Err(refusal) => return Err(refusal),
        }
    }
}

fn status(room: &Room, peer: PeerId, reply: LinkReply) -> Result<HostedStatus, Refusal> {
    match reply {
        LinkReply::Status { status } | LinkReply::Accepted { status } => {
            room.report(peer, status.clone());
            Ok(status)
        }
        other => Err(bulk::unexpected(&other)),
    }
}

/// See [`OfferJob`].
pub(super) async fn offer(room: Arc<Room>, ask: OfferJob) -> Result<HostedStatus, Refusal> {
    let (_, reply) = call(&room, ask.peer, LinkRequest::Offer { offer: Box::new(ask.offer) }).await?;
    match reply {
        LinkReply::Accepted { status } => Ok(status),
        other => Err(bulk::unexpected(&other)),
    }
}

/// See [`QueryJob`].
pub(super) async fn query(room: Arc<Room>, ask: QueryJob) -> Result<HostedStatus, Refusal> {
    let (_, reply) = call(&room, ask.peer, LinkRequest::Query { job: ask.job, epoch: ask.epoch }).await?;
    status(&room, ask.peer, reply)
}

/// See [`StopRemoteJob`].
pub(super) async fn stop(room: Arc<Room>, ask: StopRemoteJob) -> Result<HostedStatus, Refusal> {
    let (_, reply) = call(&room, ask.peer, LinkRequest::Stop { job: ask.job, epoch: ask.epoch }).await?;
    status(&room, ask.peer, reply)
}

/// See [`AcknowledgeJob`].
pub(super) async fn acknowledge(room: Arc<Room>, ask: AcknowledgeJob) -> Result<(), Refusal> {
    match call(&room, ask.peer, LinkRequest::Acknowledge { job: ask.job, epoch: ask.epoch }).await? {
        (_, LinkReply::Done) => Ok(()),
        (_, other) => Err(bulk::unexpected(&other)),
    }
}

/// See [`SendInputs`].
pub(super) async fn send_inputs(room: Arc<Room>, ask: SendInputs) -> Result<u64, Refusal> {
    let link = room.reach(ask.peer).await?;
    let sent = bulk::send_inputs(&room, &link, &ask);
    as_long_as_we_are_we(&room, &link, sent).await
}

/// See [`FetchResults`].
pub(super) async fn fetch_results(room: Arc<Room>, ask: FetchResults) -> Result<Totals, Refusal> {
    let link = room.reach(ask.peer).await?;
    let fetched = bulk::fetch_results(&room, &link, ask.job, ask.epoch, ask.manifest, &ask.progress);
    as_long_as_we_are_we(&room, &link, fetched).await
}

/// See [`FetchEnv`].
pub(super) async fn fetch_env(room: Arc<Room>, ask: FetchEnv) -> Result<Digest, Refusal> {
    let link = room.reach(ask.peer).await?;
    let fetched = bulk::fetch_env(&room, &link, &ask);
    as_long_as_we_are_we(&room, &link, fetched).await
}

/// A transfer with another machine ends when we leave the group it belongs to; begun again, it goes on where it was.
async fn as_long_as_we_are_we<T>(
    room: &Room,
    link: &Link,
    transfer: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    if link.own {
        return transfer.await;
    }
    let transfer = async {
        tokio::select! {
            done = transfer => done,
            // Its own connection would notice later; there is a link on another way already.
            () = link.moved() => {
                Err(Refusal::new(RefusalKind::Unreachable, "the way to the other machine was lost; there is another"))
            }
        }
    };
    room.as_long_as(&room.me(), transfer).await?
}

/// See [`FollowOutput`].
pub(super) async fn follow(room: Arc<Room>, ask: FollowOutput) -> Result<u64, Refusal> {
    // Two writers of one file would mix up its offsets.
    let _only = Following::start(&room, &ask.into.path)?;
    let path = ask.into.path.clone();
    let (file, from) = on_disk(&ask.into.path, move || open_copy(&path)).await?;
    ask.into.announce.grown(from);
    let link = room.reach(ask.peer).await?;
    let _used = link.in_use();
    let (stream, inbox) = link.open_inbox()?;
    let request = LinkRequest::Follow { job: ask.job, epoch: ask.epoch, from, stream };
    let copied = async {
        let reply = link.request(request, ANSWER_LIMIT).await?;
        status(&room, ask.peer, reply)?;
        copy(&link, stream, &inbox, Arc::new(file), from, &ask.into).await
    };
    let copied = copied.await;
    link.close_inbox(stream);
    if let Err(refusal) = &copied
        && !link.is_closed()
    {
        // The other side must not wait for credit that never comes.
        let _ = link.send(&LinkFrame::Broken { stream, refusal: refusal.clone() }).await;
    }
    copied
}

async fn copy(
    link: &Link,
    stream: u32,
    inbox: &Inbox,
    file: Arc<File>,
    from: u64,
    into: &OutputCopy,
) -> Result<u64, Refusal> {
    let mut len = from;
    while let Some(bytes) = inbox.next().await? {
        let count = bytes.len() as u64;
        let (to, announce, at) = (Arc::clone(&file), Arc::clone(&into.announce), len);
        // Who has written it tells of it: on a busy machine each turn of another thread is a millisecond.
        let write = move || {
            to.write_all_at(&bytes, at)?;
            announce.grown(at + count);
            Ok(())
        };
        on_disk(&into.path, write).await?;
        len += count;
        inbox.settled(count);
        link.send(&LinkFrame::Credit { stream, bytes: count }).await?;
    }
    // Whoever hears that the log is complete may tell the worker to forget it.
    if len > from {
        on_disk(&into.path, move || file.sync_data()).await?;
    }
    Ok(len)
}

/// Work on a copy at `path`, away from the runtime's threads, since a disk can be slow.
async fn on_disk<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let done = spawn_blocking(work).await.map_err(|_| super::room::shutting_down())?;
    done.map_err(|e| copy_error(path, &e))
}

fn open_copy(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

fn copy_error(path: &Path, error: &io::Error) -> Refusal {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let kind = if full { RefusalKind::DiskFull } else { RefusalKind::Internal };
    Refusal::new(kind, format!("cannot write the copy of the output {}: {error}", path.display()))
}

/// Holds the right to write one copy.
struct Following {
    room: Arc<Room>,
    path: PathBuf,
}

impl Following {
    fn start(room: &Arc<Room>, path: &Path) -> Result<Self, Refusal> {
        if lock(&room.copies).insert(path.to_owned()) {
            return Ok(Self { room: room.clone(), path: path.to_owned() });
        }
        Err(Refusal::new(RefusalKind::Busy, format!("the output is being copied to {} already", path.display())))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        lock(&self.room.copies).remove(&self.path);
    }
}
