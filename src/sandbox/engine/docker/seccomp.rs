//! The list of system calls as a container engine takes it, sent inline with each container.
//!
//! What is not named gets EPERM: engines before Docker 23 can answer nothing else. Calls that are newer than the engine's
//! seccomp library get ENOSYS from runc itself.

use serde_json::{Value, json};

use crate::sandbox::engine::seccomp::{ALLOWED, Argument, IOCTL, LIMITED, NEVER, UNKNOWN, name};

/// The profile as the engine's API takes it.
///
/// No architecture is named: the engine then filters for the machine's own, and a 32-bit or x32 call, whose arguments
/// mean other things, ends the process.
pub(super) fn profile() -> Value {
    let mut rules: Vec<Value> =
        ALLOWED.iter().map(|group| allow(&group.calls.iter().map(name).collect::<Vec<_>>(), &[], group.why)).collect();
    rules.push(allow(&[IOCTL.0], &[], "devices and pipes; a container has no terminal to type into"));
    for limited in LIMITED {
        for all in limited.if_any {
            rules.push(allow(&[limited.call.0], &all.iter().map(argument).collect::<Vec<_>>(), limited.why));
        }
    }
    rules.push(json!({
        "names": [NEVER.0], "action": "SCMP_ACT_ERRNO", "errnoRet": UNKNOWN,
        "comment": "its flags lie in memory, out of a filter's reach; the C library then takes clone",
    }));
    json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules })
}

fn allow(names: &[&str], args: &[Value], why: &str) -> Value {
    json!({ "names": names, "action": "SCMP_ACT_ALLOW", "args": args, "comment": why })
}

/// A whole argument must equal in all 64 bits: what the kernel would cut off is refused.
fn argument(argument: &Argument) -> Value {
    let Argument { index, mask, value } = *argument;
    match mask {
        u32::MAX => json!({ "index": index, "op": "SCMP_CMP_EQ", "value": value }),
        mask => json!({ "index": index, "op": "SCMP_CMP_MASKED_EQ", "value": mask, "valueTwo": value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn calls_with_two_faces_are_allowed_by_argument_only() {
        let profile = profile();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        let rules = profile["syscalls"].as_array().expect("rules");
        for name in ["clone", "socket", "socketpair", "personality"] {
            let named: Vec<_> =
                rules.iter().filter(|r| r["names"].as_array().expect("names").contains(&json!(name))).collect();
            assert!(!named.is_empty(), "{name}");
            assert!(named.iter().all(|r| !r["args"].as_array().expect("args").is_empty()), "{name}");
        }
        let families: BTreeSet<i64> = rules
            .iter()
            .filter(|r| r["names"] == json!(["socket"]))
            .map(|r| r["args"][0]["value"].as_i64().expect("family"))
            .collect();
        assert_eq!(families, BTreeSet::from([1, 2, 10, 16]));
        let clone3 = rules.iter().find(|r| r["names"] == json!(["clone3"])).expect("clone3");
        assert_eq!((&clone3["action"], &clone3["errnoRet"]), (&json!("SCMP_ACT_ERRNO"), &json!(38)));
        let read = rules.iter().find(|r| r["names"].as_array().expect("names").contains(&json!("read")));
        assert!(read.is_some(), "calls go by the kernel's names");
    }
}
