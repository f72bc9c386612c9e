//! What a job cannot exhaust.

use homie::sandbox::engine::{End, Engine, EngineJob, Started};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

use crate::engine::{TestJob, finish, shared};

#[tokio::test]
async fn more_memory_than_given_is_the_end_and_is_named() {
    let Some(docker) = shared().await else { return };
    let hog = "b = []\nwhile True: b.append(bytearray(1 << 20))";
    // Once as the first program, once as a child whose end its parent survives to report.
    let first = TestJob::python(&docker, hog);
    let child = format!("import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', '''{hog}''']) & 255)");
    for job in [first, TestJob::python(&docker, &child)] {
        let began = Instant::now();
        let ended = job.run(&docker).await.ended.expect("known end");
        assert!(ended.out_of_memory, "{ended:?}");
        assert_ne!(ended.end, End::Exited(0));
        assert!(ended.usage.peak_memory_bytes <= 256 << 20, "swap is no way out: {ended:?}");
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}

#[tokio::test]
async fn a_fork_bomb_stops_at_the_limit_and_dies_with_one_kill() {
    let Some(docker) = shared().await else { return };
    let bomb = "import os, time, sys\nn = 0\nwhile True:\n\
                \x20 try:\n\
                \x20   if os.fork() == 0: os.setsid(); time.sleep(1000)\n\
                \x20   n += 1\n\
                \x20 except OSError: print(n, flush=True); time.sleep(1000)\n";
    let job = TestJob::python(&docker, bomb);
    let Started { mut stdout, stderr: _stderr, job: mut running } =
        docker.engine.start(&job.launch).await.expect("started");
    let mut text = [0; 16];
    let n = stdout.read(&mut text).await.expect("a count");
    let forks: u32 = String::from_utf8_lossy(&text[..n]).trim().parse().expect("a number");
    assert!(forks < job.launch.limits.pids, "{forks} processes");
    assert!(forks > job.launch.limits.pids / 2, "{forks} processes: the limit is lower than told");
    let began = Instant::now();
    running.kill().await.expect("killed");
    let ended = running.wait().await.expect("known end");
    assert_eq!(ended.end, End::Signaled(9));
    running.remove().await.expect("nothing is left").await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_job_that_ignores_every_signal_is_gone_soon_after_a_kill() {
    let Some(docker) = shared().await else { return };
    let stubborn = "import os, signal, time\n\
                    for s in range(1, 32):\n\
                    \x20 try: signal.signal(s, signal.SIG_IGN)\n\
                    \x20 except OSError: pass\n\
                    if os.fork() == 0: os.setsid()\n\
                    print('here', flush=True)\n\
                    while True: time.sleep(1)\n";
    let job = TestJob::python(&docker, stubborn);
    let Started { mut stdout, stderr: _stderr, job: mut running } =
        docker.engine.start(&job.launch).await.expect("started");
    let mut text = [0; 5];
    stdout.read_exact(&mut text).await.expect("it runs");
    // A wait that is given up (a deadline fired) must not lose the end.
    assert!(tokio::time::timeout(Duration::from_millis(50), running.wait()).await.is_err());
    let began = Instant::now();
    running.kill().await.expect("killed");
    assert_eq!(running.wait().await.expect("known end").end, End::Signaled(9));
    // Killing what is gone is fine.
    running.kill().await.expect("idempotent");
    running.remove().await.expect("nothing is left").await;
    // The bar is 2 s on a quiet machine.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn processor_time_is_what_was_given() {
    let Some(docker) = shared().await else { return };
    let spin = "import time, multiprocessing as m\n\
                def f():\n\
                \x20 end = time.monotonic() + 2\n\
                \x20 while time.monotonic() < end: pass\n\
                ps = [m.Process(target=f) for _ in range(2)]\n\
                [p.start() for p in ps]; [p.join() for p in ps]\n";
    let mut job = TestJob::new(&docker, &["python3", "spin.py"]).with_file("spin.py", spin);
    job.launch.limits.cpu_millis = 500;
    let ended = job.run(&docker).await.ended.expect("known end");
    // Two spinners for 2 s would use up to 4 s; half a core gives them 1 s, and the start a little more. How much less a
    // busy machine gives them is not the point.
    assert!((50..2000).contains(&ended.usage.cpu_ms), "{:?}", ended.usage);
}

#[tokio::test]
async fn files_and_descriptors_are_bounded() {
    let Some(docker) = shared().await else { return };
    let mut job = TestJob::python(
        &docker,
        "import resource as r\nfor n in (r.RLIMIT_NOFILE, r.RLIMIT_CORE, r.RLIMIT_FSIZE): print(*r.getrlimit(n))",
    );
    job.launch.limits.disk_bytes = 1 << 20;
    let done = job.run(&docker).await;
    assert_eq!(done.stdout, "1024 1024\n0 0\n1048576 1048576\n", "{}", done.stderr);
    let mut big = TestJob::new(&docker, &["sh", "-c", "head -c 4000000 /dev/zero > big"]);
    big.launch.limits.disk_bytes = 1 << 20;
    let started = docker.engine.start(&big.launch).await.expect("started");
    assert_ne!(finish(started).await.ended.expect("known end").end, End::Exited(0));
    assert_eq!(big.result("big").len(), 1 << 20);
}
