//! Other limits for a job that runs, by the wish of this machine's owner.
//!
//! [`allow`] decides; [`Relimit`] carries one change through: the order is written down before the supervisor hears of it,
//! so that a homied killed in between gives it again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::clocks::Clocks;
use super::engine::Reading;
use super::error::SandboxError;
use super::follow::Orders;
use super::life::blocking;
use super::policy::Machine;
use super::supervisor::{LIMITS, LimitedNote, LimitsOrder, StartedNote, write_json_durably};
use crate::clock::wall_ms;
use crate::model::{HostedState, HostedStatus, LimitChange, Limits, describe_change, format_bytes, format_duration};
use crate::wire::refusal::{Refusal, RefusalKind};

/// A container engine answers in 10 ms; a supervisor that needs this long has other troubles.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// The smallest memory limit that every engine takes.
const LEAST_MEMORY: u64 = 6 << 20;
/// A hundredth of a core, as on the command line of `run`.
const LEAST_CPU: u32 = 10;
/// A year and a day.
const MOST_TIME_S: u64 = 366 * 86_400;

/// The limits after `change`, if the machine can give them and the job can live with them. The owner may give more
/// than the caps of the configuration, which bind guests.
///
/// # Errors
/// Nothing changes, it is more than there is, or less than is in use; each with both numbers.
pub(super) fn allow(
    now: &Limits,
    change: &LimitChange,
    machine: Machine,
    used: &Reading,
    ran_ms: u64,
) -> Result<Limits, Refusal> {
    let refuse = |text: String, hint: &str| Err(Refusal::new(RefusalKind::Limits, text).hint(hint));
    let after = change.apply(now);
    if describe_change(now, &after).is_empty() {
        return refuse("these are the limits it has already".into(), "`homie top` shows them");
    }
    let cores = |m: u32| f64::from(m) / 1000.0;
    let has_millis = u32::from(machine.cores).saturating_mul(1000);
    if after.cpu_millis != now.cpu_millis && has_millis > 0 && after.cpu_millis > has_millis {
        let text = format!("{} cores are more than the {} of this machine", cores(after.cpu_millis), machine.cores);
        return refuse(text, "give fewer with --cpu");
    }
    if after.cpu_millis < LEAST_CPU {
        return refuse(format!("{} cores are no processor at all", cores(after.cpu_millis)), "give at least 0.01");
    }
    if after.memory_bytes != now.memory_bytes {
        let bytes = format_bytes(after.memory_bytes);
        if machine.memory_bytes > 0 && after.memory_bytes > machine.memory_bytes {
            let text =
                format!("{bytes} of memory are more than the {} of this machine", format_bytes(machine.memory_bytes));
            return refuse(text, "give less with --memory");
        }
        if after.memory_bytes < used.memory_bytes.max(LEAST_MEMORY) {
            let text = match used.memory_bytes {
                used if used > LEAST_MEMORY => {
                    format!("the job uses {} of memory now; {bytes} is less", format_bytes(used))
                }
                _ => format!("{bytes} of memory are too little for any program"),
            };
            return refuse(text, "give it more, or end it with `homie cancel`");
        }
    }
    if after.timeout_s != now.timeout_s {
        let time = format_duration(after.timeout_s.saturating_mul(1000));
        if after.timeout_s.saturating_mul(1000) <= ran_ms {
            let text = format!("the job has run for {}; a limit of {time} is over", format_duration(ran_ms));
            return refuse(text, "times count from its start; `+10m` gives ten minutes more; `homie cancel` ends it");
        }
        if after.timeout_s > MOST_TIME_S {
            return refuse(format!("{time} are more than a year"), "give less with --timeout");
        }
    }
    if after.pids != now.pids && after.pids < used.processes.max(1) {
        let text = format!("the job has {} processes now; {} are fewer", used.processes, after.pids);
        return refuse(text, "give it more with --pids");
    }
    Ok(after)
}

/// What a change needs of a hosted job.
pub(super) struct Relimit {
    /// The job's directory.
    pub(super) dir: PathBuf,
    /// How it stands.
    pub(super) status: watch::Receiver<HostedStatus>,
    /// Whether and since when it runs.
    pub(super) running: watch::Receiver<Option<StartedNote>>,
    /// Where orders go.
    pub(super) orders: watch::Sender<Orders>,
    /// Where answers come from.
    pub(super) limited: watch::Receiver<Option<LimitedNote>>,
    /// One change at a time.
    pub(super) turn: Arc<Mutex<()>>,
}

impl Relimit {
    /// Makes the change; gives the limits before and after it.
    ///
    /// # Errors
    /// Those of [`allow`]; the job does not run (any more); the engine or the kernel refuses.
    pub(super) async fn make(mut self, change: LimitChange, machine: Machine) -> Result<(Limits, Limits), Refusal> {
        let internal = |e: SandboxError| Refusal::internal(e.to_string());
        let _turn = self.turn.lock().await;
        let before = {
            let status = self.status.borrow();
            if status.state >= HostedState::Collecting {
                return Err(ended());
            }
            status.limits.clone().unwrap_or_default()
        };
        let Some(note) = self.running.borrow().clone() else {
            return Err(Refusal::new(RefusalKind::Busy, "the job has not started yet").hint("try again in a moment"));
        };
        // As its supervisor counts it. One of an earlier homied has noted nothing but the date.
        let dated = || wall_ms().saturating_sub(note.started_ms);
        let ran_ms = note.clocks.map_or_else(dated, |then| Clocks::now().awake_since(&then));
        let used = blocking(move || Ok(note.meter.read())).await.map_err(internal)?;
        let limits = allow(&before, &change, machine, &used, ran_ms)?;
        let order = LimitsOrder { seq: self.orders.borrow().limits_seq() + 1, limits };
        let (path, written) = (self.dir.join(LIMITS), order.clone());
        blocking(move || write_json_durably(&path, &written).map_err(SandboxError::io("write", &path)))
            .await
            .map_err(internal)?;
        let seq = order.seq;
        self.orders.send_modify(|o| o.limits = Some(order));
        let answer = tokio::select! {
            answer = self.limited.wait_for(|note| note.as_ref().is_some_and(|note| note.seq >= seq)) =>
                answer.ok().and_then(|note| note.clone()),
            gone = self.status.wait_for(|s| s.state >= HostedState::Collecting) => {
                drop(gone);
                None
            }
            () = tokio::time::sleep(ANSWER_LIMIT) => {
                return Err(Refusal::internal("the job's supervisor has not answered; the change may yet take place"));
            }
        };
        match answer {
            Some(LimitedNote { error: Some(error), .. }) => {
                Err(Refusal::new(RefusalKind::Limits, format!("the limits stay as they were: {error}")))
            }
            Some(note) => Ok((before, note.limits)),
            None => Err(ended()),
        }
    }
}

fn ended() -> Refusal {
    Refusal::new(RefusalKind::UnknownJob, "the job has ended; its limits are of no more use")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Amount;

    const MACHINE: Machine = Machine { cores: 4, memory_bytes: 16 << 30 };

    fn used(memory_bytes: u64, processes: u32) -> Reading {
        Reading { memory_bytes, processes, ..Reading::default() }
    }

    #[test]
    fn an_owner_may_give_more_than_the_caps_but_not_more_than_there_is() {
        let now = Limits::default();
        let change = |f: fn(&mut LimitChange)| {
            let mut change = LimitChange::default();
            f(&mut change);
            allow(&now, &change, MACHINE, &used(3 << 30, 5), 300_000)
        };
        let given = change(|c| {
            c.memory_bytes = Some(Amount::To(8 << 30));
            c.timeout_s = Some(Amount::More(7200));
            c.cpu_millis = Some(Amount::To(4000));
        });
        let given = given.expect("allowed");
        assert_eq!((given.memory_bytes, given.timeout_s, given.cpu_millis), (8 << 30, 7800, 4000));
        type Case = (fn(&mut LimitChange), &'static [&'static str]);
        let refused: [Case; 8] = [
            (|c| c.memory_bytes = Some(Amount::To(17 << 30)), &["17.0 GB", "16.0 GB"]),
            (|c| c.memory_bytes = Some(Amount::To(2 << 30)), &["uses 3.0 GB", "2.0 GB is less"]),
            (|c| c.cpu_millis = Some(Amount::To(5000)), &["5 cores", "the 4 of"]),
            (|c| c.cpu_millis = Some(Amount::To(1)), &["0.001 cores"]),
            (|c| c.timeout_s = Some(Amount::To(60)), &["has run for 5m 00s", "1m 00s is over"]),
            (|c| c.timeout_s = Some(Amount::More(u64::MAX)), &["more than a year"]),
            (|c| c.pids = Some(Amount::To(4)), &["has 5 processes", "4 are fewer"]),
            (|c| c.pids = Some(Amount::To(256)), &["already"]),
        ];
        for (case, words) in refused {
            let refusal = change(case).expect_err("refused");
            assert_eq!(refusal.kind, RefusalKind::Limits);
            assert!(words.iter().all(|w| refusal.message.contains(w)) && refusal.hint.is_some(), "{refusal:?}");
        }
    }

    #[test]
    fn what_is_not_changed_is_not_judged() {
        // Given by a machine that has since lost memory, say.
        let now = Limits { memory_bytes: 64 << 30, cpu_millis: 32_000, ..Limits::default() };
        let change = LimitChange { timeout_s: Some(Amount::More(60)), ..LimitChange::default() };
        assert!(allow(&now, &change, MACHINE, &used(20 << 30, 999), 1000).is_ok());
    }
}
