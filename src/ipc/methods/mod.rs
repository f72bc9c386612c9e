//! The methods, by subject. Each takes the request and gives its answer; the outer error means that the connection
//! itself is of no more use.

mod doctor;
mod envs;
mod files;
mod group;
mod jobs;
mod machine;

use serde::Serialize;
use serde_json::Value;

pub(super) use jobs::find;

use super::follow;
use super::session::{Session, SessionError};
use crate::wire::ipc::{Request, method};
use crate::wire::refusal::Refusal;

pub(super) type Answer = Result<Result<Value, Refusal>, SessionError>;

/// Finds the method. [`super::rights`] has refused the unknown ones already.
pub(super) async fn dispatch(session: &mut Session, request: Request) -> Answer {
    match request.method.as_str() {
        method::STATUS => Ok(machine::status(session).await),
        method::PEERS => machine::peers(session, &request).await,
        method::PEERS_DIRECT => machine::direct(session, &request).await,
        method::PEERS_STRANGERS => machine::strangers(session, &request).await,
        method::TRUST => machine::pins(session, &request).await,
        method::TRUST_NEW_KEY => Ok(machine::trust(session, &request).await),
        method::PEERS_ADD => Ok(machine::add(session, &request).await),
        method::PEERS_REMOVE => Ok(machine::remove(session, &request).await),
        method::GROUP_INVITE => Ok(group::invite(session, &request).await),
        method::GROUP_JOIN => Ok(group::join(session, &request).await),
        method::GROUP_KICK => Ok(group::kick(session, &request).await),
        method::TRUST_ROLE => Ok(group::role(session, &request).await),
        method::CONFIG => machine::config(session, &request).await,
        method::CONFIG_RELOAD => machine::reload(session, &request).await,
        method::DOCTOR => doctor::doctor(session, &request).await,
        method::SHUTDOWN => Ok(machine::shutdown(session).await),
        method::FILES_PUT => files::put(session, &request).await,
        method::RESULTS_GET => files::results(session, &request).await,
        method::RESULTS_PLACED => files::placed(session, &request).await,
        method::RESULTS_DELIVERED => Ok(files::delivered(session, &request).await),
        method::JOB_INPUTS => files::inputs(session, &request).await,
        method::JOB_SUBMIT => Ok(jobs::submit(session, &request).await),
        method::JOB_EXPLAIN => jobs::explain(session, &request).await,
        method::JOB_LIST => jobs::list(session, &request).await,
        method::JOB_GET => Ok(jobs::get(session, &request).await),
        method::JOB_CANCEL => Ok(jobs::cancel(session, &request).await),
        method::JOB_LIMIT => Ok(jobs::limit(session, &request).await),
        method::JOB_TOP => jobs::top(session, &request).await,
        method::JOB_FOLLOW => follow::follow(session, &request).await,
        method::ENV_LIST => envs::list(session, &request).await,
        method::ENV_SHOW => envs::show(session, &request).await,
        method::ENV_CREATE => Ok(envs::create(session, &request).await),
        method::ENV_BUILD => envs::build(session, &request).await,
        method::ENV_REMOVE => Ok(envs::remove(session, &request).await),
        method::HISTORY => jobs::history(session, &request).await,
        method::HISTORY_STATS => jobs::stats(session, &request).await,
        other => Ok(Err(Refusal::internal(format!("method {other} is allowed but not served")))),
    }
}

pub(super) fn value<T: Serialize>(answer: &T) -> Result<Value, Refusal> {
    serde_json::to_value(answer).map_err(|e| Refusal::internal(e.to_string()))
}
