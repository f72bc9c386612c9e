//! Environments, for real: built from the package index in the jails of this machine by the built homied, and used there
//! without a network. Needs namespaces (root, or a user who may make user namespaces), a Python and the index.

// Test code: a failed expectation is the report.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use homie::blobs::BlobStore;
use homie::model::{
    AllowBuilds, BuildFailure, BuildProgress, EngineKind, EnvBuilt, Epoch, FailedBuild, JobId, Limits, Lock, Outcome,
    Recipe,
};
use homie::sandbox::engine::{ExitReport, JobLaunch};
use homie::sandbox::envs::build::{HostBuilder, HostBuilderParts};
use homie::sandbox::envs::builder::{BuildOrder, BuildPolicy, Builder, ProgressSink, ResolveOrder, TREE};
use homie::sandbox::envs::tree;
use homie::wire::output::RecordReader;
use tokio::sync::watch;

const EXE: &str = env!("CARGO_BIN_EXE_homied");
/// The index hosts of the defaults.
const HOSTS: [&str; 2] = ["pypi.org", "files.pythonhosted.org"];

struct Bench {
    dir: tempfile::TempDir,
    builder: HostBuilder,
    progress: ProgressSink,
    seen: watch::Receiver<BuildProgress>,
}

impl Bench {
    /// Files of packages are kept between runs, so that a run without changes fetches nothing.
    fn open() -> Self {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("packages-{}", nix::unistd::getuid()));
        Self::with_cache(cache)
    }

    fn with_cache(cache: PathBuf) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let host = HostBuilderParts {
            exe: EXE.into(),
            node: "TEST-OF-ENVIRONMENTS".into(),
            docker_host: None,
            cache,
            limits: Limits { memory_bytes: 2 << 30, ..Limits::default() },
            blobs: BlobStore::open(dir.path().join("store"), 1 << 30).expect("a store"),
            link: Arc::new(OnceLock::new()),
            lookout: homie::sandbox::Lookout::default(),
        };
        let (progress, seen) = watch::channel(BuildProgress::default());
        Self { dir, builder: HostBuilder::new(host).expect("a builder"), progress, seen }
    }

    fn policy(allow: AllowBuilds) -> BuildPolicy {
        BuildPolicy { allow, hosts: HOSTS.map(str::to_owned).into(), max_bytes: 2 << 30 }
    }

    fn fresh(&self, name: &str) -> PathBuf {
        let dir = self.dir.path().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("made");
        dir
    }

    async fn resolve(&self, recipe: &Recipe, allow: AllowBuilds) -> Result<Lock, BuildFailure> {
        let order = ResolveOrder {
            recipe: recipe.clone(),
            engine: EngineKind::Native,
            dir: self.fresh("resolve"),
            policy: Self::policy(allow),
        };
        self.builder.resolve(&order, &self.progress).await
    }

    fn order(&self, lock: &Lock, name: &str) -> BuildOrder {
        BuildOrder {
            digest: lock.digest(),
            lock: lock.clone(),
            engine: EngineKind::Native,
            dir: self.fresh(name),
            policy: Self::policy(AllowBuilds::Wheels),
        }
    }

    async fn build(&self, lock: &Lock, name: &str) -> Result<(EnvBuilt, PathBuf), BuildFailure> {
        let order = self.order(lock, name);
        Ok((self.builder.build(&order, &self.progress).await?, order.dir))
    }

    /// Runs a Python program in the jail, with the tree, without a network: (how it ended, what it wrote).
    fn run(&self, tree: Option<PathBuf>, program: &str) -> (Outcome, String) {
        let job_dir = self.fresh("job");
        let (uid, gid) = match nix::unistd::geteuid().is_root() {
            true => (65534, 65534),
            false => (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw()),
        };
        std::fs::create_dir(job_dir.join("work")).expect("made");
        std::fs::write(job_dir.join("work/program.py"), program).expect("written");
        std::os::unix::fs::chown(job_dir.join("work"), Some(uid), Some(gid)).expect("given");
        let launch = JobLaunch {
            job: JobId::random().expect("random"),
            epoch: Epoch(1),
            node: "TEST-OF-ENVIRONMENTS".into(),
            job_dir: job_dir.clone(),
            command: ["python", "program.py"].map(str::to_owned).into(),
            vars: BTreeMap::new(),
            env: "test".into(),
            limits: Limits::default(),
            uid,
            gid,
            gpus: vec![],
            engine: EngineKind::Native,
            image: None,
            tree,
            warm: None,
        };
        std::fs::write(job_dir.join("launch.json"), serde_json::to_vec(&launch).expect("json")).expect("written");
        let ran = std::process::Command::new(EXE).arg("__supervise").arg(&job_dir).status().expect("executed");
        assert!(ran.success());
        let report: ExitReport =
            serde_json::from_slice(&std::fs::read(job_dir.join("exit.json")).expect("a report")).expect("json");
        let (mut reader, mut text) = (RecordReader::default(), Vec::new());
        reader.push(&std::fs::read(job_dir.join("output")).expect("output"));
        while let Some(record) = reader.next_record().expect("sound") {
            text.extend_from_slice(&record.data);
        }
        (report.outcome, String::from_utf8_lossy(&text).into_owned())
    }
}

/// A product large enough that BLAS divides it among threads of its own, checked against one it did not divide.
const BLAS: &str = "
import os
os.environ['OPENBLAS_NUM_THREADS'] = '4'
import numpy, threading
rng = numpy.random.default_rng(7)
a, b = rng.random((900, 900)), rng.random((900, 900))
whole = a @ b
rows = [None] * 900
def part(n):
    for i in range(n, 900, 8): rows[i] = a[i] @ b
threads = [threading.Thread(target=part, args=(n,)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
assert numpy.allclose(whole, numpy.array(rows))
assert numpy.allclose(numpy.linalg.solve(a, whole), b)
m = numpy.memmap('big', dtype='float32', mode='w+', shape=(1 << 20,)); m[:] = 1; m.flush()
tasks = len(os.listdir('/proc/self/task'))
print('numpy works', int(m.sum()), 'threads' if tasks > 1 else 'alone')
";

fn recipe(requirements: &[&str]) -> Recipe {
    let requirements = requirements.iter().map(|r| (*r).to_owned()).collect();
    Recipe { name: "test".into(), requirements, ..Recipe::default() }
}

#[tokio::test]
async fn scikit_learn_is_built_from_the_index_and_trains_without_a_network() {
    let bench = Bench::open();
    let lock = bench.resolve(&recipe(&["scikit-learn"]), AllowBuilds::Wheels).await.expect("resolved");
    let names: Vec<&str> = lock.packages.iter().map(|p| p.name.as_str()).collect();
    for name in ["joblib", "numpy", "scikit-learn", "scipy", "threadpoolctl"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(lock.packages.iter().all(|p| p.sha256.len() == 64 && !p.source && !p.version.is_empty()));
    let (built, dir) = bench.build(&lock, "env").await.expect("built");
    assert_eq!((built.digest, built.image.as_deref()), (lock.digest(), None));
    assert!(built.bytes > 50 << 20 && built.python.as_deref().is_some_and(|v| v.starts_with("3.")));
    // Nothing but the tree stays, and nothing in it names where it was made.
    let left: Vec<_> = std::fs::read_dir(&dir).expect("listed").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, [TREE]);
    let tree = dir.join(TREE);
    let f2py = std::fs::read_to_string(tree.join("bin/f2py")).expect("numpy's tool");
    assert!(f2py.starts_with("#!/env/bin/python"), "{f2py}");
    let program = "
import os, sys, socket
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
x, y = load_digits(return_X_y=True)
print('score %.3f' % LogisticRegression(max_iter=50).fit(x[:1000], y[:1000]).score(x[1000:], y[1000:]))
print(sys.prefix, os.environ['VIRTUAL_ENV'])
try:
    open('/env/lib/x', 'w')
except OSError as e:
    print('not written:', e.errno)
try:
    socket.create_connection(('1.1.1.1', 443), 2)
except OSError as e:
    print('no network')
";
    let (outcome, text) = bench.run(Some(tree.clone()), program);
    assert_eq!(outcome, Outcome::Exited { code: 0 }, "{text}");
    let score: f64 = text.lines().find_map(|l| l.strip_prefix("score ")?.parse().ok()).expect("a score");
    assert!(score > 0.8, "{text}");
    assert!(text.contains("/env /env") && text.contains("not written: 30") && text.contains("no network"), "{text}");
    let (outcome, text) = bench.run(Some(tree.clone()), BLAS);
    assert_eq!(outcome, Outcome::Exited { code: 0 }, "{text}");
    assert!(text.contains("numpy works 1048576 threads"), "{text}");
    // The same jail without the environment has no such package: it did come from the tree.
    let (outcome, text) =
        bench.run(None, "import sys\nsys.path = [p for p in sys.path if 'dist' not in p]\nimport sklearn");
    assert_ne!(outcome, Outcome::Exited { code: 0 }, "{text}");

    // A second build of the same lock comes from the cache, byte for byte the same.
    let first = tree::scan(&tree).expect("scanned");
    let (_, again) = bench.build(&lock, "again").await.expect("built");
    assert_eq!(bench.seen.borrow().done, 0, "files were fetched again");
    let second = tree::scan(&again.join(TREE)).expect("scanned");
    let differ: Vec<_> = first.files().iter().filter(|f| second.get(&f.path) != Some(f)).map(|f| &f.path).collect();
    assert!(differ.is_empty(), "{differ:?}");
}

#[tokio::test]
async fn a_build_that_fails_says_where_and_why() {
    let bench = Bench::open();
    let failure = bench.resolve(&recipe(&["six==99.99"]), AllowBuilds::Wheels).await.expect_err("no such version");
    assert_eq!(failure.kind, FailedBuild::Unresolvable, "{failure:?}");
    assert!(failure.message.contains("six==99.99") && failure.hint.is_some(), "{failure:?}");
    assert!(failure.at.lines.iter().any(|l| l.contains("No matching distribution")), "{:?}", failure.at);
    assert_eq!(failure.at.sentence().split(' ').next(), Some("step"));

    // Another file than the lock names.
    let mut lock = bench.resolve(&recipe(&["six==1.17.0"]), AllowBuilds::Wheels).await.expect("resolved");
    lock.packages[0].sha256 = "0".repeat(64);
    let failure = bench.build(&lock, "env").await.expect_err("refused");
    assert_eq!(failure.kind, FailedBuild::Integrity, "{failure:?}");

    // A recipe for another Python, builds that are not allowed, distribution packages that are not there.
    let other = Recipe { python: Some("3.99".into()), ..recipe(&["six"]) };
    assert_eq!(bench.resolve(&other, AllowBuilds::All).await.expect_err("none").kind, FailedBuild::Cannot);
    assert_eq!(
        bench.resolve(&recipe(&["six"]), AllowBuilds::None).await.expect_err("no").kind,
        FailedBuild::NotAllowed
    );
    let apt = Recipe { apt: vec!["no-such-package-here".into()], ..recipe(&["six"]) };
    let failure = bench.resolve(&apt, AllowBuilds::All).await.expect_err("not installed");
    assert!(failure.kind == FailedBuild::Cannot && failure.message.contains("no-such-package-here"), "{failure:?}");
}

#[tokio::test]
async fn a_build_reaches_the_hosts_of_its_owner_and_no_others() {
    let cache = tempfile::tempdir().expect("tempdir");
    let bench = Bench::with_cache(cache.path().into());
    let dir = bench.fresh("resolve");
    let policy = BuildPolicy { hosts: vec!["files.pythonhosted.org".into()], ..Bench::policy(AllowBuilds::Wheels) };
    let order = ResolveOrder { recipe: recipe(&["six"]), engine: EngineKind::Native, dir, policy };
    let failure = bench.builder.resolve(&order, &bench.progress).await.expect_err("pypi.org is not among them");
    assert_eq!(failure.kind, FailedBuild::Network, "{failure:?}");
    assert!(failure.message.contains("pypi.org:443") && failure.message.contains("build_hosts"), "{failure:?}");
}

#[tokio::test]
async fn an_environment_without_packages_is_a_python() {
    let bench = Bench::open();
    let lock = bench
        .resolve(&Recipe { python: Some("3".into()), ..recipe(&[]) }, AllowBuilds::Wheels)
        .await
        .expect("resolved");
    let (_, dir) = bench.build(&lock, "env").await.expect("built");
    let (outcome, text) = bench.run(Some(dir.join(TREE)), "import sys; print(sys.prefix)");
    assert_eq!((outcome, text.trim()), (Outcome::Exited { code: 0 }, "/env"));
}

#[tokio::test]
async fn a_build_that_nobody_waits_for_ends_within_two_seconds() {
    let bench = Bench::open();
    let lock = bench.resolve(&recipe(&["scikit-learn"]), AllowBuilds::Wheels).await.expect("resolved");
    let order = bench.order(&lock, "env");
    let mut seen = bench.seen.clone();
    {
        let mut building = std::pin::pin!(bench.builder.build(&order, &bench.progress));
        tokio::select! {
            ended = &mut building => panic!("it ended before it was stopped: {ended:?}"),
            // The jail is at work, and a process of it is there to be ended.
            found = seen.wait_for(|p| p.detail.contains("scipy")) => drop(found.expect("progress")),
        }
        assert!(!processes_of(&order.dir).is_empty());
    }
    let stopped = Instant::now();
    while !processes_of(&order.dir).is_empty() {
        assert!(stopped.elapsed() < Duration::from_secs(20), "{:?}", processes_of(&order.dir));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!order.dir.join(TREE).exists(), "a half built tree became visible");
}

/// Supervisors that stand by a directory below `dir`; their jails die with them.
fn processes_of(dir: &Path) -> Vec<String> {
    let line =
        |pid: String| std::fs::read(format!("/proc/{pid}/cmdline")).map(|c| String::from_utf8_lossy(&c).into_owned());
    let pids = std::fs::read_dir("/proc").expect("listed").flatten().filter_map(|e| e.file_name().into_string().ok());
    let lines = pids.filter(|p| p.bytes().all(|b| b.is_ascii_digit())).filter_map(|p| line(p).ok());
    lines.filter(|l| l.contains("__supervise") && l.contains(&*dir.to_string_lossy())).collect()
}
