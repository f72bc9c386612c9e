//! The only way to reach an actor: [`ask`] waits for the answer, [`tell`] never waits.
//!
//! actix is passively maintained, so nothing but `actor.rs`, `messages.rs`, `daemon/` and this file names it; the exit
//! door is these two functions. Forward edges ask; back edges tell, and what they lose is repaired by the next tick.

use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, MailboxError, Message};

pub use actix::Message as Word;

/// Messages that may wait at an actor. Enough for a burst of a thousand peers' beats; a full mailbox makes `tell`
/// drop (counted) and `ask` wait.
pub const MAILBOX: usize = 1024;

/// A room's address, as the other rooms hold it.
pub type Door<A> = Addr<A>;

/// The address of whoever understands `M`: how a room of higher rank speaks to one of lower rank (back edges), and
/// how tests put a probe in the place of a room.
pub type Outlet<M> = actix::Recipient<M>;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The actor (or, at an [`Outlet`], whoever takes that word) has ended: homied is on its way down.
    #[error("{0} has stopped")]
    Stopped(&'static str),
    /// No answer in time. It may still happen: every request is idempotent.
    #[error("{0} did not answer in time")]
    TimedOut(&'static str),
}

/// Sends `message` and waits at most `limit` for the answer. The actor may live in a `Context` or, as the history
/// does, in a `SyncContext` on a thread of its own.
///
/// # Errors
/// The actor has stopped, or the time is over ("maybe done").
pub async fn ask<A, M>(to: &Addr<A>, message: M, limit: Duration) -> Result<M::Result, AskError>
where
    A: Actor + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
    A::Context: ToEnvelope<A, M>,
{
    let room = short_name::<A>();
    match tokio::time::timeout(limit, to.send(message)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(MailboxError::Closed)) => Err(AskError::Stopped(room)),
        Ok(Err(MailboxError::Timeout)) | Err(_) => Err(AskError::TimedOut(room)),
    }
}

/// Sends `message` if there is room for it and forgets it. Returns whether it was taken.
pub fn tell<A, M>(to: &Addr<A>, message: M) -> bool
where
    A: Actor + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
    A::Context: ToEnvelope<A, M>,
{
    let taken = to.try_send(message).is_ok();
    if !taken {
        tracing::debug!(
            room = short_name::<A>(),
            message = std::any::type_name::<M>(),
            "mailbox full, message dropped"
        );
    }
    taken
}

/// [`ask`] for an [`Outlet`].
///
/// # Errors
/// The actor has stopped, or the time is over ("maybe done").
pub async fn ask_outlet<M>(to: &Outlet<M>, message: M, limit: Duration) -> Result<M::Result, AskError>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    let word = short_name::<M>();
    match tokio::time::timeout(limit, to.send(message)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(MailboxError::Closed)) => Err(AskError::Stopped(word)),
        Ok(Err(MailboxError::Timeout)) | Err(_) => Err(AskError::TimedOut(word)),
    }
}

/// [`tell`] for an [`Outlet`].
pub fn tell_outlet<M>(to: &Outlet<M>, message: M) -> bool
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    let taken = to.try_send(message).is_ok();
    if !taken {
        tracing::debug!(message = std::any::type_name::<M>(), "mailbox full, message dropped");
    }
    taken
}

fn short_name<A>() -> &'static str {
    let full = std::any::type_name::<A>();
    full.rsplit("::").next().unwrap_or(full)
}

/// Stands in the place of a room in tests: what it is told comes out of the channel, what it answers is up to `answer`.
#[cfg(test)]
pub(crate) fn probe<M>(
    answer: impl Fn(&M) -> M::Result + 'static,
) -> (Outlet<M>, tokio::sync::mpsc::UnboundedReceiver<M>)
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    type Answer<M> = Box<dyn Fn(&M) -> <M as Message>::Result>;
    struct Probe<M: Message> {
        seen: tokio::sync::mpsc::UnboundedSender<M>,
        answer: Answer<M>,
    }
    impl<M: Message + 'static> Actor for Probe<M> {
        type Context = actix::Context<Self>;
    }
    impl<M: Message + 'static> Handler<M> for Probe<M> {
        type Result = actix::MessageResult<M>;
        fn handle(&mut self, message: M, _: &mut Self::Context) -> Self::Result {
            let answer = (self.answer)(&message);
            let _ = self.seen.send(message);
            actix::MessageResult(answer)
        }
    }
    let (seen, told) = tokio::sync::mpsc::unbounded_channel();
    (Probe { seen, answer: Box::new(answer) }.start().recipient(), told)
}
