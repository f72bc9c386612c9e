//! The sandbox room with the native engine, for real: programs run in jails, under supervisors that are processes of the
//! built homied. Needs namespaces (root, or a user who may make user namespaces).

// Test code: a failed expectation is the report.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use homie::blobs::BlobStore;
use homie::config::{EngineChoice, Settings};
use homie::history;
use homie::mailbox::{Door, ask};
use homie::model::{
    Amount, Digest, Epoch, Facts, FailKind, FileEntry, HostedState, HostedStatus, JobId, JobSpec, LimitChange, Limits,
    Manifest, Needs, Offer, Outcome, PeerId, PeerView, SeenGpu, Totals,
};
use homie::monitor::messages::{LookAtGpus, SetEngines, SetEnvs, SetHosting};
use homie::registry::messages::ListPeers;
use homie::sandbox::envs::build::{HostBuilder, HostBuilderParts};
use homie::sandbox::messages::{
    AdmitJob, Borrower, DrainSandbox, ForgetJob, HostedJobs, LimitJob, LiveJobs, OpenResults, StartJob, StopJob,
    WatchJob,
};
use homie::sandbox::{self, SandboxActor, SandboxParts};
use homie::wire::ipc::LimitedJob;
use homie::wire::output::RecordReader;
use homie::wire::refusal::{Refusal, RefusalKind};
use tokio::sync::watch;

/// Ten times what a busy machine needs for the slowest of these jobs.
const LONG: Duration = Duration::from_secs(120);

/// Swallows what the room tells the monitor.
struct Monitor;
impl actix::Actor for Monitor {
    type Context = actix::Context<Self>;
}
impl actix::Handler<SetEngines> for Monitor {
    type Result = ();
    fn handle(&mut self, _: SetEngines, _: &mut Self::Context) {}
}
impl actix::Handler<SetEnvs> for Monitor {
    type Result = ();
    fn handle(&mut self, _: SetEnvs, _: &mut Self::Context) {}
}
/// Nobody else is there.
impl actix::Handler<ListPeers> for Monitor {
    type Result = Vec<PeerView>;
    fn handle(&mut self, _: ListPeers, _: &mut Self::Context) -> Self::Result {
        Vec::new()
    }
}
impl actix::Handler<LookAtGpus> for Monitor {
    type Result = Vec<SeenGpu>;
    fn handle(&mut self, _: LookAtGpus, _: &mut Self::Context) -> Self::Result {
        vec![]
    }
}
impl actix::Handler<SetHosting> for Monitor {
    type Result = ();
    fn handle(&mut self, _: SetHosting, _: &mut Self::Context) {}
}

struct Room {
    door: Door<SandboxActor>,
    blobs: BlobStore,
    limits: Limits,
    _facts: watch::Sender<Facts>,
    settings: watch::Sender<Settings>,
}

const FRIEND: PeerId = PeerId([7; 32]);

fn friend() -> Borrower {
    Borrower { peer: FRIEND, name: "raj".into(), own: false }
}

impl Room {
    async fn open(state: &Path) -> Self {
        Self::open_with(state, PathBuf::from(env!("CARGO_BIN_EXE_homied"))).await
    }

    async fn open_with(state: &Path, exe: PathBuf) -> Self {
        // Rooms that run at the same time are different machines, or they would sweep up after each other; rooms on
        // one state are the same.
        let node = PeerId(Digest::of(state.as_os_str().as_encoded_bytes()).0);
        Self::open_as(state, exe, node, sandbox::Lookout::default()).await
    }

    async fn open_as(state: &Path, exe: PathBuf, node: PeerId, lookout: sandbox::Lookout) -> Self {
        use actix::Actor;
        let limits = Limits { memory_bytes: 512 << 20, ..Limits::default() };
        let settings = Settings {
            engine: EngineChoice::Native,
            limits: limits.clone(),
            job_slots: 4,
            ..Settings::defaults("host")
        };
        let blobs = BlobStore::open(state.join("store"), 1 << 32).expect("store");
        let history = history::start(&state.join("homie.db")).expect("history");
        let monitor = Monitor.start();
        let (settings, settings_rx) = watch::channel(settings);
        let (facts, facts_rx) = watch::channel(Facts::default());
        let builder = HostBuilder::new(HostBuilderParts {
            exe: exe.clone(),
            node: node.to_string(),
            docker_host: None,
            cache: state.join("wheels"),
            limits: limits.clone(),
            blobs: blobs.clone(),
            link: Arc::default(),
            lookout: lookout.clone(),
        })
        .expect("builder");
        let door = sandbox::start(SandboxParts {
            exe,
            node,
            dir: state.join("jobs"),
            settings: settings_rx,
            blobs: blobs.clone(),
            put: history.clone().recipient(),
            get: history.clone().recipient(),
            load: history.recipient(),
            engines: monitor.clone().recipient(),
            hosting: monitor.clone().recipient(),
            look_at_gpus: monitor.clone().recipient(),
            set_envs: monitor.clone().recipient(),
            peers: monitor.recipient(),
            envs_dir: state.join("envs"),
            builder: std::sync::Arc::new(builder),
            facts: facts_rx,
            gpus: watch::channel(vec![]).1,
            lookout,
        })
        .await
        .expect("started");
        Self { door, blobs, limits, _facts: facts, settings }
    }

    fn offer(&self, command: &[&str], files: &[(&str, &[u8])], needs: Needs) -> Offer {
        let entry = |(path, bytes): &(&str, &[u8])| {
            let hash = Digest::of(bytes);
            self.blobs.put(&hash, bytes).expect("put");
            let path = homie::model::CleanPath::new(*path).expect("clean");
            FileEntry { path, size: bytes.len() as u64, exec: false, hash, chunks: vec![], lengths: vec![] }
        };
        let manifest = Manifest::new(files.iter().map(entry).collect()).expect("valid");
        Offer {
            job: JobId::random().expect("random"),
            epoch: Epoch(1),
            spec: JobSpec {
                name: "test".into(),
                command: command.iter().map(|s| (*s).to_owned()).collect(),
                vars: BTreeMap::from([("GREETING".to_owned(), "hei".to_owned())]),
                needs,
                ..JobSpec::default()
            },
            inputs: self.blobs.put_manifest(&manifest).expect("put"),
            input_totals: Totals { files: files.len() as u64, bytes: manifest.total_bytes() },
        }
    }

    async fn admit(&self, offer: &Offer) -> Result<HostedStatus, Refusal> {
        ask(&self.door, AdmitJob { from: friend(), offer: offer.clone() }, LONG).await.expect("answers")
    }

    async fn begin(&self, offer: &Offer) {
        self.admit(offer).await.expect("admitted");
        let start = StartJob { from: FRIEND, job: offer.job, epoch: offer.epoch };
        ask(&self.door, start, LONG).await.expect("answers").expect("started");
    }

    async fn until(&self, offer: &Offer, wanted: impl Fn(&HostedStatus) -> bool) -> HostedStatus {
        let watch = WatchJob { from: FRIEND, job: offer.job, epoch: offer.epoch };
        let mut feed = ask(&self.door, watch, LONG).await.expect("answers").expect("known");
        let status = tokio::time::timeout(LONG, feed.status.wait_for(|s| wanted(s))).await;
        status.expect("in time").expect("room lives").clone()
    }

    async fn done(&self, offer: &Offer) -> HostedStatus {
        self.until(offer, |s| s.state == HostedState::Done).await
    }

    /// (all output, names of results, skipped lines)
    async fn harvest(&self, offer: &Offer) -> (String, Vec<String>, Vec<String>) {
        let watch = WatchJob { from: FRIEND, job: offer.job, epoch: offer.epoch };
        let feed = ask(&self.door, watch, LONG).await.expect("answers").expect("known");
        let mut cursor = feed.log.cursor(0);
        let mut reader = RecordReader::default();
        let mut text = Vec::new();
        while let Some(bytes) = cursor.next(1 << 20).await.expect("readable") {
            reader.push(&bytes);
            while let Some(record) = reader.next_record().expect("sound") {
                text.extend_from_slice(&record.data);
            }
        }
        assert_eq!(reader.pending(), 0, "the log ends with a whole record");
        let open = OpenResults { from: FRIEND, job: offer.job, epoch: offer.epoch };
        let results = ask(&self.door, open, LONG).await.expect("answers").expect("ended");
        let names = results.manifest.files().iter().map(|f| f.path.to_string()).collect();
        let skipped = feed.status.borrow().results.as_ref().map(|r| r.skipped.clone()).unwrap_or_default();
        (String::from_utf8_lossy(&text).into_owned(), names, skipped)
    }

    async fn run(&self, script: &str, needs: Needs) -> (HostedStatus, String) {
        let offer = self.offer(&["sh", "-c", script], &[], needs);
        self.begin(&offer).await;
        let status = self.done(&offer).await;
        (status, self.harvest(&offer).await.0)
    }
}

fn in_room<F: Future<Output = ()>>(test: impl FnOnce(PathBuf) -> F) {
    let state = tempfile::tempdir().expect("tempdir");
    actix::System::new().block_on(test(state.path().to_path_buf()));
}

fn failed(status: &HostedStatus) -> FailKind {
    match &status.outcome {
        Some(Outcome::Failed { reason, .. }) => *reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_script_runs_jailed_and_only_what_it_made_comes_home() {
    in_room(|state| async move {
        let room = Room::open(&state).await;
        let script = b"\
import os, socket, sys
print('uid', os.getuid(), os.environ['GREETING'], open('data/in.txt').read())
os.makedirs('out'); open('out/model', 'w').write('m' * 10)
open('data/changed.txt', 'w').write('other')
os.symlink('/etc/shadow', 'shadow')
for what in (lambda: open('/usr/x', 'w'), lambda: open('/etc/shadow'), lambda: os.listdir('/root'),
             lambda: socket.create_connection(('192.0.2.1', 80), 2), lambda: socket.socket(socket.AF_VSOCK)):
    try: what(); print('REACHED')
    except OSError as e: pass
print('err', file=sys.stderr)
sys.exit(3)
";
        let files: [(&str, &[u8]); 3] = [("run.py", script), ("data/in.txt", b"input"), ("data/changed.txt", b"first")];
        let offer = room.offer(&["python3", "run.py"], &files, Needs::default());
        room.begin(&offer).await;
        let status = room.done(&offer).await;
        let (text, names, skipped) = room.harvest(&offer).await;
        assert_eq!(status.outcome, Some(Outcome::Exited { code: 3 }), "{text}");
        assert_eq!(status.engine.as_deref(), Some("native"));
        assert!(text.contains("hei input") && text.contains("err") && !text.contains("REACHED"), "{text}");
        assert!(!text.contains("uid 0 "), "{text}");
        assert_eq!(names, ["data/changed.txt", "out/model"]);
        assert_eq!(skipped, ["shadow: symbolic link"]);
        assert!(status.usage.cpu_ms > 0 && status.usage.wall_ms > 0 && status.usage.peak_memory_bytes > 0);

        let forget = ForgetJob { from: FRIEND, job: offer.job, epoch: offer.epoch };
        ask(&room.door, forget, LONG).await.expect("answers");
        wait_until(|| of_jobs(&state) == 0).await;
    });
}

/// How many jobs have a directory. The supervisor of the next one waits in its own.
fn of_jobs(state: &Path) -> usize {
    let all = std::fs::read_dir(state.join("jobs")).expect("jobs").flatten();
    all.filter(|entry| !entry.file_name().to_string_lossy().starts_with("spare-")).count()
}

/// Waits for a condition that nothing announces.
async fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "the condition never came true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_job_that_resists_is_gone_soon_after_its_time() {
    in_room(|state| async move {
        let room = Room::open(&state).await;
        let resist =
            "trap '' TERM INT HUP QUIT; (trap '' TERM; setsid sleep 1000 &) ; echo on; while :; do sleep 100; done";
        let needs = Needs { timeout_s: Some(1), ..Needs::default() };
        let (status, text) = room.run(resist, needs).await;
        assert_eq!((status.outcome, text.as_str()), (Some(Outcome::TimedOut), "on\n"));
        assert!((1000..3000).contains(&status.usage.wall_ms), "{:?}", status.usage);
    });
}

#[test]
fn limits_end_a_job_by_their_names() {
    in_room(|state| async move {
        let room = Room::open(&state).await;
        let needs = || Needs { memory_bytes: Some(64 << 20), disk_bytes: Some(16 << 20), ..Needs::default() };
        let hungry = "exec python3 -c 'x = []\nwhile True: x.append(bytearray(1 << 20))'";
        assert_eq!(failed(&room.run(hungry, needs()).await.0), FailKind::OutOfMemory);
        let writer = "i=0; while :; do head -c 1000000 /dev/zero > f$i; i=$((i+1)); done";
        assert_eq!(failed(&room.run(writer, needs()).await.0), FailKind::DiskLimit);
        // Files without a name count as well.
        let hidden = "exec python3 -c 'import os,time\nf = []\nfor i in range(60):\n f.append(open(\"x\", \"wb\")); os.unlink(\"x\"); f[-1].write(bytes(1 << 20)); f[-1].flush()\ntime.sleep(1000)'";
        assert_eq!(failed(&room.run(hidden, needs()).await.0), FailKind::DiskLimit);
        let missing = room.offer(&["no-such-program"], &[], Needs::default());
        room.begin(&missing).await;
        assert_eq!(failed(&room.done(&missing).await), FailKind::Spawn);
        let (status, _) = room.run("kill -SEGV $$", Needs::default()).await;
        assert_eq!(status.outcome, Some(Outcome::Signaled { signal: 11 }));
        let too_much = room.offer(&["true"], &[], Needs { memory_bytes: Some(1 << 50), ..Needs::default() });
        let refusal = room.admit(&too_much).await.expect_err("refused");
        assert_eq!(refusal.kind, RefusalKind::Limits);
        assert!(refusal.message.contains("512.0 MB"), "{}", refusal.message);
        assert_eq!(room.limits.memory_bytes, 512 << 20);
    });
}

#[test]
fn a_million_lines_arrive_whole_and_in_order() {
    in_room(|state| async move {
        let room = Room::open(&state).await;
        let (status, text) = room.run("seq 1000000", Needs::default()).await;
        assert_eq!(status.outcome, Some(Outcome::Exited { code: 0 }));
        assert!(text.lines().map(str::parse).eq((1..=1_000_000).map(Ok::<u32, _>)));
    });
}

#[test]
fn a_job_is_cancelled_before_and_while_it_runs() {
    in_room(|state| async move {
        let room = Room::open(&state).await;
        let cancelled = Some(Outcome::Cancelled { by: "you".into() });
        let stop = |offer: &Offer| StopJob { from: FRIEND, job: offer.job, epoch: offer.epoch, by: "you".into() };
        let waiting = room.offer(&["true"], &[], Needs::default());
        room.admit(&waiting).await.expect("admitted");
        ask(&room.door, stop(&waiting), LONG).await.expect("answers").expect("known");
        assert_eq!(room.done(&waiting).await.outcome, cancelled);

        let running = room.offer(&["sh", "-c", "echo x > part; exec sleep 1000"], &[], Needs::default());
        room.begin(&running).await;
        room.until(&running, |s| s.state == HostedState::Running).await;
        ask(&room.door, stop(&running), LONG).await.expect("answers").expect("known");
        assert_eq!(room.done(&running).await.outcome, cancelled);
    });
}

#[test]
fn an_assignment_has_one_answer_and_one_owner() {
    in_room(|state| async move {
        let room = Room::open(&state).await;
        let offer = room.offer(&["sleep", "1000"], &[], Needs::default());
        let first = room.admit(&offer).await.expect("admitted");
        assert_eq!(room.admit(&offer).await.expect("again"), first);
        let stranger = Borrower { peer: PeerId([9; 32]), name: "eve".into(), own: false };
        let theirs = ask(&room.door, AdmitJob { from: stranger.clone(), offer: offer.clone() }, LONG).await;
        assert_eq!(theirs.expect("answers").expect_err("refused").kind, RefusalKind::NotAllowed);
        let theirs = StopJob { from: stranger.peer, job: offer.job, epoch: offer.epoch, by: "you".into() };
        let theirs = ask(&room.door, theirs, LONG).await.expect("answers");
        assert_eq!(theirs.expect_err("refused").kind, RefusalKind::UnknownJob);

        room.begin(&offer).await;
        room.until(&offer, |s| s.state == HostedState::Running).await;
        let second = Offer { epoch: Epoch(2), ..offer.clone() };
        assert_eq!(room.admit(&second).await.expect("replaces").epoch, Epoch(2));
        assert_eq!(room.admit(&offer).await.expect_err("stale").kind, RefusalKind::StaleEpoch);
        let hosted = ask(&room.door, HostedJobs, LONG).await.expect("answers");
        assert_eq!(hosted.iter().map(|r| r.epoch).collect::<Vec<_>>(), [Epoch(2)]);
    });
}

#[test]
fn of_assignments_offered_at_once_the_newest_runs_alone() {
    in_room(|state| async move {
        let room = Room::open(&state).await;
        let first = room.offer(&["sleep", "1000"], &[], Needs::default());
        let epochs = [2, 5, 1, 4, 3].map(|n| Offer { epoch: Epoch(n), ..first.clone() });
        let answers = futures_util::future::join_all(epochs.iter().map(|offer| room.admit(offer))).await;
        for (offer, answer) in epochs.iter().zip(answers) {
            match answer {
                Ok(status) => assert_eq!(status.epoch, offer.epoch),
                Err(refusal) => assert_eq!(refusal.kind, RefusalKind::StaleEpoch, "{refusal}"),
            }
        }
        let hosted = ask(&room.door, HostedJobs, LONG).await.expect("answers");
        assert_eq!(hosted.iter().map(|r| r.epoch).collect::<Vec<_>>(), [Epoch(5)]);
        room.begin(&epochs[1]).await;
        room.until(&epochs[1], |s| s.state == HostedState::Running).await;
        // Every other one has ended: nothing of it is left, and nothing of it is known.
        wait_until(|| of_jobs(&state) == 1).await;
        for stale in epochs.iter().filter(|o| o.epoch != Epoch(5)) {
            assert_eq!(room.admit(stale).await.expect_err("stale").kind, RefusalKind::StaleEpoch);
        }
        let stop = StopJob { from: FRIEND, job: first.job, epoch: Epoch(5), by: "you".into() };
        ask(&room.door, stop, LONG).await.expect("answers").expect("known");
        room.done(&epochs[1]).await;
    });
}

/// A homied that does `first` before it becomes a supervisor, whose directory is `$2`.
fn wrapped(state: &Path, first: &str) -> PathBuf {
    let exe = state.join("homied");
    let homied = env!("CARGO_BIN_EXE_homied");
    let script = format!("#!/bin/sh\n[ \"$1\" = __supervise ] && {first}\nexec {homied} \"$@\"\n");
    std::fs::write(&exe, script).expect("written");
    std::fs::set_permissions(&exe, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("made executable");
    exe
}

/// Its jail is built meanwhile, and goes unused.
#[test]
fn a_job_whose_supervisor_cannot_say_who_it_is_never_runs() {
    in_room(|state| async move {
        let room = Room::open_with(&state, wrapped(&state, "mkdir \"$2/supervisor.tmp\"")).await;
        let offer = room.offer(&["sh", "-c", "echo ran"], &[], Needs::default());
        room.begin(&offer).await;
        let status = room.done(&offer).await;
        assert_eq!(failed(&status), FailKind::Internal, "{status:?}");
        assert_eq!(room.harvest(&offer).await.0, "");
        wait_until(|| supervisors(&state).is_empty()).await;
    });
}

#[test]
fn a_job_that_cannot_be_followed_is_ended_before_it_is_called_failed() {
    in_room(|state| async move {
        // The first thing this supervisor leaves is a report that nobody can read.
        let room = Room::open_with(&state, wrapped(&state, "echo nonsense > \"$2/exit.json\"")).await;
        let offer = room.offer(&["sh", "-c", "echo said before; sleep 1000"], &[], Needs::default());
        room.begin(&offer).await;
        let status = room.done(&offer).await;
        assert_eq!(failed(&status), FailKind::Internal, "{status:?}");
        assert!(supervisors(&state).is_empty(), "its supervisor goes on");
        assert_eq!(room.harvest(&offer).await.0, "said before\n");
    });
}

/// The processes that hold the lock of a directory below `state`: (the directory's name, process).
fn lock_holders(state: &Path) -> Vec<(String, i32)> {
    let jobs = state.join("jobs");
    let held = |pid: i32| {
        let lock = std::fs::read_link(format!("/proc/{pid}/fd/0")).ok()?;
        // One that outlives the directory counts: the kernel says of its lock that it is deleted.
        let lock = lock.strip_prefix(&jobs).ok()?.to_str()?.trim_end_matches(" (deleted)");
        let dir = lock.strip_suffix("/lock")?;
        Some((dir.to_owned(), pid))
    };
    let names = std::fs::read_dir("/proc").expect("proc").flatten().map(|e| e.file_name());
    names.filter_map(|name| held(name.to_str()?.parse().ok()?)).collect()
}

/// The supervisors of jobs.
fn supervisors(state: &Path) -> Vec<i32> {
    lock_holders(state).into_iter().filter(|(dir, _)| !dir.starts_with("spare-")).map(|(_, pid)| pid).collect()
}

/// The supervisors that wait for the next job.
fn spares(state: &Path) -> Vec<i32> {
    lock_holders(state).into_iter().filter(|(dir, _)| dir.starts_with("spare-")).map(|(_, pid)| pid).collect()
}

#[test]
fn the_next_supervisor_waits_for_the_next_job() {
    in_room(|state| async move {
        let room = Room::open(&state).await;
        let run = async |text: &str| {
            let offer = room.offer(&["sh", "-c", text], &[], Needs::default());
            room.begin(&offer).await;
            assert_eq!(room.done(&offer).await.outcome, Some(Outcome::Exited { code: 0 }));
            assert_eq!(room.harvest(&offer).await.0, "ran\n");
            offer
        };
        assert!(spares(&state).is_empty(), "nobody knows yet whether there will be a job");
        run("echo ran").await;
        wait_until(|| spares(&state).len() == 1).await;
        let spare = spares(&state);
        let second = room.offer(&["sh", "-c", "until [ -e go ]; do sleep 0.01; done; echo ran"], &[], Needs::default());
        room.begin(&second).await;
        room.until(&second, |s| s.state == HostedState::Running).await;
        // It is the second job's now; what it forks for the jail has its lock for a moment.
        wait_until(|| supervisors(&state) == spare).await;
        // While that job runs, the next one is there already; killed, it is not missed.
        wait_until(|| spares(&state).len() == 1).await;
        let killed = nix::unistd::Pid::from_raw(spares(&state)[0]);
        nix::sys::signal::kill(killed, nix::sys::signal::SIGKILL).expect("killed");
        wait_until(|| spares(&state).is_empty()).await;
        run("echo ran").await;
        let go = state.join("jobs").join(format!("{}-1", second.job)).join("work/go");
        std::fs::write(go, "").expect("written");
        assert_eq!(room.done(&second).await.outcome, Some(Outcome::Exited { code: 0 }));
        // No more jobs for a while: it goes, and so does its directory.
        room.settings.send_modify(|s| s.warm_idle_s = 1);
        run("echo ran").await;
        let waiting = |e: std::io::Result<std::fs::DirEntry>| {
            e.is_ok_and(|e| e.file_name().to_string_lossy().starts_with("spare-"))
        };
        wait_until(|| !std::fs::read_dir(state.join("jobs")).expect("listed").any(waiting)).await;
        wait_until(|| spares(&state).is_empty()).await;
        // homied is on its way down: at once.
        room.settings.send_modify(|s| s.warm_idle_s = 600);
        run("echo ran").await;
        wait_until(|| spares(&state).len() == 1).await;
        ask(&room.door, DrainSandbox, LONG).await.expect("answers");
        assert!(!std::fs::read_dir(state.join("jobs")).expect("listed").any(waiting));
        wait_until(|| spares(&state).is_empty()).await;
    });
}

#[test]
fn a_supervisor_that_stands_by_does_nothing_until_it_is_told() {
    let state = tempfile::tempdir().expect("tempdir");
    let path = state.path().to_path_buf();
    let in_system = |test: std::pin::Pin<Box<dyn Future<Output = Offer>>>| actix::System::new().block_on(test);
    let first = path.clone();
    let left = in_system(Box::pin(async move {
        let room = Room::open(&first).await;
        let offer = |text: &str| room.offer(&["sh", "-c", text], &[], Needs::default());
        // It goes before it is needed: the job has another.
        let bereft = offer("echo ran");
        room.admit(&bereft).await.expect("admitted");
        wait_until(|| !supervisors(&first).is_empty()).await;
        let kill = |pid: &i32| nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), nix::sys::signal::SIGKILL);
        supervisors(&first).iter().for_each(|pid| kill(pid).expect("killed"));
        // One that hears the word and dies of the signal only then may have begun.
        wait_until(|| supervisors(&first).is_empty()).await;
        room.begin(&bereft).await;
        assert_eq!(room.done(&bereft).await.outcome, Some(Outcome::Exited { code: 0 }));
        assert_eq!(room.harvest(&bereft).await.0, "ran\n");
        // Its job does not come to pass: it goes with it.
        wait_until(|| supervisors(&first).is_empty()).await;
        let cancelled = offer("echo ran");
        room.admit(&cancelled).await.expect("admitted");
        wait_until(|| !supervisors(&first).is_empty()).await;
        let stop = StopJob { from: FRIEND, job: cancelled.job, epoch: cancelled.epoch, by: "you".into() };
        ask(&room.door, stop, LONG).await.expect("answers").expect("known");
        assert!(matches!(room.done(&cancelled).await.outcome, Some(Outcome::Cancelled { .. })));
        wait_until(|| supervisors(&first).is_empty()).await;
        let left = offer("echo ran; exit 3");
        room.admit(&left).await.expect("admitted");
        wait_until(|| !supervisors(&first).is_empty()).await;
        left
    }));
    // Its homied is gone: so is it, and the next one finds the job as it was.
    in_system(Box::pin(async move {
        wait_until(|| supervisors(&path).is_empty()).await;
        assert!(!path.join("jobs").join(format!("{}-1", left.job)).join("supervisor.json").exists());
        let room = Room::open(&path).await;
        room.begin(&left).await;
        assert_eq!(room.done(&left).await.outcome, Some(Outcome::Exited { code: 3 }));
        assert_eq!(room.harvest(&left).await.0, "ran\n");
        left
    }));
}

#[test]
fn a_supervisor_whose_homied_was_killed_before_the_word_leaves_nothing() {
    let dir = tempfile::tempdir().expect("tempdir");
    // Even where it could begin: a later homied finds this file and starts another.
    std::fs::write(dir.path().join("launch.json"), "{}").expect("written");
    let (told, word) = std::io::pipe().expect("pipe");
    let mut supervisor = std::process::Command::new(env!("CARGO_BIN_EXE_homied"));
    supervisor.args(["__supervise".as_ref(), dir.path().as_os_str(), "when-told".as_ref()]);
    let mut child = supervisor.stdin(std::process::Stdio::null()).stdout(told).spawn().expect("executed");
    // The command holds the end for reading.
    drop((supervisor, word));
    assert!(child.wait().expect("ended").success());
    let names = std::fs::read_dir(dir.path()).expect("there").flatten().map(|e| e.file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["launch.json"]);
}

#[test]
fn a_later_room_adopts_what_an_earlier_one_left() {
    let state = tempfile::tempdir().expect("tempdir");
    let path = state.path().to_path_buf();
    let in_system = |test: std::pin::Pin<Box<dyn Future<Output = Offer>>>| actix::System::new().block_on(test);
    let first = path.clone();
    // Ends while the job runs: the room and all its tasks are dropped, as in a crash.
    let offer = in_system(Box::pin(async move {
        let room = Room::open(&first).await;
        let script = "echo one; until [ -e go ]; do sleep 0.01; done; echo two; echo r > result; exit 5";
        let offer = room.offer(&["sh", "-c", script], &[], Needs::default());
        room.begin(&offer).await;
        room.until(&offer, |s| s.state == HostedState::Running).await;
        offer
    }));
    let second = path.clone();
    in_system(Box::pin(async move {
        let room = Room::open(&second).await;
        assert_ne!(room.until(&offer, |s| s.state >= HostedState::Running).await.state, HostedState::Done);
        let work = second.join("jobs").join(format!("{}-1", offer.job)).join("work");
        std::fs::write(work.join("go"), "").expect("written");
        let status = room.done(&offer).await;
        assert_eq!(status.outcome, Some(Outcome::Exited { code: 5 }));
        let (text, names, _) = room.harvest(&offer).await;
        assert_eq!((text.as_str(), names), ("one\ntwo\n", vec!["go".to_owned(), "result".to_owned()]));
        offer
    }));
}

/// A build is a jail of this machine whose directory is not among those of jobs, as is a job of another room with the same
/// name.
#[test]
fn an_engine_that_comes_back_sweeps_away_what_nobody_looks_at_and_nothing_else() {
    in_room(|state| async move {
        let exe = || PathBuf::from(env!("CARGO_BIN_EXE_homied"));
        let node = PeerId(Digest::of(state.as_os_str().as_encoded_bytes()).0);
        let open = async |name: &str, lookout: &sandbox::Lookout| {
            let place = state.join(name);
            std::fs::create_dir(&place).expect("made");
            (Room::open_as(&place, exe(), node, lookout.clone()).await, place)
        };
        let lookout = sandbox::Lookout::default();
        let (first, place) = open("first", &lookout).await;
        let offer = first.offer(&["sh", "-c", "until [ -e go ]; do sleep 0.01; done"], &[], Needs::default());
        first.begin(&offer).await;
        first.until(&offer, |s| s.state == HostedState::Running).await;

        let (second, _) = open("second", &lookout).await;
        // Its sweep is over before a job of its own is, as a rule.
        let other = second.offer(&["true"], &[], Needs::default());
        second.begin(&other).await;
        assert_eq!(second.done(&other).await.outcome, Some(Outcome::Exited { code: 0 }));
        assert_eq!(first.until(&offer, |_| true).await.state, HostedState::Running);

        // An ordinary user often has no control groups, by which alone leftovers are known.
        if nix::unistd::geteuid().is_root() {
            let _third = open("third", &sandbox::Lookout::default()).await;
        } else {
            std::fs::write(place.join("jobs").join(format!("{}-1", offer.job)).join("work/go"), "").expect("written");
        }
        first.done(&offer).await;
    });
}

async fn limit(room: &Room, job: &str, change: LimitChange) -> Result<LimitedJob, Refusal> {
    ask(&room.door, LimitJob { job: job.to_owned(), change }, LONG).await.expect("answers")
}

#[test]
fn the_owner_changes_the_limits_of_a_running_job() {
    let state = tempfile::tempdir().expect("tempdir");
    let memory = |amount| LimitChange { memory_bytes: Some(amount), ..LimitChange::default() };
    let time = |amount| LimitChange { timeout_s: Some(amount), ..LimitChange::default() };
    let (offer, given) = actix::System::new().block_on(async {
        let room = Room::open(state.path()).await;
        // Twice what it was given at first; it allocates once it is told to.
        let script = "while [ ! -e go ]; do sleep 0.05; done; python3 -c 'bytearray(800 << 20)' && echo fits";
        let greedy = room.offer(&["sh", "-c", script], &[], Needs::default());
        let job = greedy.job.to_string();
        room.admit(&greedy).await.expect("admitted");
        let early = limit(&room, &job, memory(Amount::To(1 << 30))).await.expect_err("it does not run yet");
        assert_eq!(early.kind, RefusalKind::Busy);
        room.begin(&greedy).await;
        room.until(&greedy, |s| s.state == HostedState::Running).await;
        let refused = limit(&room, &job, memory(Amount::To(1 << 20))).await.expect_err("too little");
        assert!(refused.kind == RefusalKind::Limits && refused.hint.is_some(), "{refused:?}");
        let given = limit(&room, &job, memory(Amount::More(1 << 30))).await.expect("given");
        assert_eq!((given.before.memory_bytes, given.after.memory_bytes), (512 << 20, 1536 << 20));
        let told = room.until(&greedy, |s| s.limits.as_ref() == Some(&given.after)).await;
        assert_eq!(told.state, HostedState::Running);
        let live = ask(&room.door, LiveJobs, LONG).await.expect("answers");
        assert_eq!((live.len(), &live[0].limits), (1, &given.after));
        assert!(live[0].processes >= 1 && live[0].memory_bytes > 0, "{live:?}");
        (greedy, given)
    });
    // A homied that comes later holds on to it, and may change it again.
    actix::System::new().block_on(async {
        let room = Room::open(state.path()).await;
        let job = offer.job.short();
        assert_eq!(room.until(&offer, |s| s.limits.is_some()).await.limits.as_ref(), Some(&given.after));
        let again = loop {
            // Until it has seen that the program runs.
            match limit(&room, &job, time(Amount::To(3600))).await {
                Err(refusal) if refusal.kind == RefusalKind::Busy => tokio::task::yield_now().await,
                answer => break answer.expect("given"),
            }
        };
        assert_eq!((again.before, again.after.timeout_s), (given.after.clone(), 3600));
        let work = state.path().join("jobs").join(format!("{}-1", offer.job)).join("work");
        std::fs::write(work.join("go"), "").expect("write");
        let done = room.done(&offer).await;
        assert_eq!(done.outcome, Some(Outcome::Exited { code: 0 }), "{}", room.harvest(&offer).await.0);
        let over = limit(&room, &job, time(Amount::More(5))).await.expect_err("it has ended");
        assert!(over.message.contains("has ended"), "{over:?}");

        // Less time: its end comes sooner, without a new start.
        let endless = room.offer(&["sleep", "1000"], &[], Needs::default());
        room.begin(&endless).await;
        room.until(&endless, |s| s.state == HostedState::Running).await;
        let shorter = limit(&room, &endless.job.to_string(), time(Amount::To(5))).await.expect("given");
        assert_eq!((shorter.before.timeout_s, shorter.after.timeout_s), (600, 5));
        assert_eq!(room.done(&endless).await.outcome, Some(Outcome::TimedOut));
        let unknown = limit(&room, "ffffffff", time(Amount::To(5))).await.expect_err("no such job");
        assert_eq!(unknown.kind, RefusalKind::UnknownJob);
    });
}

#[test]
fn a_killed_supervisor_takes_its_job_along_and_its_submitter_is_told_why() {
    in_room(|state| async move {
        let room = Room::open(&state).await;
        let offer = room.offer(&["sleep", "1000"], &[], Needs::default());
        room.begin(&offer).await;
        room.until(&offer, |s| s.state == HostedState::Running).await;
        let dir = state.join("jobs").join(format!("{}-1", offer.job));
        let note = std::fs::read_to_string(dir.join("supervisor.json")).expect("written");
        let note: serde_json::Value = serde_json::from_str(&note).expect("JSON");
        let pid = nix::unistd::Pid::from_raw(note["pid"].as_i64().expect("a number") as i32);
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("lives");
        let init: i32 = children.split_whitespace().next().expect("one child").parse().expect("a number");
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("ours");
        wait_until(|| !Path::new(&format!("/proc/{init}")).exists()).await;
        let done = room.done(&offer).await;
        assert!(
            matches!(&done.outcome, Some(Outcome::Lost { message }) if message.contains("supervisor was killed")),
            "{done:?}"
        );
        assert_eq!(done.results, None);
        let forget = ForgetJob { from: FRIEND, job: offer.job, epoch: offer.epoch };
        ask(&room.door, forget, LONG).await.expect("answers");
        wait_until(|| !dir.exists()).await;
    });
}

/// The names of the system calls that `systemd-analyze` says are in a group, and in the groups within it.
fn calls_of(group: &str) -> BTreeSet<String> {
    let out = std::process::Command::new("systemd-analyze").args(["syscall-filter", group]).output().expect("runs");
    assert!(out.status.success(), "{group}: {}", String::from_utf8_lossy(&out.stderr));
    let lines = String::from_utf8(out.stdout).expect("text");
    let mut calls = BTreeSet::new();
    for entry in lines.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if entry.starts_with('@') {
            calls.append(&mut calls_of(entry));
        } else {
            calls.insert(entry.to_owned());
        }
    }
    calls
}

/// What the `SystemCallFilter=` lines of the service's unit let through.
fn calls_of_the_unit() -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for line in include_str!("../systemd/system/homied.service").lines() {
        let Some(words) = line.strip_prefix("SystemCallFilter=") else { continue };
        let denied = words.strip_prefix('~');
        for word in denied.unwrap_or(words).split_whitespace() {
            let mut these = if word.starts_with('@') { calls_of(word) } else { BTreeSet::from([word.to_owned()]) };
            match denied {
                Some(_) => calls.retain(|call| !these.contains(call)),
                None => calls.append(&mut these),
            }
        }
    }
    calls
}

/// Under systemd a call that the unit's filter leaves out fails, and with it every jail: here each call that a job's
/// supervisor, its jail and a program in it make is compared with the unit.
#[test]
fn a_jail_is_made_with_calls_that_the_service_may_make() {
    for tool in ["strace", "systemd-analyze"] {
        if !["/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(tool).exists()) {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI needs {tool}");
            eprintln!("left out: there is no {tool} here");
            return;
        }
    }
    in_room(|state| async move {
        let trace = state.join("trace");
        // -D: the supervisor stays the child of homied that it is without the tracer.
        let homied = env!("CARGO_BIN_EXE_homied");
        let strace = format!("exec strace -D -f -qq -e signal=none -o {} {homied} \"$@\"", trace.display());
        let traced = format!("case \"$2\" in */spare-*) ;; *) {strace} ;; esac");
        let room = Room::open_with(&state, wrapped(&state, &traced)).await;
        let (status, output) = room.run("cat /proc/self/status > kept; echo ran", Needs::default()).await;
        assert_eq!(status.outcome, Some(Outcome::Exited { code: 0 }), "{output}");
        assert_eq!(output, "ran\n");

        // A line is `123 name(arguments) = 0`, or the later half of one that was interrupted.
        let calls_in = |text: &str| -> BTreeSet<String> {
            text.lines()
                .filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('))
                .map(|(name, _)| name.to_owned())
                .filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
                .collect()
        };
        let text = || std::fs::read_to_string(&trace).unwrap_or_default();
        // The tracer writes a little after what it traces.
        wait_until(|| text().contains("+++ exited") || calls_in(&text()).contains("exit_group")).await;
        let made = calls_in(&text());
        for part in ["pivot_root", "move_mount", "execve", "landlock_restrict_self", "sethostname"] {
            assert!(made.contains(part), "the trace misses {part}: {made:?}");
        }
        let may = calls_of_the_unit();
        let refused: Vec<_> = made.difference(&may).collect();
        assert!(refused.is_empty(), "systemd/system/homied.service leaves out {refused:?}");
        // The comparison can fail.
        assert!(!may.contains("ptrace") && !may.contains("reboot"));
    });
}

/// Programs of many threads, much memory and odd calls, as the filter of system calls meets them.
#[test]
fn compilers_and_runtimes_work_under_the_filter() {
    // Threads that share memory and wait for each other, memory that grows, moves and is protected, files mapped and
    // shared between processes: what NumPy and PyTorch do.
    let python = "\
import mmap, multiprocessing as mp, threading, multiprocessing.shared_memory as sm, ctypes, os, select, tempfile
def fill(name): s = sm.SharedMemory(name); s.buf[:4] = b'full'; s.close()
if __name__ == '__main__':
    total = []
    threads = [threading.Thread(target=lambda: total.append(sum(range(100000)))) for _ in range(16)]
    [t.start() for t in threads]; [t.join() for t in threads]
    s = sm.SharedMemory(create=True, size=1 << 20)
    p = mp.get_context('spawn').Process(target=fill, args=(s.name,)); p.start(); p.join()
    assert bytes(s.buf[:4]) == b'full', p.exitcode
    s.close(); s.unlink()
    with mp.Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
    m = mmap.mmap(-1, 64 << 20); m.madvise(mmap.MADV_HUGEPAGE); m[:3] = b'abc'; m.resize(80 << 20)
    with tempfile.TemporaryFile() as f:
        f.truncate(1 << 20); g = mmap.mmap(f.fileno(), 0); g[0] = 7; g.flush()
    os.sched_setaffinity(0, os.sched_getaffinity(0)); select.epoll().close(); os.memfd_create('x')
    print('python works', len(total))
";
    let c = "echo '#include <pthread.h>\n#include <stdio.h>\nvoid *f(void *x) { return x; }\n\
             int main() { pthread_t t; pthread_create(&t, 0, f, 0); pthread_join(t, 0); puts(\"cc works\"); }' > a.c && \
             cc -O2 -pthread a.c -o a && ./a";
    let go_run = "mkdir -p /tmp/c && GOCACHE=/tmp/c GOFLAGS=-mod=mod GOPROXY=off go build -o m m.go && ./m";
    in_room(|state| async move {
        let room = Room::open(&state).await;
        type Try<'a> = (&'a str, &'a [&'a str], (&'a str, &'a str), &'a str);
        let tries: [Try<'_>; 5] = [
            ("python3", &["python3", "m.py"], ("m.py", python), "python works 16"),
            ("cc", &["sh", "-c", c], ("none", ""), "cc works"),
            (
                "cc",
                &["sh", "-c", "cc -O2 -pthread n.c -o n && ./n"],
                ("n.c", include_str!("probes/numeric.c")),
                "numeric works 48",
            ),
            ("node", &["node", "m.js"], ("m.js", include_str!("probes/turns.js")), "node works 28 8 hi 42"),
            ("go", &["sh", "-c", go_run], ("m.go", include_str!("probes/turns.go")), "go works 200 hi"),
        ];
        for (program, command, (name, text), says) in tries {
            if !["/usr/bin", "/usr/local/bin"].iter().any(|dir| Path::new(dir).join(program).exists()) {
                assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI needs {program}");
                eprintln!("left out: there is no {program} here");
                continue;
            }
            let offer = room.offer(command, &[(name, text.as_bytes())], Needs::default());
            room.begin(&offer).await;
            let status = room.done(&offer).await;
            let (output, ..) = room.harvest(&offer).await;
            assert_eq!(status.outcome, Some(Outcome::Exited { code: 0 }), "{program}: {output}");
            assert!(output.contains(says), "{program}: {output}");
        }
    });
}
