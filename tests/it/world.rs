//! A few machines on one LAN: network namespaces on a bridge when root, ports of the loopback otherwise.
//!
//! Every world has its own bridge, so worlds run side by side with the same addresses. A world ends with everything
//! in it: processes (supervisors outlive homied by design), mounts, namespaces, files.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::process::{Finished, PATIENCE, Running, wait_until};

/// The secret that the machines of a world share unless a test says otherwise.
pub const SECRET: &str = "it-a1b2c3d4e5f6-seven-words-would-be-nicer";

/// Whether this run has the rights to make machines of its own.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says that a test is left out, and fails instead where nothing may be left out.
///
/// The pass as an ordinary user (`HOMIE_TEST_PASS=user`) follows one as root, so what needs root was already tested.
#[track_caller]
pub fn skip(reason: &str) {
    let allowed = std::env::var_os("CI").is_none_or(|ci| ci != "true")
        || std::env::var_os("HOMIE_TEST_PASS").is_some_and(|pass| pass == "user");
    assert!(allowed, "cannot run here, and with CI=true nothing is left out: {reason}");
    eprintln!("left out: {reason}");
}

/// Leaves the test unless root.
#[macro_export]
macro_rules! need_root {
    () => {
        if !$crate::world::is_root() {
            return $crate::world::skip("network namespaces and mounts need root");
        }
    };
}

/// The directory of the binaries under test.
pub fn binary(name: &str) -> PathBuf {
    match std::env::var_os("HOMIE_TEST_BIN") {
        Some(dir) => PathBuf::from(dir).join(name),
        None if name == "homied" => env!("CARGO_BIN_EXE_homied").into(),
        None => env!("CARGO_BIN_EXE_homie-ctl").into(),
    }
}

/// The directory of the examples.
pub fn examples() -> PathBuf {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    std::env::var_os("HOMIE_TEST_EXAMPLES").map_or_else(here, PathBuf::from)
}

/// Machines that can reach each other.
pub struct World {
    hosts: Vec<Host>,
    /// The namespace of the bridge, when root.
    hub: Option<String>,
    dir: tempfile::TempDir,
}

/// One machine.
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its address: 10.77.0.N in a namespace, 127.0.0.1 otherwise.
    pub ip: String,
    /// Its worker port.
    pub port: u16,
    /// `HOMIE_HOME`.
    pub state: PathBuf,
    /// The directory its user works in.
    pub home: PathBuf,
    /// Its network namespace, when root.
    pub namespace: Option<String>,
    homied: Option<Running>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl World {
    /// Machines with these names, none of them running homied yet. Every one has the shared secret; broadcasts reach
    /// everybody in namespaces, and on the loopback the machines know each other by address.
    pub fn new(names: &[&str]) -> Self {
        Self::made(names, is_root())
    }

    /// Machines on the loopback whoever asks, running homied and ready for jobs: they reach what this machine reaches,
    /// by its own settings of proxies, certificates and indexes.
    pub fn outward(names: &[&str]) -> Self {
        let mut world = Self::made(names, false);
        world.start_all();
        world.wait_ready();
        world
    }

    fn made(names: &[&str], namespaces: bool) -> Self {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        // Short, because a socket's path has 100 bytes.
        let dir = tempfile::Builder::new().prefix("hit").tempdir().expect("a directory");
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("own directory");
        let mut world = Self { hosts: Vec::new(), hub: None, dir };
        let id = format!("hit{}x{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        if namespaces {
            let hub = format!("{id}x0");
            ip(&["netns", "add", &hub]);
            ip(&["-n", &hub, "link", "add", "lan", "type", "bridge"]);
            ip(&["-n", &hub, "link", "set", "lan", "up"]);
            world.hub = Some(hub);
        }
        for (at, name) in names.iter().enumerate() {
            let host = Host::new(&world, &id, at + 1, name);
            world.hosts.push(host);
        }
        for at in 0..names.len() {
            let others: Vec<String> =
                world.hosts.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, h)| h.address()).collect();
            let host = &world.hosts[at];
            match host.namespace {
                Some(_) => host.configure(""),
                None => {
                    let direct: String = others.iter().map(|a| format!("  - {a}\n")).collect();
                    let list = if direct.is_empty() { String::new() } else { format!("direct:\n{direct}") };
                    host.configure(&format!("broadcast: false\n{list}"));
                }
            }
        }
        world
    }

    /// The same with homied running on each, all of them known to all and ready for jobs.
    pub fn started(names: &[&str]) -> Self {
        let mut world = Self::new(names);
        world.start_all();
        world.wait_ready();
        world
    }

    /// Starts homied everywhere.
    pub fn start_all(&mut self) {
        self.hosts.iter_mut().for_each(Host::start);
    }

    /// Waits until everybody sees everybody.
    #[track_caller]
    pub fn wait_acquainted(&self) {
        for host in &self.hosts {
            for other in self.hosts.iter().filter(|o| o.name != host.name) {
                host.wait_sees(&other.name);
            }
        }
    }

    /// Waits until everybody knows of an engine at everybody else's: engines are looked for after the start.
    #[track_caller]
    pub fn wait_ready(&self) {
        for host in &self.hosts {
            wait_until(&format!("{} knows everybody's engines", host.name), PATIENCE, || {
                let answer = host.homie(&["--json", "peers"]);
                let rows = answer.json()["peers"].as_array().cloned().unwrap_or_default();
                let ready = |row: &serde_json::Value| row["engines"].as_array().is_some_and(|list| !list.is_empty());
                rows.len() + 1 == self.hosts.len() && rows.iter().all(ready)
            });
        }
    }

    /// A machine by its name.
    pub fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|h| h.name == name).expect("a host of this world")
    }

    /// Cuts a machine's way to all others that were parted so; those that were not it still reaches.
    pub fn part(&self, name: &str) {
        let at = self.hosts.iter().position(|h| h.name == name).expect("a host of this world") + 1;
        let hub = self.hub.as_ref().expect("namespaces");
        ip(&["-n", hub, "link", "set", &format!("p{at}"), "type", "bridge_slave", "isolated", "on"]);
    }

    /// Gives every machine a second network: eth1 with 10.78.0.N.
    pub fn second_network(&self) {
        let hub = self.hub.as_ref().expect("namespaces");
        ip(&["-n", hub, "link", "add", "lan2", "type", "bridge"]);
        ip(&["-n", hub, "link", "set", "lan2", "up"]);
        for (at, host) in self.hosts.iter().enumerate() {
            let (number, space) = (at + 1, host.namespace.as_ref().expect("namespaces"));
            let plug = format!("q{number}");
            ip(&["-n", hub, "link", "add", &plug, "type", "veth", "peer", "name", "eth1", "netns", space]);
            ip(&["-n", hub, "link", "set", &plug, "master", "lan2", "up"]);
            ip(&["-n", space, "addr", "add", &format!("10.78.0.{number}/24"), "broadcast", "+", "dev", "eth1"]);
            ip(&["-n", space, "link", "set", "eth1", "up"]);
        }
    }

    /// Lets a whole network swallow what is sent on it, or not: nobody is told by a lost carrier. The first is `p`, the
    /// second `q`.
    pub fn swallow(&self, network: char, all: bool) {
        let hub = self.hub.as_ref().expect("namespaces");
        for number in 1..=self.hosts.len() {
            let state = if all { "on" } else { "off" };
            ip(&["-n", hub, "link", "set", &format!("{network}{number}"), "type", "bridge_slave", "isolated", state]);
        }
    }

    /// On the machine `on`, a slow way to another one's worker: 30 ms each way, at its worker port.
    pub fn slow_way(&self, on: &str, to: &str) -> Running {
        let (on, port) = (self.host(on), self.host(to).port.to_string());
        let script = on.write("slow_relay.py", include_str!("../fixtures/slow_relay.py"));
        let mut relay = on.command("/usr/bin/python3");
        relay.arg(script).args([&port, &self.host(to).address(), "30"]);
        let relay = Running::start(relay, b"");
        on.wait_listens(self.host(to).port);
        relay
    }

    /// A machine by its name, to start or stop it.
    pub fn host_mut(&mut self, name: &str) -> &mut Host {
        self.hosts.iter_mut().find(|h| h.name == name).expect("a host of this world")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            if std::thread::panicking() {
                let log = fs::read_to_string(host.log()).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                eprintln!("--- log of {}\n{}", host.name, lines[lines.len().saturating_sub(40)..].join("\n"));
            }
            host.homied = None;
        }
        let spaces: Vec<&String> = self.hosts.iter().filter_map(|h| h.namespace.as_ref()).chain(&self.hub).collect();
        kill_inhabitants(&spaces, self.dir.path());
        if is_root() {
            for host in &self.hosts {
                let _ = Command::new("umount").args(["-q", "-l"]).arg(&host.state).stderr(Stdio::null()).status();
                let _ = Command::new("umount").args(["-q", "-l"]).arg(&host.home).stderr(Stdio::null()).status();
            }
            spaces.into_iter().for_each(|space| ip(&["netns", "del", space]));
        }
    }
}

impl Host {
    fn new(world: &World, id: &str, number: usize, name: &str) -> Self {
        let place = world.dir.path().join(name);
        let (state, home) = (place.join("state"), place.join("home"));
        fs::create_dir_all(&state).expect("own directory");
        fs::create_dir_all(&home).expect("own directory");
        let namespace = world.hub.as_ref().map(|hub| {
            let space = format!("{id}x{number}");
            let plug = format!("p{number}");
            ip(&["netns", "add", &space]);
            ip(&["-n", hub, "link", "add", &plug, "type", "veth", "peer", "name", "eth0", "netns", &space]);
            ip(&["-n", hub, "link", "set", &plug, "master", "lan", "up"]);
            ip(&["-n", &space, "addr", "add", &format!("10.77.0.{number}/24"), "broadcast", "+", "dev", "eth0"]);
            ip(&["-n", &space, "link", "set", "eth0", "up"]);
            ip(&["-n", &space, "link", "set", "lo", "up"]);
            space
        });
        let (ip, port) = match namespace {
            Some(_) => (format!("10.77.0.{number}"), 5556),
            None => ("127.0.0.1".to_owned(), free_port()),
        };
        Self { name: name.to_owned(), ip, port, state, home, namespace, homied: None }
    }

    /// `IP:PORT` of its worker.
    pub fn address(&self) -> String {
        format!("{}:{}", self.ip, self.port)
    }

    /// Writes its config: the usual lines and `more`, whose keys win.
    pub fn configure(&self, more: &str) {
        let has = |key: &str| more.lines().any(|line| line.starts_with(key));
        let mut text = String::new();
        let mut line = |key: &str, value: &str| {
            if !has(key) {
                text += &format!("{key} {value}\n");
            }
        };
        line("name:", &self.name);
        line("group_secret:", SECRET);
        line("worker_port:", &self.port.to_string());
        // The native engine is always there; the engine of the machine is another suite's matter.
        line("engine:", "native");
        if self.namespace.is_none() {
            line("discovery_port:", &free_port().to_string());
        }
        let path = self.state.join("config.yaml");
        fs::write(&path, text + more).expect("own directory");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("own file");
    }

    /// Puts a file into its user's directory.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.join(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("own directory");
        fs::write(&path, content).expect("own directory");
        path
    }

    /// The work directory of the one job that it runs for others on the native engine; waits until those of earlier jobs are
    /// removed.
    #[track_caller]
    pub fn work_of_the_job(&self) -> PathBuf {
        let mut found = Vec::new();
        wait_until(&format!("{} has the directory of one job", self.name), PATIENCE, || {
            let jobs = fs::read_dir(self.state.join("jobs")).into_iter().flatten().flatten();
            found = jobs.map(|entry| entry.path().join("work")).filter(|work| work.exists()).collect();
            found.len() == 1
        });
        found.remove(0)
    }

    /// Reads a file of its user's directory.
    #[track_caller]
    pub fn read(&self, name: &str) -> Vec<u8> {
        let path = self.home.join(name);
        fs::read(&path).unwrap_or_else(|e| panic!("{} on {}: {e}", path.display(), self.name))
    }

    /// A program as this machine's user would start it. It replaces the helper that enters the namespace, so its
    /// process id is that of the child.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = match &self.namespace {
            Some(space) => {
                let mut enter = Command::new("nsenter");
                enter.arg(format!("--net=/run/netns/{space}")).arg("--").arg(program);
                enter
            }
            None => Command::new(program),
        };
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LANG", "C.UTF-8")
            .env("HOME", &self.home)
            .env("HOMIE_HOME", &self.state)
            .env("HOMIE_TEST_OWNER", std::process::id().to_string())
            .current_dir(&self.home);
        if self.namespace.is_none() {
            command.envs(std::env::vars_os().filter(|(name, _)| leads_outward(&name.to_string_lossy())));
        }
        if self.nvml().exists() {
            command.env("HOMIE_NVML", self.nvml());
        }
        command
    }

    /// Where its homied looks for NVIDIA's library, if a test has put one there.
    pub fn nvml(&self) -> PathBuf {
        self.state.with_file_name("nvml").join("libnvidia-ml.so.1")
    }

    /// What its homied takes for the machine's batteries and plugs, if a test has put some there. Needs root.
    pub fn power(&self) -> PathBuf {
        self.state.with_file_name("power")
    }

    /// homied's log.
    pub fn log(&self) -> PathBuf {
        self.state.with_file_name("homied.log")
    }

    /// Starts homied and waits until it answers.
    #[track_caller]
    pub fn start(&mut self) {
        self.spawn();
        self.wait_answers();
    }

    /// Where faketime reads how far the clock of its homied is off.
    fn clock(&self) -> PathBuf {
        self.state.with_file_name("clock")
    }

    /// Turns the clock of a homied that was started with [`Host::start_at`], while it runs.
    pub fn turn_clock(&self, clock: &str) {
        let new = self.clock().with_extension("new");
        fs::write(&new, clock).expect("own directory");
        fs::rename(new, self.clock()).expect("own directory");
    }

    /// The same as [`Host::start`] for a homied whose clock is off by this much, as faketime writes it (`+10y`).
    #[track_caller]
    pub fn start_at(&mut self, clock: &str) {
        // Not by the command of that name, which stands between us and homied.
        let library = fs::read_dir("/usr/lib").expect("a directory").flatten();
        let library = library.map(|dir| dir.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
        let library = library.expect("Debian's libfaketime").display().to_string();
        self.turn_clock(clock);
        let clock = self.clock().display().to_string();
        // Looked at every second or two. The clock that nobody sets stays true, as it does on a machine whose date is wrong.
        let looks = [("FAKETIME_CACHE_DURATION", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        self.spawn_with(&[&[("LD_PRELOAD", &*library), ("FAKETIME_TIMESTAMP_FILE", &clock)], &looks[..]].concat());
        self.wait_answers();
    }

    #[track_caller]
    fn wait_answers(&mut self) {
        wait_until(&format!("homied of {} answers", self.name), PATIENCE, || {
            let homied = self.homied.as_mut().expect("just spawned");
            let log = self.state.with_file_name("homied.log");
            assert!(homied.is_alive(), "homied ended: {}", fs::read_to_string(&log).unwrap_or_default());
            self.homie(&["--json", "status"]).code == Some(0)
        });
    }

    /// Starts homied without waiting.
    pub fn spawn(&mut self) {
        self.spawn_with(&[]);
    }

    fn spawn_with(&mut self, env: &[(&str, &str)]) {
        assert!(self.homied.is_none(), "homied of {} runs already", self.name);
        let log = fs::File::options().create(true).append(true).open(self.log()).expect("own directory");
        // By way of a shell's redirection, so that the log is a file and outlives every reader.
        let mut command = self.command("sh");
        command.args(["-c", "exec \"$0\" 2>>\"$1\" >&2"]).arg(binary("homied")).arg(self.log());
        if self.power().exists() {
            let with_power = "mount --bind \"$2\" /sys/class/power_supply && exec \"$0\" 2>>\"$1\" >&2";
            command = self.command("unshare");
            command.args(["--mount", "sh", "-c", with_power]).arg(binary("homied")).arg(self.log()).arg(self.power());
        }
        command.envs(env.iter().copied());
        drop(log);
        self.homied = Some(Running::start(command, b""));
    }

    /// Kills homied at once, as a crash would.
    pub fn crash(&mut self) {
        drop(self.homied.take().expect("homied was started"));
    }

    /// Kills homied and everything else that runs on this machine, as pulling its plug would.
    pub fn pull_plug(&mut self) {
        drop(self.homied.take());
        kill_inhabitants(&self.namespace.iter().collect::<Vec<_>>(), &self.state);
    }

    /// Takes an interface of it up or down.
    pub fn interface(&self, name: &str, up: bool) {
        let space = self.namespace.as_ref().expect("namespaces");
        ip(&["-n", space, "link", "set", name, if up { "up" } else { "down" }]);
    }

    /// Waits until some program listens there.
    #[track_caller]
    pub fn wait_listens(&self, port: u16) {
        wait_until(&format!("somebody listens on port {port} of {}", self.name), PATIENCE, || {
            let mut ss = self.command("ss");
            ss.args(["-Htln", &format!("sport = :{port}")]);
            !Running::start(ss, b"").finish().out().is_empty()
        });
    }

    /// Makes its way to the others slow, so that what is sent can be met on its way.
    pub fn throttle(&self, megabits: u32) {
        let space = self.namespace.as_ref().expect("namespaces");
        let rate = format!("{megabits}mbit");
        let limit =
            ["qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", &rate, "burst", "64kb", "latency", "100ms"];
        let run = Command::new("tc").args(["-n", space]).args(limit).output().expect("the tc command");
        assert!(run.status.success(), "tc: {}", String::from_utf8_lossy(&run.stderr));
    }

    /// Bytes that reached it from the others since it exists.
    pub fn received(&self) -> u64 {
        let count = self.command("cat").arg("/sys/class/net/eth0/statistics/rx_bytes").output().expect("cat");
        String::from_utf8_lossy(&count.stdout).trim().parse().expect("a number")
    }

    /// Bytes of chunks that its homied keeps.
    pub fn stored(&self) -> u64 {
        fn below(dir: &Path) -> u64 {
            // What goes away meanwhile was not kept.
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            let bytes = |e: fs::DirEntry| match e.metadata() {
                Ok(m) if m.is_dir() => below(&e.path()),
                Ok(m) => m.len(),
                Err(_) => 0,
            };
            entries.map(bytes).sum()
        }
        below(&self.state.join("store/blobs")) + below(&self.state.join("store/packs"))
    }

    /// homied's process id.
    #[track_caller]
    pub fn homied_pid(&self) -> i32 {
        self.homied.as_ref().expect("homied was started").pid()
    }

    /// Sends homied a signal.
    #[track_caller]
    pub fn signal_homied(&self, signal: nix::sys::signal::Signal) {
        self.homied.as_ref().expect("homied was started").signal(signal);
    }

    /// Ends homied in order.
    #[track_caller]
    pub fn stop(&mut self) -> Finished {
        let homied = self.homied.take().expect("homied was started");
        homied.signal(nix::sys::signal::Signal::SIGTERM);
        homied.finish()
    }

    /// Runs `homie ARGS` to its end.
    #[track_caller]
    pub fn homie(&self, args: &[&str]) -> Finished {
        self.homie_start(args).finish()
    }

    /// Starts `homie ARGS`.
    pub fn homie_start(&self, args: &[&str]) -> Running {
        let mut command = self.command(binary("homie-ctl"));
        command.args(args);
        Running::start(command, b"")
    }

    /// Starts `homie ARGS` with something to read.
    pub fn homie_with_input(&self, args: &[&str], input: &[u8]) -> Running {
        let mut command = self.command(binary("homie-ctl"));
        command.args(args);
        Running::start(command, input)
    }

    /// `homie run ARGS`, its script given as text.
    #[track_caller]
    pub fn run_text(&self, flags: &[&str], script: &str) -> Finished {
        self.start_text(flags, script).finish()
    }

    /// Starts `homie run ARGS`, its script given as text.
    pub fn start_text(&self, flags: &[&str], script: &str) -> Running {
        static SCRIPT: AtomicU32 = AtomicU32::new(0);
        let name = format!("job{}.sh", SCRIPT.fetch_add(1, Ordering::Relaxed));
        self.write(&name, format!("#!/bin/sh\n{script}\n"));
        let args: Vec<&str> = ["run"].iter().chain(flags).copied().chain([name.as_str()]).collect();
        self.homie_start(&args)
    }

    /// The names of the peers it lists as online.
    pub fn sees(&self) -> Vec<String> {
        let answer = self.homie(&["--json", "peers"]);
        if answer.code != Some(0) {
            return Vec::new();
        }
        let online = |row: &&serde_json::Value| row["status"] != "offline";
        let rows = answer.json()["peers"].as_array().cloned().unwrap_or_default();
        rows.iter().filter(online).filter_map(|row| row["name"].as_str().map(str::to_owned)).collect()
    }

    /// Waits until it lists a peer as online.
    #[track_caller]
    pub fn wait_sees(&self, name: &str) {
        wait_until(&format!("{} sees {name}", self.name), PATIENCE, || self.sees().iter().any(|n| n == name));
    }

    /// Waits until it does not list a peer as online (any more).
    #[track_caller]
    pub fn wait_misses(&self, name: &str) {
        wait_until(&format!("{} misses {name}", self.name), PATIENCE, || !self.sees().iter().any(|n| n == name));
    }

    /// Waits until it knows the engines of a peer: they are looked for after the start.
    #[track_caller]
    pub fn wait_engines(&self, of: &str) {
        wait_until(&format!("{} knows the engines of {of}", self.name), PATIENCE, || {
            let answer = self.homie(&["--json", "peers"]);
            let rows = answer.json()["peers"].as_array().cloned().unwrap_or_default();
            let ready = |row: &serde_json::Value| row["engines"].as_array().is_some_and(|list| !list.is_empty());
            rows.iter().any(|row| row["name"] == of && ready(row))
        });
    }

    /// Its newest job, as `homie jobs --all --json` (or `--hosted`) shows it.
    #[track_caller]
    pub fn newest_job(&self, flags: &[&str]) -> serde_json::Value {
        let args: Vec<&str> = ["--json", "jobs", "--all"].iter().chain(flags).copied().collect();
        let answer = self.homie(&args).code(0);
        answer.json()["jobs"].as_array().and_then(|rows| rows.first().cloned()).unwrap_or_default()
    }

    /// Waits until its newest job is in one of these states; returns the job.
    #[track_caller]
    pub fn wait_job(&self, states: &[&str], patience: Duration) -> serde_json::Value {
        let mut job = serde_json::Value::Null;
        wait_until(&format!("the newest job of {} is {states:?}", self.name), patience, || {
            job = self.newest_job(&[]);
            states.contains(&job["state"].as_str().unwrap_or_default())
        });
        job
    }

    /// Puts a small file system (`bytes`) in place of a directory of this machine.
    pub fn mount_small(&self, dir: &Path, bytes: u64) {
        let size = format!("size={bytes},mode=755");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "homie-it"]).arg(dir).status();
        assert!(status.expect("mount").success(), "cannot mount a tmpfs at {}", dir.display());
    }
}

#[track_caller]
fn ip(args: &[&str]) {
    let run = Command::new("ip").args(args).output().expect("the ip command");
    assert!(run.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&run.stderr));
}

/// A port that is free for TCP and UDP. It may be taken before it is used; the kernel hands out others meanwhile.
pub fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = tcp.local_addr().expect("bound").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Kills every process that lives in one of `spaces` or was started with something under `dir`.
fn kill_inhabitants(spaces: &[&String], dir: &Path) {
    let inode = |path: PathBuf| fs::metadata(path).ok().map(|m| m.ino());
    let ours: Vec<u64> = spaces.iter().filter_map(|s| inode(Path::new("/run/netns").join(s.as_str()))).collect();
    let dir = dir.as_os_str().as_encoded_bytes();
    kill_processes(|proc| {
        let names_us = |file: &str| {
            fs::read(proc.join(file)).is_ok_and(|bytes| bytes.windows(dir.len()).any(|window| window == dir))
        };
        inode(proc.join("ns/net")).is_some_and(|i| ours.contains(&i)) || names_us("cmdline") || names_us("environ")
    });
}

/// Whether a variable says how this machine reaches a package index.
fn leads_outward(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.starts_with("PIP_")
        || name.starts_with("SSL_CERT_")
        || name.ends_with("_CA_BUNDLE")
        || name.ends_with("_PROXY")
}

/// Kills the processes whose directory under /proc `matches`, until there are none.
fn kill_processes(matches: impl Fn(&Path) -> bool) {
    // A second look catches what was born during the first; ten end a race that cannot be won.
    for _ in 0..10 {
        let mut killed = false;
        for entry in fs::read_dir("/proc").expect("proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            if pid > 1 && pid.unsigned_abs() != std::process::id() && matches(&entry.path()) {
                let pid = nix::unistd::Pid::from_raw(pid);
                killed |= nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).is_ok();
            }
        }
        if !killed {
            return;
        }
    }
}

/// Removes what earlier runs left behind when they were killed: processes and namespaces whose owner is gone.
fn sweep() {
    let gone = |pid: &str| pid.parse::<u32>().is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
    kill_processes(|proc| {
        let environ = fs::read(proc.join("environ")).unwrap_or_default();
        let owner = environ.split(|b| *b == 0).find_map(|pair| pair.strip_prefix(b"HOMIE_TEST_OWNER="));
        owner.is_some_and(|pid| gone(&String::from_utf8_lossy(pid)))
    });
    if is_root() {
        for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix("hit").and_then(|rest| rest.split('x').next().map(str::to_owned));
            if owner.is_some_and(|pid| gone(&pid)) {
                ip(&["netns", "del", &name]);
            }
        }
    }
}
