//! What the service manager is told (sd_notify(3)). Without one, every call is a no-op.

use std::time::Duration;

use sd_notify::NotifyState;

/// homied is ready: its socket answers.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// One line for `systemctl status`.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// homied reads its config again; [`reloaded`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // systemd wants the time with it, to tell one reload from the next.
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(e) => tracing::debug!("no monotonic time for the service manager: {e}"),
    }
}

/// The config was read, or refused; homied goes on.
pub fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// homied is on its way down.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ending in order")]);
}

/// The end may take this long yet; systemd would kill at its own limit otherwise.
pub fn extend_timeout(by: Duration) {
    tell(&[NotifyState::ExtendTimeoutUsec(u32::try_from(by.as_micros()).unwrap_or(u32::MAX))]);
}

/// Tells the service manager's watchdog, as often as it wants, that homied lives: but only after `alive` said so,
/// which should ask an actor. Returns at once where there is no watchdog, else never.
pub async fn keep_watchdog<F: Future<Output = bool>>(mut alive: impl FnMut() -> F) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    // Half the limit, as sd_watchdog_enabled(3) advises.
    let mut ticks = tokio::time::interval(limit / 2);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if alive().await {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("homied's actors do not answer; the service manager will start it anew");
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    // Nothing depends on it: a manager that hears no READY says so itself.
    if let Err(e) = sd_notify::notify(state) {
        tracing::debug!("the service manager was not told: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    /// Not a test of its own: what the next one runs in a process with another environment.
    #[test]
    fn in_another_process() {
        if std::env::var_os("HOMIE_TEST_NOTIFY").is_none() {
            return;
        }
        reloading();
        ready("3 peers");
        status("4 peers");
        extend_timeout(Duration::from_secs(7));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let mut answers = [false, true].into_iter();
            let mut asked = 0;
            let watchdog = keep_watchdog(|| {
                asked += 1;
                std::future::ready(answers.next().unwrap_or(true))
            });
            let _ = tokio::time::timeout(Duration::from_millis(300), watchdog).await;
            assert!(asked >= 2, "{asked}");
        });
        reloaded();
        stopping();
    }

    #[test]
    fn the_service_manager_hears_every_step() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bind");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
        // Read while it talks: the kernel keeps only ten datagrams, and then the teller waits.
        let listener = std::thread::spawn(move || {
            let mut heard = Vec::new();
            let mut buffer = [0; 512];
            while !heard.last().is_some_and(|h: &String| h.starts_with("STOPPING")) {
                let n = socket.recv(&mut buffer).expect("in time");
                heard.push(String::from_utf8_lossy(&buffer[..n]).trim_end().replace('\n', " "));
            }
            heard
        });
        let status = Command::new(std::env::current_exe().expect("exe"))
            .args(["--exact", "daemon::service::tests::in_another_process", "--test-threads=1"])
            .env("HOMIE_TEST_NOTIFY", "1")
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "100000")
            .env_remove("WATCHDOG_PID")
            .status();
        assert!(status.expect("run").success());
        let mut heard = listener.join().expect("heard all");
        let beats = heard.iter().filter(|h| *h == "WATCHDOG=1").count();
        heard.retain(|h| h != "WATCHDOG=1");
        assert!(heard[0].starts_with("RELOADING=1 MONOTONIC_USEC="), "{heard:?}");
        let rest = [
            "READY=1 STATUS=3 peers",
            "STATUS=4 peers",
            "EXTEND_TIMEOUT_USEC=7000000",
            "READY=1",
            "STOPPING=1 STATUS=ending in order",
        ];
        assert_eq!(heard[1..], rest);
        assert!(beats > 0, "it was alive");
    }
}
