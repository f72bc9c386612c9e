//! Fixed data for the tests: the machines and jobs of the sources' pictures.

use super::args::{Cli, Command, RunArgs};
use crate::model::{
    BootId, Delivery, Digest, EngineKind, EngineOffer, Epoch, Facts, Gpu, Isolation, JobId, JobRecord, JobSpec,
    JobState, Learned, Outcome, PathView, PeerId, PeerStatus, PeerView, Role, Totals, Usage, Via,
};
use crate::wire::ipc::StatusView;

/// The time at which the samples are looked at: 2026-11-21 06:00 UTC.
pub(crate) const NOW_MS: u64 = 1_795_240_800_000;

const GIB: u64 = 1 << 30;

pub(crate) fn facts() -> Facts {
    Facts {
        cores: 8,
        cpu_percent: 23,
        memory_bytes: 32 * GIB,
        memory_free_bytes: 25_877_807_923,
        disk_free_bytes: 200 * GIB,
        gpus: vec![Gpu {
            name: "NVIDIA GeForce RTX 3080".into(),
            memory_bytes: 10 * GIB,
            memory_free_bytes: 9 * GIB,
            busy_percent: 3,
            ..Gpu::default()
        }],
        engines: vec![
            EngineOffer {
                kind: EngineKind::Docker,
                isolation: Isolation::Container,
                envs: vec!["base".into()],
                lacks: vec![],
            },
            EngineOffer {
                kind: EngineKind::Native,
                isolation: Isolation::Namespace,
                envs: vec!["base".into()],
                lacks: vec![],
            },
        ],
        jobs_running: 0,
        job_slots: 2,
        paused: None,
        cpu_limit_millis: 2000,
        memory_limit_bytes: 4 * GIB,
        timeout_limit_s: 600,
        ..Facts::default()
    }
}

pub(crate) fn peers() -> Vec<PeerView> {
    let raj = PeerView {
        id: PeerId([7; 32]),
        name: "raj".into(),
        addr: ([192, 168, 1, 42], 5556).into(),
        boot: BootId([1; 16]),
        status: PeerStatus::Idle,
        via: Via::Broadcast,
        version: "0.1.0".into(),
        linked: true,
        heard_ms_ago: 800,
        clock_skew_ms: Some(12),
        roles: crate::model::Roles::default(),
        introduced_by: None,
        paths: vec![
            PathView {
                address: "192.168.1.42:5556".into(),
                learned: Learned::Beat,
                in_use: true,
                works: Some(true),
                rtt_us: Some(412),
                bytes_per_s: Some(112_000_000),
                worked_ms_ago: Some(800),
                failed_ms_ago: None,
            },
            PathView {
                address: "raj.tail1234.ts.net:5556".into(),
                learned: Learned::Direct,
                in_use: false,
                works: Some(false),
                rtt_us: Some(23_800),
                bytes_per_s: None,
                worked_ms_ago: Some(3_600_000),
                failed_ms_ago: Some(62_000),
            },
            PathView {
                address: "10.8.0.7:5556".into(),
                learned: Learned::Introduced,
                in_use: false,
                works: None,
                rtt_us: None,
                bytes_per_s: None,
                worked_ms_ago: None,
                failed_ms_ago: None,
            },
        ],
        facts: facts(),
    };
    let mike = PeerView {
        id: PeerId([9; 32]),
        name: "mike".into(),
        addr: ([192, 168, 1, 43], 5556).into(),
        status: PeerStatus::Busy,
        version: String::new(),
        linked: false,
        clock_skew_ms: None,
        roles: crate::model::Roles::default(),
        introduced_by: None,
        paths: Vec::new(),
        facts: Facts {
            cores: 4,
            cpu_percent: 12,
            memory_bytes: 16 * GIB,
            memory_free_bytes: 8_804_682_957,
            gpus: Vec::new(),
            jobs_running: 2,
            ..facts()
        },
        ..raj.clone()
    };
    let bob = PeerView {
        id: PeerId([3; 32]),
        name: "bob-in-new-york-city".into(),
        addr: ([100, 64, 1, 12], 5556).into(),
        status: PeerStatus::Offline,
        via: Via::Direct,
        heard_ms_ago: 7_300_000,
        facts: Facts { cpu_percent: 100, memory_bytes: 128 * GIB, memory_free_bytes: 100 * GIB, ..facts() },
        ..raj.clone()
    };
    vec![raj, mike, bob]
}

pub(crate) fn status() -> StatusView {
    StatusView {
        name: "raj".into(),
        id: PeerId([7; 32]),
        version: "0.1.0".into(),
        pid: 4242,
        uptime_ms: 12_000_000,
        ip: Some("192.168.1.42".into()),
        discovery_port: 5555,
        discovery_error: None,
        worker_port: 5556,
        worker_error: None,
        worker_at: vec![],
        worker_not_at: vec![],
        engine_error: None,
        peers_online: 2,
        jobs_sent: 1,
        jobs_hosted: 0,
        facts: facts(),
        warnings: Vec::new(),
    }
}

pub(crate) fn jobs() -> Vec<JobRecord> {
    let spec = JobSpec {
        name: "train.py".into(),
        command: ["python3", "train.py", "--epochs", "10"].map(str::to_owned).to_vec(),
        ..JobSpec::default()
    };
    let id = JobId([0xa1, 0xb2, 0xc3, 0xd4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let train = JobRecord {
        uid: 1000,
        home_dir: Some("/home/mike/work".into()),
        input_totals: Totals { files: 2, bytes: 700_000 },
        state: JobState::Succeeded,
        outcome: Some(Outcome::Exited { code: 0 }),
        epoch: Epoch(1),
        peer: Some(PeerId([7; 32])),
        peer_name: Some("raj".into()),
        engine: Some("docker".into()),
        started_ms: Some(NOW_MS - 299_000),
        ended_ms: Some(NOW_MS - 95_000),
        usage: Usage { wall_ms: 204_000, cpu_ms: 401_000, peak_memory_bytes: 900 << 20, ..Usage::default() },
        limits: None,
        output_bytes: 4000,
        results: Some(Digest([6; 32])),
        result_totals: Totals { files: 3, bytes: 2_500_000 },
        delivery: Delivery::Delivered,
        ..JobRecord::new(id, Role::Sent, spec, Digest([5; 32]), NOW_MS - 300_000)
    };
    let sweep = JobRecord {
        id: JobId([0x0f; 16]),
        spec: JobSpec { name: "monte-carlo-sweep-with-a-long-name.sh".into(), ..JobSpec::default() },
        state: JobState::Failed,
        outcome: Some(Outcome::Exited { code: 3 }),
        peer_name: Some("bob-in-new-york-city".into()),
        engine: Some("native".into()),
        created_ms: NOW_MS - 8_000_000,
        usage: Usage { wall_ms: 1100, cpu_ms: 900, ..Usage::default() },
        delivery: Delivery::Waiting,
        ..train.clone()
    };
    let running = JobRecord {
        id: JobId([0x33; 16]),
        role: Role::Hosted,
        spec: JobSpec { name: "render.py".into(), ..JobSpec::default() },
        state: JobState::Running,
        outcome: None,
        peer_name: Some("mike".into()),
        created_ms: NOW_MS - 21_000,
        started_ms: Some(NOW_MS - 20_000),
        ended_ms: None,
        usage: Usage::default(),
        results: None,
        result_totals: Totals::default(),
        delivery: Delivery::None,
        ..train.clone()
    };
    let queued = JobRecord {
        id: JobId([0x44; 16]),
        role: Role::Sent,
        state: JobState::Queued,
        peer: None,
        peer_name: None,
        engine: None,
        created_ms: NOW_MS - 1000,
        started_ms: None,
        ..running.clone()
    };
    vec![running, queued, train, sweep]
}

/// What `homie run LINE` asks for.
pub(crate) fn run_args(line: &[&str]) -> RunArgs {
    let argv = ["homie", "run"].iter().chain(line).map(|w| (*w).into());
    match Cli::read(argv).expect("accepted").command {
        Command::Run(args) => *args,
        other => panic!("{other:?}"),
    }
}
