//! A job's whole road over the link: offer, inputs, output, results, acknowledgement.

use super::*;

/// Sends a job from `a` to `to` (whose probe is `b`) and brings everything home.
async fn whole_road(a: &Machine, b: &Machine, to: PeerId) {
    let inputs = a.store(&[("train.py", b"print(1)".to_vec()), ("data/ü.bin", noise(3 * CHUNK_BYTES as usize + 5, 1))]);
    let accepted = a.offer(to, 1, &inputs).await.expect("accepted");
    assert_eq!(accepted.state, HostedState::Accepted);
    let borrower = b.seen().hosted[&(JobId([1; 16]), Epoch(1))].from.clone();
    assert_eq!((borrower.peer, borrower.own), (a.id, a.id == to));
    assert_eq!(b.seen().hosted[&(JobId([1; 16]), Epoch(1))].offer.spec.name, "train.py");

    let sent = a.send_inputs(to, 1, &inputs).await.expect("sent");
    assert_eq!(sent, if a.id == to { 0 } else { inputs.total_bytes() }, "a chunk travels once, and at home not at all");
    until("the worker to start the job", || b.seen().started == [JobId([1; 16])]).await;
    for at in crate::transfer::chunks(&inputs) {
        assert!(b.blobs.have(&at.digest));
    }
    // The same again, as after a broken link: nothing travels and nothing starts twice.
    assert_eq!(a.send_inputs(to, 1, &inputs).await, Ok(0));

    let copy = a.dir.path().join("copy");
    let output = noise(200_000, 2);
    b.write_output(1, &output[..70_000], false);
    let rest = async {
        until("the first part to come", || std::fs::metadata(&copy).is_ok_and(|m| m.len() == 70_000)).await;
        b.write_output(1, &output[70_000..], true);
    };
    let (followed, ()) = tokio::join!(a.follow(to, 1, copy.clone()), rest);
    assert_eq!(followed, Ok(200_000));
    assert!(std::fs::read(&copy).expect("read") == output);
    b.set_state(1, HostedState::Done);
    until("the last report", || a.seen().reports.iter().any(|(p, s)| *p == to && s.state == HostedState::Done)).await;

    let home = b.dir.path().join("job");
    std::fs::create_dir_all(home.join("out")).expect("mkdir");
    let model = noise(2 * CHUNK_BYTES as usize + 1, 3);
    std::fs::write(home.join("out/model.pkl"), &model).expect("write");
    let results = manifest(&[("out/model.pkl", model.clone())]);
    let at_home = HostedResults { manifest: results.clone(), dir: home, names: std::collections::HashMap::new() };
    b.seen().hosted.get_mut(&(JobId([1; 16]), Epoch(1))).expect("hosted").results = Some(at_home);
    let wrong = a.fetch(to, 1, Digest([9; 32])).await.expect_err("another list than announced");
    assert_eq!(wrong.kind, crate::wire::refusal::RefusalKind::Integrity, "{wrong}");
    let totals = a.fetch(to, 1, results.digest()).await.expect("fetched");
    assert_eq!(totals, Totals { files: 1, bytes: model.len() as u64 });
    for at in crate::transfer::chunks(&results) {
        a.blobs.get(&at.digest, at.len).expect("here and whole");
    }
    assert!(a.blobs.pins().expect("readable").contains(&results_pin(JobId([1; 16]), Epoch(1))));

    let acknowledge = AcknowledgeJob { peer: to, job: JobId([1; 16]), epoch: Epoch(1) };
    assert_eq!(ask(&a.door, acknowledge, LIMIT).await.expect("answer"), Ok(()));
    assert_eq!(b.seen().forgotten, [JobId([1; 16])]);
    assert_eq!(a.query(to, 7).await.expect_err("no such job").kind, crate::wire::refusal::RefusalKind::UnknownJob);
}

#[test]
fn a_job_goes_to_a_friend_and_comes_home() {
    run(async {
        let (a, b) = (Machine::new("raj").await, Machine::new("mike").await);
        a.knows(&b);
        whole_road(&a, &b, b.id).await;
        assert_eq!(a.seen().changes, [(b.id, true)]);
        {
            let linked = &b.seen().linked;
            assert_eq!((linked[0].peer, linked[0].name.as_str(), linked[0].addr), (a.id, "raj", a.addr()));
            assert!(linked[0].clock_skew_ms.abs() < 5_000);
        }
        until("signs of life", || a.seen().facts.contains(&b.id)).await;
    });
}

/// The worker begins when it has everything, so nothing may go before the submitter has written down that it may.
#[test]
fn inputs_go_when_they_may_and_not_before() {
    run(async {
        let (a, b) = (Machine::new("raj").await, Machine::new("mike").await);
        a.knows(&b);
        let inputs = a.store(&[("train.py", b"print(1)".to_vec())]);
        let started = || b.seen().started.clone();
        for job in [1, 2] {
            a.offer(b.id, job, &inputs).await.expect("accepted");
        }
        // Both have a way there by the time that the first is told; only that one goes.
        let (first, may_first) = watch::channel(false);
        let (never, may_never) = watch::channel(false);
        let others = async {
            first.send_replace(true);
            until("the worker to start the first", || started() == [JobId([1; 16])]).await;
            drop(never);
        };
        let sending = async {
            tokio::join!(
                a.send_inputs_when(b.id, 1, &inputs, may_first),
                a.send_inputs_when(b.id, 2, &inputs, may_never),
            )
        };
        let ((sent, unsent), ()) = tokio::join!(sending, others);
        assert_eq!(sent, Ok(inputs.total_bytes()));
        assert!(unsent.expect_err("it may not").message.contains("written down"));
        // A later word over the same link comes behind whatever was sent.
        assert_eq!(a.query(b.id, 2).await.expect("known").state, HostedState::Accepted);
        assert_eq!(started(), [JobId([1; 16])]);
    });
}

#[test]
fn this_machine_is_a_peer_of_its_own_even_without_a_group() {
    run(async {
        let alone = Machine::with(Config { keys: None, ..Config::named("raj") }).await;
        whole_road(&alone, &alone, alone.id).await;
        assert!(alone.seen().linked.is_empty() && alone.seen().facts.is_empty(), "the registry knows us anyway");
        assert!(ask(&alone.door, Listening, LIMIT).await.expect("answer").expect_err("why").contains("no group"));
    });
}

#[test]
fn one_side_that_can_dial_is_enough() {
    run(async {
        let submitter = Machine::new("raj").await;
        // The worker knows the submitter's address; the submitter knows none of the worker's.
        let direct = vec![(submitter.addr().to_string(), None)];
        let worker = Machine::with(Config { direct, ..Config::named("mike") }).await;
        until("the worker to dial", || submitter.seen().changes == [(worker.id, true)]).await;
        whole_road(&submitter, &worker, worker.id).await;
        assert_eq!(submitter.seen().linked.len(), 1, "all over the one connection that the worker dialled");
    });
}

#[test]
fn a_refused_offer_says_why_and_what_to_do() {
    run(async {
        let (a, b) = (Machine::new("raj").await, Machine::new("mike").await);
        a.knows(&b);
        let spec = JobSpec { name: "refuse".into(), ..JobSpec::default() };
        let (job, epoch) = (JobId([1; 16]), Epoch(1));
        let offer = Offer { job, epoch, spec, inputs: Digest([0; 32]), input_totals: Totals::default() };
        let refusal = ask(&a.door, OfferJob { peer: b.id, offer }, LIMIT).await.expect("answer").expect_err("busy");
        assert_eq!(refusal.message, "every slot is taken");
        assert_eq!(refusal.hint.as_deref(), Some("try again later"));
        let nobody = a.query(PeerId([9; 32]), 1).await.expect_err("nobody");
        assert_eq!(nobody.kind, crate::wire::refusal::RefusalKind::UnknownPeer);
    });
}

#[test]
fn another_friend_may_not_touch_a_job() {
    run(async {
        let (a, b, c) = (Machine::new("raj").await, Machine::new("mike").await, Machine::new("eve").await);
        for m in [&a, &c] {
            m.knows(&b);
        }
        let inputs = a.store(&[("x", vec![1])]);
        a.offer(b.id, 1, &inputs).await.expect("accepted");
        c.store(&[("x", vec![1])]);
        assert!(c.query(b.id, 1).await.is_err());
        assert!(c.send_inputs(b.id, 1, &inputs).await.is_err());
        assert!(c.fetch(b.id, 1, inputs.digest()).await.is_err());
        assert!(c.follow(b.id, 1, c.dir.path().join("copy")).await.is_err());
        assert!(b.seen().started.is_empty());
    });
}

#[test]
fn inputs_other_than_those_offered_are_refused() {
    run(async {
        let (a, b) = (Machine::new("raj").await, Machine::new("mike").await);
        a.knows(&b);
        let (offered, other) = (a.store(&[("x", vec![1])]), a.store(&[("x", vec![2])]));
        a.offer(b.id, 1, &offered).await.expect("accepted");
        let refusal = a.send_inputs(b.id, 1, &other).await.expect_err("another list");
        assert_eq!(refusal.kind, crate::wire::refusal::RefusalKind::Integrity, "{refusal}");
        assert!(b.seen().started.is_empty());
    });
}

#[test]
fn inputs_beyond_those_offered_are_refused() {
    run(async {
        let (a, b) = (Machine::new("raj").await, Machine::new("mike").await);
        a.knows(&b);
        let inputs = a.store(&[("x", vec![1; 100])]);
        let (job, epoch, spec) = (JobId([1; 16]), Epoch(1), JobSpec::default());
        let admitted = Totals { files: 1, bytes: 99 };
        let offer = Offer { job, epoch, spec, inputs: inputs.digest(), input_totals: admitted };
        ask(&a.door, OfferJob { peer: b.id, offer }, LIMIT).await.expect("answer").expect("accepted");
        // Said again with what it really brings, it is still the one that was admitted.
        a.offer(b.id, 1, &inputs).await.expect("the same answer");
        let refusal = a.send_inputs(b.id, 1, &inputs).await.expect_err("more than was admitted");
        assert_eq!(refusal.kind, crate::wire::refusal::RefusalKind::Integrity, "{refusal}");
        assert!(refusal.message.contains("announced") && b.seen().started.is_empty(), "{refusal}");
        assert!(b.blobs.pins().expect("readable").is_empty());
    });
}
