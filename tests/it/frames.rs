//! Golden frames: what this version of the wire looks like, byte for byte. A change that breaks one of these breaks
//! a friend who has not updated yet. New fields may be added with a default; then the old frame must still be read.
//!
//! `HOMIE_BLESS=1 cargo test --test it frames` writes the files of a new protocol version. Those of a released one are
//! never written again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use bytes::BytesMut;
use data_encoding::HEXLOWER;
use homie::model::{
    BootId, Digest, EngineKind, EngineOffer, Epoch, Facts, FileEntry, Gpu, HostedState, HostedStatus, Isolation, JobId,
    JobSpec, Limits, Manifest, Needs, Offer, Outcome, PeerId, Placement, ResultRef, Totals, Usage,
};
use homie::secret::{GroupKeys, Secret};
use homie::wire::frame::{Frame, FrameCodec};
use homie::wire::heartbeat::{self, Beat, KeyId};
use homie::wire::ipc::{Greeting, Reply, Request, Submit};
use homie::wire::link::{Hello, LinkFrame, LinkReply, LinkRequest, Purpose, Transfer};
use homie::wire::output::{self, RecordReader, Source};
use homie::wire::refusal::{Refusal, RefusalKind};
use homie::wire::roster::{self, Card, Generation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::{Decoder, Encoder};

/// The version of both protocols that these frames belong to.
const VERSION: &str = "1";

pub fn golden(name: &str) -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire").join(VERSION);
    if !dir.is_dir() {
        super::world::skip("the golden frames are not here");
        return None;
    }
    Some(dir.join(name))
}

/// Compares `written` with the golden file; returns what the file holds.
#[track_caller]
pub fn same(name: &str, written: &str) -> Option<String> {
    let path = golden(name)?;
    if std::env::var_os("HOMIE_BLESS").is_some_and(|v| v == "1") {
        fs::write(&path, format!("{written}\n")).expect("own tree");
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(written, text.trim_end(), "{name}: the wire has changed");
    Some(text.trim_end().to_owned())
}

/// A JSON message is written as the golden file has it, and read from it.
#[track_caller]
pub fn json<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, message: &T) {
    let written = serde_json::to_string_pretty(message).expect("JSON");
    if let Some(text) = same(name, &written) {
        assert_eq!(*message, serde_json::from_str(&text).expect(name), "{name}");
    }
}

pub fn job() -> JobId {
    JobId([0xa1; 16])
}

pub fn spec() -> JobSpec {
    JobSpec {
        name: "train.py".into(),
        command: vec!["python3".into(), "train.py".into(), "--epochs".into(), "10".into()],
        vars: BTreeMap::from([("SEED".into(), "42".into())]),
        env: None,
        wanted: None,
        needs: Needs {
            cpu_millis: Some(1500),
            memory_bytes: Some(1 << 30),
            timeout_s: Some(600),
            disk_bytes: None,
            gpus: 1,
            gpu_memory_bytes: None,
            gpu_model: None,
            isolation: Some(Isolation::Namespace),
        },
        peer: Some("raj".into()),
        placement: Placement::Remote,
        outputs: vec!["*.pkl".into()],
        at_most_once: false,
    }
}

pub fn facts() -> Facts {
    Facts {
        cores: 8,
        cpu_percent: 23,
        memory_bytes: 32 << 30,
        memory_free_bytes: 24 << 30,
        disk_free_bytes: 200 << 30,
        gpus: vec![Gpu {
            name: "RTX 3080".into(),
            memory_bytes: 10 << 30,
            memory_free_bytes: 9 << 30,
            busy_percent: 3,
            ..Gpu::default()
        }],
        engines: vec![EngineOffer {
            kind: EngineKind::Native,
            isolation: Isolation::Namespace,
            envs: vec!["base".into()],
            lacks: vec![],
        }],
        jobs_running: 1,
        job_slots: 2,
        paused: None,
        cpu_limit_millis: Limits::default().cpu_millis,
        memory_limit_bytes: Limits::default().memory_bytes,
        timeout_limit_s: Limits::default().timeout_s,
        ..Facts::default()
    }
}

pub fn status() -> HostedStatus {
    HostedStatus {
        job: job(),
        epoch: Epoch(2),
        state: HostedState::Done,
        preparing: None,
        output_bytes: 1234,
        engine: Some("native".into()),
        usage: Usage { wall_ms: 3100, cpu_ms: 3000, peak_memory_bytes: 40 << 20, ..Usage::default() },
        limits: None,
        outcome: Some(Outcome::Exited { code: 0 }),
        results: Some(ResultRef {
            manifest: Digest([0xd2; 32]),
            totals: Totals { files: 3, bytes: 22_789 },
            skipped: vec!["out.lnk: symbolic link".into()],
        }),
    }
}

#[test]
fn the_local_socket_speaks_as_before() {
    json("ipc-greeting.json", &Greeting { protocol: vec![1], version: "0.1.0".into() });
    let submit = Submit { id: job(), spec: spec(), home_dir: "/home/raj".into(), inputs: Digest([0xd1; 32]) };
    let params = serde_json::to_value(&submit).expect("JSON");
    json("ipc-submit.json", &Request { id: 7, method: "job.submit".into(), params });
    let refusal = Refusal::new(RefusalKind::NoPeer, "no machine has 64 GPUs").hint("`homie peers` shows what there is");
    json("ipc-error.json", &Reply::Error { id: 7, error: refusal });
}

#[test]
fn peers_speak_as_before() {
    let hello = Hello {
        versions: vec![1],
        release: "0.1.0".into(),
        name: "raj".into(),
        boot: BootId([0xb0; 16]),
        worker_port: 5556,
        purpose: Purpose::Bulk { ticket: "00ff".repeat(8) },
        now_ms: 1_700_000_000_000,
        proof: "ab".repeat(32),
        features: vec![],
    };
    json("link-hello.json", &hello);
    let offer = Offer {
        job: job(),
        epoch: Epoch(2),
        spec: spec(),
        inputs: Digest([0xd1; 32]),
        input_totals: Totals { files: 1, bytes: 64_430 },
    };
    json("link-offer.json", &LinkFrame::Request { id: 1, request: LinkRequest::Offer { offer: Box::new(offer) } });
    let follow = LinkRequest::Follow { job: job(), epoch: Epoch(2), from: 4096, stream: 3 };
    json("link-follow.json", &LinkFrame::Request { id: 2, request: follow });
    let transfer = Transfer::Results { job: job(), epoch: Epoch(2) };
    json("link-ticket.json", &LinkFrame::Request { id: 3, request: LinkRequest::Ticket { transfer } });
    json("link-accepted.json", &LinkFrame::Reply { id: 1, reply: Ok(LinkReply::Accepted { status: status() }) });
    let busy = Refusal::new(RefusalKind::Busy, "every slot of raj is taken");
    json("link-busy.json", &LinkFrame::Reply { id: 1, reply: Err(busy) });
    json("link-facts.json", &LinkFrame::Facts { facts: facts(), name: "raj".into(), now_ms: None });
    json("link-ping.json", &LinkFrame::Ping { at_us: 1_234_567 });
    json("link-pong.json", &LinkFrame::Pong { at_us: 1_234_567 });
    json("link-status.json", &LinkFrame::Status { status: status() });
}

#[test]
fn a_manifest_looks_as_before() {
    let file = |path: &str, size: u64, exec: bool, chunks: usize| FileEntry {
        path: path.to_owned().try_into().expect("clean"),
        size,
        exec,
        hash: Digest([1; 32]),
        chunks: (0..chunks).map(|n| Digest([n as u8 + 2; 32])).collect(),
        lengths: vec![],
    };
    let files =
        vec![file("run.sh", 12, true, 0), file("data/größe.bin", (2 << 20) + 1, false, 3), file("empty", 0, false, 0)];
    let manifest = Manifest::new(files).expect("sound");
    let written = String::from_utf8(manifest.encode()).expect("JSON");
    if let Some(text) = same("manifest.json", &written) {
        assert_eq!(Manifest::decode(text.as_bytes()).expect("read"), manifest);
    }
}

#[test]
fn frames_look_as_before() {
    let mut bytes = BytesMut::new();
    let mut codec = FrameCodec::bulk();
    let frames = [
        Frame::json(&Greeting { protocol: vec![1], version: "0.1.0".into() }).expect("short"),
        Frame::Raw { stream: 1, data: "hello".into() },
        Frame::Raw { stream: 1, data: "".into() },
    ];
    for frame in frames.clone() {
        codec.encode(frame, &mut bytes).expect("short");
    }
    if let Some(text) = same("frames.hex", &HEXLOWER.encode(&bytes)) {
        let mut read = BytesMut::from(&HEXLOWER.decode(text.as_bytes()).expect("hex")[..]);
        for frame in frames {
            assert_eq!(codec.decode(&mut read).expect("sound"), Some(frame));
        }
    }
}

fn beat() -> Beat {
    Beat {
        peer: PeerId([7; 32]),
        boot: BootId([0xb0; 16]),
        seq: 99,
        worker_port: 5556,
        name: "raj".into(),
        facts: facts(),
        goodbye: false,
    }
}

#[test]
fn a_heartbeat_looks_as_before() {
    let signed = heartbeat::encode(&beat(), KeyId([1, 2, 3, 4]));
    if let Some(text) = same("heartbeat.hex", &HEXLOWER.encode(&signed)) {
        assert_eq!(heartbeat::decode(&HEXLOWER.decode(text.as_bytes()).expect("hex")).expect("read"), beat());
    }
}

/// A datagram whole, with the key id and the code of the group of docs/protocol, computed with Python's hmac.
#[test]
fn a_signed_heartbeat_looks_as_before() {
    let keys = GroupKeys::derive(&Secret::new("correct horse battery staple"), "homie");
    let key = KeyId(keys.beat_key_id());
    let signed = heartbeat::encode(&beat(), key);
    let whole = [&signed[..], &keys.beat_mac(&signed)].concat();
    if let Some(text) = same("heartbeat-signed.hex", &HEXLOWER.encode(&whole)) {
        let bytes = HEXLOWER.decode(text.as_bytes()).expect("hex");
        let sealed = heartbeat::open(&bytes).expect("a heartbeat");
        assert_eq!(sealed.key, key);
        assert!(keys.verify_beat(sealed.signed, sealed.mac));
        assert_eq!(heartbeat::decode(sealed.signed).expect("read"), beat());
    }
}

/// A card whole, with the signature of a known key (RFC 8032 §7.1, test 1): Ed25519 always makes the same one.
#[test]
fn a_card_looks_as_before() {
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let seed = HEXLOWER.decode(seed.as_bytes()).expect("hex");
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed");
    let key = ring::signature::KeyPair::public_key(&pair).as_ref().try_into().expect("32 bytes");
    let addresses = vec!["100.64.1.2".parse().expect("v4"), "fd7a:115c:a1e0::7".parse().expect("v6")];
    let (generation, name) = (Generation([0x9e; 16]), "raj".to_owned());
    let card = Card { generation, key, seq: 7, port: 5556, name, addresses };
    let signed = roster::encode(&card);
    let signature = pair.sign(&[roster::CONTEXT, &signed].concat());
    let whole = [&signed[..], signature.as_ref()].concat();
    if let Some(text) = same("card.hex", &HEXLOWER.encode(&whole)) {
        let bytes = HEXLOWER.decode(text.as_bytes()).expect("hex");
        let read = roster::open(&bytes).expect("a card");
        assert_eq!(read.card, card);
        assert!(homie::identity::verify(&key, roster::CONTEXT, read.signed, read.signature));
    }
    let heads = BTreeMap::from([("0011223344556677".to_owned(), 7)]);
    json("link-heads.json", &LinkFrame::Heads { heads });
    json("link-cards.json", &LinkFrame::Cards { cards: vec![data_encoding::BASE64.encode(&whole)] });
}

#[test]
fn an_output_log_looks_as_before() {
    let mut log = Vec::new();
    for (source, data) in [(Source::Stdout, &b"one\n"[..]), (Source::Stderr, b"\xff"), (Source::Stdout, b"")] {
        log.extend_from_slice(&output::header(source, 1_700_000_000_000, data.len()));
        log.extend_from_slice(data);
    }
    if let Some(text) = same("output.hex", &HEXLOWER.encode(&log)) {
        let mut reader = RecordReader::default();
        reader.push(&HEXLOWER.decode(text.as_bytes()).expect("hex"));
        let sizes: Vec<usize> =
            std::iter::from_fn(|| reader.next_record().expect("sound")).map(|r| r.data.len()).collect();
        assert_eq!(sizes, [4, 1, 0]);
    }
}
