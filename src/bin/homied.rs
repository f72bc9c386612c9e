use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: a job's supervisor forks, and must do so before this process has a second thread.
    let args: Vec<_> = std::env::args_os().collect();
    if let Some(code) = homie::sandbox::reexecuted(&args) {
        return code;
    }
    ExitCode::SUCCESS
}
