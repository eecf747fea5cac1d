//! Several streams as one, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use futures::stream::{BoxStream, FuturesUnordered, StreamExt as _};

/// How long to wait for an older line of another stream before a younger one is handed out.
const PATIENCE: Duration = Duration::from_millis(50);

/// Hands out what streams bring, each from its oldest to its youngest, oldest first: exactly
/// so when all end by themselves. Those that go on (`follow`) are not waited for when they
/// are silent, so that what just happened shows at once.
pub async fn merged<T: Send, B>(
    streams: Vec<BoxStream<'_, T>>,
    follow: bool,
    when: impl Fn(&T) -> SystemTime,
    mut each: impl FnMut(usize, T) -> ControlFlow<B>,
) -> Option<B> {
    let mut held: BinaryHeap<Reverse<(SystemTime, usize)>> = BinaryHeap::new();
    let mut items: Vec<Option<T>> = streams.iter().map(|_| None).collect();
    let mut rest: Vec<Option<BoxStream<'_, T>>> = streams.iter().map(|_| None).collect();
    // Which streams were silent when they were waited for last.
    let mut silent = vec![false; streams.len()];
    let mut asked: FuturesUnordered<_> =
        streams.into_iter().enumerate().map(|(index, stream)| next(index, stream)).collect();
    let mut silent_count = 0;
    loop {
        while !asked.is_empty() && (held.is_empty() || asked.len() > silent_count) {
            let next = if follow && !held.is_empty() {
                match tokio::time::timeout(PATIENCE, asked.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                }
            } else {
                asked.next().await
            };
            let Some((index, (item, stream))) = next else { break };
            if std::mem::take(&mut silent[index]) {
                silent_count -= 1;
            }
            if let Some(item) = item {
                held.push(Reverse((when(&item), index)));
                items[index] = Some(item);
                rest[index] = Some(stream);
            }
        }
        let Reverse((_, index)) = held.pop()?;
        // Whoever is still asked has nothing now.
        if follow {
            let waiting = |index: usize| items[index].is_none() && rest[index].is_none();
            for (index, silent) in silent.iter_mut().enumerate() {
                *silent = waiting(index);
            }
            silent_count = asked.len();
        }
        if let Some(item) = items[index].take()
            && let ControlFlow::Break(end) = each(index, item)
        {
            return Some(end);
        }
        if let Some(stream) = rest[index].take() {
            asked.push(next(index, stream));
        }
    }
}

/// What a stream brings next, and the stream.
async fn next<T>(
    index: usize,
    stream: BoxStream<'_, T>,
) -> (usize, (Option<T>, BoxStream<'_, T>)) {
    (index, stream.into_future().await)
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn order(streams: Vec<BoxStream<'_, u64>>, follow: bool) -> Vec<u64> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut found = Vec::new();
        let all = merged(
            streams,
            follow,
            |second| at(*second),
            |_, second| {
                found.push(second);
                if second == 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        runtime.block_on(all);
        found
    }

    #[test]
    fn what_ends_is_merged_exactly() {
        let streams = vec![
            stream::iter([1, 4, 5]).boxed(),
            stream::iter([2, 3]).boxed(),
            stream::iter([6]).boxed(),
        ];
        assert_eq!(order(streams, false), [1, 2, 3, 4, 5, 6]);
        assert_eq!(order(Vec::new(), false), [0; 0]);
    }

    #[test]
    fn a_silent_stream_holds_nobody_up() {
        let streams = vec![
            stream::iter([1, 4, 9]).boxed(),
            stream::pending().boxed(),
            stream::iter([2]).chain(stream::pending()).boxed(),
        ];
        assert_eq!(order(streams, true), [1, 2, 4, 9]);
    }
}
