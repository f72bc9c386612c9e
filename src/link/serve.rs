//! What a peer may ask of us, and how it is answered: almost always by asking the sandbox.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use tokio::sync::oneshot;

use super::bulk;
use super::handle::{LOG_QUEUE, Link};
use super::room::{Errand, Room, ask, lock};
use super::rotate;
use super::streams::Credit;
use super::tickets::TicketId;
use crate::model::{Epoch, HostedState, JobId, Needs, PeerId};
use crate::pipe::OutputLog;
use crate::registry::messages::RolesOf;
use crate::sandbox::messages::{AdmitJob, Borrower, ForgetJob, HostedFeed, StopJob, WatchJob};
use crate::wire::frame::{Frame, MAX_RAW_CONTROL};
use crate::wire::link::{LinkFrame, LinkReply, LinkRequest, OUTPUT_WINDOW, Transfer};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Offers whose inputs are remembered. An offer that was forgotten only loses an early check: the sandbox starts no job
/// whose own manifest is not complete.
const MAX_EXPECTED: usize = 4096;
/// Bytes of a log that are read at once: what may wait for the wire.
const LOG_PIECE: usize = LOG_QUEUE * MAX_RAW_CONTROL;
/// Bytes that a line of a gigabit carries in a microsecond.
const GIGABIT: u64 = 125;

/// What goes on after the answer was sent.
pub(super) type After = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Answers one request of the peer at the other end of `link`.
pub(super) async fn serve(
    room: &Arc<Room>,
    link: &Arc<Link>,
    request: LinkRequest,
) -> Result<(LinkReply, Option<After>), Refusal> {
    let from = link.peer;
    if rotate::is_out(room, from) {
        return Err(Refusal::new(RefusalKind::NotAllowed, "you were put out of the group"));
    }
    let reply = match request {
        LinkRequest::Offer { offer } => {
            if !link.own {
                may_run(room, from, &link.name, &offer.spec.needs).await?;
            }
            let (key, inputs) = ((from, offer.job, offer.epoch), (offer.inputs, offer.input_totals));
            let borrower = Borrower { peer: from, name: link.name.clone(), own: link.own };
            let status = ask(&room.sandbox.admit, AdmitJob { from: borrower, offer: *offer }).await??;
            let mut expected = lock(&room.inputs);
            if expected.len() >= MAX_EXPECTED {
                expected.clear();
            }
            // The first one was admitted; the same offer again says the same.
            expected.entry(key).or_insert(inputs);
            drop(expected);
            LinkReply::Accepted { status }
        }
        LinkRequest::Ticket { transfer } => {
            let errand = errand(room, link, transfer).await?;
            LinkReply::Ticket { ticket: HEXLOWER.encode(&room.give_ticket(from, errand)?) }
        }
        LinkRequest::DialBulk { ticket, transfer } => {
            let ticket = parse_ticket(&ticket)?;
            let errand = errand(room, link, transfer).await?;
            let frames = bulk::dial(room, link, ticket).await?;
            let work = bulk::do_errand(room.clone(), from, errand, frames);
            // The transfer belongs to the room: should this link break, the job must still be started.
            let after: After = Box::pin({
                let (room, used) = (room.clone(), link.in_use());
                async move {
                    room.spawn(async move {
                        work.await;
                        drop(used);
                    });
                }
            });
            return Ok((LinkReply::Done, Some(after)));
        }
        LinkRequest::Follow { job, epoch, from: offset, stream } => {
            return follow(room, link, job, epoch, offset, stream).await;
        }
        LinkRequest::Stop { job, epoch } => {
            let stop = StopJob { from, job, epoch, by: "you".to_owned() };
            LinkReply::Status { status: ask(&room.sandbox.stop, stop).await?? }
        }
        LinkRequest::Acknowledge { job, epoch } => {
            ask(&room.sandbox.forget, ForgetJob { from, job, epoch }).await?;
            lock(&room.inputs).remove(&(from, job, epoch));
            LinkReply::Done
        }
        LinkRequest::Rekey(said) => {
            let me = room.me();
            // One that was made over a secret of before proves nothing any more, and is about to close.
            if link.ours != me.boot {
                return Err(Refusal::new(
                    RefusalKind::Unreachable,
                    "this machine has just taken up another name or secret",
                )
                .hint("nothing is to be done: it is linked again at once"));
            }
            // A machine tells itself nothing.
            if link.own {
                return Ok((LinkReply::Done, None));
            }
            let over = me.member.as_ref().map(|member| member.keys().secret().clone()).unwrap_or_default();
            let (after, answered) = oneshot::channel();
            rotate::hear(room, from, &over, said, answered).await?;
            return Ok((LinkReply::Done, Some(Box::pin(async move { drop(after) }))));
        }
        LinkRequest::Query { job, epoch } => {
            let feed = watch(room, from, job, epoch).await?;
            let status = feed.status.borrow().clone();
            LinkReply::Status { status }
        }
    };
    Ok((reply, None))
}

/// Whether its owner lets this peer run such a job here. The limits for all guests are the sandbox's.
async fn may_run(room: &Room, from: PeerId, name: &str, needs: &Needs) -> Result<(), Refusal> {
    let roles = ask(&room.registry.roles, RolesOf { peer: from }).await?;
    let refuse = |what: &str| {
        Refusal::new(RefusalKind::NotAllowed, format!("its owner does not let {name} {what}"))
            .hint(format!("there, `homie trust {name} --role run,gpu` allows it"))
    };
    if !roles.run {
        return Err(refuse("run jobs there"));
    }
    if !roles.gpu && needs.gpus > 0 {
        return Err(refuse("use its GPUs"));
    }
    Ok(())
}

async fn watch(room: &Room, from: PeerId, job: JobId, epoch: Epoch) -> Result<HostedFeed, Refusal> {
    ask(&room.sandbox.watch, WatchJob { from, job, epoch }).await?
}

/// What a transfer means for us, who host the job or have the environment. The sandbox says whether a job is the asker's.
async fn errand(room: &Room, link: &Arc<Link>, transfer: Transfer) -> Result<Errand, Refusal> {
    let (from, link) = (link.peer, link.clone());
    Ok(match transfer {
        Transfer::Inputs { job, epoch } => {
            watch(room, from, job, epoch).await?;
            Errand::TakeInputs { job, epoch, link }
        }
        Transfer::Results { job, epoch } => {
            watch(room, from, job, epoch).await?;
            Errand::GiveResults { job, epoch, link }
        }
        // Any member may have it: it is made of public packages, and named by what it is made of.
        Transfer::Env { digest, engine } => {
            Errand::GiveEnv { env: Box::new(bulk::env(room, digest, engine).await?), link }
        }
    })
}

pub(super) fn parse_ticket(text: &str) -> Result<TicketId, Refusal> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|b| b.try_into().ok());
    bytes.ok_or_else(|| Refusal::new(RefusalKind::BadRequest, "a ticket must be 32 hex digits"))
}

async fn follow(
    room: &Room,
    link: &Arc<Link>,
    job: JobId,
    epoch: Epoch,
    from: u64,
    stream: u32,
) -> Result<(LinkReply, Option<After>), Refusal> {
    let feed = watch(room, link.peer, job, epoch).await?;
    let len = feed.log.state().len;
    if from > len {
        return Err(Refusal::new(
            RefusalKind::Integrity,
            format!("the copy of the output has {from} bytes, but only {len} were written; begin it anew"),
        ));
    }
    let credit = link.open_credit(stream)?;
    let status = feed.status.borrow().clone();
    let link = link.clone();
    let after = Box::pin(async move {
        tokio::join!(push_status(&link, feed.status), push_log(&link, &feed.log, from, stream, &credit));
    });
    Ok((LinkReply::Status { status }, Some(after)))
}

/// Reports every change until the last. Changes that come faster than they can be sent are one report.
async fn push_status(link: &Link, mut status: tokio::sync::watch::Receiver<crate::model::HostedStatus>) {
    loop {
        let now = status.borrow_and_update().clone();
        let last = now.state == HostedState::Done;
        if link.send(&LinkFrame::Status { status: now }).await.is_err() || last || status.changed().await.is_err() {
            return;
        }
    }
}

/// Sends a piece of a log in as many frames as it takes; logs of other jobs come in between.
async fn send_piece(link: &Link, stream: u32, mut data: Bytes) -> Result<(), Refusal> {
    while !data.is_empty() {
        let data = data.split_to(data.len().min(MAX_RAW_CONTROL));
        link.send_log(Frame::Raw { stream, data }).await?;
    }
    Ok(())
}

/// Bytes of a log that are under way at once, within the receiver's window: one piece that is read while another is written
/// down, and what a line of a gigabit holds in a round trip. More only waits in the queues of the two machines, and behind
/// it the line of another job. The whole window as long as nobody knows the way.
fn under_way(rtt_us: Option<u32>) -> u64 {
    rtt_us.map_or(OUTPUT_WINDOW, |rtt| OUTPUT_WINDOW.min(2 * LOG_PIECE as u64 + u64::from(rtt) * GIGABIT))
}

/// Sends a log from `from` on as it grows, never more than the receiver has credit for.
async fn push_log(link: &Link, log: &OutputLog, from: u64, stream: u32, credit: &Credit) {
    let mut cursor = log.cursor(from);
    let last = loop {
        // Within this machine there is no way.
        let rtt_us = if link.own { Some(0) } else { link.rtt_us() };
        let Some(left) = credit.wait(under_way(rtt_us)).await else { break None };
        let most = left.min(LOG_PIECE as u64) as usize;
        let next = tokio::select! {
            next = cursor.next(most) => next,
            () = credit.over() => break None,
        };
        match next {
            Ok(Some(data)) => {
                credit.spend(data.len() as u64);
                if send_piece(link, stream, data).await.is_err() {
                    break None;
                }
            }
            Ok(None) if log.state().done => break Some(Ok(())),
            Ok(None) => break Some(Err(super::room::shutting_down())),
            Err(error) => break Some(Err(Refusal::internal(format!("the output log cannot be read: {error}")))),
        }
    };
    link.close_credit(stream);
    let _ = match last {
        None => Ok(()),
        // The end travels behind the last piece, in the same queue.
        Some(Ok(())) => link.send_log(Frame::Raw { stream, data: Bytes::new() }).await,
        Some(Err(refusal)) => link.send(&LinkFrame::Broken { stream, refusal }).await,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::handle::Road;
    use crate::model::{BootId, PeerId};
    use crate::pipe::LogState;

    #[test]
    fn a_longer_way_holds_more_and_none_more_than_the_window() {
        assert_eq!(under_way(None), OUTPUT_WINDOW, "nobody knows");
        assert_eq!(under_way(Some(u32::MAX)), OUTPUT_WINDOW);
        assert!((0..8000).all(|rtt| under_way(Some(rtt)) <= under_way(Some(rtt + 1))));
        assert!(under_way(Some(0)) <= OUTPUT_WINDOW / 2);
    }

    #[tokio::test]
    async fn a_log_over_a_short_way_leaves_room_for_others() {
        let boot = BootId([1; 16]);
        let (link, mut outgoing) = Link::new(PeerId([1; 32]), "mike".into(), boot, boot, false, None, Road::default());
        link.ponged(link.age_us());
        let most = under_way(link.rtt_us()) as usize;
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("output");
        std::fs::write(&path, vec![7; 3 * OUTPUT_WINDOW as usize]).expect("written");
        let (_announcer, log) = OutputLog::new(path, LogState { len: 3 * OUTPUT_WINDOW, done: false });
        let credit = link.open_credit(5).expect("free");
        let pushing = {
            let (link, credit) = (link.clone(), credit.clone());
            tokio::spawn(async move { push_log(&link, &log, 0, 5, &credit).await })
        };
        let mut next = async || match outgoing.logs.recv().await {
            Some(Frame::Raw { stream: 5, data }) => data.len(),
            other => panic!("{other:?}"),
        };
        let mut got = 0;
        while got < most {
            got += next().await;
        }
        assert_eq!(got, most);
        credit.add(1000);
        assert_eq!(next().await, 1000, "nothing before it was credited");
        credit.break_off();
        pushing.await.expect("ended");
    }
}
