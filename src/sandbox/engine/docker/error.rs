//! What the engine's errors mean to a job.

use bollard::errors::Error;

use crate::sandbox::engine::EngineError;

/// Whether the engine answered with this HTTP status.
pub(super) fn is_status(error: &Error, status: u16) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code, .. } if *status_code == status)
}

/// The engine's own words: the message of its answer, or what was wrong with the connection.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::RequestTimeoutError => "no answer in time".to_owned(),
        other => {
            // The chain's last link says what happened ("connection refused"); the ones above say only who noticed.
            let mut deepest: &dyn std::error::Error = other;
            while let Some(cause) = deepest.source() {
                deepest = cause;
            }
            deepest.to_string()
        }
    }
}

/// `error`, met while the engine was asked to `what` ("create the container").
pub(super) fn asked(what: &str, error: &Error) -> EngineError {
    let text = words(error);
    if text.contains("no space left on device") {
        return EngineError::DiskFull(format!("the engine's disk is full: it could not {what}: {text}"));
    }
    match error {
        Error::DockerResponseServerError { .. } | Error::DockerStreamError { .. } => {
            EngineError::Failed(format!("the engine could not {what}: {text}"))
        }
        _ => gone(&format!("could not {what}: {text}")),
    }
}

/// The engine went away in the middle.
pub(super) fn gone(text: &str) -> EngineError {
    EngineError::Failed(format!("the container engine went away ({text}); see `systemctl status docker`"))
}

/// Why the job's program could not be started, by what execve(2) said. The job's own fault.
pub(super) fn spawn_problem(program: &str, env: &str, errno: i32) -> EngineError {
    let why = match errno {
        libc::ENOENT | libc::ENOTDIR => "it is not there".to_owned(),
        libc::EACCES => "it is not executable".to_owned(),
        libc::ENOEXEC => "it is made for another kind of machine".to_owned(),
        other => std::io::Error::from_raw_os_error(other).to_string(),
    };
    EngineError::Spawn(format!("{program:?} cannot be started in environment {env}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cannot_start_is_the_jobs_own_fault() {
        for (errno, why) in [
            (libc::ENOENT, "it is not there"),
            (libc::EACCES, "it is not executable"),
            (libc::ENOEXEC, "another kind of machine"),
            (libc::E2BIG, "too long"),
        ] {
            let error = spawn_problem("nodejs", "base", errno);
            assert!(matches!(&error, EngineError::Spawn(t) if t.contains(why) && t.contains("nodejs")), "{error:?}");
        }
    }

    #[test]
    fn a_full_disk_is_named() {
        let full = Error::DockerResponseServerError {
            status_code: 500,
            message: "write /var/lib/docker/overlay2/x: no space left on device\n".to_owned(),
        };
        assert!(matches!(asked("create the container", &full), EngineError::DiskFull(_)));
        let refused = Error::DockerResponseServerError { status_code: 400, message: "invalid".to_owned() };
        assert_eq!(
            asked("create the container", &refused),
            EngineError::Failed("the engine could not create the container: invalid".to_owned())
        );
        let lost = Error::IOError { err: std::io::Error::from(std::io::ErrorKind::ConnectionRefused) };
        assert!(asked("start", &lost).to_string().contains("went away (could not start: connection refused)"));
    }
}
