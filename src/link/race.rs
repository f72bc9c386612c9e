//! Several tries at one goal, started one after the other, until the first has reached it ("Happy Eyeballs", RFC 8305).

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

/// How long a try has the field to itself (RFC 8305 §5). One that failed makes room for the next at once.
const HEAD_START: Duration = Duration::from_millis(250);

/// Runs `tries` in their order, each a moment after the one before or when that has failed, and gives the first success;
/// the others are dropped where they stand. If none succeeds, the error of the first: it was the best try. `None` without
/// any try.
pub(super) async fn first<T, E>(
    tries: impl IntoIterator<Item = impl Future<Output = Result<T, E>>>,
) -> Option<Result<T, E>> {
    let mut waiting = tries.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut error: Option<(usize, E)> = None;
    let mut next = Instant::now();
    let mut more = true;
    loop {
        if more && (running.is_empty() || Instant::now() >= next) {
            match waiting.next() {
                Some((at, work)) => {
                    running.push(async move { (at, work.await) });
                    next = Instant::now() + HEAD_START;
                }
                None => more = false,
            }
            continue;
        }
        tokio::select! {
            ended = running.next() => match ended {
                Some((_, Ok(done))) => return Some(Ok(done)),
                Some((at, Err(why))) => {
                    if error.as_ref().is_none_or(|(before, _)| at < *before) {
                        error = Some((at, why));
                    }
                    next = Instant::now();
                }
                None => return error.map(|(_, why)| Err(why)),
            },
            () = sleep_until(next), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::pin::Pin;

    type Try = Pin<Box<dyn Future<Output = Result<u8, &'static str>>>>;

    fn after(wait: Duration, result: Result<u8, &'static str>) -> Try {
        Box::pin(async move {
            tokio::time::sleep(wait).await;
            result
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_to_succeed_wins_and_a_failure_does_not_keep_the_next_waiting() {
        let begun = Instant::now();
        let ms = Duration::from_millis;
        let tries: Vec<Try> = vec![Box::pin(pending()), after(ms(5), Err("refused")), after(ms(10), Ok(3))];
        assert_eq!(first(tries).await, Some(Ok(3)));
        assert_eq!(begun.elapsed(), HEAD_START + ms(15));
    }

    #[tokio::test(start_paused = true)]
    async fn the_best_try_that_answers_in_time_is_the_only_one() {
        let never = || -> Try { Box::pin(async { panic!("started for nothing") }) };
        let tries: Vec<Try> = vec![after(HEAD_START / 2, Ok(1)), never()];
        assert_eq!(first(tries).await, Some(Ok(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_reason_of_the_best_try_is_told_when_all_fail() {
        let tries: Vec<Try> = vec![
            after(HEAD_START * 3, Err("the best")),
            after(Duration::ZERO, Err("second")),
            after(HEAD_START, Err("third")),
        ];
        assert_eq!(first(tries).await, Some(Err("the best")));
        assert_eq!(first(Vec::<Try>::new()).await, None);
    }
}
