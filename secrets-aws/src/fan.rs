//! Several calls at once, and not too many.

use std::pin::Pin;
use std::task::Poll;

/// How many reads stand in for one batch at a time.
const AT_ONCE: usize = 8;

/// Runs futures, a few at a time: their outputs, in their order.
///
/// # Cancel safety
///
/// Dropping it drops all of them.
pub(crate) async fn fan<'a, T>(futures: Vec<Pin<Box<dyn Future<Output = T> + Send + 'a>>>) -> Vec<T> {
    let mut waiting = futures.into_iter().enumerate();
    let mut running = Vec::with_capacity(AT_ONCE);
    let mut done = Vec::with_capacity(waiting.len());
    std::future::poll_fn(|cx| {
        loop {
            running.extend(waiting.by_ref().take(AT_ONCE - running.len()));
            let before = running.len();
            running.retain_mut(|(at, future)| match future.as_mut().poll(cx) {
                Poll::Ready(output) => {
                    done.push((*at, output));
                    false
                }
                Poll::Pending => true,
            });
            if running.is_empty() && waiting.len() == 0 {
                return Poll::Ready(());
            }
            // Those who take the places of the finished have yet to be polled.
            if running.len() == before || waiting.len() == 0 {
                return Poll::Pending;
            }
        }
    })
    .await;
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, output)| output).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn outputs_keep_their_order_and_few_run_at_once() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let futures = (0..50).map(|number: usize| {
            let (running, most) = (&running, &most);
            let future = async move {
                most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                for _ in 0..(50 - number) % 7 {
                    tokio::task::yield_now().await;
                }
                running.fetch_sub(1, Ordering::Relaxed);
                number
            };
            Box::pin(future) as Pin<Box<dyn Future<Output = usize> + Send>>
        });
        assert_eq!(fan(futures.collect()).await, (0..50).collect::<Vec<_>>());
        assert!((2..=AT_ONCE).contains(&most.into_inner()));
        assert!(
            fan(Vec::<Pin<Box<dyn Future<Output = ()> + Send>>>::new())
                .await
                .is_empty()
        );
    }
}
