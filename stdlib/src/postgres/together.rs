//! Questions that are asked at the same time, asked together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dollop_engine::error::CallError;
use tokio::sync::oneshot;

/// Whoever waits for an answer, and what they ask.
type Waiting<Q, A> = Vec<(Q, oneshot::Sender<Result<Arc<A>, CallError>>)>;

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
    /// The answer to a question, among others; it is not from before this call.
    pub(super) async fn ask<F>(
        &self,
        question: Q,
        ask: impl FnOnce(Vec<Q>) -> F,
    ) -> Result<Arc<A>, CallError>
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
        // All stay until there is an answer: whoever asks may be stopped before that.
        let questions: Vec<Q> =
            self.waiting().iter().map(|(question, _)| question.clone()).collect();
        let many = questions.len();
        let answer = ask(questions).await.map(Arc::new);
        for (_, tell) in self.waiting().drain(..many) {
            // Who does not wait any more need not know.
            let _ = tell.send(answer.clone());
        }
        answer
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

    #[tokio::test]
    async fn what_comes_meanwhile_is_asked_at_once() {
        let together = Together::default();
        let all = (1..=10).map(|number| together.ask(number, sum));
        let answers = join_all(all).await.into_iter().map(|answer| *answer.unwrap());
        // The first finds nobody else; the others come while it is answered.
        let mut expected = vec![(9, 54); 10];
        expected[0] = (1, 1);
        assert_eq!(answers.collect::<Vec<_>>(), expected);
        assert_eq!(*together.ask(7, sum).await.unwrap(), (1, 7));
    }

    #[tokio::test]
    async fn who_asks_for_others_may_be_stopped() {
        let together = Together::default();
        let stopped = Box::pin(together.ask(1, |_| std::future::pending()));
        let others = Box::pin(async {
            tokio::task::yield_now().await;
        });
        drop(select(stopped, others).await);
        assert_eq!(*together.ask(2, sum).await.unwrap(), (2, 3));
    }
}
