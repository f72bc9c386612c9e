//! The life of a job, step by step, without a network or a clock.

mod late;
mod stuck;

use proptest::prelude::*;

use super::*;
use crate::model::{
    BootId, Delivery, Digest, Facts, HostedState, JobId, JobSpec, Limits, PeerStatus, PeerView, ResultRef, Role,
    Totals, Via,
};
use crate::wire::ipc::Candidate;

const RAJ: PeerId = PeerId([1; 32]);
const MIKE: PeerId = PeerId([2; 32]);
const RESULTS: Digest = Digest([9; 32]);

fn record() -> JobRecord {
    let spec = JobSpec { command: vec!["true".into()], ..JobSpec::default() };
    JobRecord { uid: 1000, ..JobRecord::new(JobId([7; 16]), Role::Sent, spec, Digest([0; 32]), 1) }
}

fn candidate(id: PeerId, name: &str, score: Option<f64>, status: PeerStatus, why: &str) -> Candidate {
    let peer = PeerView {
        id,
        name: name.into(),
        addr: ([10, 0, 0, 1], 5556).into(),
        boot: BootId([0; 16]),
        status,
        via: Via::Broadcast,
        version: String::new(),
        linked: true,
        heard_ms_ago: 0,
        clock_skew_ms: None,
        roles: crate::model::Roles::default(),
        introduced_by: None,
        paths: Vec::new(),
        facts: Facts::default(),
    };
    Candidate { peer, score, why: why.into() }
}

fn both() -> Vec<Candidate> {
    vec![
        candidate(RAJ, "raj", Some(2.0), PeerStatus::Idle, ""),
        candidate(MIKE, "mike", Some(1.0), PeerStatus::Idle, ""),
    ]
}

fn status(epoch: u32, state: HostedState) -> HostedStatus {
    HostedStatus { engine: Some("native".into()), ..HostedStatus::new(JobId([7; 16]), Epoch(epoch), state) }
}

fn done(epoch: u32, files: u64) -> HostedStatus {
    HostedStatus {
        outcome: Some(Outcome::Exited { code: 3 }),
        results: Some(ResultRef { manifest: RESULTS, totals: Totals { files, bytes: files }, skipped: vec![] }),
        ..status(epoch, HostedState::Done)
    }
}

fn complete(epoch: u32, files: u64) -> Complete {
    Complete { status: done(epoch, files), output_bytes: 100, totals: Totals { files, bytes: files } }
}

fn unreachable() -> Refusal {
    Refusal::new(RefusalKind::Unreachable, "no answer")
}

fn at(ms: u64) -> Now {
    Now { wall: 1_000_000 + ms, mono: ms }
}

/// A job whose program runs at raj.
fn running() -> Job {
    let mut job = Job::new(record());
    assert_eq!(job.on(Input::Start, at(0)), [Intent::Rank]);
    assert_eq!(job.on(Input::Ranked(both()), at(0)), [Intent::Persist, Intent::Offer(RAJ, Epoch(1))]);
    let upload = Intent::Upload(RAJ, Epoch(1));
    let accepted = Input::Answered(Ok(status(1, HostedState::Accepted)));
    assert_eq!(job.on(accepted, at(1)), [upload, Intent::Persist, Intent::Announce]);
    assert_eq!(job.on(Input::Uploaded(Ok(5)), at(2)), [Intent::Follow(RAJ, Epoch(1))]);
    let report = Input::Reported(status(1, HostedState::Running));
    assert_eq!(job.on(report, at(3)), [Intent::Persist, Intent::Announce]);
    assert_eq!(job.record().state, JobState::Running);
    job
}

fn ended(job: &Job) -> &Outcome {
    assert!(job.record().is_terminal());
    job.record().outcome.as_ref().expect("outcome")
}

#[test]
fn a_new_job_is_begun_with_its_first_offer_only_where_there_is_one() {
    let begun = Begun::offered(&record(), &both(), at(0)).expect("raj is free");
    assert_eq!(begun.intents, [Intent::Offer(RAJ, Epoch(1))]);
    assert_eq!((begun.job.record().peer, begun.job.record().epoch), (Some(RAJ), Epoch(1)));
    let busy = [candidate(RAJ, "raj", None, PeerStatus::Busy, "no free slot")];
    for nobody in [&busy[..], &[]] {
        assert!(Begun::offered(&record(), nobody, at(0)).is_none());
        // Not even when there has been time to hear of somebody, and the job would end at once.
        assert!(Begun::offered(&record(), nobody, at(retry::SETTLE_MS)).is_none());
    }
    assert_eq!(Begun::with(record(), at(0)).intents, [Intent::Rank]);
}

#[test]
fn the_whole_road_ends_with_the_scripts_exit_code_and_an_acknowledgement_after_the_record() {
    let mut job = running();
    assert_eq!(job.on(Input::Reported(done(1, 2)), at(4)), [Intent::Persist, Intent::Announce]);
    let fetch = Intent::Fetch(RAJ, Epoch(1), RESULTS);
    assert_eq!(job.on(Input::Followed(Ok(100)), at(5)), [Intent::Persist, Intent::Announce, fetch]);
    assert_eq!(job.record().state, JobState::Collecting);
    let totals = Totals { files: 2, bytes: 2 };
    assert_eq!(
        job.on(Input::Fetched(Ok(totals)), at(6)),
        [Intent::Persist, Intent::Announce, Intent::Acknowledge(RAJ, Epoch(1)), Intent::Close]
    );
    assert_eq!(ended(&job), &Outcome::Exited { code: 3 });
    assert_eq!((job.record().delivery, job.record().results), (Delivery::Waiting, Some(RESULTS)));
    assert_eq!(job.on(Input::Reported(done(1, 2)), at(7)), []);
}

#[test]
fn what_the_worker_gives_the_job_is_known_here() {
    let mut job = running();
    let limits = Limits { timeout_s: 77, ..Limits::default() };
    job.on(Input::Reported(HostedStatus { limits: Some(limits.clone()), ..status(1, HostedState::Running) }), at(50));
    assert_eq!(job.record().limits, Some(limits.clone()));
    // A report of an older release says nothing of it.
    job.on(Input::Reported(status(1, HostedState::Running)), at(60));
    assert_eq!(job.record().limits, Some(limits));
}

#[test]
fn output_that_is_complete_before_the_end_is_reported_waits_for_it_and_asks() {
    let mut job = running();
    assert_eq!(job.on(Input::Followed(Ok(10)), at(5)), [Intent::Query(RAJ, Epoch(1))]);
    assert_eq!(job.on(Input::Tick, at(5 + retry::LINK_MS)), [Intent::Query(RAJ, Epoch(1))]);
    let intents = job.on(Input::Reported(done(1, 0)), at(6));
    assert_eq!(intents.last(), Some(&Intent::Close));
    assert_eq!(job.record().delivery, Delivery::None);
}

#[test]
fn a_refusal_tries_the_next_machine_with_a_new_epoch() {
    let mut job = Job::new(record());
    job.on(Input::Start, at(0));
    job.on(Input::Ranked(both()), at(0));
    let busy = Refusal::new(RefusalKind::Busy, "2 of 2 slots taken");
    let intents = job.on(Input::Answered(Err(busy)), at(1));
    assert_eq!(intents.last(), Some(&Intent::Rank));
    assert_eq!(job.on(Input::Ranked(both()), at(1)), [Intent::Persist, Intent::Offer(MIKE, Epoch(2))]);
    assert_eq!(job.record().attempts[0].end.as_deref(), Some("2 of 2 slots taken"));
}

#[test]
fn a_job_waits_while_somebody_is_busy_and_fails_when_nobody_ever_could() {
    let mut job = Job::new(record());
    job.on(Input::Start, at(0));
    let busy = vec![candidate(RAJ, "raj", None, PeerStatus::Busy, "busy: 2 of 2 slots taken")];
    assert!(matches!(&job.on(Input::Ranked(busy.clone()), at(0))[..], [Intent::Note(n)] if n.contains("raj: busy")));
    assert_eq!(job.on(Input::Tick, at(retry::SEEK_MS - 1)), []);
    assert_eq!(job.on(Input::Tick, at(retry::SEEK_MS)), [Intent::Rank]);
    assert_eq!(job.on(Input::Ranked(busy.clone()), at(retry::SEEK_MS)), [], "told once");
    let owner = vec![candidate(RAJ, "raj", None, PeerStatus::Idle, "busy: GPU 1 is in use by its owner")];
    let intents = job.on(Input::Ranked(owner.clone()), at(retry::SEEK_MS));
    assert!(matches!(&intents[..], [Intent::Note(n)] if n.contains("its owner")), "another reason: {intents:?}");
    assert!(job.waiting().is_some_and(|text| text.contains("its owner")), "for whoever follows from now on");
    for again in [busy, owner] {
        assert_eq!(job.on(Input::Ranked(again), at(retry::SEEK_MS)), [], "each once");
    }
    job.on(Input::Tick, at(2 * retry::SEEK_MS));
    let none = vec![candidate(RAJ, "raj", None, PeerStatus::Idle, "no engine is ready")];
    let intents = job.on(Input::Ranked(none), at(9000));
    assert_eq!(intents, [Intent::Persist, Intent::Announce, Intent::Close]);
    assert_eq!(ended(&job).exit_code(), 69);
    assert!(matches!(ended(&job), Outcome::Failed { message, .. } if message.contains("raj: no engine is ready")));
}

#[test]
fn just_after_the_start_nobody_is_given_up_for_not_having_been_heard_yet() {
    let mut job = Job::new(record());
    job.on(Input::Start, at(0));
    assert_eq!(job.on(Input::Ranked(vec![]), at(0)), []);
    assert_eq!(job.on(Input::Tick, at(retry::SETTLE_PAUSE_MS)), [Intent::Rank]);
    job.on(Input::Ranked(vec![]), at(retry::SETTLE_MS));
    assert_eq!(ended(&job).exit_code(), 69);

    let mut resumed = Job::new(running().record().clone());
    resumed.on(Input::Start, at(0));
    let unknown = Refusal::new(RefusalKind::UnknownPeer, "nobody here knows where it is");
    resumed.on(Input::Answered(Err(unknown)), at(1));
    assert!(!resumed.record().is_terminal() && resumed.record().epoch == Epoch(1));
}

#[test]
fn what_no_other_machine_could_mend_ends_the_job_at_once() {
    let mut job = Job::new(record());
    job.on(Input::Start, at(0));
    job.on(Input::Ranked(both()), at(0));
    let intents = job.on(Input::Answered(Err(Refusal::new(RefusalKind::BadRequest, "no such command"))), at(1));
    assert_eq!(intents.last(), Some(&Intent::Close));
    assert_eq!(ended(&job).exit_code(), 125);
}

#[test]
fn a_broken_link_is_resumed_at_once_when_it_is_back() {
    let mut job = running();
    assert!(matches!(&job.on(Input::Followed(Err(unreachable())), at(10))[..], [Intent::Note(_)]));
    assert_eq!(job.on(Input::LinkUp(MIKE), at(20)), []);
    assert_eq!(job.on(Input::LinkUp(RAJ), at(20)), [Intent::Follow(RAJ, Epoch(1))]);
    job.on(Input::Reported(status(1, HostedState::Running)), at(21));
    assert_eq!(job.on(Input::Tick, at(20 + retry::LOST_MS)), [], "all is well again");
}

#[test]
fn a_dead_link_is_unreachable_after_45_s_and_runs_elsewhere_after_120_s() {
    let mut job = running();
    job.on(Input::Followed(Err(unreachable())), at(0));
    for t in (0..retry::UNREACHABLE_MS).step_by(1000) {
        let intents = job.on(Input::Tick, at(t));
        if intents.contains(&Intent::Follow(RAJ, Epoch(1))) {
            job.on(Input::Followed(Err(unreachable())), at(t));
        }
    }
    assert_eq!(job.record().state, JobState::Running);
    assert!(job.on(Input::Tick, at(retry::UNREACHABLE_MS)).contains(&Intent::Announce));
    assert_eq!(job.record().state, JobState::Unreachable);
    let intents = job.on(Input::Tick, at(retry::LOST_MS));
    assert!(intents.contains(&Intent::Await(RAJ, Epoch(1))) && intents.contains(&Intent::Rank), "{intents:?}");
    assert_eq!(
        job.on(Input::Ranked(both()), at(retry::LOST_MS)),
        [Intent::Persist, Intent::Offer(MIKE, Epoch(2))],
        "not the lost one, though it ranks higher"
    );
    job.on(Input::Answered(Ok(status(2, HostedState::Running))), at(retry::LOST_MS));
    assert_eq!(job.on(Input::Reported(done(1, 0)), at(retry::LOST_MS)), [], "a late report of the first attempt");
    job.on(Input::Followed(Err(Refusal::new(RefusalKind::UnknownJob, "forgotten"))), at(retry::LOST_MS + 1));
    let intents = job.on(Input::Ranked(both()), at(retry::LOST_MS + 1));
    assert!(!intents.iter().any(|i| matches!(i, Intent::Offer(..))), "one retry is all: {intents:?}");
    job.on(Input::Back(Epoch(1), Err(Refusal::new(RefusalKind::UnknownJob, "rebooted"))), at(retry::LOST_MS + 2));
    job.on(Input::Ranked(both()), at(retry::LOST_MS + 2));
    assert_eq!(ended(&job).state(), JobState::Lost, "nobody has it any more");
}

#[test]
fn the_silence_before_a_dead_link_was_noticed_counts() {
    // Noticed after 45 s of silence (unreachable at once, elsewhere 75 s later), whichever word comes first.
    for link_first in [true, false] {
        let mut job = running();
        let noticed = at(100_000);
        let words = || {
            let down = Input::LinkDown(RAJ, 45_000);
            let broke = Input::Followed(Err(unreachable()));
            if link_first { [down, broke] } else { [broke, down] }
        };
        let intents: Vec<Intent> = words().into_iter().flat_map(|word| job.on(word, noticed)).collect();
        assert!(intents.contains(&Intent::Announce), "{intents:?}");
        assert_eq!(job.record().state, JobState::Unreachable);
        let before = job.on(Input::Tick, at(174_999));
        assert!(!before.contains(&Intent::Rank), "{before:?}");
        let after = job.on(Input::Tick, at(175_000));
        assert!(after.contains(&Intent::Rank), "{after:?}");
    }
}

#[test]
fn a_closed_connection_is_out_of_reach_from_its_last_sign_and_other_links_do_not_matter() {
    let mut job = running();
    assert_eq!(job.on(Input::LinkDown(MIKE, 45_000), at(100_000)), []);
    assert_eq!(job.on(Input::LinkDown(RAJ, 1_000), at(100_000)), []);
    assert!(matches!(&job.on(Input::Followed(Err(unreachable())), at(100_001))[..], [Intent::Note(_)]), "told at once");
    job.on(Input::Tick, at(143_999));
    assert_eq!(job.record().state, JobState::Running);
    job.on(Input::Tick, at(144_000));
    assert_eq!(job.record().state, JobState::Unreachable);
    // A link that came and broke again begins a silence of its own.
    let mut job = running();
    job.on(Input::LinkDown(RAJ, 40_000), at(100_000));
    job.on(Input::LinkUp(RAJ), at(100_100));
    job.on(Input::Followed(Err(unreachable())), at(110_000));
    job.on(Input::Tick, at(111_000));
    assert_eq!(job.record().state, JobState::Running);
}

#[test]
fn at_most_once_is_never_run_again() {
    let mut once = record();
    once.spec.at_most_once = true;
    let mut job = Job::new(once);
    job.on(Input::Start, at(0));
    job.on(Input::Ranked(both()), at(0));
    job.on(Input::Answered(Ok(status(1, HostedState::Running))), at(0));
    job.on(Input::Followed(Err(unreachable())), at(0));
    let intents = job.on(Input::Tick, at(retry::LOST_MS));
    assert!(intents.contains(&Intent::Await(RAJ, Epoch(1))), "{intents:?}");
    let intents = job.on(Input::Ranked(both()), at(retry::LOST_MS));
    assert!(!intents.iter().any(|i| matches!(i, Intent::Offer(..))), "{intents:?}");
    assert_eq!(job.record().state, JobState::Unreachable, "its worker may come back with it");
    job.on(Input::Back(Epoch(1), Err(unreachable())), at(2 * retry::LOST_MS));
    job.on(Input::Ranked(both()), at(2 * retry::LOST_MS));
    assert_eq!(ended(&job).exit_code(), 125);
    assert_eq!(ended(&job).state(), JobState::Lost);
}

#[test]
fn a_restart_offers_the_same_epoch_again_and_follows_where_the_worker_is() {
    let before = running();
    let mut job = Job::new(before.record().clone());
    assert_eq!(job.on(Input::Start, at(0)), [Intent::Offer(RAJ, Epoch(1))]);
    assert!(matches!(&job.on(Input::Answered(Err(unreachable())), at(1))[..], [Intent::Note(_)]));
    assert_eq!(job.on(Input::Tick, at(1 + retry::LINK_MS)), [Intent::Offer(RAJ, Epoch(1))]);
    let intents = job.on(Input::Answered(Ok(done(1, 0))), at(5000));
    assert_eq!(intents.last(), Some(&Intent::Follow(RAJ, Epoch(1))));
    assert_eq!(job.on(Input::Followed(Ok(4)), at(5001)).last(), Some(&Intent::Close));
}

#[test]
fn cancelling_stops_the_worker_first_and_never_waits_for_ever() {
    let mut queued = Job::new(record());
    queued.on(Input::Start, at(0));
    assert_eq!(queued.on(Input::Cancel("you".into()), at(0)).last(), Some(&Intent::Close));
    assert_eq!(ended(&queued).exit_code(), 130);

    let mut job = running();
    assert_eq!(job.on(Input::Cancel("you".into()), at(10)), [Intent::Stop(RAJ, Epoch(1)), Intent::Persist]);
    assert_eq!(job.on(Input::Cancel("you".into()), at(11)), [Intent::Persist], "whoever asks again waits for it too");
    job.on(Input::Reported(done(1, 1)), at(12));
    assert_eq!(job.on(Input::Followed(Ok(9)), at(13)).last(), Some(&Intent::Close));
    assert_eq!(ended(&job).state(), JobState::Cancelled);

    let mut silent = running();
    silent.on(Input::Cancel("you".into()), at(10));
    let intents = silent.on(Input::Tick, at(10 + retry::CANCEL_MS));
    assert!(intents.contains(&Intent::Abandon(RAJ, Epoch(1))));
    assert_eq!(ended(&silent).state(), JobState::Cancelled);

    let mut offering = Job::new(record());
    offering.on(Input::Start, at(0));
    offering.on(Input::Ranked(both()), at(0));
    assert_eq!(offering.on(Input::Cancel("you".into()), at(1)), [Intent::Persist]);
    let intents = offering.on(Input::Answered(Ok(status(1, HostedState::Accepted))), at(2));
    assert!(intents.contains(&Intent::Stop(RAJ, Epoch(1))), "the worker is not left with it: {intents:?}");
}

#[test]
fn results_that_cannot_be_stored_here_stay_at_the_worker() {
    let mut job = running();
    job.on(Input::Reported(done(1, 1)), at(1));
    job.on(Input::Followed(Ok(1)), at(2));
    let full = || Input::Fetched(Err(Refusal::new(RefusalKind::DiskFull, "no space")));
    for n in 1..retry::TRIES_HERE {
        assert!(matches!(&job.on(full(), at(2))[..], [Intent::Note(_)]), "{n}");
        job.on(Input::Tick, at(2 + retry::LINK_MS));
        job.on(Input::Followed(Ok(1)), at(2 + retry::LINK_MS));
    }
    let intents = job.on(full(), at(9000));
    assert!(!intents.iter().any(|i| matches!(i, Intent::Acknowledge(..))), "{intents:?}");
    assert_eq!(ended(&job).exit_code(), 125);

    // ... and can be fetched once there is room: with the job's own end.
    let mut again = Job::before_failed_fetch(job.record().clone()).expect("its results stayed");
    assert_eq!(again.on(Input::Start, at(10_000)), [Intent::Offer(RAJ, Epoch(1))]);
    again.on(Input::Answered(Ok(done(1, 1))), at(10_001));
    again.on(Input::Followed(Ok(1)), at(10_002));
    let intents = again.on(Input::Fetched(Ok(Totals { files: 1, bytes: 1 })), at(10_003));
    assert!(intents.contains(&Intent::Acknowledge(RAJ, Epoch(1))));
    assert_eq!(ended(&again), &Outcome::Exited { code: 3 });
    assert!(Job::before_failed_fetch(again.record().clone()).is_none());

    // A worker that stays away is neither told to forget them nor is the job run again.
    let mut away = Job::before_failed_fetch(job.record().clone()).expect("its results stayed");
    away.on(Input::Start, at(0));
    away.on(Input::Answered(Err(unreachable())), at(0));
    let intents = away.on(Input::Tick, at(retry::LOST_MS));
    assert_eq!(intents, [Intent::Persist, Intent::Announce, Intent::Close]);
    assert!(Job::before_failed_fetch(away.record().clone()).is_some());
}

#[test]
fn output_that_cannot_be_written_here_is_no_reason_to_run_it_again() {
    let mut job = running();
    let full = || Input::Followed(Err(Refusal::new(RefusalKind::DiskFull, "no space")));
    for _ in 1..retry::TRIES_HERE {
        assert!(matches!(&job.on(full(), at(2))[..], [Intent::Note(_)]));
        assert_eq!(job.on(Input::Tick, at(2 + retry::LINK_MS)), [Intent::Follow(RAJ, Epoch(1))]);
    }
    let intents = job.on(full(), at(9000));
    assert!(!intents.iter().any(|i| matches!(i, Intent::Acknowledge(..) | Intent::Rank)), "{intents:?}");
    assert!(matches!(ended(&job), Outcome::Failed { reason: FailKind::Results, .. }));
}

#[test]
fn a_worker_that_was_restarted_before_it_started_the_job_gets_the_inputs_again() {
    let mut job = running();
    job.on(Input::Followed(Err(unreachable())), at(10));
    job.on(Input::LinkUp(RAJ), at(20));
    job.on(Input::Reported(status(1, HostedState::Accepted)), at(21));
    assert_eq!(job.on(Input::Tick, at(21 + retry::IDLE_WORKER_MS)), [Intent::Upload(RAJ, Epoch(1))]);
    assert_eq!(job.on(Input::Uploaded(Ok(0)), at(6000)), [], "it is being followed already");
    assert_eq!(
        job.on(Input::Tick, at(6000 + retry::IDLE_WORKER_MS)),
        [Intent::Upload(RAJ, Epoch(1))],
        "until it starts"
    );
    job.on(Input::Reported(status(1, HostedState::Running)), at(12_000));
    assert_eq!(job.on(Input::Tick, at(90_000)), []);
}

#[test]
fn an_end_that_cannot_be_asked_for_is_a_worker_out_of_reach() {
    let mut job = running();
    job.on(Input::Followed(Ok(10)), at(5));
    assert!(matches!(&job.on(Input::Unanswered(unreachable()), at(6))[..], [Intent::Note(_)]));
    assert!(job.on(Input::Tick, at(6 + retry::LOST_MS)).contains(&Intent::Rank));

    let mut gone = running();
    gone.on(Input::Followed(Ok(10)), at(5));
    let forgotten = Refusal::new(RefusalKind::UnknownJob, "forgotten");
    assert!(gone.on(Input::Unanswered(forgotten), at(6)).contains(&Intent::Rank));
}

#[test]
fn a_record_that_cannot_be_written_while_it_runs_is_written_later() {
    let mut job = running();
    job.on(Input::PersistFailed(Refusal::new(RefusalKind::DiskFull, "disk full")), at(10));
    // What stood behind the writing was not begun, so it is begun again.
    assert_eq!(job.on(Input::Tick, at(10 + retry::LINK_MS)), [Intent::Persist, Intent::Follow(RAJ, Epoch(1))]);
    assert_eq!(job.on(Input::Tick, at(10 + retry::LOST_MS)), []);
    assert_eq!(job.record().state, JobState::Running);
}

#[test]
fn an_offer_without_an_answer_is_taken_back_before_the_next_one() {
    let mut job = Job::new(record());
    job.on(Input::Start, at(0));
    job.on(Input::Ranked(both()), at(0));
    let intents = job.on(Input::Answered(Err(unreachable())), at(1));
    assert_eq!(intents[0], Intent::Abandon(RAJ, Epoch(1)));

    let mut offered = Job::new(record());
    offered.on(Input::Start, at(0));
    offered.on(Input::Ranked(both()), at(0));
    let mut restarted = Job::new(offered.record().clone());
    assert_eq!(restarted.on(Input::Start, at(0)), [Intent::Abandon(RAJ, Epoch(1)), Intent::Rank]);
}

#[test]
fn a_record_that_cannot_be_written_before_the_offer_ends_the_job() {
    let mut job = Job::new(record());
    job.on(Input::Start, at(0));
    job.on(Input::Ranked(both()), at(0));
    job.on(Input::PersistFailed(Refusal::new(RefusalKind::DiskFull, "disk full")), at(1));
    assert_eq!(ended(&job).exit_code(), 125);
}

fn any_input() -> impl Strategy<Value = Input> {
    let state = prop_oneof![
        Just(HostedState::Accepted),
        Just(HostedState::Running),
        Just(HostedState::Collecting),
        Just(HostedState::Done)
    ];
    let answer = prop_oneof![
        (1u32..3, state).prop_map(|(e, s)| Ok(if s == HostedState::Done { done(e, 1) } else { status(e, s) })),
        Just(Err(unreachable())),
        Just(Err(Refusal::new(RefusalKind::Busy, "busy"))),
        Just(Err(Refusal::new(RefusalKind::UnknownJob, "unknown"))),
    ];
    prop_oneof![
        Just(()).prop_map(|()| Input::Ranked(both())),
        answer.clone().prop_map(Input::Answered),
        answer.clone().prop_map(|a| Input::Uploaded(a.map(|_| 1))),
        answer.clone().prop_map(|a| Input::Followed(a.map(|_| 1))),
        answer.clone().prop_map(|a| Input::Fetched(a.map(|_| Totals { files: 1, bytes: 1 }))),
        (1u32..3).prop_map(|e| Input::Reported(done(e, 1))),
        (1u32..4, answer.clone()).prop_map(|(e, a)| Input::Back(Epoch(e), a)),
        (1u32..4, answer.clone()).prop_map(|(e, a)| Input::Late(Epoch(e), a.map(|_| Box::new(complete(e, 1))))),
        (0u64..3).prop_map(Input::Lacking),
        Just(()).prop_map(|()| Input::PersistFailed(Refusal::new(RefusalKind::DiskFull, "disk full"))),
        Just(()).prop_map(|()| Input::LinkUp(RAJ)),
        (0u64..60_000).prop_map(|silent| Input::LinkDown(RAJ, silent)),
        Just(()).prop_map(|()| Input::Tick),
        Just(()).prop_map(|()| Input::Cancel("you".into())),
    ]
}

proptest! {
    /// Whatever happens in whatever order: one end, new epochs that only grow and are written before they are offered,
    /// no acknowledgement before the last record, and nobody who may still have it is forgotten.
    #[test]
    fn no_order_of_events_breaks_the_promises(inputs in proptest::collection::vec((any_input(), 0u64..30_000), 0..60)) {
        let mut job = Job::new(record());
        let mut now = 0;
        let mut ends = 0;
        let mut offered = Epoch(0);
        let mut all = vec![(Input::Start, 0)];
        all.extend(inputs);
        for (input, wait) in all {
            now += wait;
            let intents = job.on(input, at(now));
            if job.record().is_terminal() {
                prop_assert!(!job.record().attempts.iter().any(|a| a.awaited || (a.accepted && a.end.is_none())));
            }
            for (i, intent) in intents.iter().enumerate() {
                match intent {
                    Intent::Offer(_, epoch) if *epoch > offered => {
                        prop_assert!(intents[..i].contains(&Intent::Persist));
                        offered = *epoch;
                    }
                    Intent::Acknowledge(..) => prop_assert!(intents[..i].contains(&Intent::Persist)),
                    Intent::Close => ends += 1,
                    _ => {}
                }
            }
            prop_assert_eq!(job.record().outcome.is_some(), job.record().is_terminal());
        }
        prop_assert!(ends <= 1);
        prop_assert_eq!(ends == 1, job.record().is_terminal());
    }
}
