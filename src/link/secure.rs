//! From a bare stream to a friend: gate, TLS, HELLO, in this order and within [`SETUP_LIMIT`].

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use rustls::ConnectionCommon;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::codec::{Framed, FramedParts};

use super::error::LinkError;
pub(super) use super::gate::opens;
use super::gate::{GATE_BYTES, Opened, gate};
use super::handshake::{
    Channel, EXPORTER_BYTES, EXPORTER_LABEL, End, Introduction, check_proof, check_terms, hello, skew_ms,
};
use super::room::lock;
use super::tls::{Tls, no_name, other_side};
use crate::model::{BootId, PeerId};
use crate::secret::{GroupKeys, Secret};
use crate::wire::frame::{Frame, FrameCodec, FrameError, MAX_RAW_BULK};
use crate::wire::link::{Hello, Purpose};

/// Gate, TLS and HELLO together. Three round trips and under a millisecond of work; five seconds also do over a
/// mobile network, and a stranger can hold a place at the gate no longer.
pub(super) const SETUP_LIMIT: Duration = Duration::from_secs(5);

/// Encrypted bytes that a bulk connection may hold: a frame of content, with some for its header, so that it is one write
/// to the socket. With the 64 KiB that TLS holds otherwise, both sides wake up four times as often, and a gigabyte took 6 %
/// longer. Control connections keep those: an answer waits behind what is held.
const BULK_HELD: usize = MAX_RAW_BULK + (16 << 10);

/// A stream of bytes both ways, whatever carries it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

/// Frames over it.
pub(super) type Frames = Framed<Box<dyn Wire>, FrameCodec>;

/// What makes this machine a member of its group.
#[derive(Debug)]
pub(super) struct Member {
    keys: GroupKeys,
    tls: Tls,
    own: PeerId,
    name: String,
    boot: BootId,
    /// The gates that it has let in.
    opened: Mutex<Opened>,
}

/// By which keys somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// The group's: a member.
    Group,
    /// Those of an invitation, by its number: a machine that is not one yet.
    Invite(u64),
    /// Those of a secret of before: a member that was not there when it changed, or somebody who was put out.
    Before,
}

/// The first bytes of whoever dials.
pub(super) type Gate = [u8; GATE_BYTES];

/// A connection to a friend, after HELLO.
pub(super) struct Secured {
    pub(super) frames: Frames,
    /// The key the other side has proven to hold.
    pub(super) peer: PeerId,
    /// What it said of itself.
    pub(super) hello: Hello,
    /// By which keys it came in; of one that we dialled, the keys we dialled with.
    pub(super) pass: Pass,
    /// The secret that both sides have proven to know; none for a token.
    pub(super) over: Secret,
    /// Its clock minus ours.
    pub(super) skew_ms: i64,
}

impl Member {
    pub(super) fn new(tls: Tls, own: PeerId, keys: GroupKeys, name: String, boot: BootId) -> Self {
        Self { keys, tls, own, name, boot, opened: Mutex::default() }
    }

    /// The keys of the group.
    pub(super) fn keys(&self) -> &GroupKeys {
        &self.keys
    }

    fn introduction(&self, worker_port: u16, purpose: Purpose) -> Introduction {
        Introduction { name: self.name.clone(), boot: self.boot, worker_port, purpose, now_ms: now_ms() }
    }

    /// What HELLO is bound to on a TLS connection that stands.
    fn channel<D>(&self, end: End, tls: &ConnectionCommon<D>) -> Result<Channel, LinkError> {
        let peer = other_side(tls).ok_or_else(|| LinkError::Tls("it showed no key".into()))?;
        if peer == self.own {
            return Err(LinkError::Myself);
        }
        let exporter = tls
            .export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None)
            .map_err(|e| LinkError::Tls(e.to_string()))?;
        Ok(Channel { end, exporter, own: self.own, peer })
    }

    /// The dialling side. `worker_port` is where we can be dialled back, 0 for nowhere.
    pub(super) async fn dial<S: Wire + 'static>(
        &self,
        stream: S,
        worker_port: u16,
        purpose: Purpose,
    ) -> Result<Secured, LinkError> {
        let work = self.dial_inner(stream, worker_port, purpose, |_| std::future::ready(Ok(())));
        timeout(SETUP_LIMIT, work).await.unwrap_or_else(|_| Err(LinkError::Slow("the handshake".into())))
    }

    /// The dialling side where only one machine will do: any other hears nothing from us after TLS.
    pub(super) async fn dial_only<S: Wire + 'static>(
        &self,
        stream: S,
        worker_port: u16,
        purpose: Purpose,
        wanted: PeerId,
        at: &str,
    ) -> Result<Secured, LinkError> {
        let check = |found: PeerId| match found == wanted {
            true => std::future::ready(Ok(())),
            false => std::future::ready(Err(LinkError::Stranger { at: at.to_owned(), wanted, found })),
        };
        self.dial_checked(stream, worker_port, purpose, check).await
    }

    /// The dialling side where `check` decides, by the key that TLS has shown, whether to go on. Until it has, the other
    /// side takes us for nobody; what it gives is kept until HELLO is over.
    pub(super) async fn dial_checked<S: Wire + 'static, T, C: Future<Output = Result<T, LinkError>>>(
        &self,
        stream: S,
        worker_port: u16,
        purpose: Purpose,
        check: impl FnOnce(PeerId) -> C,
    ) -> Result<Secured, LinkError> {
        let work = self.dial_inner(stream, worker_port, purpose, check);
        timeout(SETUP_LIMIT, work).await.unwrap_or_else(|_| Err(LinkError::Slow("the handshake".into())))
    }

    async fn dial_inner<S: Wire + 'static, T, C: Future<Output = Result<T, LinkError>>>(
        &self,
        mut stream: S,
        worker_port: u16,
        purpose: Purpose,
        check: impl FnOnce(PeerId) -> C,
    ) -> Result<Secured, LinkError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|e| LinkError::Tls(e.to_string()))?;
        stream.write_all(&gate(&self.keys, nonce)).await.map_err(hung_up)?;
        let mut tls = self.tls.connector.connect(no_name(), stream).await.map_err(hung_up)?;
        if let Purpose::Bulk { .. } = purpose {
            tls.get_mut().1.set_buffer_limit(Some(BULK_HELD));
        }
        let channel = self.channel(End::Dialler, tls.get_ref().1)?;
        let peer = channel.peer;
        let _kept = check(peer).await?;
        let mut frames = boxed(Framed::new(tls, FrameCodec::pre_hello()));
        let asked_ms = now_ms();
        say(&mut frames, &hello(&self.keys, &channel, self.introduction(worker_port, purpose))).await?;
        let theirs = hear(&mut frames).await?;
        check_proof(&self.keys, &channel, &theirs)?;
        check_terms(&theirs)?;
        let skew_ms = skew_ms(&theirs, Some(asked_ms), now_ms());
        Ok(Secured { frames, peer, hello: theirs, pass: Pass::Group, over: self.keys.secret().clone(), skew_ms })
    }

    /// The dialled side. A stranger gets not one byte. `others` knows what opens the gate beside the group's keys;
    /// `takes` may still turn a proven friend away (a ticket that is not good), again without a word.
    pub(super) async fn accept<S: Wire + 'static>(
        &self,
        stream: S,
        worker_port: u16,
        others: impl FnOnce(&Gate) -> Option<(Pass, GroupKeys)>,
        takes: impl FnOnce(PeerId, &Purpose, Pass) -> bool,
    ) -> Result<Secured, LinkError> {
        let work = self.accept_inner(stream, worker_port, others, takes);
        timeout(SETUP_LIMIT, work).await.unwrap_or_else(|_| Err(LinkError::Slow("the dialler".into())))
    }

    async fn accept_inner<S: Wire + 'static>(
        &self,
        mut stream: S,
        worker_port: u16,
        others: impl FnOnce(&Gate) -> Option<(Pass, GroupKeys)>,
        takes: impl FnOnce(PeerId, &Purpose, Pass) -> bool,
    ) -> Result<Secured, LinkError> {
        let mut first = [0; GATE_BYTES];
        stream.read_exact(&mut first).await.map_err(hung_up)?;
        let (pass, keys) = if opens(&self.keys, &first) {
            (Pass::Group, self.keys.clone())
        } else {
            others(&first).ok_or(LinkError::Silent)?
        };
        // A recorded one is met with the silence of a wrong one.
        if !lock(&self.opened).is_new(&first) {
            return Err(LinkError::Silent);
        }
        let tls = self.tls.acceptor.accept(stream).await.map_err(|e| LinkError::Tls(e.to_string()))?;
        let channel = self.channel(End::Accepter, tls.get_ref().1)?;
        let peer = channel.peer;
        let mut frames = Framed::new(tls, FrameCodec::pre_hello());
        let theirs = hear(&mut frames).await?;
        check_proof(&keys, &channel, &theirs)?;
        let skew_ms = skew_ms(&theirs, None, now_ms());
        if !takes(peer, &theirs.purpose, pass) {
            return Err(LinkError::Hello("its ticket is not good".into()));
        }
        // A friend of another release must learn why it goes no further, so our HELLO comes before the check.
        say(&mut frames, &hello(&keys, &channel, self.introduction(worker_port, Purpose::Control))).await?;
        check_terms(&theirs)?;
        if let Purpose::Bulk { .. } = theirs.purpose {
            frames.get_mut().get_mut().1.set_buffer_limit(Some(BULK_HELD));
        }
        let frames = boxed(frames);
        Ok(Secured { frames, peer, hello: theirs, pass, over: keys.secret().clone(), skew_ms })
    }
}

impl Secured {
    /// The frames of a control connection from here on.
    pub(super) fn control(self) -> Frames {
        let mut frames = self.frames.map_codec(|_| FrameCodec::control());
        // Two frames of a log; what waits beyond them is sent before more is taken.
        frames.set_backpressure_boundary(128 << 10);
        frames
    }

    /// The frames of a bulk connection from here on.
    pub(super) fn bulk(self) -> Frames {
        bulk(self.frames)
    }
}

/// Frames of a bulk connection.
pub(super) fn bulk(frames: Frames) -> Frames {
    let mut frames = frames.map_codec(|_| FrameCodec::bulk());
    frames.set_backpressure_boundary(256 << 10);
    frames
}

/// The time, for showing the skew of clocks and for nothing else.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// The same frames, over whatever they are.
fn boxed(frames: Framed<impl Wire + 'static, FrameCodec>) -> Frames {
    carried_by(frames, |stream| Box::new(stream))
}

/// The same frames over what `around` makes of their stream; what was read and not looked at yet stays, and what waits to
/// be written.
pub(super) fn carried_by<S>(frames: Framed<S, FrameCodec>, around: impl FnOnce(S) -> Box<dyn Wire>) -> Frames {
    let boundary = frames.backpressure_boundary();
    let mut parts = frames.into_parts();
    let mut whole = FramedParts::new::<Frame>(around(parts.io), parts.codec);
    whole.read_buf = std::mem::take(&mut parts.read_buf);
    whole.write_buf = std::mem::take(&mut parts.write_buf);
    let mut frames = Framed::from_parts(whole);
    frames.set_backpressure_boundary(boundary);
    frames
}

async fn say(frames: &mut Framed<impl Wire, FrameCodec>, hello: &Hello) -> Result<(), LinkError> {
    frames.send(Frame::json(hello)?).await.map_err(|e| match e {
        FrameError::Io(_) => LinkError::NoHello,
        other => other.into(),
    })
}

async fn hear(frames: &mut Framed<impl Wire, FrameCodec>) -> Result<Hello, LinkError> {
    match frames.next().await {
        None | Some(Err(FrameError::Io(_) | FrameError::Closed)) => Err(LinkError::NoHello),
        Some(frame) => Ok(frame?.parse()?),
    }
}

/// Silence is the answer of a gate that stays shut; everything else is a fault of TLS.
fn hung_up(error: std::io::Error) -> LinkError {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => LinkError::Silent,
        _ => LinkError::Tls(error.to_string()),
    }
}
