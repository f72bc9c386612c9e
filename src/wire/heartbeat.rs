//! The heartbeat: one UDP datagram of at most 508 bytes, the largest that every IPv4 path carries unfragmented
//! (RFC 791: 576 bytes, less 60 of IP header and 8 of UDP).
//!
//! ```text
//! "HB" version flags key-id(4) peer(32) boot(16) seq(8) port(2) name  facts...  | MAC(32)
//! ```
//! Integers are little-endian, texts have a length byte before them, amounts are in MiB. What follows the fields
//! this version knows is ignored, so that later ones can add to the end. The MAC covers all bytes before it and is
//! checked before [`decode`] looks at them; [`open`] only cuts at fixed places.

use std::time::Duration;

use bytes::{Buf, BufMut, TryGetError};

use crate::model::{BootId, EngineKind, EngineOffer, Facts, Gpu, GpuUse, Isolation, Lack, PeerId, visible_controls};

/// Time between two beats. Homie's sources ask for 2 s: lively on a screen, and under 0.1 % of a core with 10 peers.
pub const INTERVAL: Duration = Duration::from_secs(2);
/// Silence after which a peer counts as gone: three beats, and half a second for jitter and a busy machine.
pub const LOST_AFTER: Duration = Duration::from_millis(6500);
/// Largest datagram.
pub const MAX_BEAT: usize = 508;
/// Bytes of the MAC at its end (HMAC-SHA256).
pub const MAC_BYTES: usize = 32;
/// Longest name in bytes: what a DNS label may have (RFC 1035), so that host names always fit.
pub const MAX_NAME: usize = 63;

const MAGIC: [u8; 2] = *b"HB";
const VERSION: u8 = 1;
const FLAG_GOODBYE: u8 = 1;
const FLAG_PAUSED: u8 = 2;
/// Magic, version, flags, key id, peer id, boot id, sequence, port and the length of the name.
const HEADER: usize = 2 + 1 + 1 + 4 + 32 + 16 + 8 + 2 + 1;
/// Enough to tell a reason; the whole one travels on the link.
const MAX_REASON: usize = 80;
/// `NVIDIA GeForce RTX 4090 Laptop GPU` has 34.
const MAX_GPU_NAME: usize = 40;
/// More engines than kinds and isolation levels could make sense together.
const MAX_ENGINES: usize = 4;
/// The environment every engine may have; the names of others only travel on the link.
const BASE_ENV: &str = "base";
const ENGINE_HAS_BASE: u8 = 1;
/// What stands behind the GPUs begins with this byte.
const TAG_GPU_USE: u8 = b'G';
/// Stands for no limit on the GPUs of a job.
const ALL_GPUS: u8 = u8::MAX;

/// Which group key signs a beat: four bytes that a group's members compute alike, so that the beats of another group
/// on the same LAN are told apart (and dropped) without a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 4]);

/// What a heartbeat says. Its MAC is checked over the raw bytes before anything of it is parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    /// Who.
    pub peer: PeerId,
    /// Which run of it.
    pub boot: BootId,
    /// Grows by one with each beat of a run.
    pub seq: u64,
    /// Where its worker listens; the address is the datagram's source, never the body's.
    pub worker_port: u16,
    /// Its name.
    pub name: String,
    /// Its load: the part of [`Facts`] that fits.
    pub facts: Facts,
    /// The last beat of an orderly stop.
    pub goodbye: bool,
}

/// Why a datagram is no beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BeatError {
    /// Shorter than the fixed fields, or longer than [`MAX_BEAT`].
    #[error("a datagram of {0} bytes is no heartbeat")]
    Length(usize),
    /// It does not begin as a heartbeat does.
    #[error("not a heartbeat")]
    Magic,
    /// A version this build does not read.
    #[error("heartbeat version {0} is not known here; one of the two machines needs an update")]
    Version(u8),
    /// A field is cut short or holds what it must not.
    #[error("malformed heartbeat: {0}")]
    Malformed(&'static str),
}

/// A datagram cut into its parts, nothing of it believed yet.
#[derive(Debug, Clone, Copy)]
pub struct Sealed<'a> {
    /// Which key it says it is signed with.
    pub key: KeyId,
    /// The bytes under the MAC.
    pub signed: &'a [u8],
    /// The MAC.
    pub mac: &'a [u8; MAC_BYTES],
}

/// Cuts a datagram into signed part and MAC.
///
/// # Errors
/// Length, magic or version are not those of a heartbeat.
pub fn open(datagram: &[u8]) -> Result<Sealed<'_>, BeatError> {
    let (signed, mac) = match datagram.split_last_chunk::<MAC_BYTES>() {
        Some((signed, mac)) if signed.len() >= HEADER && datagram.len() <= MAX_BEAT => (signed, mac),
        _ => return Err(BeatError::Length(datagram.len())),
    };
    if signed[..2] != MAGIC {
        return Err(BeatError::Magic);
    }
    if signed[2] != VERSION {
        return Err(BeatError::Version(signed[2]));
    }
    Ok(Sealed { key: KeyId([signed[4], signed[5], signed[6], signed[7]]), signed, mac })
}

/// The signed part of a beat: at most [`MAX_BEAT`] less [`MAC_BYTES`] bytes, whatever the beat holds. Texts are cut
/// to their limits, and of many GPUs only the first are described; the rest are counted.
pub fn encode(beat: &Beat, key: KeyId) -> Vec<u8> {
    let facts = &beat.facts;
    let mut out = Vec::with_capacity(MAX_BEAT);
    out.put_slice(&MAGIC);
    out.put_u8(VERSION);
    let goodbye = if beat.goodbye { FLAG_GOODBYE } else { 0 };
    out.put_u8(goodbye | if facts.paused.is_some() { FLAG_PAUSED } else { 0 });
    out.put_slice(&key.0);
    out.put_slice(&beat.peer.0);
    out.put_slice(&beat.boot.0);
    out.put_u64_le(beat.seq);
    out.put_u16_le(beat.worker_port);
    put_text(&mut out, &beat.name, MAX_NAME);

    out.put_u16_le(facts.cores);
    out.put_u8(facts.cpu_percent);
    out.put_u32_le(to_mib(facts.memory_bytes));
    out.put_u32_le(to_mib(facts.memory_free_bytes));
    out.put_u32_le(to_mib(facts.disk_free_bytes));
    out.put_u16_le(facts.job_slots);
    out.put_u16_le(facts.jobs_running);
    out.put_u32_le(facts.cpu_limit_millis);
    out.put_u32_le(to_mib(facts.memory_limit_bytes));
    out.put_u32_le(u32::try_from(facts.timeout_limit_s).unwrap_or(u32::MAX));

    let engines = &facts.engines[..facts.engines.len().min(MAX_ENGINES)];
    out.put_u8(engines.len() as u8);
    for engine in engines {
        out.put_u8(kind_code(engine.kind));
        out.put_u8(isolation_code(engine.isolation));
        let base = if engine.envs.iter().any(|e| e == BASE_ENV) { ENGINE_HAS_BASE } else { 0 };
        out.put_u8(engine.lacks.iter().fold(base, |bits, lack| bits | lack_bit(*lack)));
    }
    put_text(&mut out, facts.paused.as_deref().unwrap_or(""), MAX_REASON);
    let described = put_gpus(&mut out, &facts.gpus);
    put_gpu_use(&mut out, facts, described);
    out
}

/// The beat in a signed part whose MAC was right.
///
/// # Errors
/// A member of the group sent something malformed.
pub fn decode(signed: &[u8]) -> Result<Beat, BeatError> {
    if signed.len() < HEADER {
        return Err(BeatError::Length(signed.len()));
    }
    let cut_short = |_: TryGetError| BeatError::Malformed("cut short");
    let mut at = signed;
    at.advance(MAGIC.len() + 1);
    let flags = at.get_u8();
    at.advance(4);
    let peer = PeerId(take_array(&mut at)?);
    let boot = BootId(take_array(&mut at)?);
    let seq = at.try_get_u64_le().map_err(cut_short)?;
    let worker_port = at.try_get_u16_le().map_err(cut_short)?;
    let name = take_text(&mut at)?;
    if !is_name(name) {
        return Err(BeatError::Malformed("a name that is empty, too long or has control characters"));
    }
    let mut facts = (|| {
        Ok(Facts {
            cores: at.try_get_u16_le()?,
            cpu_percent: at.try_get_u8()?.min(100),
            memory_bytes: from_mib(at.try_get_u32_le()?),
            memory_free_bytes: from_mib(at.try_get_u32_le()?),
            disk_free_bytes: from_mib(at.try_get_u32_le()?),
            job_slots: at.try_get_u16_le()?,
            jobs_running: at.try_get_u16_le()?,
            cpu_limit_millis: at.try_get_u32_le()?,
            memory_limit_bytes: from_mib(at.try_get_u32_le()?),
            timeout_limit_s: u64::from(at.try_get_u32_le()?),
            ..Facts::default()
        })
    })()
    .map_err(cut_short)?;

    for _ in 0..at.try_get_u8().map_err(cut_short)? {
        let [kind, isolation, bits] = take_array(&mut at)?;
        // A later version may know engines that this one does not; they cannot be used from here, so they are left out.
        if let (Some(kind), Some(isolation)) = (kind_of(kind), isolation_of(isolation)) {
            let envs = if bits & ENGINE_HAS_BASE == 0 { Vec::new() } else { vec![BASE_ENV.to_owned()] };
            let lacks = Lack::ALL.into_iter().filter(|lack| bits & lack_bit(*lack) != 0).collect();
            facts.engines.push(EngineOffer { kind, isolation, envs, lacks });
        }
    }
    let reason = visible_controls(take_text(&mut at)?.as_bytes());
    facts.paused = (flags & FLAG_PAUSED != 0).then_some(reason);
    let described;
    (facts.gpus, described) = take_gpus(&mut at)?;
    take_gpu_use(&mut at, &mut facts, described)?;
    Ok(Beat { peer, boot, seq, worker_port, name: name.to_owned(), facts, goodbye: flags & FLAG_GOODBYE != 0 })
}

/// Whether a machine may be called that: 1 to [`MAX_NAME`] bytes that cannot steer a terminal.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.contains('\t') && visible_controls(name.as_bytes()) == name
}

/// How many there are, how many are described, and those: an empty name is the name of the one before, since the
/// GPUs of one machine are mostly alike.
fn put_gpus(out: &mut Vec<u8>, gpus: &[Gpu]) -> usize {
    let total = gpus.len().min(usize::from(u8::MAX));
    out.put_u8(total as u8);
    let described_at = out.len();
    out.put_u8(0);
    let mut previous = "";
    for gpu in &gpus[..total] {
        let name = cut(&gpu.name, MAX_GPU_NAME);
        let shown = if name == previous { "" } else { name };
        // What follows takes a tag, a length, a limit, and a byte for each that is described.
        let tail = 3 + usize::from(out[described_at]) + 1;
        if out.len() + 1 + shown.len() + 9 + tail > MAX_BEAT - MAC_BYTES {
            break;
        }
        put_text(out, shown, MAX_GPU_NAME);
        out.put_u32_le(to_mib(gpu.memory_bytes));
        out.put_u32_le(to_mib(gpu.memory_free_bytes));
        out.put_u8(gpu.busy_percent);
        out[described_at] += 1;
        previous = name;
    }
    usize::from(out[described_at])
}

fn take_gpus(at: &mut &[u8]) -> Result<(Vec<Gpu>, usize), BeatError> {
    let [total, described] = take_array(at)?;
    let mut gpus: Vec<Gpu> = Vec::with_capacity(usize::from(total));
    for _ in 0..described.min(total) {
        let shown = take_text(at)?;
        let name = match (shown, gpus.last()) {
            ("", Some(before)) => before.name.clone(),
            (shown, _) => visible_controls(shown.as_bytes()),
        };
        let [a, b, c, d, e, f, g, h, busy] = take_array(at)?;
        gpus.push(Gpu {
            index: gpus.len() as u32,
            name,
            memory_bytes: from_mib(u32::from_le_bytes([a, b, c, d])),
            memory_free_bytes: from_mib(u32::from_le_bytes([e, f, g, h])),
            busy_percent: busy.min(100),
            ..Gpu::default()
        });
    }
    let described_here = gpus.len();
    // Those that did not fit: there, but promising nothing until the link tells more.
    let unknown =
        Gpu { name: "unknown GPU".into(), memory_bytes: 0, memory_free_bytes: 0, busy_percent: 100, ..Gpu::default() };
    while gpus.len() < usize::from(total) {
        gpus.push(Gpu { index: gpus.len() as u32, ..unknown.clone() });
    }
    Ok((gpus, described_here))
}

/// Behind the GPUs, and only if it says something: how many of them a job may have, and who uses each one described.
/// A tag and a length stand before it, so that a reader that does not know it passes over it.
fn put_gpu_use(out: &mut Vec<u8>, facts: &Facts, described: usize) {
    let gpus = &facts.gpus[..described];
    if facts.gpu_limit.is_none() && gpus.iter().all(|g| g.taken.is_none()) {
        return;
    }
    out.put_u8(TAG_GPU_USE);
    out.put_u8(1 + described as u8);
    out.put_u8(facts.gpu_limit.map_or(ALL_GPUS, |n| u8::try_from(n).unwrap_or(ALL_GPUS)));
    for gpu in gpus {
        out.put_u8(match gpu.taken {
            None => 0,
            Some(GpuUse::Owner) => 1,
            Some(GpuUse::Job) => 2,
        });
    }
}

fn take_gpu_use(at: &mut &[u8], facts: &mut Facts, described: usize) -> Result<(), BeatError> {
    let [TAG_GPU_USE, len, rest @ ..] = *at else { return Ok(()) };
    let cut_short = BeatError::Malformed("cut short");
    let (body, rest) = rest.split_at_checked(usize::from(*len)).ok_or(cut_short)?;
    let Some((limit, uses)) = body.split_first().filter(|(_, uses)| uses.len() >= described) else {
        return Err(cut_short);
    };
    *at = rest;
    facts.gpu_limit = (*limit != ALL_GPUS).then_some(u32::from(*limit));
    for (gpu, usage) in facts.gpus.iter_mut().zip(uses) {
        gpu.taken = match usage {
            0 => None,
            1 => Some(GpuUse::Owner),
            // Whatever a later version may add keeps jobs away too.
            _ => Some(GpuUse::Job),
        };
    }
    Ok(())
}

fn put_text(out: &mut Vec<u8>, text: &str, max: usize) {
    let text = cut(text, max);
    out.put_u8(text.len() as u8);
    out.put_slice(text.as_bytes());
}

/// The longest beginning of `text` with at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

fn take_text<'a>(at: &mut &'a [u8]) -> Result<&'a str, BeatError> {
    let (len, rest) = at.split_first().ok_or(BeatError::Malformed("cut short"))?;
    let (text, rest) = rest.split_at_checked(usize::from(*len)).ok_or(BeatError::Malformed("cut short"))?;
    *at = rest;
    std::str::from_utf8(text).map_err(|_| BeatError::Malformed("a text that is not UTF-8"))
}

fn take_array<const N: usize>(at: &mut &[u8]) -> Result<[u8; N], BeatError> {
    let (head, rest) = at.split_first_chunk::<N>().ok_or(BeatError::Malformed("cut short"))?;
    *at = rest;
    Ok(*head)
}

fn to_mib(bytes: u64) -> u32 {
    u32::try_from(bytes >> 20).unwrap_or(u32::MAX)
}

fn from_mib(mib: u32) -> u64 {
    u64::from(mib) << 20
}

fn kind_code(kind: EngineKind) -> u8 {
    match kind {
        EngineKind::Docker => 1,
        EngineKind::Native => 2,
    }
}

fn kind_of(code: u8) -> Option<EngineKind> {
    [EngineKind::Docker, EngineKind::Native].into_iter().find(|k| kind_code(*k) == code)
}

fn isolation_code(isolation: Isolation) -> u8 {
    match isolation {
        Isolation::Limits => 1,
        Isolation::Process => 2,
        Isolation::Namespace => 3,
        Isolation::Container => 4,
        Isolation::Gvisor => 5,
    }
}

/// The bit of an engine's byte that says that it lacks something; bit 0 is [`ENGINE_HAS_BASE`].
fn lack_bit(lack: Lack) -> u8 {
    match lack {
        Lack::Memory => 1 << 1,
        Lack::Cpu => 1 << 2,
        Lack::Pids => 1 << 3,
        Lack::Seccomp => 1 << 4,
        Lack::OwnUser => 1 << 5,
        Lack::Landlock => 1 << 6,
        Lack::Other => 0,
    }
}

fn isolation_of(code: u8) -> Option<Isolation> {
    use Isolation::{Container, Gvisor, Limits, Namespace, Process};
    [Limits, Process, Namespace, Container, Gvisor].into_iter().find(|i| isolation_code(*i) == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: KeyId = KeyId([0xAA, 0xBB, 0xCC, 0xDD]);

    fn small() -> Beat {
        Beat {
            peer: PeerId([1; 32]),
            boot: BootId([2; 16]),
            seq: 3,
            worker_port: 5556,
            name: "raj".into(),
            facts: Facts {
                cores: 8,
                cpu_percent: 12,
                memory_bytes: 16 << 30,
                memory_free_bytes: 4 << 30,
                disk_free_bytes: 100 << 30,
                gpus: vec![
                    Gpu {
                        name: "RTX".into(),
                        memory_bytes: 1 << 20,
                        memory_free_bytes: 0,
                        busy_percent: 7,
                        ..Gpu::default()
                    },
                    Gpu { index: 1, name: "RTX".into(), memory_bytes: 1 << 20, busy_percent: 7, ..Gpu::default() },
                ],
                engines: vec![EngineOffer {
                    kind: EngineKind::Native,
                    isolation: Isolation::Namespace,
                    envs: vec!["base".into()],
                    lacks: vec![],
                }],
                jobs_running: 1,
                job_slots: 2,
                paused: Some("in use".into()),
                cpu_limit_millis: 2000,
                memory_limit_bytes: 4 << 30,
                timeout_limit_s: 600,
                ..Facts::default()
            },
            goodbye: true,
        }
    }

    #[test]
    fn the_bytes_of_a_beat_are_fixed_for_ever() {
        let mut want = b"HB\x01\x03\xAA\xBB\xCC\xDD".to_vec();
        want.extend_from_slice(&[1; 32]);
        want.extend_from_slice(&[2; 16]);
        want.extend_from_slice(b"\x03\0\0\0\0\0\0\0\xB4\x15\x03raj");
        want.extend_from_slice(b"\x08\0\x0C\0\x40\0\0\0\x10\0\0\0\x90\x01\0\x02\0\x01\0");
        want.extend_from_slice(b"\xD0\x07\0\0\0\x10\0\0\x58\x02\0\0");
        want.extend_from_slice(b"\x01\x02\x03\x01\x06in use");
        want.extend_from_slice(b"\x02\x02\x03RTX\x01\0\0\0\0\0\0\0\x07\0\x01\0\0\0\0\0\0\0\x07");
        assert_eq!(encode(&small(), KEY), want);
        assert_eq!(decode(&want), Ok(small()));
    }

    #[test]
    fn the_fullest_beat_fits_a_datagram() {
        let mut beat = small();
        beat.name = "n".repeat(500);
        beat.facts.paused = Some("ü".repeat(500));
        beat.facts.engines = vec![beat.facts.engines[0].clone(); 9];
        beat.facts.memory_bytes = u64::MAX;
        beat.facts.timeout_limit_s = u64::MAX;
        let gpu = |i: usize| Gpu { name: format!("{i} {}", "g".repeat(90)), ..beat.facts.gpus[0].clone() };
        beat.facts.gpus = (0..300).map(gpu).collect();
        let bytes = encode(&beat, KEY);
        assert!(bytes.len() <= MAX_BEAT - MAC_BYTES, "{}", bytes.len());
        let back = decode(&bytes).expect("valid");
        assert_eq!(back.name.len(), MAX_NAME);
        assert_eq!(back.facts.gpus.len(), 255);
        assert!(back.facts.gpus[3].name.starts_with("3 g"), "the first few are described");
        assert_eq!(back.facts.gpus[200].memory_free_bytes, 0);
    }

    #[test]
    fn what_a_later_version_adds_at_the_end_is_ignored() {
        let mut bytes = encode(&small(), KEY);
        bytes.extend_from_slice(b"more");
        assert_eq!(decode(&bytes), Ok(small()));
    }

    #[test]
    fn who_uses_a_gpu_and_how_many_are_lent_is_told() {
        let mut beat = small();
        beat.facts.gpus[1].taken = Some(GpuUse::Owner);
        let told = encode(&beat, KEY);
        assert!(told.ends_with(b"G\x03\xFF\x00\x01"), "{told:?}");
        assert_eq!(decode(&told), Ok(beat.clone()));
        assert!(told.starts_with(&encode(&small(), KEY)), "an older version reads all it knows");
        beat.facts.gpus[0].taken = Some(GpuUse::Job);
        beat.facts.gpu_limit = Some(0);
        assert_eq!(decode(&encode(&beat, KEY)), Ok(beat));
        for cut in 1..told.len() - encode(&small(), KEY).len() - 1 {
            assert!(decode(&told[..told.len() - cut]).is_err());
        }
    }

    #[test]
    fn a_datagram_is_cut_only_if_it_may_be_a_beat() {
        let mut datagram = encode(&small(), KEY);
        datagram.extend_from_slice(&[9; MAC_BYTES]);
        let sealed = open(&datagram).expect("well-formed");
        assert_eq!((sealed.key, sealed.mac, sealed.signed.len()), (KEY, &[9; 32], datagram.len() - 32));
        assert_eq!(open(&datagram[..98]).err(), Some(BeatError::Length(98)));
        assert_eq!(open(&[0; MAX_BEAT + 1]).err(), Some(BeatError::Length(509)));
        datagram[2] = 9;
        assert_eq!(open(&datagram).err(), Some(BeatError::Version(9)));
        datagram[0] = 0;
        assert_eq!(open(&datagram).err(), Some(BeatError::Magic));
    }

    #[test]
    fn names_that_would_steer_a_terminal_are_refused() {
        for name in ["", "a\u{1b}[2J", "a\tb", "\u{202e}bob"] {
            let beat = Beat { name: name.into(), ..small() };
            assert!(matches!(decode(&encode(&beat, KEY)), Err(BeatError::Malformed(_))), "{name:?}");
        }
    }

    prop_compose! {
        fn gpu()(name in "[a-z]{0,50}|RTX", memory: u64, free: u64, busy in 0u8..=100, who in 0u8..3) -> Gpu {
            let taken = [None, Some(GpuUse::Owner), Some(GpuUse::Job)][usize::from(who)];
            Gpu { name, memory_bytes: memory, memory_free_bytes: free, busy_percent: busy, taken, ..Gpu::default() }
        }
    }

    prop_compose! {
        fn facts()(
            n in any::<[u64; 5]>(), s in any::<[u16; 3]>(), cpu_percent in 0u8..=100, cpu_limit_millis: u32,
            paused in proptest::option::of("\\PC{0,100}"), gpus in proptest::collection::vec(gpu(), 0..20),
            engines in proptest::collection::vec((any::<bool>(), 0u8..6, any::<bool>(), 0u8..64), 0..6),
            gpu_limit in proptest::option::of(0u32..300),
        ) -> Facts {
            Facts {
                cores: s[0], cpu_percent, memory_bytes: n[0], memory_free_bytes: n[1], disk_free_bytes: n[2], gpus,
                engines: engines.into_iter().filter_map(|(docker, isolation, base, lacks)| Some(EngineOffer {
                    kind: if docker { EngineKind::Docker } else { EngineKind::Native },
                    isolation: isolation_of(isolation)?,
                    envs: if base { vec!["base".into(), "ml-demo".into()] } else { vec![] },
                    lacks: Lack::ALL.into_iter().filter(|l| lacks << 1 & lack_bit(*l) != 0).collect(),
                })).collect(),
                jobs_running: s[1], job_slots: s[2], paused, cpu_limit_millis,
                memory_limit_bytes: n[3], timeout_limit_s: n[4], gpu_limit,
                ..Facts::default()
            }
        }
    }

    proptest! {
        #[test]
        fn any_beat_fits_and_what_was_read_is_written_back_the_same(
            peer: [u8; 32], boot: [u8; 16], seq: u64, worker_port: u16, name in "\\PC{1,80}", facts in facts(),
            goodbye: bool,
        ) {
            let beat = Beat { peer: PeerId(peer), boot: BootId(boot), seq, worker_port, name, facts, goodbye };
            let bytes = encode(&beat, KEY);
            prop_assert!(bytes.len() <= MAX_BEAT - MAC_BYTES);
            if let Ok(back) = decode(&bytes) {
                prop_assert_eq!((back.peer, back.boot, back.seq), (beat.peer, beat.boot, beat.seq));
                prop_assert_eq!((back.worker_port, back.goodbye), (beat.worker_port, beat.goodbye));
                prop_assert!(beat.name.starts_with(&back.name));
                prop_assert_eq!(back.facts.memory_free_bytes >> 20, u64::from(to_mib(beat.facts.memory_free_bytes)));
                prop_assert_eq!(back.facts.gpus.len(), beat.facts.gpus.len());
                prop_assert_eq!(decode(&encode(&back, KEY)), Ok(back));
            } else {
                prop_assert!(visible_controls(cut(&beat.name, MAX_NAME).as_bytes()) != cut(&beat.name, MAX_NAME));
            }
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), begin: bool) {
            if begin && bytes.len() > 3 {
                bytes[..3].copy_from_slice(b"HB\x01");
            }
            if let Ok(sealed) = open(&bytes) {
                let _ = decode(sealed.signed);
            }
            let _ = decode(&bytes);
        }

        #[test]
        fn a_changed_byte_never_makes_the_decoder_panic(at in 0usize..150, value: u8) {
            let mut bytes = encode(&small(), KEY);
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = decode(&bytes);
        }
    }
}
