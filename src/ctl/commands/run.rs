//! `homie run`: send a script, watch it, bring its files home.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::ctl::args::RunArgs;
use crate::ctl::cells::clean;
use crate::ctl::connect::Connection;
use crate::ctl::context::Context;
use crate::ctl::environment;
use crate::ctl::exit::{CANCELLED, CtlError};
use crate::ctl::follow::{Ending, Look, Seen, Watch, finish};
use crate::ctl::render::{Progress, Table, job_json};
use crate::ctl::upload::{self, Selection};
use crate::model::{JobId, JobRecord, JobSpec, Needs, Placement, Via};
use crate::wire::ipc::{Candidate, ExplainParams, Submit, method};
use crate::wire::version;

/// So long a submission is tried again while homied restarts; the job's id makes that safe.
const SUBMIT_PATIENCE: Duration = Duration::from_secs(30);
/// Reading for longer than this, one asks anew: homied may have been restarted meanwhile.
const SOON: Duration = Duration::from_secs(5);
/// Files that were left here are listed up to so many; the rest is counted.
const LEFT_SHOWN: usize = 5;

/// Runs it.
///
/// # Errors
/// The command line is impossible, a file cannot be read, homied refuses, or the results cannot be written.
pub async fn run(ctx: &Context, args: RunArgs) -> Result<ExitCode, CtlError> {
    let cwd = std::env::current_dir().map_err(|e| CtlError::io("cannot tell the present directory", e))?;
    let selection = upload::select(&args, &cwd, std::env::var_os("HOME").map(PathBuf::from))?;
    let mut spec = spec(&args, &selection)?;
    let dest = args.output_dir.as_ref().map_or_else(|| cwd.clone(), |dir| cwd.join(dir));
    // Homied keeps where a job came from as text, for `attach` and `results`.
    let home_dir = dest.to_str().map(str::to_owned).ok_or_else(|| {
        CtlError::usage_hint("the name of the directory for results is not UTF-8", "name another with --output-dir DIR")
    })?;
    // Before anything is read: without a homied the rest is in vain.
    let mut homied = ctx.connect().await?;
    spec.env = environment::choose(ctx, &args, &cwd, &mut homied).await?;
    if args.explain {
        let params = ExplainParams { spec, input_totals: selection.totals() };
        let candidates: Vec<Candidate> = homied.call_rows(method::JOB_EXPLAIN, &params).await?;
        return explain(ctx, &candidates);
    }
    tell_left(ctx, &selection.left);
    confirm(ctx, &selection, args.yes)?;

    let progress = Progress::new(ctx);
    progress.spin("reading files");
    let begun = Instant::now();
    let inputs = selection.read(ctx.cache.as_deref(), &cwd)?;
    if begun.elapsed() > SOON {
        homied = ctx.connect().await?;
    }
    let nothing = inputs.manifest.files().is_empty() && homied.protocol >= version::IPC_NOTHING_TO_PUT;
    let manifest = match nothing {
        true => inputs.manifest.digest(),
        false => upload::send(&mut homied, &inputs, &progress).await?,
    };
    drop(progress);

    let id = JobId::random().map_err(|e| CtlError::io("no random bytes for the job's id", e.into()))?;
    let mut watch = Watch::new(ctx, id, Look { story: true, raw: args.raw, document: false }, true);
    if !args.detach {
        watch.ask_on_interrupt()?;
    }
    let (record, homied) = submit(ctx, homied, &Submit { id, spec, home_dir, inputs: manifest }).await?;
    if args.detach {
        return detached(ctx, &record);
    }
    watch.begin_on(homied);
    let sent = inputs.manifest.files().iter().map(|f| f.path.as_str()).collect();
    see_through(ctx, watch, dest, Some(sent)).await
}

/// Watches a job to its end and finishes it: what `run` and `attach` have in common.
///
/// # Errors
/// As [`Watch::run`] and [`finish`].
pub(super) async fn see_through(
    ctx: &Context,
    mut watch: Watch<'_>,
    dest: PathBuf,
    sent: Option<HashSet<&str>>,
) -> Result<ExitCode, CtlError> {
    let job = watch.job().short();
    match watch.run().await {
        Ok(Seen::All(record)) => {
            let tail = watch.tail();
            let ending = Ending { dest, tail, sent };
            drop(watch);
            tokio::select! {
                done = finish(ctx, &record, &ending) => done,
                // The job has ended; only bringing its files home is broken off, and leaves nothing half-written.
                _ = tokio::signal::ctrl_c() => {
                    ctx.note(&format!("broken off; `homie results {job}` brings the files home"));
                    Ok(ExitCode::from(CANCELLED))
                }
            }
        }
        Ok(Seen::Detached) => {
            ctx.note(&format!("job {job} goes on; `homie attach {job}` comes back to it"));
            Ok(ExitCode::SUCCESS)
        }
        Ok(Seen::Cancelling) => Ok(ExitCode::from(CANCELLED)),
        Err(error) => {
            if error.is_away() || matches!(error, CtlError::OutputClosed) {
                ctx.note(&format!("job {job} goes on; `homie attach {job}` comes back to it"));
            }
            Err(error)
        }
    }
}

fn spec(args: &RunArgs, selection: &Selection) -> Result<JobSpec, CtlError> {
    Ok(JobSpec {
        name: selection.name.clone(),
        command: selection.command.clone(),
        vars: vars(&args.vars)?,
        // Known once homied has read the recipe.
        env: None,
        wanted: None,
        needs: Needs {
            cpu_millis: args.cpu,
            memory_bytes: args.memory,
            timeout_s: args.timeout,
            disk_bytes: args.disk,
            // A wish about the GPU is a wish for one.
            gpus: args.gpu.unwrap_or(u32::from(args.gpu_mem.is_some() || args.gpu_model.is_some())),
            gpu_memory_bytes: args.gpu_mem,
            gpu_model: args.gpu_model.clone(),
            isolation: args.isolation,
        },
        peer: args.peer.clone(),
        placement: match (args.local, args.remote) {
            (true, _) => Placement::Local,
            (_, true) => Placement::Remote,
            _ => Placement::Any,
        },
        outputs: args.output.clone(),
        at_most_once: args.at_most_once,
    })
}

fn vars(words: &[String]) -> Result<BTreeMap<String, String>, CtlError> {
    let mut vars = BTreeMap::new();
    for word in words {
        match word.split_once('=') {
            Some((key, value)) if !key.is_empty() && !word.contains('\0') => {
                vars.insert(key.to_owned(), value.to_owned());
            }
            _ => return Err(CtlError::usage_hint(format!("{} sets nothing", clean(word)), "write --set KEY=VALUE")),
        }
    }
    Ok(vars)
}

/// Submits; while homied restarts it tries again, which cannot make a second job.
async fn submit(ctx: &Context, homied: Connection, submit: &Submit) -> Result<(JobRecord, Connection), CtlError> {
    let begun = Instant::now();
    let mut there = Ok(homied);
    loop {
        let tried = async {
            let mut homied = there?;
            homied.call(method::JOB_SUBMIT, submit).await.map(|record| (record, homied))
        };
        match tried.await {
            Err(error) if error.is_away() && begun.elapsed() < SUBMIT_PATIENCE => {
                sleep(Duration::from_millis(250)).await
            }
            other => return other,
        }
        there = ctx.connect().await;
    }
}

fn detached(ctx: &Context, record: &JobRecord) -> Result<ExitCode, CtlError> {
    let job = record.id.short();
    if ctx.json {
        ctx.print_list("jobs", &[job_json(record)])?;
    } else {
        ctx.print(&format!("{job}\n"))?;
        ctx.note(&format!("`homie attach {job}` watches it, `homie results {job}` brings its files home"));
    }
    Ok(ExitCode::SUCCESS)
}

fn tell_left(ctx: &Context, left: &[String]) {
    for text in left.iter().take(LEFT_SHOWN) {
        ctx.note(&format!("{} not sent: {text}", ctx.err.yellow("warning:")));
    }
    if left.len() > LEFT_SHOWN {
        ctx.note(&format!("{} and {} more not sent", ctx.err.yellow("warning:"), left.len() - LEFT_SHOWN));
    }
}

/// Shows a large send, and asks where somebody can answer.
fn confirm(ctx: &Context, selection: &Selection, yes: bool) -> Result<(), CtlError> {
    let Some(preview) = selection.preview() else { return Ok(()) };
    ctx.note(preview.trim_end());
    if yes || !ctx.err.tty || !io::stdin().is_terminal() {
        return Ok(());
    }
    let mut answer = String::new();
    let asked = write!(io::stderr().lock(), "Send it? [Y/n] ").and_then(|()| io::stdin().lock().read_line(&mut answer));
    asked.map_err(|e| CtlError::io("cannot ask", e))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "" if answer.ends_with('\n') => Ok(()),
        "y" | "yes" => Ok(()),
        _ => Err(CtlError::usage_hint("nothing was sent", "leave files out with .homieignore, or name fewer with -f")),
    }
}

fn explain(ctx: &Context, candidates: &[Candidate]) -> Result<ExitCode, CtlError> {
    if ctx.json {
        let rows: Vec<Value> = candidates.iter().map(candidate_json).collect();
        ctx.print_list("candidates", &rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["MACHINE", "SCORE", "WHY"]).title("WHERE IT WOULD RUN");
    for c in candidates {
        let own = if c.peer.via == Via::Own { " (this machine)" } else { "" };
        let score = c.score.map_or_else(|| "-".to_owned(), |score| format!("{score:.2}"));
        table.row(vec![clean(&c.peer.name) + own, score, clean(&c.why)]);
    }
    table.align_right(1);
    ctx.print(&table.render(&ctx.out))?;
    Ok(ExitCode::SUCCESS)
}

/// One entry of `{"version":1,"candidates":[…]}`.
fn candidate_json(c: &Candidate) -> Value {
    json!({ "name": c.peer.name, "id": c.peer.id, "own": c.peer.via == Via::Own, "score": c.score, "why": c.why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fake::{self, FakeHomied, State};
    use crate::ctl::sample::run_args;
    use crate::model::{Delivery, Manifest, Outcome};
    use crate::wire::output::{Source, header};
    use crate::wire::refusal::{Refusal, RefusalKind};

    /// A directory with a script, and a homied whose job writes a file and ends with `code`.
    fn stage(code: i32) -> (tempfile::TempDir, FakeHomied) {
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::write(dir.path().join("train.py"), "print(1)").expect("write");
        let results = vec![("model.pt".to_owned(), b"weights".to_vec())];
        let mut record = fake::record(JobId([0; 16]));
        record.outcome = Some(Outcome::Exited { code });
        record.state = Outcome::Exited { code }.state();
        record.results = Some(fake::manifest_of(&results).digest());
        record.delivery = Delivery::Waiting;
        let mut log = header(Source::Stdout, 0, 6).to_vec();
        log.extend_from_slice(b"hello\n");
        let homied = FakeHomied::start(State { record: Some(record), results, log, ..State::default() });
        (dir, homied)
    }

    #[tokio::test]
    async fn a_job_goes_out_and_its_files_come_home() {
        let (dir, homied) = stage(3);
        let (script, out) = (dir.path().join("train.py"), dir.path().join("out"));
        let line = ["--output-dir", out.to_str().expect("UTF-8"), "--set", "A=b=c", "--cpu", "1.5", "--remote"];
        let line: Vec<&str> = line.into_iter().chain([script.to_str().expect("UTF-8"), "--epochs", "10"]).collect();
        let code = run(&homied.context(), run_args(&line)).await.expect("ran");
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(3)));
        assert_eq!(std::fs::read(out.join("model.pt")).expect("there"), b"weights");
        let state = homied.state();
        assert_eq!(state.uploads, [("train.py".to_owned(), b"print(1)".to_vec())]);
        let submit = &state.submits[0];
        assert_eq!(submit.spec.command, ["python3", "train.py", "--epochs", "10"]);
        assert_eq!(submit.spec.vars["A"], "b=c");
        assert_eq!((submit.spec.needs.cpu_millis, submit.spec.placement), (Some(1500), Placement::Remote));
        assert_eq!(PathBuf::from(&submit.home_dir), out);
        assert!(state.delivered_last && !state.cancelled);
    }

    #[tokio::test]
    async fn without_files_nothing_is_sent_before_the_job_unless_homied_is_older() {
        for (protocol, transfers) in [(version::IPC.to_vec(), 0), (vec![1], 1)] {
            let (_dir, homied) = stage(0);
            homied.state().protocol = Some(protocol);
            run(&homied.context(), run_args(&["-d", "-c", "print(1)"])).await.expect("submitted");
            let state = homied.state();
            assert_eq!((state.transfers, state.submits[0].inputs), (transfers, Manifest::default().digest()));
        }
    }

    #[tokio::test]
    async fn a_detached_job_is_left_alone() {
        let (dir, homied) = stage(0);
        let script = dir.path().join("train.py");
        run(&homied.context(), run_args(&["-d", script.to_str().expect("UTF-8")])).await.expect("submitted");
        let state = homied.state();
        assert_eq!(state.submits.len(), 1);
        assert!(!state.delivered_last);
    }

    #[tokio::test]
    async fn a_refusal_of_files_is_told_as_it_was_said() {
        let (dir, homied) = stage(0);
        homied.state().refuse_files = Some(Refusal::new(RefusalKind::DiskFull, "the store is full").hint("free some"));
        let script = dir.path().join("train.py");
        let error = run(&homied.context(), run_args(&[script.to_str().expect("UTF-8")])).await.expect_err("refused");
        assert_eq!(
            (error.kind(), error.to_string().as_str(), error.hint()),
            ("disk-full", "the store is full", Some("free some"))
        );
        assert!(homied.state().submits.is_empty());
    }

    #[test]
    fn variables_are_keys_and_values() {
        let vars = |words: &[&str]| vars(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            vars(&["A=", "B=x=y"]).expect("fine").into_iter().collect::<Vec<_>>(),
            [("A".into(), String::new()), ("B".into(), "x=y".into())]
        );
        for bad in ["A", "=x", ""] {
            assert_eq!(vars(&[bad]).expect_err(bad).exit_code(), 2);
        }
    }
}
