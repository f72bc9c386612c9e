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

/// What a failed start says about the job's program, if that is what it was about.
///
/// Runtimes have no codes for it; these are the words of runc, crun and youki, all taken from `execve(2)`.
pub(super) fn spawn_problem(program: &str, env: &str, text: &str) -> Option<EngineError> {
    let lower = text.to_ascii_lowercase();
    // "no such file" alone may be about a mount; the runtimes name `exec` when it is about the program.
    let about_program = lower.contains("exec:") || lower.contains("exec ") || lower.contains("executable file");
    let why = if lower.contains("executable file not found") || lower.contains("no such file or directory") {
        "it is not there"
    } else if lower.contains("permission denied") {
        "it is not executable"
    } else if lower.contains("exec format error") {
        "it is made for another kind of machine"
    } else {
        return None;
    };
    about_program.then(|| EngineError::Spawn(format!("{program:?} cannot be started in environment {env}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cannot_start_is_told_from_an_engine_that_cannot() {
        for (text, why) in [
            (
                "failed to create shim: OCI runtime create failed: container_linux.go:380: starting container process caused: \
                 exec: \"nodejs\": executable file not found in $PATH: unknown",
                "it is not there",
            ),
            ("crun: executable file `nodejs` not found in $PATH: No such file or directory", "it is not there"),
            ("runc: exec: \"./a.out\": permission denied: unknown", "it is not executable"),
            ("[FATAL tini (7)] exec ./a.out failed: Exec format error", "another kind of machine"),
        ] {
            let error = spawn_problem("nodejs", "base", text);
            assert!(matches!(&error, Some(EngineError::Spawn(t)) if t.contains(why)), "{text}: {error:?}");
        }
        let mount = "error while mounting volume '/x': failed to mount local volume: no such file or directory";
        assert_eq!(spawn_problem("python3", "base", mount), None);
        assert_eq!(spawn_problem("python3", "base", "exec: cgroup is gone"), None);
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
