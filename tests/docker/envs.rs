//! Environments on Docker: a directory of Python packages over `base`, and an image with distribution packages, both built
//! for real, from the index and the distribution's servers, through the one road that a build has.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use homie::blobs::BlobStore;
use homie::model::{AllowBuilds, BuildProgress, EngineKind, EnvBuilt, FailedBuild, Limits, Recipe};
use homie::sandbox::engine::End;
use homie::sandbox::envs::build::{HostBuilder, HostBuilderParts};
use homie::sandbox::envs::builder::{BuildOrder, BuildPolicy, Builder, ProgressSink, ResolveOrder, TREE};
use tokio::sync::watch;

use crate::engine::{Shared, TestJob, is_podman, shared};

struct Bench {
    dir: tempfile::TempDir,
    builder: HostBuilder,
    progress: ProgressSink,
    _seen: watch::Receiver<BuildProgress>,
}

impl Bench {
    fn open(docker: &Shared) -> Self {
        // Kept between runs: what is fetched is checked by its hash.
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("packages-docker-{}", nix::unistd::getuid()));
        Self::open_with(docker, tempfile::tempdir().expect("tempdir"), kept)
    }

    fn open_with(docker: &Shared, dir: tempfile::TempDir, cache: std::path::PathBuf) -> Self {
        let host = HostBuilderParts {
            exe: env!("CARGO_BIN_EXE_homied").into(),
            node: "TEST-OF-ENVIRONMENTS".into(),
            docker_host: Some(format!("unix://{}", docker.socket.display())),
            cache,
            limits: Limits { memory_bytes: 1 << 30, ..Limits::default() },
            blobs: BlobStore::open(dir.path().join("store"), 1 << 30).expect("a store"),
            link: Arc::new(OnceLock::new()),
            lookout: homie::sandbox::Lookout::default(),
        };
        let (progress, seen) = watch::channel(BuildProgress::default());
        Self { dir, builder: HostBuilder::new(host).expect("a builder"), progress, _seen: seen }
    }

    async fn make(&self, recipe: &Recipe, allow: AllowBuilds) -> Result<(EnvBuilt, std::path::PathBuf), FailedBuild> {
        let fresh = |name: &str| {
            let dir = self.dir.path().join(name);
            std::fs::create_dir_all(&dir).expect("made");
            dir
        };
        let hosts = ["pypi.org", "files.pythonhosted.org", "deb.debian.org", "security.debian.org"];
        let policy = BuildPolicy { allow, hosts: hosts.map(str::to_owned).into(), max_bytes: 4 << 30 };
        let order = ResolveOrder {
            recipe: recipe.clone(),
            engine: EngineKind::Docker,
            dir: fresh("resolve"),
            policy: policy.clone(),
        };
        let say = |e: homie::model::BuildFailure| {
            eprintln!("{e:?}");
            e.kind
        };
        let lock = self.builder.resolve(&order, &self.progress).await.map_err(say)?;
        let order = BuildOrder { digest: lock.digest(), lock, engine: EngineKind::Docker, dir: fresh("env"), policy };
        Ok((self.builder.build(&order, &self.progress).await.map_err(say)?, order.dir))
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

/// What a step tries. The last thing works, so that the rest did not fail for lack of a road.
const STEPS: &str = "
import socket, urllib.request, urllib.error
for host in '127.0.0.1', '172.17.0.1', '1.1.1.1':
    for port in PORT, 443:
        s = socket.socket()
        s.settimeout(3)
        assert s.connect_ex((host, port)) != 0, host
for url in 'http://127.0.0.1:PORT/', 'http://localhost:PORT/', 'http://example.com/', 'http://deb.debian.org:PORT/':
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({'http': 'http://127.0.0.1:3128'}))
        opener.open(url, timeout=20)
        raise SystemExit('reached ' + url)
    except urllib.error.HTTPError as e:
        assert e.code == 403, (url, e.code)
urllib.request.urlopen('http://deb.debian.org/debian/dists/stable/Release', timeout=60).read()
";

#[tokio::test]
async fn the_steps_of_a_dockerfile_reach_allowed_hosts_and_nothing_else() {
    let Some(docker) = shared().await else { return };
    // A server on this machine that is surely there: the steps must not reach it, by no way.
    let near = std::net::TcpListener::bind("0.0.0.0:0").expect("bound");
    let port = near.local_addr().expect("an address").port();
    near.set_nonblocking(true).expect("set");
    let program = STEPS.replace("PORT", &port.to_string());
    let packed = data_encoding::BASE64.encode(program.as_bytes());
    let dockerfile =
        format!("FROM {}\nRUN python3 -c \"import base64; exec(base64.b64decode('{packed}'))\"\n", docker.image);
    let bench = Bench::open(&docker);
    let recipe = Recipe { name: "test".into(), dockerfile: Some(dockerfile), ..Recipe::default() };
    let podman = is_podman(&docker).await;
    // What base has is asked in a container, whose files lie beside the cache: where every engine of the matrix sees them.
    let dir = tempfile::tempdir().expect("tempdir");
    let cache = dir.path().join("cache");
    let asked = Bench::open_with(&docker, dir, cache);
    // The owner may ask while homied does.
    let ask = || asked.builder.offers(&[EngineKind::Docker]);
    let (one, other) = tokio::join!(ask(), ask());
    for offers in [one, other] {
        assert_eq!(offers.iter().map(|offer| offer.steps).collect::<Vec<_>>(), [!podman], "what is announced");
    }
    if podman {
        // Its builder cannot be kept from this machine's network, so no step is run at all.
        assert_eq!(bench.make(&recipe, AllowBuilds::All).await.expect_err("refused"), FailedBuild::Cannot);
        assert!(near.accept().is_err(), "a step reached this machine");
        return;
    }
    let (built, _) = bench.make(&recipe, AllowBuilds::All).await.expect("built");
    assert!(near.accept().is_err(), "a step reached this machine");
    bench.builder.remove(&built).await.expect("removed");
}

#[tokio::test]
async fn packages_of_the_index_and_of_the_distribution_are_there_in_the_job() {
    let Some(docker) = shared().await else { return };
    let bench = Bench::open(&docker);
    let recipe = Recipe {
        name: "test".into(),
        requirements: vec!["six==1.17.0".into()],
        // Small, and nothing of it is in base.
        apt: vec!["hello".into()],
        ..Recipe::default()
    };
    // Distribution packages run their scripts as root in the engine's own builder: only where the owner says all.
    assert_eq!(bench.make(&recipe, AllowBuilds::Wheels).await.expect_err("not for friends"), FailedBuild::NotAllowed);
    if is_podman(&docker).await {
        assert_eq!(bench.make(&recipe, AllowBuilds::All).await.expect_err("refused"), FailedBuild::Cannot);
        let python = Recipe { apt: vec![], ..recipe };
        let bench = Bench::open(&docker);
        let (built, dir) = bench.make(&python, AllowBuilds::Wheels).await.expect("built");
        let mut job = TestJob::python(&docker, "import six, sys; print(six.__version__, sys.prefix)");
        job.launch.tree = Some(dir.join(TREE));
        assert_eq!(job.run(&docker).await.stdout, "1.17.0 /env\n");
        return bench.builder.remove(&built).await.expect("removed");
    }
    let (built, dir) = bench.make(&recipe, AllowBuilds::All).await.expect("built");
    let image = built.image.clone().expect("an image");
    assert!(bench.builder.present(&built).await && dir.join(TREE).join("bin/python3").is_symlink());

    let program = "import six, subprocess, sys\nprint(six.__version__, sys.prefix, subprocess.check_output(['hello']))";
    let mut job = TestJob::python(&docker, program);
    job.launch.image = Some(image.clone());
    job.launch.tree = Some(dir.join(TREE));
    let ran = job.run(&docker).await;
    assert_eq!(ran.ended.map(|e| e.end), Ok(End::Exited(0)), "{}", ran.stderr);
    assert!(ran.stdout.contains("1.17.0 /env") && ran.stdout.contains("Hello"), "{}", ran.stdout);

    bench.builder.remove(&built).await.expect("removed");
    assert!(!bench.builder.present(&built).await);
}

#[tokio::test]
async fn numpy_of_the_index_computes_with_threads_in_a_container() {
    let Some(docker) = shared().await else { return };
    let bench = Bench::open(&docker);
    let recipe = Recipe { name: "test".into(), requirements: vec!["numpy".into()], ..Recipe::default() };
    let (_, dir) = bench.make(&recipe, AllowBuilds::Wheels).await.expect("built");
    let mut job = TestJob::python(&docker, BLAS);
    job.launch.tree = Some(dir.join(TREE));
    (job.launch.limits.memory_bytes, job.launch.limits.cpu_millis, job.launch.limits.pids) = (1 << 30, 2000, 256);
    let ran = job.run(&docker).await;
    assert_eq!(ran.ended.map(|e| e.end), Ok(End::Exited(0)), "{}", ran.stderr);
    assert!(ran.stdout.contains("numpy works 1048576 threads"), "{}", ran.stdout);
}
