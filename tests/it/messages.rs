//! The golden frames of what `frames` has no example of: with it, every message between peers has one, and the last two
//! tests say so.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;

use data_encoding::HEXLOWER;
use homie::identity::{peer_id_of_key, verify};
use homie::model::{
    AllowBuilds, BootId, BuildOffer, BuildProgress, BuildStep, Digest, EngineKind, EngineOffer, EnvOffer, Epoch, Facts,
    FileEntry, Gpu, GpuUse, HostedState, HostedStatus, Isolation, JobSpec, Lack, Limits, Lock, LockedPackage, Manifest,
    Needs, Offer, Outcome, PeerId, Recipe, Target, Token, Totals, Usage, WantedEnv,
};
use homie::wire::link::{Hello, LinkFrame, LinkReply, LinkRequest, Purpose, Transfer, Welcome, Welcomed};
use homie::wire::refusal::{Refusal, RefusalKind};
use homie::wire::rekey::{CONTEXT, Rekey, replaced};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::frames::{facts, golden, job, json, same, spec, status};

fn hello(purpose: Purpose) -> Hello {
    Hello {
        versions: vec![1],
        release: "0.1.0".into(),
        name: "raj".into(),
        boot: BootId([0xb0; 16]),
        worker_port: 5556,
        purpose,
        now_ms: 1_700_000_000_000,
        proof: "ab".repeat(32),
        features: vec!["roster".into()],
    }
}

fn recipe() -> Recipe {
    let requirements = vec!["numpy>=1.26".into()];
    Recipe { name: "ml".into(), python: Some("3.11".into()), requirements, ..Recipe::default() }
}

fn target() -> Target {
    Target { arch: "x86_64".into(), python: Some("3.11".into()), system: Some("debian-bookworm".into()) }
}

fn lock() -> Lock {
    let package =
        LockedPackage { name: "numpy".into(), version: "1.26.4".into(), sha256: "5f".repeat(32), source: false };
    let recipe = recipe().digest();
    Lock { recipe, target: target(), packages: vec![package], apt: vec![], image: None, dockerfile: None }
}

/// With every field that may be left out.
fn full_facts() -> Facts {
    let gpu = Gpu {
        index: 1,
        temperature_c: Some(61),
        power_watts: Some(180),
        taken: Some(GpuUse::Owner),
        ..facts().gpus[0].clone()
    };
    let docker = EngineOffer {
        kind: EngineKind::Docker,
        isolation: Isolation::Container,
        envs: vec!["base".into(), "ml".into()],
        lacks: vec![Lack::Memory, Lack::OwnUser],
    };
    let env = EnvOffer {
        name: "ml".into(),
        digest: Digest([0xe1; 32]),
        recipe: recipe().digest(),
        engine: EngineKind::Docker,
        python: Some("3.11.2".into()),
        bytes: 80 << 20,
    };
    Facts {
        gpus: vec![facts().gpus[0].clone(), gpu],
        engines: vec![docker],
        paused: Some("raj plays".into()),
        gpu_limit: Some(1),
        envs: vec![env],
        builds: vec![BuildOffer {
            engine: EngineKind::Docker,
            target: target(),
            allow: AllowBuilds::Wheels,
            steps: false,
        }],
        ..facts()
    }
}

/// As [`full_facts`].
fn full_spec() -> JobSpec {
    let wanted = WantedEnv::new(&recipe(), Some(&lock()));
    let needs = Needs { gpu_memory_bytes: Some(8 << 30), gpu_model: Some("rtx 3080".into()), ..spec().needs };
    JobSpec { env: Some("ml".into()), wanted: Some(Box::new(wanted)), needs, ..spec() }
}

/// As [`full_facts`], of a job whose environment is being made.
fn full_status() -> HostedStatus {
    let preparing = BuildProgress {
        step: 3,
        steps: 5,
        what: BuildStep::Install,
        detail: "numpy".into(),
        done: 1024,
        total: 4096,
        lines: vec!["Installing numpy".into()],
    };
    let usage = Usage { io_read_bytes: 1 << 20, io_write_bytes: 2 << 20, gpu_memory_bytes: 3 << 20, ..status().usage };
    HostedStatus {
        state: HostedState::Preparing,
        preparing: Some(preparing),
        usage,
        limits: Some(Limits { gpus: Some(1), ..Limits::default() }),
        outcome: None,
        results: None,
        ..status()
    }
}

#[test]
fn a_newcomer_is_greeted_as_before() {
    json("link-hello-control.json", &hello(Purpose::Control));
    json("link-hello-join.json", &hello(Purpose::Join));
    let welcome = Welcome { group: "homie".into(), secret: "correct horse battery staple".into() };
    json("link-welcome.json", &Welcomed::Ok(welcome));
    let used = "this invitation was used already, by another machine";
    json("link-welcome-refused.json", &Welcomed::Err(Refusal::new(RefusalKind::NotAllowed, used)));
    let addresses = ["100.64.1.2:5556", "[fd7a:115c:a1e0::7]:5556", "raj.example:7000"].map(String::from).to_vec();
    let token = Token { secret: [7; 16], inviter: PeerId(std::array::from_fn(|i| i as u8)), addresses };
    if let Some(text) = same("token.txt", &token.to_string()) {
        assert_eq!(text.parse(), Ok(token));
    }
}

#[test]
fn peers_ask_as_before() {
    let (job, epoch) = (job(), Epoch(2));
    let ask = |name: &str, request| json(name, &LinkFrame::Request { id: 4, request });
    let input_totals = Totals { files: 1, bytes: 64_430 };
    let offer = Offer { job, epoch, spec: full_spec(), inputs: Digest([0xd1; 32]), input_totals };
    ask("link-offer-env.json", LinkRequest::Offer { offer: Box::new(offer) });
    ask("link-ticket-inputs.json", LinkRequest::Ticket { transfer: Transfer::Inputs { job, epoch } });
    let transfer = Transfer::Env { digest: Digest([0xe1; 32]), engine: EngineKind::Native };
    ask("link-dial-bulk.json", LinkRequest::DialBulk { ticket: "00ff".repeat(8), transfer });
    ask("link-stop.json", LinkRequest::Stop { job, epoch });
    ask("link-query.json", LinkRequest::Query { job, epoch });
    ask("link-acknowledge.json", LinkRequest::Acknowledge { job, epoch });
}

/// The key is that of the seed 00 01 … 1f (RFC 8032); hash and signature were made with Python's blake3 and cryptography.
#[test]
fn the_frame_of_a_new_secret_and_its_signature_are_fixed_for_ever() {
    let key: [u8; 32] = bytes("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
    let signature: [u8; 64] = bytes(
        "0832cea933a7cfa1a6f73d8e194d3a80caeb5aa9d4294d3e369bda1ae499863f\
         5a02273d5d64f942cd348d8e606f91f9d60b2e4af9dca7c465b6a7b3dedbfd0a",
    );
    let said = Rekey {
        secret: "K3VZ-7QMD-X2AE-55TN".into(),
        kicked: vec![PeerId([0x33; 32])],
        members: vec![peer_id_of_key(&key), PeerId([0x22; 32])],
        replaces: vec![replaced("correct horse battery staple")],
        key: HEXLOWER.encode(&key),
        signature: HEXLOWER.encode(&signature),
    };
    assert!(verify(&key, CONTEXT, &said.signed("homie"), &signature));
    json("link-rekey.json", &LinkFrame::Request { id: 5, request: LinkRequest::Rekey(said) });
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    HEXLOWER.decode(hex.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()).expect("hex")
}

#[test]
fn peers_answer_as_before() {
    let answer = |name: &str, reply| json(name, &LinkFrame::Reply { id: 4, reply: Ok(reply) });
    answer("link-reply-done.json", LinkReply::Done);
    answer("link-reply-ticket.json", LinkReply::Ticket { ticket: "00ff".repeat(8) });
    answer("link-reply-status.json", LinkReply::Status { status: full_status() });
}

#[test]
fn peers_tell_as_before() {
    let now_ms = Some(1_700_000_000_000);
    json("link-facts-full.json", &LinkFrame::Facts { facts: full_facts(), name: "raj".into(), now_ms });
    json("link-credit.json", &LinkFrame::Credit { stream: 3, bytes: 65_536 });
    let refusal = Refusal::new(RefusalKind::UnknownJob, "its log is gone").hint("submit it again");
    json("link-broken.json", &LinkFrame::Broken { stream: 3, refusal });
    json("link-goodbye.json", &LinkFrame::Goodbye { restart: true });
    let ends = [
        ("exited", Outcome::Exited { code: 3 }),
        ("signaled", Outcome::Signaled { signal: 9 }),
        ("timed-out", Outcome::TimedOut),
        ("cancelled", Outcome::Cancelled { by: "you".into() }),
        ("failed", Outcome::failed(homie::model::FailKind::OutOfMemory, "killed for its memory limit of 1 GiB")),
        ("lost", Outcome::Lost { message: "raj is out of reach".into() }),
    ];
    for (name, outcome) in ends {
        let status = HostedStatus { outcome: Some(outcome), results: None, ..status() };
        json(&format!("link-status-{name}.json"), &LinkFrame::Status { status });
    }
}

#[test]
fn a_manifest_with_lengths_looks_as_before() {
    let file = |path: &str, lengths: &[u32]| FileEntry {
        path: path.to_owned().try_into().expect("clean"),
        size: lengths.iter().map(|len| u64::from(*len)).sum(),
        exec: false,
        hash: Digest([1; 32]),
        chunks: (0..lengths.len()).map(|n| Digest([n as u8 + 2; 32])).collect(),
        lengths: lengths.to_vec(),
    };
    // A small file may be cut too; Homie cuts none, but takes it.
    let files = vec![file("large.bin", &[700_000, 2 << 20, 65_536, 1]), file("small.bin", &[65_536, 100])];
    let manifest = Manifest::new(files).expect("sound");
    let written = String::from_utf8(manifest.encode()).expect("JSON");
    if let Some(text) = same("manifest-lengths.json", &written) {
        assert_eq!(Manifest::decode(text.as_bytes()).expect("read"), manifest);
    }
}

/// The golden files whose names begin so.
fn files(start: &str) -> Vec<(String, String)> {
    let Some(dir) = golden("") else { return Vec::new() };
    let names =
        fs::read_dir(&dir).expect("a directory").map(|e| e.expect("entry").file_name().into_string().expect("text"));
    let names = names.filter(|name| name.starts_with(start));
    names.map(|name| (name.clone(), fs::read_to_string(dir.join(&name)).expect("text"))).collect()
}

/// What serde calls the variants of a message, from its complaint about one that is none.
fn variants<T: DeserializeOwned + Debug>(tag: &str) -> BTreeSet<String> {
    let complaint = serde_json::from_value::<T>(serde_json::json!({ tag: "?" })).expect_err("no variant").to_string();
    let names: BTreeSet<String> = complaint.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(names.len() > 1, "{complaint}");
    names
}

#[test]
fn no_message_is_without_a_golden_frame() {
    let all: Vec<Value> = files("link-").iter().map(|(_, text)| serde_json::from_str(text).expect("JSON")).collect();
    if all.is_empty() {
        return;
    }
    for (at, wanted) in [
        ("/t", variants::<LinkFrame>("t")),
        ("/request/what", variants::<LinkRequest>("what")),
        ("/reply/Ok/what", variants::<LinkReply>("what")),
        ("/request/transfer/of", variants::<Transfer>("of")),
        ("/purpose/kind", variants::<Purpose>("kind")),
        ("/status/outcome/kind", variants::<Outcome>("kind")),
    ] {
        let shown: BTreeSet<&str> = all.iter().filter_map(|frame| frame.pointer(at)?.as_str()).collect();
        let lacking: Vec<&String> = wanted.iter().filter(|name| !shown.contains(name.as_str())).collect();
        assert!(lacking.is_empty(), "no golden frame has {lacking:?} at {at}");
    }
}

/// Also one that no test makes: what is read from it is written as it was.
#[test]
fn every_golden_frame_is_written_back_the_same() {
    fn back<T: Serialize + DeserializeOwned>(name: &str, text: &str) {
        let message: T = serde_json::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(serde_json::to_string_pretty(&message).expect("JSON"), text.trim_end(), "{name}");
    }
    for (name, text) in files("link-") {
        match name.as_str() {
            hello if hello.starts_with("link-hello") => back::<Hello>(&name, &text),
            welcome if welcome.starts_with("link-welcome") => back::<Welcomed>(&name, &text),
            _ => back::<LinkFrame>(&name, &text),
        }
    }
}

/// The page about fields has every member of the objects in the golden frames.
#[test]
fn every_field_of_jobs_and_machines_is_documented() {
    fn members<'a>(value: &'a Value, into: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members_of) => {
                for (name, value) in members_of {
                    into.insert(name);
                    // Those are a job's own words.
                    if name != "vars" {
                        members(value, into);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| members(item, into)),
            _ => {}
        }
    }
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol/fields.md");
    let Ok(page) = fs::read_to_string(page) else { return super::world::skip("the documents are not here") };
    let frames: Vec<Value> = files("link-").iter().map(|(_, text)| serde_json::from_str(text).expect("JSON")).collect();
    let mut all = BTreeSet::new();
    for at in ["/facts", "/request/offer", "/status", "/reply/Ok/status"] {
        frames.iter().filter_map(|frame| frame.pointer(at)).for_each(|value| members(value, &mut all));
    }
    let lacking: Vec<_> = all.into_iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(lacking.is_empty(), "docs/protocol/fields.md lacks {lacking:?}");
}
