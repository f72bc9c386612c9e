//! A control connection as the rest of the room holds it: ask, stream, close. [`super::session`] moves its frames.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use super::dialer::Target;
use super::room::lock;
use super::streams::{Credit, Inbox};
use crate::model::{BootId, PeerId, Way};
use crate::wire::frame::Frame;
use crate::wire::link::{LinkFrame, LinkReply, LinkRequest};
use crate::wire::refusal::{Refusal, RefusalKind};

/// Messages that may wait for the wire; who has one more waits himself.
const URGENT_QUEUE: usize = 256;
/// Pieces of logs that may wait. Few, so that a message never waits behind more than a quarter of a megabyte.
pub(super) const LOG_QUEUE: usize = 4;

/// A link that can be dialled again any time closes after so long without use.
const IDLE_AFTER: Duration = Duration::from_secs(60);
/// A replaced link lives a little on, until the other side has seen the new one too.
const LINGER: Duration = Duration::from_secs(1);
/// An idle link is looked at no more often than this.
const LOOK_LEAST: Duration = Duration::from_millis(500);

/// Why a link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// The other side said goodbye.
    Goodbye {
        /// It will be back at once.
        restart: bool,
    },
    /// We say goodbye.
    Ours {
        /// We will be back at once.
        restart: bool,
    },
    /// We say goodbye because we are somebody else from here on: another name, group or port.
    Renewed {
        /// We will be back at once, in the same group.
        restart: bool,
    },
    /// Nothing was heard for 45 s.
    Dead,
    /// Nobody needed it.
    Idle,
    /// Another link to the same peer stays instead.
    Replaced,
    /// Another link to the same peer stays instead, because the way of this one leads nowhere any more.
    Moved,
    /// One side does not accept the other.
    Refused(Refusal),
    /// The connection broke, or nonsense came.
    Broken(String),
}

impl Ending {
    /// What those are told who still waited for something.
    fn refusal(&self) -> Refusal {
        let text = match self {
            Self::Refused(refusal) => return refusal.clone(),
            Self::Goodbye { .. } => "the other machine stops".to_owned(),
            Self::Ours { .. } => return super::room::shutting_down(),
            Self::Renewed { .. } => return super::room::renewed(),
            Self::Dead => "nothing was heard of the other machine for 45 s".to_owned(),
            Self::Idle | Self::Replaced => "the link was closed".to_owned(),
            Self::Moved => "the way to the other machine was lost; there is another".to_owned(),
            Self::Broken(why) => format!("the link broke: {why}"),
        };
        Refusal::new(RefusalKind::Unreachable, text)
    }
}

/// Which way a link goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Road {
    /// As the registry knows it; of a peer that dialled us, where it would be dialled.
    pub(super) way: Option<Way>,
    /// The address of this machine at its near end.
    pub(super) local: Option<IpAddr>,
}

/// A live control connection.
#[derive(Debug)]
pub(super) struct Link {
    /// Tells it from other links to the same peer.
    pub(super) serial: u64,
    /// Who is at the other end, proven.
    pub(super) peer: PeerId,
    /// Its name, accepted by the registry.
    pub(super) name: String,
    /// Which run of it.
    pub(super) boot: BootId,
    /// Which run of ours it was made in.
    pub(super) ours: BootId,
    /// The other end is this machine itself.
    pub(super) own: bool,
    /// Where we dialled; `None` when we were dialled.
    pub(super) dialled: Option<Target>,
    /// Which way it goes.
    pub(super) road: Road,
    /// Its near end is an address that this machine has no more.
    cut: AtomicBool,
    /// Shortest round trip so far in microseconds; 0 before the first.
    rtt_us: AtomicU32,
    /// It stays when idle.
    pub(super) kept: AtomicBool,
    /// The same, because nothing else would tell of a member that others introduced.
    pub(super) introduced: AtomicBool,
    /// The other end understands cards.
    pub(super) knows_cards: AtomicBool,
    /// Another one took its place: it closes as soon as nobody uses it.
    retired: AtomicBool,
    retiring: Notify,
    start: Instant,
    heard_ms: AtomicU64,
    used_ms: AtomicU64,
    users: AtomicUsize,
    urgent: mpsc::Sender<Frame>,
    logs: mpsc::Sender<Frame>,
    ended: watch::Sender<Option<Ending>>,
    /// The last words are said.
    over: watch::Sender<bool>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    last_request: u64,
    last_stream: u32,
    pending: HashMap<u64, oneshot::Sender<Result<LinkReply, Refusal>>>,
    inboxes: HashMap<u32, Arc<Inbox>>,
    credits: HashMap<u32, Arc<Credit>>,
}

/// The ends of a link's queues that the session empties.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) urgent: mpsc::Receiver<Frame>,
    pub(super) logs: mpsc::Receiver<Frame>,
}

/// Keeps a link from counting as idle while it lives.
#[derive(Debug)]
pub(super) struct InUse(Arc<Link>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.touch();
        self.0.users.fetch_sub(1, Ordering::Relaxed);
    }
}

static LAST_SERIAL: AtomicU64 = AtomicU64::new(0);

impl Link {
    pub(super) fn new(
        peer: PeerId,
        name: String,
        boot: BootId,
        ours: BootId,
        own: bool,
        dialled: Option<Target>,
        road: Road,
    ) -> (Arc<Self>, Outgoing) {
        let (urgent, urgent_rx) = mpsc::channel(URGENT_QUEUE);
        let (logs, logs_rx) = mpsc::channel(LOG_QUEUE);
        let link = Self {
            serial: LAST_SERIAL.fetch_add(1, Ordering::Relaxed),
            peer,
            name,
            boot,
            ours,
            own,
            dialled,
            road,
            cut: AtomicBool::new(false),
            rtt_us: AtomicU32::new(0),
            kept: AtomicBool::new(own),
            introduced: AtomicBool::new(false),
            knows_cards: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            retiring: Notify::new(),
            start: Instant::now(),
            heard_ms: AtomicU64::new(0),
            used_ms: AtomicU64::new(0),
            users: AtomicUsize::new(0),
            urgent,
            logs,
            ended: watch::Sender::new(None),
            over: watch::Sender::new(false),
            table: Mutex::new(Table::default()),
        };
        (Arc::new(link), Outgoing { urgent: urgent_rx, logs: logs_rx })
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Microseconds since it is up: what a ping carries.
    pub(super) fn age_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A frame came.
    pub(super) fn heard(&self) {
        self.heard_ms.store(self.age_ms(), Ordering::Relaxed);
        self.cut.store(false, Ordering::Relaxed);
    }

    /// The answer to a ping came; gives its round trip. The shortest one is kept: the way is never faster than it is, and
    /// often looks slower, when one of the two machines is busy.
    pub(super) fn ponged(&self, at_us: u64) -> Option<u32> {
        let rtt = self.age_us().checked_sub(at_us).and_then(|us| u32::try_from(us).ok())?.max(1);
        let _ = self
            .rtt_us
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |best| (best == 0 || rtt < best).then_some(rtt));
        Some(rtt)
    }

    /// Its shortest round trip in microseconds.
    pub(super) fn rtt_us(&self) -> Option<u32> {
        Some(self.rtt_us.load(Ordering::Relaxed)).filter(|rtt| *rtt > 0)
    }

    /// This machine has lost the address of its near end.
    pub(super) fn cut_off(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Whether it was lost, and nothing was heard since.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Whether it gave way to another.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// How long ago the last frame came.
    pub(super) fn silent_for(&self) -> Duration {
        Duration::from_millis(self.age_ms().saturating_sub(self.heard_ms.load(Ordering::Relaxed)))
    }

    /// Somebody did something with it.
    pub(super) fn touch(&self) {
        self.used_ms.store(self.age_ms(), Ordering::Relaxed);
    }

    /// How long nobody has used it; `None` while somebody does.
    fn idle_for(&self) -> Option<Duration> {
        let unused = self.users.load(Ordering::Relaxed) == 0;
        unused.then(|| Duration::from_millis(self.age_ms().saturating_sub(self.used_ms.load(Ordering::Relaxed))))
    }

    /// Another link took its place: it closes as soon as nobody has used it for [`LINGER`].
    pub(super) fn retire(&self) {
        self.touch();
        self.retired.store(true, Ordering::Relaxed);
        self.retiring.notify_one();
    }

    /// Waits until [`Self::is_done_with`] may have another answer.
    pub(super) async fn may_be_done(&self) {
        let retired = self.retired.load(Ordering::Relaxed);
        let most = if retired { LINGER } else { IDLE_AFTER };
        // In use it is looked at again when it could have been idle for long enough, not at each use's end.
        let pause = most.saturating_sub(self.idle_for().unwrap_or_default()).max(LOOK_LEAST);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.retiring.notified() => {}
        }
    }

    /// Why it should close now, if it should.
    pub(super) fn is_done_with(&self) -> Option<Ending> {
        let idle = self.idle_for()?;
        if self.retired.load(Ordering::Relaxed) {
            return (idle >= LINGER).then_some(Ending::Replaced);
        }
        // Only the side that dialled closes for idleness: it can dial again.
        let stays = self.kept.load(Ordering::Relaxed) || self.introduced.load(Ordering::Relaxed);
        let dispensable = self.dialled.is_some() && !stays;
        (dispensable && idle >= IDLE_AFTER).then_some(Ending::Idle)
    }

    /// Marks it as used until the guard is dropped.
    pub(super) fn in_use(self: &Arc<Self>) -> InUse {
        self.users.fetch_add(1, Ordering::Relaxed);
        InUse(self.clone())
    }

    /// Asks for something and waits at most `limit`.
    pub(super) async fn request(self: &Arc<Self>, request: LinkRequest, limit: Duration) -> Result<LinkReply, Refusal> {
        let _used = self.in_use();
        let (tx, rx) = oneshot::channel();
        let id = {
            let mut table = lock(&self.table);
            // Looked at under the lock: whoever ends the link empties the table after marking it.
            if let Some(ending) = &*self.ended.borrow() {
                return Err(ending.refusal());
            }
            table.last_request += 1;
            let id = table.last_request;
            table.pending.insert(id, tx);
            id
        };
        let asked = async {
            self.send(&LinkFrame::Request { id, request }).await?;
            rx.await.unwrap_or_else(|_| Err(self.ending()))
        };
        let answer = timeout(limit, asked).await;
        lock(&self.table).pending.remove(&id);
        answer.unwrap_or_else(|_| {
            Err(Refusal::new(RefusalKind::Unreachable, format!("{} did not answer in time", self.name)))
        })
    }

    /// Queues a message.
    pub(super) async fn send(&self, frame: &LinkFrame) -> Result<(), Refusal> {
        let frame = Frame::json(frame)
            .map_err(|e| Refusal::new(RefusalKind::BadRequest, format!("the message cannot be sent: {e}")))?;
        self.urgent.send(frame).await.map_err(|_| self.ending())
    }

    /// Queues a message if there is room: one that is no loss.
    pub(super) fn offer(&self, frame: &LinkFrame) {
        let _ = Frame::json(frame).map(|frame| self.urgent.try_send(frame));
    }

    /// Queues a piece of a log.
    pub(super) async fn send_log(&self, frame: Frame) -> Result<(), Refusal> {
        self.logs.send(frame).await.map_err(|_| self.ending())
    }

    /// A reply came.
    pub(super) fn replied(&self, id: u64, reply: Result<LinkReply, Refusal>) {
        if let Some(asker) = lock(&self.table).pending.remove(&id) {
            let _ = asker.send(reply);
        }
    }

    /// Opens a stream on which a log may come.
    pub(super) fn open_inbox(&self) -> Result<(u32, Arc<Inbox>), Refusal> {
        let mut table = lock(&self.table);
        if let Some(ending) = &*self.ended.borrow() {
            return Err(ending.refusal());
        }
        table.last_stream += 1;
        let inbox = Arc::new(Inbox::default());
        let stream = table.last_stream;
        table.inboxes.insert(stream, inbox.clone());
        Ok((stream, inbox))
    }

    pub(super) fn inbox(&self, stream: u32) -> Option<Arc<Inbox>> {
        lock(&self.table).inboxes.get(&stream).cloned()
    }

    pub(super) fn close_inbox(&self, stream: u32) {
        lock(&self.table).inboxes.remove(&stream);
    }

    /// Opens a stream on which we send a log; the asker chose its number.
    pub(super) fn open_credit(&self, stream: u32) -> Result<Arc<Credit>, Refusal> {
        let mut table = lock(&self.table);
        if table.credits.contains_key(&stream) {
            return Err(Refusal::new(RefusalKind::BadRequest, format!("stream {stream} is in use")));
        }
        let credit = Arc::new(Credit::default());
        table.credits.insert(stream, credit.clone());
        Ok(credit)
    }

    pub(super) fn credit(&self, stream: u32) -> Option<Arc<Credit>> {
        lock(&self.table).credits.get(&stream).cloned()
    }

    pub(super) fn close_credit(&self, stream: u32) {
        lock(&self.table).credits.remove(&stream);
    }

    /// Ends it. The first reason counts. Everybody who waits for something is told.
    pub(super) fn close(&self, why: Ending) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(why);
            }
            first
        });
        let refusal = self.ending();
        let (pending, inboxes, credits) = {
            let mut table = lock(&self.table);
            let table = &mut *table;
            (std::mem::take(&mut table.pending), std::mem::take(&mut table.inboxes), std::mem::take(&mut table.credits))
        };
        for asker in pending.into_values() {
            let _ = asker.send(Err(refusal.clone()));
        }
        for inbox in inboxes.into_values() {
            inbox.end(Err(refusal.clone()));
        }
        for credit in credits.into_values() {
            credit.break_off();
        }
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits for its end.
    pub(super) async fn closed(&self) -> Ending {
        let mut ended = self.ended.subscribe();
        loop {
            if let Some(ending) = &*ended.borrow_and_update() {
                return ending.clone();
            }
            if ended.changed().await.is_err() {
                return Ending::Broken("it was dropped".into());
            }
        }
    }

    /// Waits until its way is known to lead nowhere; for ever if it ends otherwise.
    pub(super) async fn moved(&self) {
        if self.closed().await != Ending::Moved {
            std::future::pending::<()>().await;
        }
    }

    /// Its session has said its last words.
    pub(super) fn is_over(&self) {
        self.over.send_replace(true);
    }

    /// Waits for [`Self::is_over`].
    pub(super) async fn wait_over(&self) {
        // The sender is here, so the wait cannot fail.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    fn ending(&self) -> Refusal {
        self.ended
            .borrow()
            .as_ref()
            .map_or_else(|| Refusal::new(RefusalKind::Unreachable, "the link was closed"), Ending::refusal)
    }
}
