//! Containers that are started before their job is known: one job each, in the same jail, or none.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, ResourcesUlimits};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use homie::sandbox::engine::docker::warm::Kind;
use homie::sandbox::engine::{End, Engine, EngineJob, Started};
use tokio::io::AsyncReadExt;

use crate::engine::{How, Shared, TestJob, client, finish, is_podman, shared};

#[tokio::test]
async fn a_job_finds_its_files_variables_and_limits_and_takes_its_container_along() {
    let Some(docker) = shared().await else { return };
    let podman = is_podman(&docker).await;
    let program = "import os, sys\nprint(open('in.txt').read(), os.environ['SEED'], os.getcwd())\n\
                   open('out.txt', 'w').write('kept')\nsys.exit(4)";
    let mut job = TestJob::python(&docker, program).with_file("in.txt", "given");
    job.launch.vars.insert("SEED".to_owned(), "7".to_owned());
    job.ahead(&docker).await;
    // Limits that the container was not made with; Podman 4 cannot change them.
    if !podman {
        job.launch.limits.memory_bytes = 200 << 20;
        job.launch.limits.cpu_millis = 700;
        job.launch.limits.pids = 33;
    }
    let container = job.launch.warm.clone().expect("one waits").container;
    let started = docker.engine.start(&job.launch).await.expect("started");
    let api = client(&docker).await;
    let there = api.inspect_container(&container, None).await.expect("there").host_config.expect("host config");
    if !podman {
        assert_eq!(
            (there.memory, there.memory_swap, there.nano_cpus),
            (Some(200 << 20), Some(200 << 20), Some(700_000_000))
        );
        assert_eq!(there.pids_limit, Some(33));
    }
    named(&docker, &job).await;
    assert_eq!(
        docker.engine.waiting(&job.launch.node).await.expect("listed").iter().filter(|w| w.1 == container).count(),
        0
    );
    let done = finish(started).await;
    assert_eq!((done.stdout.as_str(), done.ended.expect("known end").end), ("given 7 /work\n", End::Exited(4)));
    assert_eq!(job.result("out.txt"), b"kept");
    assert!(gone(&api, &container).await, "it is nobody's again");
}

#[tokio::test]
async fn one_that_was_used_is_never_used_again() {
    let Some(docker) = shared().await else { return };
    let program = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('first')";
    let mut first = TestJob::python(&docker, program);
    first.ahead(&docker).await;
    let started = docker.engine.start(&first.launch).await.expect("started");
    named(&docker, &first).await;
    // Another job is told to use it while it is in use, and one after it: they get containers of their own.
    let mut second = TestJob::python(&docker, "print('second')");
    second.launch.warm = first.launch.warm.clone();
    assert_eq!(second.run(&docker).await.stdout, "second\n");
    std::fs::write(first.launch.work_dir().join("go"), "").expect("written");
    assert_eq!(finish(started).await.stdout, "first\n");
    let mut third = TestJob::python(&docker, "print('third')");
    third.launch.warm = second.launch.warm.clone();
    assert_eq!(third.run(&docker).await.stdout, "third\n");
}

#[tokio::test]
async fn one_that_nobody_comes_for_ends_by_itself() {
    let Some(docker) = shared().await else { return };
    let job = TestJob::new(&docker, &["true"]);
    let place = job.dir.path().with_extension("idle");
    let kind = Kind::of(&job.launch).expect("a kind");
    let warm = docker.engine.start_ahead("IDLE-NODE", "idle", &place, &kind, 1).await.expect("started ahead");
    let api = client(&docker).await;
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        // Podman has a word of its own for one that ends at this moment, which the API does not have.
        let there = api.inspect_container(&warm.container, None).await;
        if there.ok().and_then(|c| c.state).and_then(|s| s.running) == Some(false) {
            break;
        }
        assert!(Instant::now() < patience, "it waits for ever");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let waiting = docker.engine.waiting("IDLE-NODE").await.expect("listed");
    assert_eq!(waiting, [("idle".to_owned(), warm.container.clone())]);
    docker.engine.discard(&warm.container).await.expect("discarded");
    assert_eq!(docker.engine.waiting("IDLE-NODE").await.expect("listed"), []);
    std::fs::remove_dir_all(place).expect("removed");
}

#[tokio::test]
async fn a_deadline_is_kept_in_it_too() {
    let Some(docker) = shared().await else { return };
    let program = "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.fork(); os.setsid()\n\
                   os.write(1, b'here\\n')\nwhile True: time.sleep(1)";
    let mut job = TestJob::python(&docker, program);
    job.ahead(&docker).await;
    let Started { mut stdout, stderr: _stderr, job: mut running } =
        docker.engine.start(&job.launch).await.expect("started");
    let mut text = [0; 10];
    stdout.read_exact(&mut text).await.expect("both run");
    running.kill().await.expect("killed");
    assert_eq!(running.wait().await.expect("a known end").end, End::Signaled(9));
    running.remove().await.expect("nothing is left").await;
}

/// Waits until the container has the name of its job.
async fn named(docker: &Shared, job: &TestJob) {
    let (patience, want) = (Instant::now() + Duration::from_secs(60), (job.launch.job, job.launch.epoch));
    while !docker.engine.leftovers(&job.launch.node).await.expect("listed").contains(&want) {
        assert!(Instant::now() < patience, "it never gets its job's name");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a container is no more.
async fn gone(api: &Docker, container: &str) -> bool {
    let patience = Instant::now() + Duration::from_secs(60);
    while api.inspect_container(container, None).await.is_ok() {
        if Instant::now() > patience {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Puts another container in the place of the one that waits for `job`: the same but for what `weaken` does.
async fn replace(docker: &Shared, job: &mut TestJob, weaken: &Weaken) {
    job.ahead(docker).await;
    let api = client(docker).await;
    let warm = job.launch.warm.as_mut().expect("one waits");
    let found = api.inspect_container(&warm.container, None).await.expect("there");
    let (config, host) = (found.config.expect("config"), found.host_config.expect("host config"));
    let name = found.name.expect("a name");
    let force = RemoveContainerOptionsBuilder::default().force(true).build();
    api.remove_container(&warm.container, Some(force)).await.expect("removed");
    // The mounts of the original are told by their old places, which are the job's now.
    std::os::unix::fs::symlink(job.launch.job_dir.clone(), &warm.made_in).expect("linked");
    let mut body = ContainerCreateBody {
        image: found.image,
        entrypoint: config.entrypoint,
        env: config.env,
        working_dir: config.working_dir,
        user: config.user,
        hostname: config.hostname,
        network_disabled: config.network_disabled,
        labels: config.labels,
        host_config: Some(HostConfig { cpu_period: None, cpu_quota: None, ..host }),
        ..ContainerCreateBody::default()
    };
    weaken(&mut body, body_host);
    let options = CreateContainerOptionsBuilder::default().name(name.trim_start_matches('/')).build();
    warm.container = api.create_container(Some(options), body).await.expect("made").id;
    api.start_container(&warm.container, None).await.expect("started");
}

type Weaken = dyn Fn(&mut ContainerCreateBody, fn(&mut ContainerCreateBody) -> &mut HostConfig);

fn body_host(body: &mut ContainerCreateBody) -> &mut HostConfig {
    body.host_config.as_mut().expect("host config")
}

/// A way to weaken a container, and its name.
type Weaker = (&'static str, Box<Weaken>);

fn host(name: &'static str, change: impl Fn(&mut HostConfig) + 'static) -> Weaker {
    (name, Box::new(move |body, host| change(host(body))))
}

fn weaker() -> Vec<Weaker> {
    let one = |text: &str| Some(vec![text.to_owned()]);
    vec![
        ("user", Box::new(|body, _| body.user = Some("0:0".to_owned()))),
        ("network enabled", Box::new(|body, _| body.network_disabled = Some(false))),
        ("a volume", Box::new(|body, _| body.volumes = Some(vec!["/data".to_owned()]))),
        ("standard input", Box::new(|body, _| body.open_stdin = Some(true))),
        host("host network", |h| h.network_mode = Some("host".to_owned())),
        host("privileged", |h| h.privileged = Some(true)),
        host("a capability", move |h| h.cap_add = Some(vec!["NET_RAW".to_owned()])),
        host("default capabilities", |h| h.cap_drop = None),
        host("no filter", move |h| {
            h.security_opt = Some(vec!["no-new-privileges".to_owned(), "seccomp=unconfined".to_owned()])
        }),
        host("new privileges", |h| h.security_opt.as_mut().expect("options").retain(|o| o.starts_with("seccomp"))),
        host("writable root", |h| h.readonly_rootfs = Some(false)),
        host("host processes", |h| h.pid_mode = Some("host".to_owned())),
        host("host ipc", |h| h.ipc_mode = Some("host".to_owned())),
        host("host cgroups", |h| h.cgroupns_mode = Some(HostConfigCgroupnsModeEnum::HOST)),
        (
            "host names",
            Box::new(|body, host| {
                body.hostname = None;
                host(body).uts_mode = Some("host".to_owned());
            }),
        ),
        host("a bind", |h| h.binds = Some(vec!["/etc:/host:ro".to_owned()])),
        host("no memory limit", |h| (h.memory, h.memory_swap) = (None, None)),
        host("swap", |h| h.memory_swap = Some(-1)),
        host("no processor limit", |h| h.nano_cpus = None),
        host("no process limit", |h| h.pids_limit = None),
        host("another limit of files", |h| {
            let limit = ResourcesUlimits { name: Some("nofile".to_owned()), soft: Some(4096), hard: Some(4096) };
            h.ulimits.as_mut().expect("limits")[0] = limit;
        }),
        host("a larger /tmp", |h| {
            h.tmpfs = Some(HashMap::from([("/tmp".to_owned(), "rw,exec,nosuid,nodev".to_owned())]))
        }),
        host("a device", move |h| {
            h.device_cgroup_rules = one("c 1:11 rwm");
        }),
        host("a group", |h| h.group_add = Some(vec!["0".to_owned()])),
        host("restarts", |h| {
            h.restart_policy.as_mut().expect("policy").name = Some(bollard::models::RestartPolicyNameEnum::ALWAYS)
        }),
        host("a log", |h| h.log_config = None),
    ]
}

#[tokio::test]
async fn a_container_that_is_weaker_in_any_way_is_destroyed_and_the_job_gets_another() {
    let Some(docker) = shared().await else { return };
    if is_podman(&docker).await {
        // What Podman says of a container cannot be given back to it. The comparison itself is the same.
        return;
    }
    let api = client(&docker).await;
    for (name, weaken) in weaker() {
        let mut job = TestJob::python(&docker, "print('ran')");
        replace(&docker, &mut job, &*weaken).await;
        let warm = job.launch.warm.clone().expect("one waits");
        let done = job.run(&docker).await;
        assert_eq!(done.stdout, "ran\n", "{name}: {}", done.stderr);
        assert!(gone(&api, &warm.container).await, "{name}: the weaker container is still there");
        std::fs::remove_file(&warm.made_in).expect("the link");
    }
    // The replacement itself is no obstacle: an equal one is used.
    let mut job = TestJob::python(&docker, "print('ran')");
    replace(&docker, &mut job, &|_, _| {}).await;
    let warm = job.launch.warm.clone().expect("one waits");
    let started = docker.engine.start(&job.launch).await.expect("started");
    assert!(api.inspect_container(&warm.container, None).await.is_ok(), "an equal one was destroyed");
    assert_eq!(finish(started).await.stdout, "ran\n");
    std::fs::remove_file(&warm.made_in).expect("the link");
    let (done, _) = TestJob::python(&docker, "print('ran')").run_as(&docker, How::Ahead).await;
    assert_eq!(done.stdout, "ran\n");
}
