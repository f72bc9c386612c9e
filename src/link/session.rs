//! A control connection at work: its frames are read, written and handed to whoever they are for.
//!
//! One task runs a session; what the other side asks runs in tasks that end with it. The reader never waits for the
//! writer, so two sessions can never block each other.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::handle::{Ending, Link, Outgoing};
use super::handshake::difference_ms;
use super::links::FRESH;
use super::messages::LinkDoubted;
use super::room::Room;
use super::roster;
use super::secure::{Frames, now_ms};
use super::serve::serve;
use crate::mailbox::tell_outlet;
use crate::registry::messages::{PathTried, PeerFacts, Tried};
use crate::wire::frame::{Frame, FrameError};
use crate::wire::link::{LinkFrame, LinkRequest};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Every so often our load is told: the sign of life, as often as the heartbeat.
const FACTS_EVERY: Duration = Duration::from_secs(2);
/// A link on which nothing came for so long is dead (design §6).
const DEAD_AFTER: Duration = Duration::from_secs(45);
/// The last words may take so long; a full pipe to a dead machine takes for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Requests of one peer at work at the same time, followed logs included.
const MAX_SERVED: usize = 1024;
/// Characters of why a message was not understood: enough for the reason, however much of the message is quoted after it.
const MOST_WHY: usize = 200;

/// Moves frames until the link ends, and says why it did.
pub(super) async fn run(room: Arc<Room>, link: Arc<Link>, frames: Frames, mut outgoing: Outgoing) -> Ending {
    let (mut sink, mut stream) = frames.split();
    let mut served = JoinSet::new();
    let ending = {
        let mut reading = pin!(read(&room, &link, &mut stream, &mut served));
        tokio::select! {
            ending = &mut reading => ending,
            error = write(&room, &link, &mut sink, &mut outgoing) => tokio::select! {
                ending = last_words(reading, &error) => ending,
                ending = link.closed() => ending,
            },
            ending = link.closed() => ending,
            ending = watch_idleness(&link) => ending,
        }
    };
    // First, so that whoever waits to send something learns why.
    link.close(ending.clone());
    drop(outgoing);
    served.abort_all();
    let last = match &ending {
        Ending::Ours { restart } | Ending::Renewed { restart } => Some(LinkFrame::Goodbye { restart: *restart }),
        Ending::Refused(refusal) => Some(LinkFrame::Reply { id: 0, reply: Err(refusal.clone()) }),
        _ => None,
    };
    let _ = timeout(LAST_WORDS, async {
        if let Some(frame) = last.and_then(|l| Frame::json(&l).ok()) {
            let _ = sink.send(frame).await;
        }
        let _ = SinkExt::<Frame>::close(&mut sink).await;
    })
    .await;
    ending
}

/// Tells the other side why we do not accept it, and hangs up.
pub(super) async fn turn_away(mut frames: Frames, refusal: &Refusal) {
    let _ = timeout(LAST_WORDS, async {
        if let Ok(frame) = Frame::json(&LinkFrame::Reply { id: 0, reply: Err(refusal.clone()) }) {
            let _ = frames.send(frame).await;
        }
        let _ = SinkExt::<Frame>::close(&mut frames).await;
    })
    .await;
}

fn broken(error: &FrameError) -> Ending {
    Ending::Broken(error.to_string())
}

/// Why a link ended on which nothing could be written: what the other side said before it hung up may still wait to be read,
/// and a goodbye is not a loss.
async fn last_words(reading: impl Future<Output = Ending>, error: &FrameError) -> Ending {
    let lost = broken(error);
    if !matches!(error, FrameError::Io(_)) {
        return lost;
    }
    match timeout(LAST_WORDS, reading).await {
        Ok(said @ (Ending::Goodbye { .. } | Ending::Refused(_))) => said,
        _ => lost,
    }
}

async fn watch_idleness(link: &Link) -> Ending {
    loop {
        link.may_be_done().await;
        if let Some(ending) = link.is_done_with() {
            return ending;
        }
    }
}

async fn write(room: &Room, link: &Link, sink: &mut SplitSink<Frames, Frame>, out: &mut Outgoing) -> FrameError {
    let mut beat = interval(FACTS_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut news = room.facts.clone();
    loop {
        // Messages before logs: a log never holds up an answer.
        let frame = tokio::select! {
            biased;
            Some(frame) = out.urgent.recv() => frame,
            // At once when they change (an engine came, a slot was taken): the other side ranks by them.
            _ = beat.tick() => {
                if !link.own {
                    link.offer(&LinkFrame::Ping { at_us: link.age_us() });
                }
                match facts(room) {
                    Ok(frame) => frame,
                    Err(error) => return error,
                }
            }
            Ok(()) = news.changed() => match facts(room) {
                Ok(frame) => frame,
                Err(error) => return error,
            },
            Some(frame) = out.logs.recv() => frame,
            else => pending().await,
        };
        let mut written = sink.feed(frame).await;
        // Whatever waits already shares the flush.
        while let Some(frame) = written.as_ref().ok().and_then(|()| out.urgent.try_recv().ok()) {
            written = sink.feed(frame).await;
        }
        if written.is_ok() {
            written = SinkExt::<Frame>::flush(sink).await;
        }
        if let Err(error) = written {
            return error;
        }
    }
}

fn facts(room: &Room) -> Result<Frame, FrameError> {
    Frame::json(&LinkFrame::Facts {
        facts: room.facts.borrow().clone(),
        name: room.me().name.clone(),
        now_ms: Some(now_ms()),
    })
}

async fn read(
    room: &Arc<Room>,
    link: &Arc<Link>,
    stream: &mut SplitStream<Frames>,
    served: &mut JoinSet<()>,
) -> Ending {
    loop {
        let frame = match timeout(FRESH, stream.next()).await {
            Err(_) if link.silent_for() >= DEAD_AFTER => return Ending::Dead,
            // Another link is up already; whoever still uses this one goes on there.
            Err(_) if link.is_retired() => return Ending::Moved,
            Err(_) => {
                tell_outlet(&room.actor.doubted, LinkDoubted { link: link.clone() });
                continue;
            }
            Ok(None) => return Ending::Broken("the other side closed it".into()),
            Ok(Some(Err(error))) => return broken(&error),
            Ok(Some(Ok(frame))) => frame,
        };
        link.heard();
        while served.try_join_next().is_some() {}
        let taken = match frame {
            Frame::Raw { stream, data } => match link.inbox(stream) {
                Some(inbox) => {
                    inbox.push(&data).map_err(|_| Ending::Broken("more of a log came than there was room for".into()))
                }
                // A log we stopped following; what was on its way is of no use.
                None => Ok(()),
            },
            frame @ Frame::Json(_) => match frame.parse::<LinkFrame>() {
                Ok(message) => take(room, link, message, served),
                Err(error) => strange(link, &frame, &error, served),
            },
        };
        if let Err(ending) = taken {
            return ending;
        }
    }
}

fn take(room: &Arc<Room>, link: &Arc<Link>, message: LinkFrame, served: &mut JoinSet<()>) -> Result<(), Ending> {
    match message {
        LinkFrame::Request { id, request } => return start(room, link, id, request, served),
        LinkFrame::Reply { id: 0, reply: Err(refusal) } => return Err(Ending::Refused(refusal)),
        LinkFrame::Reply { id, reply } => link.replied(id, reply),
        LinkFrame::Status { status } => room.report(link.peer, status),
        LinkFrame::Facts { facts, name, now_ms: theirs } => {
            if !link.own {
                // The name that counts is the one that was checked at HELLO.
                drop(name);
                // One way only: half a round trip is nothing beside what is worth a word.
                let clock_skew_ms = theirs.map(|theirs| difference_ms(theirs, now_ms()));
                tell_outlet(
                    &room.registry.facts,
                    PeerFacts { peer: link.peer, name: link.name.clone(), facts, clock_skew_ms },
                );
            }
        }
        LinkFrame::Ping { at_us } => link.offer(&LinkFrame::Pong { at_us }),
        LinkFrame::Pong { at_us } => {
            if let (Some(rtt_us), Some(way)) = (link.ponged(at_us), link.road.way.clone()) {
                let tried = Tried::Answered(Some(rtt_us));
                tell_outlet(&room.registry.tried, PathTried { peer: link.peer, way, tried });
            }
        }
        LinkFrame::Credit { stream, bytes } => {
            if let Some(credit) = link.credit(stream) {
                credit.add(bytes);
            }
        }
        LinkFrame::Broken { stream, refusal } => {
            // Either end may say it: it concerns whichever of the two streams of that number is open here.
            if let Some(inbox) = link.inbox(stream) {
                inbox.end(Err(refusal));
            }
            if let Some(credit) = link.credit(stream) {
                credit.break_off();
            }
        }
        LinkFrame::Heads { heads } if !link.own => roster::heard_heads(room, link, heads),
        LinkFrame::Cards { cards } if !link.own && served.len() < MAX_SERVED => {
            let (room, link) = (room.clone(), link.clone());
            served.spawn(async move { roster::hear(&room, &link, cards).await });
        }
        LinkFrame::Heads { .. } | LinkFrame::Cards { .. } => {}
        LinkFrame::Goodbye { restart } => return Err(Ending::Goodbye { restart }),
    }
    Ok(())
}

/// Whether one more task of this peer may begin. Whoever asks so much without reading the answers has lost the link.
fn one_more(served: &JoinSet<()>) -> Result<(), Ending> {
    match served.len() < MAX_SERVED {
        true => Ok(()),
        false => Err(Ending::Broken(format!("more than {MAX_SERVED} requests at once"))),
    }
}

fn start(
    room: &Arc<Room>,
    link: &Arc<Link>,
    id: u64,
    request: LinkRequest,
    served: &mut JoinSet<()>,
) -> Result<(), Ending> {
    one_more(served)?;
    let (room, link) = (room.clone(), link.clone());
    served.spawn(async move {
        let _used = link.in_use();
        let (reply, after) = match serve(&room, &link, request).await {
            Ok((reply, after)) => (Ok(reply), after),
            Err(refusal) => (Err(refusal), None),
        };
        match link.send(&LinkFrame::Reply { id, reply }).await {
            Ok(()) => {
                if let Some(after) = after {
                    after.await;
                }
            }
            // Too long for a frame: whoever asked must not wait for an answer that never comes.
            Err(refusal) if refusal.kind == RefusalKind::BadRequest => {
                let _ = link.send(&LinkFrame::Reply { id, reply: Err(refusal) }).await;
            }
            Err(_) => {}
        }
    });
    Ok(())
}

/// A message this release does not know: a later one may say more, so only nonsense ends the link.
fn strange(link: &Arc<Link>, frame: &Frame, error: &FrameError, served: &mut JoinSet<()>) -> Result<(), Ending> {
    #[derive(serde::Deserialize)]
    struct Tag {
        t: String,
        id: Option<u64>,
    }
    let why: String = error.to_string().chars().take(MOST_WHY).collect();
    let broken = || Ending::Broken(why.clone());
    let Ok(tag) = frame.parse::<Tag>() else { return Err(broken()) };
    match (tag.t.as_str(), tag.id) {
        ("request", Some(id)) => {
            one_more(served)?;
            let link = link.clone();
            let refusal = Refusal::new(RefusalKind::BadRequest, format!("the request cannot be understood: {why}"))
                .hint("the two machines may run different releases of Homie");
            served.spawn(async move {
                let _ = link.send(&LinkFrame::Reply { id, reply: Err(refusal) }).await;
            });
            Ok(())
        }
        ("reply", Some(id)) => {
            let refusal = Refusal::new(RefusalKind::Unreachable, format!("the answer cannot be understood: {why}"));
            link.replied(id, Err(refusal));
            Ok(())
        }
        ("status" | "facts" | "ping" | "pong" | "credit" | "broken" | "heads" | "cards" | "goodbye", _) => {
            Err(broken())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::handle::Road;
    use crate::model::{BootId, PeerId};

    #[tokio::test]
    async fn who_asks_nonsense_and_reads_no_answer_costs_no_more_than_who_asks_sense() {
        let boot = BootId([1; 16]);
        let (link, mut outgoing) = Link::new(PeerId([1; 32]), "eve".into(), boot, boot, false, None, Road::default());
        let mut served = JoinSet::new();
        let body = format!(r#"{{"t":"request","id":5,"request":{{"what":"{}"}}}}"#, "x".repeat(60 << 10));
        let frame = Frame::Json(body.into());
        let error = frame.parse::<LinkFrame>().expect_err("nobody knows that word");
        for _ in 0..MAX_SERVED {
            strange(&link, &frame, &error, &mut served).expect("answered");
        }
        let ending = strange(&link, &frame, &error, &mut served).expect_err("one too many");
        assert!(matches!(ending, Ending::Broken(why) if why.contains("at once")));
        assert_eq!(served.len(), MAX_SERVED);
        let Some(Frame::Json(answer)) = outgoing.urgent.recv().await else { panic!("the first answer") };
        assert!(answer.len() < 1000, "{} bytes are kept for each", answer.len());
    }
}
