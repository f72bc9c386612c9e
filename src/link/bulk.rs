//! Bulk connections: one transfer each, opened with a ticket, dialled by whoever dialled the control connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::codec::Framed;

use super::dialer::Target;
use super::handle::Link;
use super::messages::{FetchEnv, SendInputs, env_pin, inputs_pin, results_pin};
use super::pace;
use super::room::{Errand, Room, ask, lock};
use super::secure::{Frames, SETUP_LIMIT, Secured};
use super::serve::parse_ticket;
use super::tickets::TicketId;
use crate::blobs::{StoreSink, StoreSource};
use crate::mailbox::tell_outlet;
use crate::model::{Digest, EngineKind, Epoch, HostedState, JobId, Manifest, PeerId, Totals};
use crate::registry::messages::{PathTried, Tried};
use crate::sandbox::messages::{EnvHeld, FindEnv, OpenResults, ResultsSource, StartJob, WatchJob, is_image};
use crate::transfer::{prepare, receive, send};
use crate::wire::frame::FrameCodec;
use crate::wire::link::{LinkReply, LinkRequest, Purpose, Transfer};
use crate::wire::refusal::{Refusal, RefusalKind};

/// How long the other side may take to dial us back: resolve, connect and handshake.
const DIAL_BACK_LIMIT: Duration = Duration::from_secs(15);
/// How long an answer about a ticket may take; the peer asks its sandbox first.
const TICKET_LIMIT: Duration = Duration::from_secs(15);
/// Bytes in flight between the two ends of a loopback transfer: a few frames, so that both ends work at once.
const LOOPBACK_BUFFER: usize = 1 << 20;
/// Bytes from which on a transfer tells how fast the way is, and not only how long its round trip.
const TELLS_SPEED: u64 = 1 << 20;

/// Opens a bulk connection for a transfer about a job that the other side hosts.
async fn open(room: &Arc<Room>, link: &Arc<Link>, transfer: Transfer) -> Result<Frames, Refusal> {
    if link.dialled.is_some() {
        return match link.request(LinkRequest::Ticket { transfer }, TICKET_LIMIT).await? {
            LinkReply::Ticket { ticket } => dial(room, link, parse_ticket(&ticket)?).await,
            other => Err(unexpected(&other)),
        };
    }
    let (tx, rx) = oneshot::channel();
    let ticket = room.give_ticket(link.peer, Errand::HandOver(tx))?;
    let request = LinkRequest::DialBulk { ticket: HEXLOWER.encode(&ticket), transfer };
    let opened = async {
        // The connection comes before the answer, since the peer answers when it has dialled.
        link.request(request, DIAL_BACK_LIMIT).await?;
        rx.await.map_err(|_| Refusal::new(RefusalKind::Unreachable, "the bulk connection broke at once"))
    };
    let opened = timeout(DIAL_BACK_LIMIT, opened).await;
    lock(&room.tickets).revoke(&ticket);
    opened.unwrap_or_else(|_| Err(Refusal::new(RefusalKind::Unreachable, "the peer did not dial back in time")))
}

/// Dials a bulk connection to the other end of `link`, where `ticket` came from.
pub(super) async fn dial(room: &Arc<Room>, link: &Link, ticket: TicketId) -> Result<Frames, Refusal> {
    let purpose = Purpose::Bulk { ticket: HEXLOWER.encode(&ticket) };
    match &link.dialled {
        None => {
            Err(Refusal::new(RefusalKind::BadRequest, "only the side that dialled the link dials bulk connections"))
        }
        Some(Target::Loopback) => {
            let (near, far) = tokio::io::duplex(LOOPBACK_BUFFER);
            let there = room.clone();
            room.spawn(async move {
                let frames: Frames = Framed::new(Box::new(far), FrameCodec::bulk());
                let errand = lock(&there.tickets).take(&ticket, there.own, Instant::now());
                if let Some(errand) = errand {
                    do_errand(there.clone(), there.own, errand, frames).await;
                }
            });
            Ok(Framed::new(Box::new(near), FrameCodec::bulk()))
        }
        Some(target) => {
            let me = room.me();
            let member = me.member.as_ref().ok_or_else(|| super::error::LinkError::NoGroup.refusal())?;
            let stream = room.routes.dial(target).await.map_err(super::error::LinkError::refusal)?.stream;
            let secured =
                member.dial(stream, room.worker_port(), purpose).await.map_err(super::error::LinkError::refusal)?;
            if secured.peer == link.peer {
                Ok(frames(room, secured))
            } else {
                Err(Refusal::new(RefusalKind::Unreachable, format!("somebody else answers at {target} now")))
            }
        }
    }
}

/// The frames of a bulk connection with another machine, within the bandwidth that transfers may take.
pub(super) fn frames(room: &Room, secured: Secured) -> Frames {
    pace::keep(secured.bulk(), &room.pace)
}

/// Does what a ticket was given for, on the connection that brought it. When the way of the link on which it was asked for
/// is known to lead nowhere, so does this connection's: whoever asked goes on over another.
pub(super) async fn do_errand(room: Arc<Room>, from: PeerId, errand: Errand, frames: Frames) {
    let done = match errand {
        Errand::HandOver(waiting) => {
            let _ = waiting.send(frames);
            return;
        }
        Errand::TakeInputs { job, epoch, link } => {
            let taken = async {
                // Not before its way is known to be good: one that comes late would end the one that took its place.
                let newer = lock(&room.taking).begin((from, job, epoch));
                newer.ends(take_inputs(&room, from, job, epoch, frames)).await
            };
            unless_moved(&link, taken).await
        }
        Errand::GiveResults { job, epoch, link } => {
            unless_moved(&link, give_results(&room, from, job, epoch, frames)).await
        }
        Errand::GiveEnv { env, link } => unless_moved(&link, give_env(*env, frames)).await,
    };
    if let Err(refusal) = done {
        tracing::info!(peer = ?from, %refusal, "a transfer ended early");
    }
}

async fn unless_moved(link: &Link, work: impl Future<Output = Result<(), Refusal>>) -> Result<(), Refusal> {
    tokio::select! {
        biased;
        () = link.moved() => Err(Refusal::new(RefusalKind::Unreachable, "its way was lost")),
        done = work => done,
    }
}

/// Inputs of a job that we host come in; when they are complete and durable, it starts.
async fn take_inputs(
    room: &Arc<Room>,
    from: PeerId,
    job: JobId,
    epoch: Epoch,
    mut frames: Frames,
) -> Result<(), Refusal> {
    let feed = ask(&room.sandbox.watch, WatchJob { from, job, epoch }).await??;
    let awaited = feed.status.borrow().state == HostedState::Accepted;
    if !awaited {
        // Sent before, perhaps over a link that broke at the last word: the job has them.
        return answer_known(room, from, job, epoch, frames).await;
    }
    let expect = lock(&room.inputs).get(&(from, job, epoch)).copied();
    // It was admitted by what it said that it brings.
    let (expect, most) = expect.unzip();
    let mut sink = StoreSink::fleeting(room.blobs.clone(), inputs_pin(job, epoch)).at_most(most);
    receive(&mut frames, expect, &mut sink, |_, _| ()).await.map_err(|e| e.into_refusal())?;
    drop(frames);
    ask(&room.sandbox.start, StartJob { from, job, epoch }).await??;
    Ok(())
}

/// Inputs that a started job has already are received once more without asking for a byte of them.
async fn answer_known(
    room: &Arc<Room>,
    from: PeerId,
    job: JobId,
    epoch: Epoch,
    mut frames: Frames,
) -> Result<(), Refusal> {
    let expect = lock(&room.inputs).get(&(from, job, epoch)).map(|(digest, _)| *digest);
    let turn = lock(&room.taking).turn(from);
    let _ours = turn.lock().await;
    receive(&mut frames, expect, &mut Nothing, |_, _| ()).await.map(|_| ()).map_err(|e| e.into_refusal())
}

/// Wants nothing.
struct Nothing;

impl crate::transfer::ChunkSink for Nothing {
    async fn wants(&mut self, manifest: &Manifest) -> Result<Vec<bool>, Refusal> {
        Ok(vec![false; crate::transfer::chunks(manifest).count()])
    }
    async fn write(&mut self, _: &Manifest, _: crate::transfer::ChunkAt, _: bytes::Bytes) -> Result<(), Refusal> {
        Ok(())
    }
    async fn finish(&mut self, _: &Manifest) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Results of a job that we hosted go out, read where they lie.
async fn give_results(
    room: &Arc<Room>,
    from: PeerId,
    job: JobId,
    epoch: Epoch,
    mut frames: Frames,
) -> Result<(), Refusal> {
    let results = ask(&room.sandbox.results, OpenResults { from, job, epoch }).await??;
    let mut source = ResultsSource::new(results.dir, results.names);
    send(&mut frames, &results.manifest, &mut source, |_, _| ()).await.map(|_| ()).map_err(|e| e.into_refusal())
}

/// An environment that we have.
pub(super) async fn env(room: &Room, digest: Digest, engine: EngineKind) -> Result<EnvHeld, Refusal> {
    let found = ask(&room.sandbox.env, FindEnv { digest, engine }).await?;
    found.ok_or_else(|| Refusal::new(RefusalKind::NoEnvironment, format!("environment {digest} is not here")))
}

/// The files of an environment go out; it stays for as long as that takes.
async fn give_env(env: EnvHeld, mut frames: Frames) -> Result<(), Refusal> {
    let mut env = prepare(&mut frames, env.open()).await.map_err(|e| e.into_refusal())?;
    let manifest = env.manifest().clone();
    send(&mut frames, &manifest, &mut env, |_, _| ()).await.map(|_| ()).map_err(|e| e.into_refusal())
}

/// Brings an environment from a peer into our store.
pub(super) async fn fetch_env(room: &Arc<Room>, link: &Arc<Link>, ask: &FetchEnv) -> Result<Digest, Refusal> {
    let _used = link.in_use();
    let mut frames = open(room, link, Transfer::Env { digest: ask.digest, engine: ask.engine }).await?;
    let store = StoreSink::new(room.blobs.clone(), env_pin(ask.digest, ask.engine));
    let mut sink = Capped { store, max_bytes: ask.max_bytes, images: ask.images };
    let tell = |done, all| {
        ask.progress.send_replace((done, all));
    };
    let (manifest, _) = receive(&mut frames, None, &mut sink, tell).await.map_err(|e| e.into_refusal())?;
    Ok(manifest.digest())
}

/// Takes no more than it was told to.
struct Capped {
    store: StoreSink,
    max_bytes: u64,
    images: bool,
}

impl crate::transfer::ChunkSink for Capped {
    const VERIFIES: bool = StoreSink::VERIFIES;

    async fn known(&mut self, digest: Digest) -> Option<Manifest> {
        self.store.known(digest).await
    }
    async fn wants(&mut self, manifest: &Manifest) -> Result<Vec<bool>, Refusal> {
        if !self.images && is_image(manifest) {
            let text = "it is an image there, and the engine that asks for it runs none";
            return Err(Refusal::new(RefusalKind::NoEnvironment, text));
        }
        if manifest.total_bytes() > self.max_bytes {
            let (is, most) = (manifest.total_bytes(), self.max_bytes);
            return Err(Refusal::new(
                RefusalKind::DiskFull,
                format!("the environment has {is} bytes; {most} may be taken here"),
            ));
        }
        self.store.wants(manifest).await
    }
    async fn write(
        &mut self,
        manifest: &Manifest,
        at: crate::transfer::ChunkAt,
        bytes: bytes::Bytes,
    ) -> Result<(), Refusal> {
        self.store.write(manifest, at, bytes).await
    }
    async fn finish(&mut self, manifest: &Manifest) -> Result<(), Refusal> {
        self.store.finish(manifest).await
    }
}

/// Sends the inputs of a job to its worker. Returns the bytes that had to be sent.
pub(super) async fn send_inputs(room: &Arc<Room>, link: &Arc<Link>, ask: &SendInputs) -> Result<u64, Refusal> {
    let _used = link.in_use();
    let (store, inputs, job, epoch) = (room.blobs.clone(), ask.inputs, ask.job, ask.epoch);
    let manifest = spawn_blocking(move || store.manifest(&inputs)).await;
    let manifest = manifest
        .map_err(|_| super::room::shutting_down())?
        .map_err(|e| e.refusal())?
        .ok_or_else(|| Refusal::internal(format!("the inputs {inputs} are not in the store")))?;
    let begun = Instant::now();
    let mut frames = open(room, link, Transfer::Inputs { job, epoch }).await?;
    let mut may_begin = ask.may_begin.clone();
    let never = |_| Refusal::internal("the acceptance of the job could not be written down");
    let begin = async { may_begin.wait_for(|may| *may).await.map(|_| ()).map_err(never) };
    prepare(&mut frames, begin).await.map_err(|e| e.into_refusal())?;
    let mut source = StoreSource::new(room.blobs.clone());
    let ready = Instant::now();
    let bytes =
        send(&mut frames, &manifest, &mut source, telling(&ask.progress)).await.map_err(|e| e.into_refusal())?;
    let ms = begun.elapsed().as_millis();
    tracing::info!(job = %job.short(), peer = ?link.peer, bytes, of = manifest.total_bytes(), ms, "inputs sent");
    if let Some(way) = link.road.way.clone().filter(|_| bytes >= TELLS_SPEED) {
        let tried = Tried::Carried((bytes as f64 / ready.elapsed().as_secs_f64().max(0.001)) as u64);
        tell_outlet(&room.registry.tried, PathTried { peer: link.peer, way, tried });
    }
    Ok(bytes)
}

/// Brings the results of a job from its worker into our store.
pub(super) async fn fetch_results(
    room: &Arc<Room>,
    link: &Arc<Link>,
    job: JobId,
    epoch: Epoch,
    manifest: Digest,
    progress: &watch::Sender<(u64, u64)>,
) -> Result<Totals, Refusal> {
    let _used = link.in_use();
    let begun = Instant::now();
    let mut frames = open(room, link, Transfer::Results { job, epoch }).await?;
    let mut sink = StoreSink::new(room.blobs.clone(), results_pin(job, epoch));
    let (manifest, bytes) =
        receive(&mut frames, Some(manifest), &mut sink, telling(progress)).await.map_err(|e| e.into_refusal())?;
    let (of, ms) = (manifest.total_bytes(), begun.elapsed().as_millis());
    tracing::info!(job = %job.short(), peer = ?link.peer, bytes, of, ms, "results fetched");
    Ok(Totals { files: manifest.files().len() as u64, bytes: of })
}

/// Tells the user how far a transfer is.
fn telling(progress: &watch::Sender<(u64, u64)>) -> impl Fn(u64, u64) + '_ {
    |done, all| {
        progress.send_replace((done, all));
    }
}

/// Whether a bulk connection with this ticket may come from `peer`: takes the ticket.
pub(super) fn redeem(room: &Room, peer: PeerId, ticket: &str) -> Option<Errand> {
    let ticket = parse_ticket(ticket).ok()?;
    lock(&room.tickets).take(&ticket, peer, Instant::now())
}

pub(super) fn unexpected(reply: &LinkReply) -> Refusal {
    Refusal::new(RefusalKind::Unreachable, format!("the peer gave an answer to another question: {reply:?}"))
}

const _: () = assert!(SETUP_LIMIT.as_secs() < DIAL_BACK_LIMIT.as_secs());
