//! Workers that come back after their job was given to another one.

use super::*;

fn gone() -> Refusal {
    Refusal::new(RefusalKind::UnknownJob, "not hosted here")
}

/// Raj is out of reach for so long that his assignment is given up.
fn lost_at_raj() -> Job {
    let mut job = running();
    job.on(Input::Followed(Err(unreachable())), at(10));
    let intents = job.on(Input::Tick, at(10 + retry::LOST_MS));
    assert!(intents.contains(&Intent::Await(RAJ, Epoch(1))), "{intents:?}");
    assert!(!intents.iter().any(|i| matches!(i, Intent::Abandon(..))), "what it has is not thrown away: {intents:?}");
    job
}

/// ... and mike runs it.
fn at_mike_too() -> Job {
    let mut job = lost_at_raj();
    assert_eq!(
        job.on(Input::Ranked(both()), at(200_000)),
        [Intent::Persist, Intent::Offer(MIKE, Epoch(2))],
        "raj is not asked to begin anew: that would end what runs there"
    );
    job.on(Input::Answered(Ok(status(2, HostedState::Running))), at(200_001));
    job
}

/// The worker is there, and tells that it has lost the job.
fn lost(epoch: u32) -> HostedStatus {
    let why = "its supervisor was killed".to_owned();
    HostedStatus { outcome: Some(Outcome::Lost { message: why }), ..status(epoch, HostedState::Done) }
}

#[test]
fn a_worker_that_lost_the_job_says_why_once_its_output_is_here_and_another_one_gets_it() {
    let mut job = running();
    assert_eq!(job.on(Input::Reported(lost(1)), at(4)), [Intent::Persist, Intent::Announce]);
    let intents = job.on(Input::Followed(Ok(7)), at(5));
    let said = |i: &Intent| matches!(i, Intent::Note(n) if n.contains("raj: lost (its supervisor was killed)"));
    assert!(intents.iter().any(said), "{intents:?}");
    assert!(intents.contains(&Intent::Abandon(RAJ, Epoch(1))) && intents.contains(&Intent::Rank), "{intents:?}");
    assert_eq!(job.record().state, JobState::Queued);

    let mut once = record();
    once.spec.at_most_once = true;
    let mut job = Job::new(once);
    job.on(Input::Start, at(0));
    job.on(Input::Ranked(both()), at(0));
    job.on(Input::Answered(Ok(status(1, HostedState::Running))), at(0));
    job.on(Input::Reported(lost(1)), at(4));
    job.on(Input::Followed(Ok(7)), at(5));
    assert_eq!(ended(&job), &Outcome::Lost { message: "raj: its supervisor was killed".into() });
}

#[test]
fn a_worker_that_comes_back_without_the_job_has_no_result_that_could_be_the_first() {
    let mut job = at_mike_too();
    let intents = job.on(Input::Back(Epoch(1), Ok(lost(1))), at(300_000));
    assert!(intents.contains(&Intent::Abandon(RAJ, Epoch(1))), "{intents:?}");
    assert!(!intents.iter().any(|i| matches!(i, Intent::Collect(..))), "{intents:?}");
    assert_eq!(job.record().epoch, Epoch(2));
    // Found only when everything was asked for.
    let mut job = at_mike_too();
    let mut brought = complete(1, 0);
    brought.status = lost(1);
    let intents = job.on(Input::Late(Epoch(1), Ok(Box::new(brought))), at(300_000));
    assert!(intents.contains(&Intent::Abandon(RAJ, Epoch(1))), "{intents:?}");
    assert!(!job.record().is_terminal());
}

#[test]
fn the_result_of_a_worker_that_comes_back_wins_while_the_next_one_still_runs() {
    let mut job = at_mike_too();
    assert_eq!(job.on(Input::Back(Epoch(1), Ok(done(1, 2))), at(300_000)), [Intent::Collect(RAJ, Epoch(1))]);
    assert_eq!(job.record().epoch, Epoch(2), "until everything is here, mike's counts");
    let intents = job.on(Input::Late(Epoch(1), Ok(Box::new(complete(1, 2)))), at(300_001));
    let (note, rest) = intents.split_first().expect("some");
    assert!(matches!(note, Intent::Note(n) if n.contains("raj")), "{note:?}");
    assert_eq!(
        rest,
        [
            Intent::Abandon(MIKE, Epoch(2)),
            Intent::Persist,
            Intent::Announce,
            Intent::Acknowledge(RAJ, Epoch(1)),
            Intent::Close
        ]
    );
    let record = job.record();
    assert_eq!(ended(&job), &Outcome::Exited { code: 3 });
    assert_eq!((record.epoch, record.peer, record.peer_name.as_deref()), (Epoch(1), Some(RAJ), Some("raj")));
    assert_eq!((record.results, record.delivery, record.output_bytes), (Some(RESULTS), Delivery::Waiting, 100));
    assert_eq!(record.attempts[1].end.as_deref(), Some("raj had a result first"));
    // What mike brings later is discarded.
    assert_eq!(job.on(Input::Reported(done(2, 1)), at(300_002)), []);
    assert_eq!(job.on(Input::Followed(Ok(7)), at(300_003)), []);
}

#[test]
fn the_other_one_wins_when_it_is_the_first_and_the_lost_one_lets_go() {
    let mut job = at_mike_too();
    assert_eq!(
        job.on(Input::Back(Epoch(1), Ok(status(1, HostedState::Running))), at(1)),
        [Intent::Collect(RAJ, Epoch(1))]
    );
    job.on(Input::Reported(done(2, 0)), at(300_000));
    let intents = job.on(Input::Followed(Ok(1)), at(300_001));
    assert_eq!(
        intents,
        [
            Intent::Persist,
            Intent::Announce,
            Intent::Acknowledge(MIKE, Epoch(2)),
            Intent::Abandon(RAJ, Epoch(1)),
            Intent::Close
        ]
    );
    assert_eq!(job.record().epoch, Epoch(2));
    assert_eq!(job.on(Input::Late(Epoch(1), Ok(Box::new(complete(1, 2)))), at(300_002)), [], "too late");
}

#[test]
fn a_worker_that_is_back_before_anybody_else_took_the_job_goes_on_with_it() {
    let mut job = lost_at_raj();
    // Mike was asked meanwhile, and was busy.
    job.on(Input::Ranked(both()), at(200_000));
    job.on(Input::Answered(Err(Refusal::new(RefusalKind::Busy, "full"))), at(200_001));
    let intents = job.on(Input::Back(Epoch(1), Ok(status(1, HostedState::Running))), at(200_002));
    assert_eq!(intents.last(), Some(&Intent::Offer(RAJ, Epoch(1))), "{intents:?}");
    assert_eq!(job.record().epoch, Epoch(1));
    job.on(Input::Answered(Ok(status(1, HostedState::Running))), at(200_003));
    job.on(Input::Reported(done(1, 0)), at(200_004));
    assert_eq!(job.on(Input::Followed(Ok(1)), at(200_005)).last(), Some(&Intent::Close));
    assert_eq!(ended(&job), &Outcome::Exited { code: 3 });
}

#[test]
fn with_nobody_else_the_worker_is_waited_for_and_given_a_new_number_once_it_forgot() {
    let mut job = lost_at_raj();
    let raj = || vec![candidate(RAJ, "raj", Some(2.0), PeerStatus::Idle, "")];
    let intents = job.on(Input::Ranked(raj()), at(200_000));
    assert!(matches!(&intents[..], [Intent::Note(n), Intent::Persist, Intent::Announce] if n.contains("raj")));
    assert_eq!(job.record().state, JobState::Unreachable);
    assert_eq!(job.on(Input::Tick, at(200_000 + retry::SEEK_MS)), [Intent::Rank]);
    assert_eq!(job.on(Input::Ranked(raj()), at(203_000)), [], "told once");
    job.on(Input::Back(Epoch(1), Err(gone())), at(204_000));
    assert_eq!(job.on(Input::Tick, at(204_000)), [Intent::Rank]);
    assert_eq!(job.on(Input::Ranked(raj()), at(204_001)), [Intent::Persist, Intent::Offer(RAJ, Epoch(2))]);
}

#[test]
fn a_collection_that_breaks_is_begun_again_when_the_worker_is_back_again() {
    let mut job = at_mike_too();
    job.on(Input::Back(Epoch(1), Ok(done(1, 2))), at(1));
    assert_eq!(job.on(Input::Late(Epoch(1), Err(unreachable())), at(2)), [Intent::Await(RAJ, Epoch(1))]);
    let intents = job.on(Input::Late(Epoch(1), Err(gone())), at(3));
    assert!(intents.contains(&Intent::Abandon(RAJ, Epoch(1))), "{intents:?}");
    assert_eq!(job.on(Input::Late(Epoch(1), Ok(Box::new(complete(1, 2)))), at(4)), []);
}

#[test]
fn a_restart_and_a_cancel_remember_who_is_waited_for() {
    let before = at_mike_too();
    let mut job = Job::new(before.record().clone());
    assert_eq!(job.on(Input::Start, at(0)), [Intent::Await(RAJ, Epoch(1)), Intent::Offer(MIKE, Epoch(2))]);
    job.on(Input::Answered(Ok(status(2, HostedState::Running))), at(1));
    job.on(Input::Cancel("you".into()), at(2));
    job.on(Input::Reported(done(2, 0)), at(3));
    let intents = job.on(Input::Followed(Ok(1)), at(4));
    assert!(intents.contains(&Intent::Abandon(RAJ, Epoch(1))), "{intents:?}");
    assert_eq!(ended(&job).exit_code(), 130);
}

#[test]
fn a_cancel_survives_a_crash_that_follows_its_answer() {
    let mut job = running();
    let intents = job.on(Input::Cancel("you".into()), at(10));
    assert!(intents.contains(&Intent::Persist), "{intents:?}");
    // Killed here: the next homied has only what was written down.
    let written = serde_json::to_string(job.record()).expect("json");
    let mut next = Job::new(serde_json::from_str(&written).expect("record"));
    assert_eq!(next.on(Input::Start, at(0)), [Intent::Offer(RAJ, Epoch(1))]);
    let intents = next.on(Input::Answered(Ok(status(1, HostedState::Running))), at(1));
    assert!(intents.contains(&Intent::Stop(RAJ, Epoch(1))), "{intents:?}");
    next.on(Input::Reported(done(1, 1)), at(2));
    next.on(Input::Followed(Ok(1)), at(3));
    assert_eq!(ended(&next), &Outcome::Cancelled { by: "you".into() });
}

#[test]
fn the_silence_of_the_lost_worker_is_not_counted_against_the_next_one() {
    let mut job = lost_at_raj();
    // His link comes and goes while nobody has the job.
    job.on(Input::LinkDown(RAJ, 1_000), at(150_000));
    job.on(Input::Ranked(both()), at(200_000));
    job.on(Input::Answered(Ok(status(2, HostedState::Running))), at(200_001));
    job.on(Input::Followed(Err(unreachable())), at(900_000));
    let intents = job.on(Input::Tick, at(901_000));
    assert!(!intents.iter().any(|i| matches!(i, Intent::Await(MIKE, _))), "lost after one second: {intents:?}");
    assert_eq!(job.record().epoch, Epoch(2));
}
