//! Keys and resizes, read on a thread of their own because the terminal cannot be awaited.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// How long the thread waits for a key before it looks whether it should end.
const LOOK: Duration = Duration::from_millis(100);

/// What the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressed {
    /// Leave.
    Quit,
    /// Show later rows.
    Down,
    /// Show earlier rows.
    Up,
    /// The terminal has another size.
    Redraw,
}

/// The stream of keys; the thread ends when it is dropped.
pub(super) struct Keys {
    pressed: mpsc::Receiver<Pressed>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// SIGTERM and SIGHUP: the terminal must be restored before the end.
    signals: Vec<Signal>,
}

impl Keys {
    /// Begins to read.
    pub(super) fn start() -> Self {
        let (tx, pressed) = mpsc::channel(16);
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopping.load(Ordering::Relaxed) {
                let meant = match event::poll(LOOK) {
                    Ok(false) => continue,
                    Ok(true) => event::read().ok().and_then(|e| meaning(&e)),
                    // The terminal is gone: so is the one who watched.
                    Err(_) => Some(Pressed::Quit),
                };
                if meant.is_some_and(|m| tx.blocking_send(m).is_err()) {
                    return;
                }
            }
        });
        let signals =
            [SignalKind::terminate(), SignalKind::hangup()].into_iter().filter_map(|k| signal(k).ok()).collect();
        Self { pressed, stop, thread: Some(thread), signals }
    }

    /// The next wish.
    pub(super) async fn next(&mut self) -> Pressed {
        let Self { pressed, signals, .. } = self;
        let mut ends = signals.iter_mut();
        let (first, second) = (ends.next(), ends.next());
        tokio::select! {
            key = pressed.recv() => key.unwrap_or(Pressed::Quit),
            () = arrived(first) => Pressed::Quit,
            () = arrived(second) => Pressed::Quit,
        }
    }
}

async fn arrived(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // So that a thread that is about to report does not wait for a reader.
        self.pressed.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn meaning(event: &Event) -> Option<Pressed> {
    match event {
        Event::Resize(..) => Some(Pressed::Redraw),
        Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press | KeyEventKind::Repeat, .. }) => match code {
            KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => Some(Pressed::Quit),
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Pressed::Quit),
            KeyCode::Down | KeyCode::Char('j') => Some(Pressed::Down),
            KeyCode::Up | KeyCode::Char('k') => Some(Pressed::Up),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_escape_and_ctrl_c_leave() {
        let key = |code, modifiers| meaning(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Pressed::Quit));
        assert_eq!(key(KeyCode::Esc, KeyModifiers::NONE), Some(Pressed::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Pressed::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(meaning(&Event::Resize(1, 1)), Some(Pressed::Redraw));
    }
}
