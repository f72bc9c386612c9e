//! Who may do what on the local socket. Pure.

use crate::wire::ipc::method;
use crate::wire::refusal::{Refusal, RefusalKind};

/// Who is at the other end of the socket, by the kernel's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    /// Its user.
    pub(super) uid: u32,
    /// Root, homied's own user, or one of the configured admins.
    pub(super) admin: bool,
}

impl Caller {
    /// Whose jobs this caller sees and touches; `None` is everybody's.
    pub(super) fn jobs_of(self) -> Option<u32> {
        (!self.admin).then_some(self.uid)
    }
}

/// Whether the caller may use a method. Whoever can open the socket (the file's mode sees to that) may submit and
/// look; what changes this machine for others is for its administrators.
pub(super) fn check(caller: Caller, wanted: &str) -> Result<(), Refusal> {
    match wanted {
        method::STATUS
        | method::PEERS
        | method::PEERS_DIRECT
        | method::PEERS_STRANGERS
        | method::FILES_PUT
        | method::JOB_SUBMIT
        | method::JOB_EXPLAIN
        | method::JOB_LIST
        | method::JOB_GET
        | method::JOB_FOLLOW
        | method::JOB_CANCEL
        | method::JOB_INPUTS
        | method::RESULTS_GET
        | method::RESULTS_PLACED
        | method::RESULTS_DELIVERED
        | method::HISTORY
        | method::HISTORY_STATS
        | method::ENV_LIST
        | method::ENV_SHOW
        // Whether it may replace another's recipe is decided there.
        | method::ENV_CREATE
        | method::DOCTOR => Ok(()),
        method::TRUST
        | method::TRUST_NEW_KEY
        | method::GROUP_INVITE
        | method::TRUST_ROLE
        | method::GROUP_JOIN
        | method::GROUP_KICK
        | method::PEERS_ADD
        | method::PEERS_REMOVE
        | method::CONFIG
        | method::CONFIG_RELOAD
        | method::ENV_BUILD
        | method::ENV_REMOVE
        | method::JOB_LIMIT
        | method::JOB_TOP
        | method::SHUTDOWN => {
            if caller.admin {
                return Ok(());
            }
            Err(Refusal::new(RefusalKind::NotAllowed, "that is for the administrators of this machine")
                .hint("use sudo, or ask its owner to list you under `admins` in Homie's config"))
        }
        other => Err(Refusal::new(
            RefusalKind::BadRequest,
            format!("this homied does not know the method {:?}", other.chars().take(40).collect::<String>()),
        )
        .hint("homie and homied are of different versions; update the older one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_of_callers_and_methods() {
        let user = Caller { uid: 1000, admin: false };
        let admin = Caller { uid: 0, admin: true };
        for open in [method::STATUS, method::ENV_CREATE, method::JOB_SUBMIT, method::RESULTS_GET, method::HISTORY] {
            assert!(check(user, open).is_ok() && check(admin, open).is_ok(), "{open}");
        }
        for closed in [
            method::ENV_BUILD,
            method::ENV_REMOVE,
            method::TRUST,
            method::TRUST_NEW_KEY,
            method::GROUP_INVITE,
            method::TRUST_ROLE,
            method::GROUP_JOIN,
            method::GROUP_KICK,
            method::PEERS_ADD,
            method::PEERS_REMOVE,
            method::CONFIG,
            method::CONFIG_RELOAD,
            method::JOB_LIMIT,
            method::JOB_TOP,
            method::SHUTDOWN,
        ] {
            assert_eq!(check(user, closed).map_err(|r| r.kind), Err(RefusalKind::NotAllowed), "{closed}");
            assert!(check(admin, closed).is_ok(), "{closed}");
        }
        for unknown in ["", "job.exec", "keys.create"] {
            assert_eq!(check(admin, unknown).map_err(|r| r.kind), Err(RefusalKind::BadRequest), "{unknown}");
        }
        assert_eq!((user.jobs_of(), admin.jobs_of()), (Some(1000), None));
    }
}
