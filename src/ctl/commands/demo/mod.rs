//! `homie demo`: two homied of one group with fresh state on this machine, and one real job from one to the other.
//!
//! Nothing here is simulated: the programs are the installed ones, the job is `examples/ml-training`, and the commands
//! are those a user would type. `network` is where the machines stand, `machine` one of them, `proof` what must be
//! true in the end.

mod machine;
mod network;
mod proof;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use self::machine::{Machine, Recipe, isolate};
use self::network::{NAMES, Network};
use self::proof::{FILES, Found, checks};
use crate::ctl::args::DemoArgs;
use crate::ctl::cells::uptime;
use crate::ctl::config_file::generate_secret;
use crate::ctl::context::Context;
use crate::ctl::exit::{self, CtlError};
use crate::ctl::homied::{example_dirs, find_homied, finish, until};
use crate::model::{JobRecord, PeerStatus, PeerView, Role, Via, format_duration};
use crate::wire::ipc::{HistoryQuery, JobRef, PeersParams, StatusView, method};

/// How long both machines may take to start and to find each other, engines included: a slow disk, a cold Docker.
const MEET: Duration = Duration::from_secs(60);
/// How long the job may take: the default limit of a job and time for files and a cold engine.
const JOB: Duration = Duration::from_secs(900);
/// How long a listing may take.
const LISTING: Duration = Duration::from_secs(60);
/// How long a cancelled job may take to be gone.
const CANCEL: Duration = Duration::from_secs(20);
/// The training is short: five passes over the images.
const COMMAND: [&str; 9] =
    ["run", "--peer", NAMES[1], "-f", "digits.csv.gz", "train.py", "--data", "digits.csv.gz", "--epochs=5"];

/// Runs it.
///
/// # Errors
/// Programs or example are missing, a machine does not start, or they do not find each other.
pub async fn run(ctx: &Context, args: DemoArgs) -> Result<ExitCode, CtlError> {
    let homied = find_homied()?;
    let example = find_example(args.example.as_deref())?;
    let dir = std::env::temp_dir().join(format!("homie-demo-{}", std::process::id()));
    let network = stand(ctx, args.loopback).await?;
    let mut demo = Demo { ctx, args: &args, homied, dir: dir.clone(), network, machines: Vec::new(), run: None };
    let done = match stop_signal() {
        Ok(stop) => tokio::select! {
            done = demo.play(&example) => done,
            () = stop => {
                ctx.note("\nStopping the demo.");
                Ok(exit::CANCELLED)
            }
        },
        Err(e) => Err(CtlError::io("cannot listen for signals", e)),
    };
    let clean = demo.end(match done {
        Ok(0) => Ending::Good,
        Ok(exit::CANCELLED) => Ending::Stopped,
        _ => Ending::Bad,
    });
    let clean = clean.await;
    let code = done?;
    if clean.is_err() && code == 0 {
        return clean.map(|()| ExitCode::SUCCESS);
    }
    if let Err(e) = clean {
        e.report(ctx);
    }
    Ok(ExitCode::from(code))
}

/// Everything that must be taken away again.
struct Demo<'a> {
    ctx: &'a Context,
    args: &'a DemoArgs,
    homied: PathBuf,
    dir: PathBuf,
    network: Network,
    machines: Vec<Machine>,
    run: Option<Child>,
}

impl Demo<'_> {
    /// The story, from two fresh machines to the checks. Gives the exit code.
    async fn play(&mut self, example: &Path) -> Result<u8, CtlError> {
        self.say(&format!("{}\n", self.ctx.out.bold("Homie demo: one job from alice to bob")))?;
        let work = self.prepare(example)?;
        self.start()?;
        let Meeting { alice: alice_status, bob: bob_status, met } = self.meet().await?;
        let met = format_duration(u64::try_from(met.as_millis()).unwrap_or(u64::MAX));
        self.tick(&format!("both are up, and alice saw bob {met} after their start"))?;
        let engines: Vec<&str> = bob_status.facts.engines.iter().map(|e| e.kind.as_str()).collect();
        self.tick(&format!("bob is ready: {} cores, engines: {}", bob_status.facts.cores, engines.join(", ")))?;
        self.say(&format!("\n$ homie {}\n", COMMAND.join(" ")))?;
        let code = self.send(&work).await?;
        let found = self.look(&work, code, &alice_status, &bob_status).await;
        self.say(&format!("\n$ ls {}\n", work.display()))?;
        self.list_files(&work)?;
        for (i, words) in [(0, vec!["history"]), (1, vec!["history", "--hosted"])] {
            self.say(&format!("\n$ homie {}      (on {})\n", words.join(" "), NAMES[i]))?;
            self.command(i, &words).await?;
        }
        self.say("\n")?;
        let mut bad = 0;
        for check in checks(&found) {
            let mark = if check.ok { self.ctx.out.tick() } else { self.ctx.out.cross() };
            bad += u8::from(!check.ok);
            self.say(&format!("{mark} {}\n", check.text))?;
        }
        Ok(if bad == 0 { 0 } else { 1 })
    }

    fn say(&self, text: &str) -> Result<(), CtlError> {
        self.ctx.print(text)
    }

    fn tick(&self, text: &str) -> Result<(), CtlError> {
        self.say(&format!("{} {text}\n", self.ctx.out.tick()))
    }

    /// The directories: one for each machine's state, one to call `run` from.
    fn prepare(&self, example: &Path) -> Result<PathBuf, CtlError> {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |e| CtlError::io(format!("cannot set up {path}"), e)
        };
        DirBuilder::new().mode(0o700).create(&self.dir).map_err(failed(&self.dir))?;
        let work = self.dir.join("work");
        fs::create_dir(&work).map_err(failed(&work))?;
        for name in ["train.py", "digits.csv.gz"] {
            let from = example.join(name);
            fs::copy(&from, work.join(name)).map_err(failed(&from))?;
        }
        Ok(work)
    }

    fn start(&mut self) -> Result<(), CtlError> {
        let secret = generate_secret().map_err(|e| CtlError::io("no random bytes", e.into()))?;
        self.say(&format!("On {},\nwith fresh state in {}:\n", self.network.about, self.dir.display()))?;
        for (i, name) in NAMES.into_iter().enumerate() {
            let place = &self.network.places[i];
            self.say(&format!("  {name:<6} {}\n", place.describe()))?;
            let recipe = Recipe { name, under: &self.dir, place, secret: &secret, engine: &self.args.engine };
            self.machines.push(recipe.start(&self.homied)?);
        }
        Ok(())
    }

    /// Waits until alice sees bob ready for a job.
    async fn meet(&mut self) -> Result<Meeting, CtlError> {
        let begun = Instant::now();
        let mut met = None;
        loop {
            for machine in &mut self.machines {
                if let Some(why) = machine.ended() {
                    return Err(CtlError::Broken(why));
                }
            }
            let why = match self.both_ready(begun, &mut met).await {
                Ok(meeting) => return Ok(meeting),
                Err(why) => why,
            };
            if begun.elapsed() >= MEET {
                return Err(CtlError::Broken(format!("alice and bob did not meet within {} s: {why}", MEET.as_secs())));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn both_ready(&self, begun: Instant, met: &mut Option<Duration>) -> Result<Meeting, String> {
        let [alice_machine, bob_machine] = &self.machines[..] else { return Err("a machine is missing".into()) };
        let say = |e: CtlError| e.to_string();
        let alice: StatusView = alice_machine.ask(method::STATUS, &()).await.map_err(say)?;
        let bob: StatusView = bob_machine.ask(method::STATUS, &()).await.map_err(say)?;
        let peers: Vec<PeerView> = alice_machine.rows(method::PEERS, &PeersParams { all: false }).await.map_err(say)?;
        let seen = peers.iter().find(|p| p.via != Via::Own && p.id == bob.id).ok_or("alice does not see bob")?;
        let met = *met.get_or_insert_with(|| begun.elapsed());
        if bob.facts.engines.is_empty() {
            return Err(format!("bob has no engine: {}", bob.engine_error.as_deref().unwrap_or("none was found yet")));
        }
        let ready = seen.status == PeerStatus::Idle && !seen.facts.engines.is_empty();
        if ready { Ok(Meeting { alice, bob, met }) } else { Err("alice has not heard that bob is ready".into()) }
    }

    /// A command of the real client, on behalf of a machine's user.
    fn client(&self, machine: usize, words: &[&str]) -> Result<Command, CtlError> {
        let own = std::env::current_exe().map_err(|e| CtlError::io("cannot find this program", e))?;
        let mut command = Command::new(own);
        isolate(&mut command, &self.machines[machine].home);
        // In a group of its own: Ctrl-C reaches the demo, and the demo ends everything in order.
        command.args(words).stdin(Stdio::null()).process_group(0);
        if self.ctx.out.tty && !self.ctx.out.color {
            command.env("NO_COLOR", "1");
        }
        Ok(command)
    }

    async fn command(&self, machine: usize, words: &[&str]) -> Result<(), CtlError> {
        let child = self.client(machine, words)?.spawn().map_err(|e| CtlError::io("cannot start homie-ctl", e))?;
        let done = finish(child, LISTING).await.map_err(|e| CtlError::io(format!("homie {}", words.join(" ")), e))?;
        if done.status.success() {
            Ok(())
        } else {
            Err(CtlError::Broken(format!("homie {}: {}", words.join(" "), done.status)))
        }
    }

    /// Sends the job and stays until it ended. Gives the exit code of `run`.
    async fn send(&mut self, work: &Path) -> Result<Option<i32>, CtlError> {
        let child = self
            .client(0, &COMMAND)?
            .current_dir(work)
            .spawn()
            .map_err(|e| CtlError::io("cannot start homie-ctl", e))?;
        let run = self.run.insert(child);
        let ended = until(JOB, || std::future::ready(run.try_wait().ok().flatten())).await;
        match ended {
            Some(status) => {
                self.run = None;
                Ok(status.code())
            }
            None => Err(CtlError::Broken(format!("the job did not end within {}", uptime(JOB.as_millis() as u64)))),
        }
    }

    /// Gathers what the checks judge. What cannot be found stays empty, and its check fails.
    async fn look(&self, work: &Path, exit_code: Option<i32>, alice: &StatusView, bob: &StatusView) -> Found {
        let sent: Option<JobRecord> = self.machines[0].ask(method::JOB_GET, &JobRef { job: "last".into() }).await.ok();
        let query = HistoryQuery { role: Some(Role::Hosted), ..HistoryQuery::default() };
        // bob's record is final once alice's homied has told him that she has everything.
        let hosted = async {
            let id = sent.as_ref()?.id;
            until(CANCEL, || async {
                let rows: Vec<JobRecord> = self.machines[1].rows(method::HISTORY, &query).await.ok()?;
                rows.into_iter().find(|r| r.id == id && r.is_terminal())
            })
            .await
        }
        .await;
        Found {
            exit_code,
            hosted,
            sent,
            bob: Some(bob.id),
            alice: Some(alice.id),
            sizes: FILES.map(|name| fs::metadata(work.join(name)).ok().filter(fs::Metadata::is_file).map(|m| m.len())),
            results: fs::read_to_string(work.join(FILES[1])).unwrap_or_default(),
            engine: Some(self.args.engine.clone()).filter(|e| e != "auto"),
        }
    }

    fn list_files(&self, work: &Path) -> Result<(), CtlError> {
        let entries = fs::read_dir(work).map_err(|e| CtlError::io(format!("cannot list {}", work.display()), e))?;
        let mut files: Vec<(String, u64)> = entries
            .flatten()
            .map(|e| (e.file_name().to_string_lossy().into_owned(), e.metadata().map_or(0, |m| m.len())))
            .collect();
        files.sort();
        for (name, bytes) in files {
            self.say(&format!("{bytes:>10}  {name}\n"))?;
        }
        Ok(())
    }

    /// Takes everything away: the run and its job, both machines, the network, the state.
    async fn end(mut self, ending: Ending) -> Result<(), CtlError> {
        if ending != Ending::Good {
            self.give_up().await;
        }
        let mut late = Vec::new();
        for machine in &mut self.machines {
            if !machine.stop().await {
                late.push(machine.name);
            }
        }
        if ending == Ending::Bad || !late.is_empty() {
            for machine in &self.machines {
                self.ctx.note(&format!("\nThe end of {}'s log:\n{}", machine.name, machine.last_words()));
            }
        }
        self.machines.clear();
        self.network.remove().await;
        if self.args.keep {
            self.ctx.note(&format!("State and results are kept in {}", self.dir.display()));
        } else if self.dir.exists() {
            fs::remove_dir_all(&self.dir)
                .map_err(|e| CtlError::io(format!("cannot remove {}", self.dir.display()), e))?;
        }
        if !late.is_empty() {
            return Err(CtlError::Broken(format!("{} did not stop in order", late.join(" and "))));
        }
        if ending == Ending::Good {
            self.tick("both are stopped, and nothing is left behind")?;
        }
        Ok(())
    }

    /// Ends the run and its job before the machines go.
    async fn give_up(&mut self) {
        if let Some(mut run) = self.run.take() {
            if let Ok(pid) = i32::try_from(run.id()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            if until(CANCEL, || std::future::ready(run.try_wait().ok().flatten())).await.is_none() {
                let _ = run.kill();
                let _ = run.wait();
            }
        }
        let [alice, bob] = &self.machines[..] else { return };
        let cancelled: Result<JobRecord, CtlError> =
            alice.ask(method::JOB_CANCEL, &JobRef { job: "last".into() }).await;
        if cancelled.is_ok() {
            // A job outlives its homied, so it must be gone before bob is.
            until(CANCEL, || async {
                let status: Option<StatusView> = bob.ask(method::STATUS, &()).await.ok();
                status.is_none_or(|s| s.jobs_hosted == 0).then_some(())
            })
            .await;
        }
    }
}

/// How the story ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Everything held.
    Good,
    /// The user had enough.
    Stopped,
    /// Something was off: the logs may tell.
    Bad,
}

/// Both machines, ready.
struct Meeting {
    alice: StatusView,
    bob: StatusView,
    /// From the start of both until alice listed bob.
    met: Duration,
}

/// Namespaces where they can be had, else ports of this machine.
async fn stand(ctx: &Context, loopback: bool) -> Result<Network, CtlError> {
    if !loopback {
        match Network::namespaces().await {
            Ok(network) => return Ok(network),
            Err(why) => ctx.note(&format!("No network namespaces ({why}): the demo uses the loopback interface.")),
        }
    }
    Network::loopback().map_err(|e| CtlError::io("no free ports on 127.0.0.1", e))
}

fn find_example(given: Option<&Path>) -> Result<PathBuf, CtlError> {
    let dirs: Vec<PathBuf> = match given {
        Some(dir) => vec![dir.to_owned()],
        None => example_dirs().into_iter().map(|d| d.join("ml-training")).collect(),
    };
    dirs.into_iter().find(|d| d.join("train.py").is_file() && d.join("digits.csv.gz").is_file()).ok_or_else(|| {
        CtlError::usage_hint(
            "the example was not found: train.py and digits.csv.gz",
            "name its directory: `homie demo --example DIR` (in a checkout it is examples/ml-training)",
        )
    })
}

/// Comes back when somebody wants the demo to end.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::args::{Cli, Command as Verb};

    #[test]
    fn the_demo_types_a_command_that_the_real_client_understands() {
        let line = std::iter::once("homie").chain(COMMAND).map(Into::into);
        let Verb::Run(args) = Cli::read(line).expect("understood").command else { panic!("not run") };
        assert_eq!(args.peer.as_deref(), Some("bob"));
    }

    #[test]
    fn a_missing_example_is_named() {
        let error = find_example(Some(Path::new("/nowhere"))).expect_err("not there");
        assert!(error.to_string().contains("train.py"), "{error}");
    }

    #[test]
    fn the_example_of_this_checkout_is_found() {
        assert!(find_example(Some(&crate::ctl::golden::root().join("examples/ml-training"))).is_ok());
    }
}
