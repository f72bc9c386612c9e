//! What a peer may do on this machine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The roles of a peer here. Without a word of the owner it has all of them, within the limits for guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Roles {
    /// It may run jobs here.
    pub run: bool,
    /// Its jobs may have GPUs.
    pub gpu: bool,
}

impl Default for Roles {
    fn default() -> Self {
        Self { run: true, gpu: true }
    }
}

/// `run,gpu`, `run` or `none`.
impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.run, self.gpu) {
            (true, true) => "run,gpu",
            (true, false) => "run",
            (false, _) => "none",
        })
    }
}

impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut roles = Self { run: false, gpu: false };
        if text == "none" {
            return Ok(roles);
        }
        for word in text.split(',') {
            match word.trim() {
                "run" => roles.run = true,
                "gpu" => roles.gpu = true,
                other => {
                    let shown: String = other.chars().take(40).collect();
                    return Err(format!("{shown:?} is no role; write run, run,gpu or none"));
                }
            }
        }
        // A GPU is had by a job.
        roles.run |= roles.gpu;
        Ok(roles)
    }
}

impl From<Roles> for String {
    fn from(roles: Roles) -> Self {
        roles.to_string()
    }
}

impl TryFrom<String> for Roles {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_roles_is_read_back() {
        for (text, shown) in [("run", "run"), ("gpu", "run,gpu"), ("gpu, run", "run,gpu"), ("none", "none")] {
            let roles: Roles = text.parse().expect("roles");
            assert_eq!(roles.to_string(), shown, "{text}");
            assert_eq!(shown.parse(), Ok(roles));
        }
        for bad in ["", "admin", "run,", "none,run", "Run"] {
            assert!(bad.parse::<Roles>().is_err(), "{bad}");
        }
    }
}
