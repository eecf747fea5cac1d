//! What is asked for at the same time, asked for together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dollop_engine::error::CallError;
use tokio::sync::oneshot;

/// The answer to several questions, and which of them it was.
type Answer<A> = Result<(Arc<A>, usize), CallError>;

/// Whoever waits for an answer, and what they ask.
type Waiting<Q, A> = Vec<(Q, oneshot::Sender<Answer<A>>)>;

/// Gathers the questions that come while one is being answered, and asks them as one.
pub(super) struct Together<Q, A> {
    waiting: Mutex<Waiting<Q, A>>,
    turn: tokio::sync::Mutex<()>,
}

impl<Q, A> Default for Together<Q, A> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<Q: Clone, A> Together<Q, A> {
    /// The answer to a question, among others, and the place it had among them. The answer is
    /// not from before this call. What is asked may be asked twice: who asks for all may be
    /// stopped before there is an answer.
    pub(super) async fn ask<F>(&self, question: Q, ask: impl FnOnce(Vec<Q>) -> F) -> Answer<A>
    where
        F: Future<Output = Result<A, CallError>>,
    {
        let (tell, mut told) = oneshot::channel();
        self.waiting().push((question, tell));
        let _turn = self.turn.lock().await;
        // Somebody whose turn came earlier may have asked for this one, too.
        if let Ok(answer) = told.try_recv() {
            return answer;
        }
        // Whoever could go on at the same moment comes along.
        tokio::task::yield_now().await;
        // All stay until there is an answer.
        let questions: Vec<Q> =
            self.waiting().iter().map(|(question, _)| question.clone()).collect();
        let many = questions.len();
        let answer = ask(questions).await.map(Arc::new);
        for (place, (_, tell)) in self.waiting().drain(..many).enumerate() {
            // Who does not wait any more need not know.
            let _ = tell.send(answer.clone().map(|answer| (answer, place)));
        }
        told.try_recv().unwrap_or_else(|_| answer.map(|answer| (answer, 0)))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<Q, A>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::{join_all, select};

    use super::*;

    async fn sum(numbers: Vec<u32>) -> Result<(usize, u32), CallError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok((numbers.len(), numbers.iter().sum()))
    }

    async fn asked(
        together: &Together<u32, (usize, u32)>,
        number: u32,
    ) -> ((usize, u32), usize) {
        let (answer, place) = together.ask(number, sum).await.unwrap();
        (*answer, place)
    }

    #[tokio::test]
    async fn what_comes_at_the_same_time_or_meanwhile_is_asked_at_once() {
        let together = Together::default();
        let later = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            join_all((5..=7).map(|number| asked(&together, number))).await
        };
        let first = join_all((1..=4).map(|number| asked(&together, number)));
        let (first, later) = futures::join!(first, later);
        assert_eq!(first, (0..4).map(|place| ((4, 10), place)).collect::<Vec<_>>());
        assert_eq!(later, (0..3).map(|place| ((3, 18), place)).collect::<Vec<_>>());
        assert_eq!(asked(&together, 7).await, ((1, 7), 0));
    }

    #[tokio::test]
    async fn who_asks_for_others_may_be_stopped() {
        let together = Together::default();
        let stopped = Box::pin(together.ask(1, |_| std::future::pending()));
        let others = Box::pin(async {
            tokio::task::yield_now().await;
        });
        drop(select(stopped, others).await);
        // The question of the one that was stopped is still there.
        assert_eq!(asked(&together, 2).await, ((2, 3), 1));
    }
}
