//! What a job is for: programs run, their output and codes come back, their files stay.

use std::path::{Path, PathBuf};
use std::process::Command;

use homie::sandbox::engine::{End, Engine, EngineError};

use crate::engine::{TestJob, finish, shared};

#[tokio::test]
async fn a_program_runs_and_both_its_streams_and_its_use_come_back() {
    let Some(docker) = shared().await else { return };
    let program = "import sys; print('hello from', sys.version_info[0]); print('careful', file=sys.stderr); \
                   x = bytearray(40 << 20); s = sum(i * i for i in range(2_000_000)); open('out.txt', 'w').write('kept')";
    let job = TestJob::python(&docker, program);
    let done = job.run(&docker).await;
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("hello from 3\n", "careful\n"));
    let ended = done.ended.expect("known end");
    assert_eq!((ended.end, ended.out_of_memory), (End::Exited(0), false));
    assert!(ended.usage.cpu_ms >= 20, "{:?}", ended.usage);
    assert!((40 << 20..=256 << 20).contains(&ended.usage.peak_memory_bytes), "{:?}", ended.usage);
    assert_eq!(job.result("out.txt"), b"kept");
}

#[tokio::test]
async fn exit_codes_and_signals_are_the_programs_own() {
    let Some(docker) = shared().await else { return };
    for (program, end) in [
        ("import sys; sys.exit(3)", End::Exited(3)),
        ("import sys; sys.exit(255)", End::Exited(255)),
        ("raise RuntimeError('no')", End::Exited(1)),
        ("import os; os.kill(os.getpid(), 9)", End::Signaled(9)),
        ("import os; os.kill(os.getpid(), 15)", End::Signaled(15)),
        ("import os; os.abort()", End::Signaled(6)),
        ("import ctypes; ctypes.string_at(0)", End::Signaled(11)),
    ] {
        let done = TestJob::python(&docker, program).run(&docker).await;
        assert_eq!(done.ended.expect("known end").end, end, "{program}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_the_jobs_fault_and_says_so() {
    let Some(docker) = shared().await else { return };
    let missing = TestJob::new(&docker, &["no-such-interpreter", "x"]);
    let plain = TestJob::new(&docker, &["./plain"]).with_file("plain", "#!/bin/sh\n");
    for (job, why) in [(missing, "it is not there"), (plain, "it is not executable")] {
        let failed = match docker.engine.start(&job.launch).await {
            Ok(started) => finish(started).await.ended.expect_err("nothing ran"),
            Err(e) => e,
        };
        assert!(matches!(&failed, EngineError::Spawn(text) if text.contains(why)), "{failed:?}");
    }
}

#[tokio::test]
async fn a_hundred_thousand_lines_and_any_bytes_come_through_whole() {
    let Some(docker) = shared().await else { return };
    let program =
        "import sys\nfor i in range(100_000): sys.stdout.write(f'{i:09d}\\n')\nsys.stderr.write('x' * 1_000_000)";
    let done = TestJob::python(&docker, program).run(&docker).await;
    assert_eq!(done.stderr.len(), 1_000_000);
    assert_eq!(done.stdout.len(), 1_000_000);
    assert!(done.stdout.lines().enumerate().all(|(i, line)| line == format!("{i:09}")));
    let bytes = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 3 + b'no newline at the end')";
    let job = TestJob::python(&docker, bytes);
    let started = docker.engine.start(&job.launch).await.expect("started");
    let done = finish(started).await;
    assert!(done.stdout.ends_with("no newline at the end"));
    assert_eq!(done.stdout.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count(), 3 * 128);
}

#[tokio::test]
async fn output_waits_for_a_slow_reader() {
    let Some(docker) = shared().await else { return };
    let job = TestJob::python(&docker, "import sys; sys.stdout.write('y' * 8_000_000)");
    let started = docker.engine.start(&job.launch).await.expect("started");
    // Longer than dockerd gives the streams of a container that has ended: the job must not have ended.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    let done = finish(started).await;
    assert_eq!(done.stdout.len(), 8_000_000);
    assert_eq!(done.ended.expect("known end").end, End::Exited(0));
}

#[tokio::test]
async fn a_c_program_is_compiled_and_run_with_threads() {
    let Some(docker) = shared().await else { return };
    let source = "#include <pthread.h>\n#include <stdio.h>\n\
                  static void *work(void *n) { *(int *)n *= 2; return 0; }\n\
                  int main(void) { int v[4] = {1, 2, 3, 4}; pthread_t t[4];\n\
                  for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, work, &v[i]);\n\
                  for (int i = 0; i < 4; i++) pthread_join(t[i], 0);\n\
                  printf(\"%d\\n\", v[0] + v[1] + v[2] + v[3]); return 0; }\n";
    let build = ["sh", "-c", "cc -O2 -o a.out main.c -pthread && ./a.out && cp a.out /tmp/b && /tmp/b"];
    let done = TestJob::new(&docker, &build).with_file("main.c", source).run(&docker).await;
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("20\n20\n", ""));
}

#[tokio::test]
async fn python_has_its_threads_processes_and_shared_memory() {
    let Some(docker) = shared().await else { return };
    let program = "import concurrent.futures as f, multiprocessing as m, tempfile, os, socket\n\
                   def sq(x): return x * x\n\
                   if __name__ == '__main__':\n\
                   \x20 print(sum(f.ThreadPoolExecutor(4).map(sq, range(10))))\n\
                   \x20 print(sum(f.ProcessPoolExecutor(2).map(sq, range(10))))\n\
                   \x20 m.shared_memory = __import__('multiprocessing.shared_memory').shared_memory\n\
                   \x20 s = m.shared_memory.SharedMemory(create=True, size=1 << 20); s.buf[0] = 7; print(s.buf[0]); s.close(); s.unlink()\n\
                   \x20 print(tempfile.gettempdir(), os.getcwd(), os.environ['HOME'])\n\
                   \x20 l = socket.create_server(('localhost', 0)); c = socket.create_connection(l.getsockname()); print('loopback')\n";
    let job = TestJob::new(&docker, &["python3", "pool.py"]).with_file("pool.py", program);
    let done = job.run(&docker).await;
    assert_eq!(done.stdout, "285\n285\n7\n/tmp /work /work\nloopback\n", "{}", done.stderr);
}

#[tokio::test]
async fn what_numeric_libraries_ask_of_a_kernel_is_given_or_refused_by_an_error() {
    let Some(docker) = shared().await else { return };
    let build = ["sh", "-c", "cc -O2 -pthread numeric.c -o numeric && ./numeric"];
    let done =
        TestJob::new(&docker, &build).with_file("numeric.c", include_str!("../probes/numeric.c")).run(&docker).await;
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("numeric works 48\n", ""));
}

/// Whether a program of this machine's is there; CI has all of them.
fn here(program: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/usr/local/bin"].iter().map(|dir| Path::new(dir).join(program)).find(|p| p.exists());
    if found.is_none() {
        crate::engine::absent(&format!("there is no {program} here"));
    }
    found
}

/// Puts a program into the job's directory.
fn install(job: &TestJob, from: &Path, name: &str) {
    let to = job.dir.path().join("work").join(name);
    std::fs::copy(from, &to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    std::fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("own file");
}

#[tokio::test]
async fn a_program_in_go_runs_with_its_own_use_of_signals() {
    let (Some(docker), Some(go)) = (shared().await, here("go")) else { return };
    let scratch = tempfile::tempdir().expect("tempdir");
    let built = scratch.path().join("turns");
    // Built outside, because `base` has no Go; its cache is kept, because the first build is of Go's own library.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go");
    let mut build = Command::new(go);
    build.args(["build", "-o"]).arg(&built).arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probes/turns.go"));
    build.envs([("CGO_ENABLED", "0"), ("GOFLAGS", "-mod=mod"), ("GOPROXY", "off")]).env("GOCACHE", cache);
    let built_it = build.current_dir(scratch.path()).output().expect("go");
    assert!(built_it.status.success(), "{}", String::from_utf8_lossy(&built_it.stderr));
    let job = TestJob::new(&docker, &["./turns"]);
    install(&job, &built, "turns");
    let done = job.run(&docker).await;
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("go works 200 hi\n", ""));
}

#[tokio::test]
async fn node_runs_with_worker_threads_and_a_compiler_of_its_own() {
    let (Some(docker), Some(node)) = (shared().await, here("node")) else { return };
    // `base` has no Node: this machine's goes along, with the libraries and the loader that it names.
    let named = Command::new("ldd").arg(&node).output().expect("ldd");
    let named = String::from_utf8_lossy(&named.stdout).into_owned();
    let libraries: Vec<&str> = named.split_whitespace().filter(|word| word.starts_with('/')).collect();
    let is_loader = |path: &&&str| path.contains("/ld-linux");
    let loader = libraries.iter().find(is_loader).expect("a loader");
    let mut job = TestJob::new(&docker, &["./loader", "--library-path", "/work", "./node", "turns.js"])
        .with_file("turns.js", include_str!("../probes/turns.js"));
    (job.launch.limits.disk_bytes, job.launch.limits.memory_bytes, job.launch.limits.pids) = (1 << 30, 1 << 30, 256);
    install(&job, &node, "node");
    install(&job, Path::new(loader), "loader");
    for library in &libraries {
        let name = Path::new(library).file_name().and_then(|n| n.to_str()).expect("a name");
        install(&job, Path::new(library), name);
    }
    let done = job.run(&docker).await;
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("node works 28 8 hi 42\n", ""));
}
