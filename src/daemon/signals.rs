//! Signals, as the two things they mean.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::service;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// End in order (SIGTERM, SIGINT).
    Shutdown,
    /// Read the config again (SIGHUP).
    Reload,
}

/// The signals homied listens to. From its making on they no longer kill the process.
#[derive(Debug)]
pub struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// Takes the signals over. Must be called inside the runtime.
    ///
    /// # Errors
    /// The system refuses a handler, which it does for no signal named here.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one. Safe to cancel.
    pub async fn next(&mut self) -> Told {
        tokio::select! {
            // An end counts more than a reload that comes with it.
            biased;
            _ = self.term.recv() => Told::Shutdown,
            _ = self.int.recv() => Told::Shutdown,
            _ = self.hup.recv() => Told::Reload,
        }
    }
}

/// Returns when homied is to end: by a signal, or because somebody sent word through `asked`. Until then each SIGHUP
/// runs `reload`, and the service manager hears of it.
///
/// # Errors
/// The signals cannot be taken over.
pub async fn until_told_to_end<T, F: Future<Output = ()>>(
    asked: &mut mpsc::Receiver<T>,
    mut reload: impl FnMut() -> F,
) -> io::Result<()> {
    let mut signals = Signals::new()?;
    loop {
        let told = tokio::select! {
            told = signals.next() => told,
            Some(_) = asked.recv() => Told::Shutdown,
        };
        match told {
            Told::Shutdown => return Ok(()),
            Told::Reload => {
                service::reloading();
                reload().await;
                service::reloaded();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal as Number, raise};
    use std::time::Duration;

    #[test]
    fn each_signal_means_one_thing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let mut signals = Signals::new().expect("handlers");
            for (number, want) in [
                (Number::SIGHUP, Told::Reload),
                (Number::SIGTERM, Told::Shutdown),
                (Number::SIGHUP, Told::Reload),
                (Number::SIGINT, Told::Shutdown),
            ] {
                raise(number).expect("raise");
                let told = tokio::time::timeout(Duration::from_secs(60), signals.next()).await;
                assert_eq!(told.expect("in time"), want, "{number}");
            }

            // One test for both, since signals reach every listener of the process.
            let (ask, mut asked) = mpsc::channel(1);
            let reloads = std::cell::Cell::new(0);
            let end = until_told_to_end(&mut asked, || {
                reloads.set(reloads.get() + 1);
                let ask = ask.clone();
                async move { ask.try_send(()).expect("room") }
            });
            let hangup = async {
                // The handlers are there at the first poll of the other branch.
                raise(Number::SIGHUP).expect("raise");
                std::future::pending::<()>().await;
            };
            let ended = tokio::time::timeout(Duration::from_secs(60), async {
                tokio::select! { biased; ended = end => ended, () = hangup => Ok(()) }
            });
            ended.await.expect("in time").expect("signals");
            assert_eq!(reloads.get(), 1);
        });
    }
}
