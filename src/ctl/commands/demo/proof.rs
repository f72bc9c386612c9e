//! What the demo must show to be called a success. Pure: from what was found to a list of checks.

use crate::model::{Delivery, JobRecord, JobState, PeerId, Role, format_bytes, format_duration};

/// The files that the training writes.
pub(super) const FILES: [&str; 3] = ["model.pkl", "results.json", "training.log"];
/// The share of test images that a trained network must get right; a guess gets one in ten.
const ACCURACY: f64 = 0.9;

/// Everything that was found after the run.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The exit code of `homie run`, if it ended by itself.
    pub(super) exit_code: Option<i32>,
    /// The job as alice recorded it.
    pub(super) sent: Option<JobRecord>,
    /// The same job as bob recorded it.
    pub(super) hosted: Option<JobRecord>,
    /// bob's id, from bob himself.
    pub(super) bob: Option<PeerId>,
    /// alice's id, from herself.
    pub(super) alice: Option<PeerId>,
    /// Sizes of [`FILES`] in the directory `run` was called from.
    pub(super) sizes: [Option<u64>; 3],
    /// results.json as it came home.
    pub(super) results: String,
    /// The engine that was asked for, unless any would do.
    pub(super) engine: Option<String>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    /// Whether it holds.
    pub(super) ok: bool,
    /// What was checked and found.
    pub(super) text: String,
}

/// All of them.
pub(super) fn checks(found: &Found) -> Vec<Check> {
    let check = |ok: bool, text: String| Check { ok, text };
    let mut all = vec![match found.exit_code {
        Some(code) => check(code == 0, format!("homie run ended with exit code {code}")),
        None => check(false, "homie run was ended by a signal".into()),
    }];
    match &found.sent {
        None => all.push(check(false, "alice has no record of the job".into())),
        Some(job) => {
            let engine = job.engine.as_deref().unwrap_or("no engine");
            let elsewhere = job.peer.is_some() && job.peer == found.bob && job.peer != found.alice;
            let who = job.peer_name.as_deref().unwrap_or("nobody");
            all.push(check(elsewhere, format!("the job ran on {who}, another machine than alice")));
            let right = job.engine.is_some() && found.engine.as_ref().is_none_or(|e| Some(e) == job.engine.as_ref());
            all.push(check(
                right,
                format!(
                    "by the {engine} engine, for {} ({} of CPU)",
                    format_duration(job.usage.wall_ms),
                    format_duration(job.usage.cpu_ms)
                ),
            ));
            let home = job.state == JobState::Succeeded && job.delivery == Delivery::Delivered;
            all.push(check(
                home,
                format!("alice's record says {}, results {}", job.state.as_str(), delivery(job.delivery)),
            ));
        }
    }
    for (name, size) in FILES.iter().zip(found.sizes) {
        all.push(match size {
            Some(bytes) => check(bytes > 0, format!("{name} is here: {}", format_bytes(bytes))),
            None => check(false, format!("{name} did not come home")),
        });
    }
    let accuracy =
        serde_json::from_str::<serde_json::Value>(&found.results).ok().and_then(|r| r.get("test_accuracy")?.as_f64());
    all.push(match accuracy {
        Some(share) => check(
            share >= ACCURACY,
            format!("the trained network gets {:.1} % of the test images right", share * 100.0),
        ),
        None => check(false, "results.json holds no test_accuracy".into()),
    });
    let matching = match (&found.hosted, &found.sent) {
        (Some(hosted), Some(sent)) => {
            hosted.role == Role::Hosted
                && hosted.id == sent.id
                && hosted.peer == found.alice
                && hosted.state == JobState::Succeeded
        }
        _ => false,
    };
    all.push(check(matching, "bob's history has the same job, hosted for alice".into()));
    all
}

fn delivery(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::None => "missing",
        Delivery::Waiting => "waiting",
        Delivery::Delivered => "delivered",
        Delivery::Expired => "expired",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::sample;

    fn good() -> Found {
        let sent = sample::jobs().remove(2);
        let alice = PeerId([1; 32]);
        let hosted = JobRecord { role: Role::Hosted, peer: Some(alice), ..sent.clone() };
        Found {
            exit_code: Some(0),
            bob: sent.peer,
            alice: Some(alice),
            sent: Some(sent),
            hosted: Some(hosted),
            sizes: [Some(10), Some(10), Some(10)],
            results: r#"{"test_accuracy": 0.97}"#.into(),
            engine: None,
        }
    }

    fn failures(found: &Found) -> usize {
        checks(found).iter().filter(|c| !c.ok).count()
    }

    #[test]
    fn a_good_run_passes() {
        assert_eq!(failures(&good()), 0, "{:?}", checks(&good()));
        assert_eq!(failures(&Found { engine: Some("docker".into()), ..good() }), 0);
    }

    #[test]
    fn whatever_is_off_is_noticed() {
        let sent = |change: fn(&mut JobRecord)| {
            let mut found = good();
            found.sent.as_mut().map(change);
            found
        };
        let hosted = |change: fn(&mut JobRecord)| {
            let mut found = good();
            found.hosted.as_mut().map(change);
            found
        };
        for (what, found) in [
            ("exit code", Found { exit_code: Some(1), ..good() }),
            ("signal", Found { exit_code: None, ..good() }),
            ("a file", Found { sizes: [Some(1), None, Some(1)], ..good() }),
            ("an empty file", Found { sizes: [Some(1), Some(0), Some(1)], ..good() }),
            ("the network", Found { results: r#"{"test_accuracy": 0.1}"#.into(), ..good() }),
            ("the results", Found { results: "x".into(), ..good() }),
            ("the engine", Found { engine: Some("native".into()), ..good() }),
            ("the machine", Found { bob: Some(PeerId([4; 32])), ..good() }),
            ("no machine", sent(|j| j.peer = None)),
            ("the state", sent(|j| j.state = JobState::Failed)),
            ("the delivery", sent(|j| j.delivery = Delivery::Waiting)),
            ("bob's record", Found { hosted: None, ..good() }),
            ("bob's job", hosted(|j| j.id = crate::model::JobId([9; 16]))),
            ("bob's borrower", hosted(|j| j.peer = None)),
        ] {
            assert!(failures(&found) > 0, "{what}: {:?}", checks(&found));
        }
        assert!(failures(&Found::default()) > 5);
    }

    #[test]
    fn a_job_that_ran_at_home_is_no_demo() {
        let mut found = good();
        found.alice = found.bob;
        assert!(failures(&found) > 0);
    }
}
