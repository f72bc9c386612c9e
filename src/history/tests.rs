//! The room as its callers meet it: messages to the actor, over a real database file.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::messages::*;
use super::{HistoryActor, HistoryError, start};
use crate::mailbox::{Door, ask};
use crate::model::{
    Attempt, Delivery, Digest, Epoch, JobId, JobRecord, JobSpec, JobState, Outcome, PeerId, Role, Totals, Usage,
};
use crate::wire::ipc::{HistoryQuery, Placed};
use crate::wire::refusal::RefusalKind;

const LIMIT: Duration = Duration::from_secs(60);

fn record(n: u8) -> JobRecord {
    let spec = JobSpec { name: format!("job{n}.py"), command: vec!["python3".into()], ..JobSpec::default() };
    JobRecord {
        uid: 1000,
        home_dir: Some("/home/raj".into()),
        input_totals: Totals { files: 1, bytes: 100 },
        state: JobState::Running,
        epoch: Epoch(1),
        attempts: vec![Attempt {
            epoch: Epoch(1),
            peer: PeerId([9; 32]),
            peer_name: "bob".into(),
            offered_ms: 5,
            accepted: true,
            end: None,
            awaited: false,
        }],
        peer: Some(PeerId([9; 32])),
        peer_name: Some("bob".into()),
        engine: Some("native".into()),
        ..JobRecord::new(JobId([n; 16]), Role::Sent, spec, Digest([1; 32]), 1_000 + u64::from(n))
    }
}

fn ended(n: u8, code: i32) -> JobRecord {
    let outcome = Outcome::Exited { code };
    JobRecord {
        state: outcome.state(),
        outcome: Some(outcome),
        ended_ms: Some(9_000 + u64::from(n)),
        usage: Usage { wall_ms: 10, cpu_ms: 7, peak_memory_bytes: 1, ..Usage::default() },
        result_totals: Totals { files: 2, bytes: 20 },
        ..record(n)
    }
}

/// Runs `body` inside a System, as homied does.
fn with_history<T>(path: &Path, body: impl AsyncFnOnce(Door<HistoryActor>) -> T) -> T {
    let system = actix::System::new();
    system.block_on(async { body(start(path).expect("history")).await })
}

fn temporary() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("homie.db");
    (dir, path)
}

async fn put(door: &Door<HistoryActor>, record: JobRecord) {
    ask(door, PutRecord { record: Box::new(record) }, LIMIT).await.expect("answer").expect("written");
}

#[test]
fn records_come_back_whole_after_a_restart() {
    let (_dir, path) = temporary();
    let hosted = JobRecord { role: Role::Hosted, uid: 0, home_dir: None, ..record(1) };
    with_history(&path, async |door| {
        put(&door, record(1)).await;
        put(&door, hosted.clone()).await;
        put(&door, ended(2, 3)).await;
        ask(&door, FlushHistory, LIMIT).await.expect("flushed");
    });
    with_history(&path, async |door| {
        let get = |job, role| ask(&door, GetRecord { job, role }, LIMIT);
        assert_eq!(get(JobId([1; 16]), Role::Sent).await.expect("answer"), Ok(Some(record(1))));
        assert_eq!(get(JobId([1; 16]), Role::Hosted).await.expect("answer"), Ok(Some(hosted.clone())));
        assert_eq!(get(JobId([2; 16]), Role::Sent).await.expect("answer"), Ok(Some(ended(2, 3))));
        assert_eq!(get(JobId([2; 16]), Role::Hosted).await.expect("answer"), Ok(None));
        let open = async |role| ask(&door, LoadOpen { role }, LIMIT).await.expect("answer");
        assert_eq!(open(Role::Sent).await, Ok(vec![record(1)]));
        assert_eq!(open(Role::Hosted).await, Ok(vec![hosted.clone()]));
    });
    let mode = std::fs::metadata(&path).expect("stat").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "what was run is nobody else's business");
}

#[test]
fn a_terminal_record_is_final_for_its_assignment() {
    let (_dir, path) = temporary();
    with_history(&path, async |door| {
        put(&door, ended(1, 0)).await;
        put(&door, record(1)).await;
        let state = async || {
            let get = GetRecord { job: JobId([1; 16]), role: Role::Sent };
            ask(&door, get, LIMIT).await.expect("answer").expect("read").expect("there").state
        };
        assert_eq!(state().await, JobState::Succeeded, "a late word about the same epoch changes nothing");
        put(&door, JobRecord { delivery: Delivery::Delivered, ..ended(1, 0) }).await;
        put(&door, JobRecord { epoch: Epoch(2), ..record(1) }).await;
        assert_eq!(state().await, JobState::Running, "the next epoch goes on");
    });
}

#[test]
fn jobs_are_found_by_unique_prefix_or_last() {
    let (_dir, path) = temporary();
    with_history(&path, async |door| {
        let find =
            async |prefix: &str, uid| ask(&door, FindJob { prefix: prefix.into(), uid }, LIMIT).await.expect("answer");
        assert_eq!(find("last", None).await.expect_err("none yet").kind, RefusalKind::UnknownJob);
        let mut twin = record(0xab);
        twin.id.0[15] = 0;
        for r in [record(0xab), twin.clone(), ended(0xcd, 0), JobRecord { uid: 7, ..record(0xee) }] {
            put(&door, r).await;
        }
        put(&door, JobRecord { role: Role::Hosted, uid: 0, ..record(0xcd) }).await;
        assert_eq!(find("cd", Some(1000)).await, Ok(ended(0xcd, 0)));
        assert_eq!(find("CDCDCDCD", None).await, Ok(ended(0xcd, 0)), "the sent side comes first");
        assert_eq!(find(&twin.id.to_string(), Some(1000)).await, Ok(twin));
        assert_eq!(find("last", Some(1000)).await, Ok(ended(0xcd, 0)));
        assert_eq!(find("last", None).await.map(|r| r.uid), Ok(7));
        assert_eq!(find("ee", Some(1000)).await.expect_err("another user's").kind, RefusalKind::UnknownJob);
        let e = find("ab", Some(1000)).await.expect_err("two of them");
        assert!(e.kind == RefusalKind::BadRequest && e.message.contains("fits 2 jobs"), "{e:?}");
        for typed in ["", "0", "xyz", "ab%", "' OR 1=1 --", "\u{1b}[2J", &"a".repeat(33)] {
            assert_eq!(find(typed, None).await.expect_err(typed).kind, RefusalKind::UnknownJob, "{typed:?}");
        }
    });
}

#[test]
fn history_is_listed_newest_first_and_summed_by_peer() {
    let (_dir, path) = temporary();
    with_history(&path, async |door| {
        let mike = |n, code| JobRecord { peer_name: Some("mike".into()), peer: None, ..ended(n, code) };
        let hosted = JobRecord { role: Role::Hosted, uid: 0, ..ended(5, 0) };
        let others = JobRecord { uid: 7, ..ended(6, 0) };
        for r in [ended(1, 0), ended(2, 1), mike(3, 0), record(4), hosted, others] {
            put(&door, r).await;
        }
        let list = async |query: HistoryQuery, uid| -> Vec<u8> {
            let rows = ask(&door, QueryRecords { query, uid }, LIMIT).await.expect("answer").expect("rows");
            rows.iter().map(|r| r.id.0[0]).collect()
        };
        let all = HistoryQuery::default();
        assert_eq!(list(all.clone(), None).await, [6, 5, 4, 3, 2, 1]);
        assert_eq!(
            list(all.clone(), Some(1000)).await,
            [4, 3, 2, 1],
            "neither what another user sent nor what guests run here"
        );
        assert_eq!(list(HistoryQuery { limit: Some(2), ..all.clone() }, None).await, [6, 5]);
        // Sent while the clock was ten years ahead, and one after it was set right.
        let ahead = JobRecord { created_ms: 400_000_000_000, uid: 8, ..record(7) };
        for r in [ahead.clone(), JobRecord { uid: 8, ..record(8) }, ahead] {
            put(&door, r).await;
        }
        assert_eq!(list(all.clone(), Some(8)).await, [8, 7]);
        let find = FindJob { prefix: "last".into(), uid: Some(8) };
        let last = ask(&door, find, LIMIT).await.expect("answer").expect("found");
        assert_eq!(last.id, JobId([8; 16]));
        assert_eq!(list(HistoryQuery { peer: Some("MIKE".into()), ..all.clone() }, None).await, [3]);
        assert_eq!(list(HistoryQuery { role: Some(Role::Hosted), ..all.clone() }, None).await, [5]);
        let id = PeerId([9; 32]).to_string();
        assert_eq!(list(HistoryQuery { peer: Some(id), ..all.clone() }, Some(7)).await, [6]);
        assert_eq!(list(HistoryQuery { role: Some(Role::Hosted), ..all.clone() }, Some(1000)).await, [0; 0]);

        let stats = ask(&door, QueryStats { query: all, uid: Some(1000) }, LIMIT).await.expect("answer").expect("rows");
        let rows: Vec<_> = stats
            .iter()
            .map(|s| (s.peer.as_str(), s.role, s.jobs, s.succeeded, s.wall_ms, s.cpu_ms, s.bytes, s.last_ms))
            .collect();
        let want =
            [("bob", Role::Sent, 2, 1, 20, 14, 240, Some(9_002)), ("mike", Role::Sent, 1, 1, 10, 7, 120, Some(9_003))];
        assert_eq!(rows.len(), want.len());
        assert!(want.iter().all(|w| rows.contains(w)), "{rows:?}");
    });
}

#[test]
fn placed_files_are_remembered_for_each_user() {
    let (_dir, path) = temporary();
    with_history(&path, async |door| {
        let placed = |path: &str, n| Placed { path: path.into(), hash: Digest([n; 32]) };
        let remember = async |uid, placed| ask(&door, RememberPlaced { uid, placed }, LIMIT).await.expect("answer");
        let find = async |uid, paths: &[&str]| {
            let paths = paths.iter().map(|p| (*p).to_owned()).collect();
            ask(&door, FindPlaced { uid, paths }, LIMIT).await.expect("answer").expect("rows")
        };
        assert_eq!(remember(1, vec![placed("/a", 1), placed("/b ü", 2)]).await, Ok(()));
        assert_eq!(remember(1, vec![placed("/a", 3)]).await, Ok(()));
        assert_eq!(remember(1, Vec::new()).await, Ok(()));
        assert_eq!(find(1, &["/b ü", "/c", "/a"]).await, [placed("/b ü", 2), placed("/a", 3)]);
        assert_eq!(find(2, &["/a"]).await, []);
    });
}

#[test]
fn concurrent_writes_are_all_answered() {
    let (_dir, path) = temporary();
    with_history(&path, async |door| {
        let writes = (0..=255u8).flat_map(|n| [record(n), ended(n, 0)]).map(|r| {
            let door = door.clone();
            async move { put(&door, r).await }
        });
        futures_util::future::join_all(writes).await;
        let query = HistoryQuery::default();
        let rows = ask(&door, QueryRecords { query, uid: None }, LIMIT).await.expect("answer").expect("rows");
        assert_eq!(rows.len(), 256);
        assert!(rows.iter().all(JobRecord::is_terminal));
    });
}

#[test]
fn files_that_are_no_history_are_refused_with_path_and_next_step() {
    let refuse = |bytes: &[u8]| -> HistoryError {
        let (_dir, path) = temporary();
        std::fs::write(&path, bytes).expect("write");
        let e = actix::System::new().block_on(async { start(&path).expect_err("refused") });
        assert!(e.to_string().starts_with(&path.display().to_string()), "{e}");
        assert!(!e.next_step().is_empty());
        e
    };
    assert!(matches!(
        refuse(b"this is a diary, not a database, and long enough to be read as one"),
        HistoryError::Corrupt { .. }
    ));

    let (_dir, path) = temporary();
    with_history(&path, async |door| {
        for n in 0..200 {
            put(&door, ended(n, 0)).await;
        }
        ask(&door, FlushHistory, LIMIT).await.expect("flushed");
    });
    let mut bytes = std::fs::read(&path).expect("read");
    let len = bytes.len();
    bytes[4096..len / 2].fill(0xff);
    let damaged = refuse(&bytes);
    assert!(matches!(damaged, HistoryError::Corrupt { .. }) && damaged.next_step().contains("mv "), "{damaged}");

    let other = |sql: &str| {
        let (_dir, path) = temporary();
        rusqlite::Connection::open(&path).and_then(|db| db.execute_batch(sql)).expect("another database");
        refuse(&std::fs::read(&path).expect("read"))
    };
    assert!(other("CREATE TABLE diary (day TEXT)").to_string().contains("another program"));
    let newer = other("PRAGMA application_id = 1213156681; PRAGMA user_version = 99; CREATE TABLE x (y)");
    assert!(matches!(newer, HistoryError::Newer { found: 99, .. }), "{newer}");
}

#[test]
fn an_empty_file_becomes_a_history() {
    let (_dir, path) = temporary();
    std::fs::write(&path, b"").expect("write");
    with_history(&path, async |door| put(&door, record(1)).await);
}

#[test]
fn unwritable_places_are_refused() {
    // Not even root can make a file here.
    let path = Path::new("/proc/homie.db");
    let e = actix::System::new().block_on(async { start(path).expect_err("refused") });
    assert!(matches!(e, HistoryError::Unwritable { .. }), "{e}");
}

/// Not a test of its own: what the tests below run in another process, by the name of the test.
#[test]
fn in_another_process() {
    let Ok(path) = std::env::var("HOMIE_TEST_DB") else { return };
    let path = Path::new(&path);
    if std::env::var_os("HOMIE_TEST_REFUSED").is_some() {
        let e = actix::System::new().block_on(async { start(path).expect_err("refused") });
        assert!(matches!(e, HistoryError::Unwritable { .. }), "{e}");
        println!("\nREFUSED");
        return;
    }
    with_history(path, async |door| {
        for n in 0.. {
            put(&door, ended((n % 250) as u8, n)).await;
            println!("\nACK {n}");
        }
    });
}

fn other_process(exe: &Path, db: &Path) -> Command {
    let mut command = Command::new(exe);
    command.args(["--exact", "history::tests::in_another_process", "--nocapture", "--test-threads=1"]);
    command.env("HOMIE_TEST_DB", db).stdout(Stdio::piped());
    command
}

#[test]
fn what_was_answered_survives_kill_9() {
    let (_dir, path) = temporary();
    let mut child = other_process(&std::env::current_exe().expect("exe"), &path).spawn().expect("child");
    let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let acked = |line: std::io::Result<String>| line.ok()?.strip_prefix("ACK ")?.parse::<i32>().ok();
    let mut acks = lines.filter_map(acked);
    let mut last = acks.by_ref().nth(40).expect("answers");
    child.kill().expect("kill");
    // What is still in the pipe was answered too.
    last = acks.last().unwrap_or(last);
    child.wait().expect("wait");
    with_history(&path, async |door| {
        let get = GetRecord { job: JobId([(last % 250) as u8; 16]), role: Role::Sent };
        let kept = ask(&door, get, LIMIT).await.expect("answer").expect("read").expect("there");
        let Some(Outcome::Exited { code }) = kept.outcome else { panic!("{kept:?}") };
        assert!(code >= last, "{code} was kept, {last} was answered");
        let query = HistoryQuery::default();
        let rows = ask(&door, QueryRecords { query, uid: None }, LIMIT).await.expect("answer").expect("rows");
        assert!(rows.len() > usize::try_from(last.min(249)).expect("small"), "{} of {last}", rows.len());
    });
}

#[test]
fn an_ordinary_user_is_told_what_it_may_not_write() {
    let dir = tempfile::tempdir().expect("temporary directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).expect("chmod");
    let exe = std::env::current_exe().expect("exe");
    let db = dir.path().join("homie.db");
    let mut command = if nix::unistd::geteuid().is_root() {
        // Root may write anywhere, so the check runs as nobody, from a copy that nobody may execute.
        let copy = dir.path().join("tests");
        std::fs::copy(exe, &copy).expect("copy");
        let mut command = other_process(&copy, &db);
        command.uid(65534).gid(65534).current_dir("/");
        command
    } else {
        other_process(&exe, &db)
    };
    let out = command.env("HOMIE_TEST_REFUSED", "1").stderr(Stdio::piped()).output().expect("run");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && said.contains("REFUSED"), "{said}{}", String::from_utf8_lossy(&out.stderr));
}
