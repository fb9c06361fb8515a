//! Several futures at once, without an executor of their own: a few lanes, and the first failure ends all.

use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;

/// A future of which only the outcome counts. Boxed, so that the code below exists once.
type Lane<'a, E> = Pin<Box<dyn Future<Output = Result<(), E>> + 'a>>;

/// Runs all of them, and ends with the first failure: the others are dropped then.
async fn all<E>(mut running: Vec<Lane<'_, E>>) -> Result<(), E> {
    poll_fn(|task| {
        let mut failed = None;
        running.retain_mut(|lane| match lane.as_mut().poll(task) {
            Poll::Pending => true,
            Poll::Ready(outcome) => {
                failed = failed.take().or(outcome.err());
                false
            }
        });
        match failed {
            Some(failure) => Poll::Ready(Err(failure)),
            None if running.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await
}

/// Does `work` for each item, at most `lanes` at a time; the results are in the items' order.
///
/// # Errors
/// The first one's.
pub async fn map<T, R, E>(
    items: &[T],
    lanes: usize,
    work: impl AsyncFn(usize, &T) -> Result<R, E>,
) -> Result<Vec<R>, E> {
    let waiting = RefCell::new(items.iter().enumerate());
    let done = RefCell::new(Vec::new());
    done.borrow_mut().resize_with(items.len(), || None);
    let lane = async || {
        loop {
            let Some((index, item)) = waiting.borrow_mut().next() else { return Ok(()) };
            let result = work(index, item).await?;
            if let Some(place) = done.borrow_mut().get_mut(index) {
                *place = Some(result);
            }
        }
    };
    all((0..lanes.clamp(1, items.len().max(1))).map(|_| Box::pin(lane()) as Lane<'_, E>).collect()).await?;
    Ok(done.into_inner().into_iter().flatten().collect())
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use core::cell::Cell;
    use core::task::{Context, Waker};
    use proptest::prelude::*;

    /// Runs a future that wakes itself: here, one that is merely not ready for a few polls.
    fn run<F: Future>(future: F) -> F::Output {
        let mut future = core::pin::pin!(future);
        let mut task = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut task) {
                return output;
            }
        }
    }

    async fn polls(mut times: u32) {
        poll_fn(|_| {
            times = times.saturating_sub(1);
            if times == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    proptest! {
        #[test]
        fn results_keep_the_order_and_lanes_are_bounded(times in prop::collection::vec(0_u32..9, 0..20), lanes in 0_usize..9) {
            let (busy, most) = (Cell::new(0), Cell::new(0));
            let work = async |index: usize, time: &u32| {
                busy.set(busy.get() + 1);
                most.set(most.get().max(busy.get()));
                polls(*time).await;
                busy.set(busy.get() - 1);
                Ok::<_, ()>((index, *time))
            };
            let results = run(map(&times, lanes, work));
            prop_assert_eq!(results, Ok(times.iter().copied().enumerate().collect()));
            prop_assert!(most.get() <= lanes.max(1));
        }
    }

    #[test]
    fn the_first_failure_ends_all() {
        let begun = Cell::new(0);
        let work = async |_: usize, time: &u32| {
            begun.set(begun.get() + 1);
            polls(*time).await;
            if *time == 3 { Err("three") } else { Ok(()) }
        };
        assert_eq!(run(map(&[50, 3, 60, 1, 1], 3, work)), Err("three"));
        assert_eq!(begun.get(), 3);
    }
}
