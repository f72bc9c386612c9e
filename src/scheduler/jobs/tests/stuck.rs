//! Machines that answer but cannot be sent files, and records that cannot be written.

use super::*;

/// Goes round once: the worker answers, and the inputs do not get there.
fn round(job: &mut Job, epoch: u32, ms: u64, lacking: Option<u64>) -> Vec<Intent> {
    job.on(Input::Answered(Ok(status(epoch, HostedState::Accepted))), at(ms));
    if let Some(bytes) = lacking {
        job.on(Input::Lacking(bytes), at(ms));
    }
    let intents = job.on(Input::Uploaded(Err(unreachable())), at(ms));
    if intents.contains(&Intent::Rank) {
        return intents;
    }
    assert_eq!(job.on(Input::Tick, at(ms + retry::LINK_MS)), [Intent::Offer(RAJ, Epoch(epoch))]);
    Vec::new()
}

fn offered() -> Job {
    let mut job = Job::new(record());
    job.on(Input::Start, at(0));
    job.on(Input::Ranked(both()), at(0));
    job
}

#[test]
fn a_peer_that_answers_but_gets_no_files_is_given_up_for_this_job() {
    let mut job = offered();
    let mut ms = 0;
    let intents = loop {
        ms += 5_000;
        assert!(ms < 10 * retry::STUCK_MS, "for ever");
        let intents = round(&mut job, 1, ms, None);
        if !intents.is_empty() {
            break intents;
        }
    };
    assert!(ms > retry::STUCK_MS, "given up after {ms} ms");
    assert!(intents.contains(&Intent::Abandon(RAJ, Epoch(1))), "{intents:?}");
    assert_eq!(job.on(Input::Ranked(both()), at(ms)), [Intent::Persist, Intent::Offer(MIKE, Epoch(2))]);
    job.on(Input::Answered(Err(Refusal::new(RefusalKind::Busy, "full"))), at(ms));
    job.on(Input::Ranked(both()), at(ms));
    // Later rounds ask mike again, and raj never.
    assert_eq!(job.on(Input::Tick, at(ms + retry::SEEK_MS)), [Intent::Rank]);
    let raj = vec![candidate(RAJ, "raj", Some(2.0), PeerStatus::Idle, "")];
    job.on(Input::Ranked(raj), at(ms + retry::SEEK_MS));
    let Outcome::Failed { reason: FailKind::NoPeer, message } = ended(&job) else { panic!("{:?}", ended(&job)) };
    assert!(message.contains("raj: it answers, but") && message.contains("5556"), "{message}");
}

#[test]
fn a_transfer_that_gets_on_is_never_given_up() {
    let mut job = offered();
    for n in 1..100 {
        assert_eq!(round(&mut job, 1, n * 10_000, Some(1000 - n)), [], "{n}");
    }
    assert!(!job.record().is_terminal());
}

#[test]
fn results_that_do_not_get_here_stay_at_a_worker_that_answers() {
    let mut job = running();
    job.on(Input::Reported(done(1, 1)), at(10));
    let mut ms = 10;
    while !job.record().is_terminal() {
        job.on(Input::Followed(Ok(1)), at(ms));
        job.on(Input::Fetched(Err(unreachable())), at(ms));
        ms += 5_000;
        assert!(ms < 10 * retry::STUCK_MS, "for ever");
        let intents = job.on(Input::Tick, at(ms));
        assert!(job.record().is_terminal() || intents == [Intent::Follow(RAJ, Epoch(1))], "{intents:?}");
        job.on(Input::Reported(done(1, 1)), at(ms));
    }
    let Outcome::Failed { reason: FailKind::Results, message } = ended(&job) else { panic!("{:?}", ended(&job)) };
    assert!(message.contains("raj answers") && message.contains("homie results"), "{message}");
    assert!(Job::before_failed_fetch(job.record().clone()).is_some());
}

#[test]
fn inputs_that_a_restarted_worker_lost_and_cannot_get_again_are_not_sent_for_ever() {
    let mut job = running();
    job.on(Input::Followed(Err(unreachable())), at(10));
    job.on(Input::LinkUp(RAJ), at(20));
    job.on(Input::Reported(status(1, HostedState::Accepted)), at(21));
    let mut ms = 21;
    loop {
        ms += retry::IDLE_WORKER_MS;
        assert!(ms < 10 * retry::STUCK_MS, "for ever");
        assert_eq!(job.on(Input::Tick, at(ms)), [Intent::Upload(RAJ, Epoch(1))]);
        if job.on(Input::Uploaded(Err(unreachable())), at(ms)).contains(&Intent::Rank) {
            break;
        }
    }
    assert_eq!(job.on(Input::Ranked(both()), at(ms)), [Intent::Persist, Intent::Offer(MIKE, Epoch(2))]);
}

#[test]
fn what_could_not_begin_because_the_record_could_not_be_written_begins_later() {
    let full = || Input::PersistFailed(Refusal::new(RefusalKind::DiskFull, "disk full"));
    // Accepted, but the inputs were never sent.
    let mut job = offered();
    job.on(Input::Answered(Ok(status(1, HostedState::Accepted))), at(1));
    job.on(full(), at(2));
    assert_eq!(job.on(Input::Tick, at(2 + retry::LINK_MS)), [Intent::Persist, Intent::Offer(RAJ, Epoch(1))]);
    // Lost, but nobody else was looked for.
    let mut job = running();
    job.on(Input::Followed(Err(Refusal::new(RefusalKind::UnknownJob, "forgotten"))), at(4));
    job.on(full(), at(5));
    assert_eq!(job.on(Input::Tick, at(5 + retry::LINK_MS)), [Intent::Persist, Intent::Rank]);
}
