//! Connections that are open, each opened once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::address::Address;
use crate::error::{CallError, Failure};
use crate::kind::{ConnectionKind, Kind, OpenConnection, Registry};
use crate::resource::Scope;
use crate::value::Value;

/// A connection that is open, and how many calls it takes at once.
#[derive(Clone)]
pub struct Line {
    /// The provider's client.
    pub connection: OpenConnection,
    /// Permits for calls that write.
    pub permits: Arc<Semaphore>,
}

impl Line {
    /// Waits until the service takes one call more; a call that joins others is none.
    pub(crate) async fn permit(&self, kind: &Kind) -> Option<SemaphorePermit<'_>> {
        if kind.traits.joins {
            return None;
        }
        self.permits.acquire().await.ok()
    }
}

/// Opens connections and keeps them.
pub struct Pool {
    registry: Arc<Registry>,
    scope: Scope,
    open: Mutex<BTreeMap<Address, Slot>>,
}

/// How long a service has been waited for that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Attempts so far.
    pub tries: usize,
    /// Since the first.
    pub elapsed: Duration,
    /// When the waiting ends.
    pub patience: Duration,
}

/// One connection: whoever comes while it is being opened waits for that.
type Slot = Arc<tokio::sync::Mutex<Option<(Value, Line)>>>;

impl Pool {
    /// A pool with nothing open.
    pub fn new(registry: Arc<Registry>, scope: Scope) -> Self {
        Self { registry, scope, open: Mutex::new(BTreeMap::new()) }
    }

    /// What can be declared.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Where the stack runs.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Opens a connection, or returns it when it is open with the same arguments.
    ///
    /// While the service does not answer, tries again until `patience` is over.
    pub async fn line(
        &self,
        address: &Address,
        spec: &Value,
        patience: Duration,
    ) -> Result<Line, CallError> {
        self.line_telling(address, spec, patience, &|_| {}).await
    }

    /// The same, and tells of each attempt that got no answer.
    pub async fn line_telling(
        &self,
        address: &Address,
        spec: &Value,
        patience: Duration,
        tell: &(dyn Fn(Wait) + Sync),
    ) -> Result<Line, CallError> {
        let slot = self.lock().entry(address.clone()).or_default().clone();
        let mut slot = slot.lock().await;
        if let Some((known, line)) = &*slot
            && known == spec
        {
            return Ok(line.clone());
        }
        let kind = self.kind(address)?;
        let open = || kind.dial.open(spec, self.scope.clone());
        let connection = patiently(patience, tell, open).await?;
        let permits = Arc::new(Semaphore::new(kind.dial.concurrency(spec).permits()));
        let line = Line { connection, permits };
        *slot = Some((spec.clone(), line.clone()));
        Ok(line)
    }

    /// Waits until a service can be spoken to and works, whether or not it could be before;
    /// tells of each attempt that failed.
    pub async fn works(
        &self,
        address: &Address,
        spec: &Value,
        patience: Duration,
        tell: &(dyn Fn(Wait) + Sync),
    ) -> Result<(), CallError> {
        let kind = self.kind(address)?;
        let works = || async {
            let connection = kind.dial.open(spec, self.scope.clone()).await?;
            kind.dial.ready(&connection).await
        };
        patiently(patience, tell, works).await
    }

    fn kind(&self, address: &Address) -> Result<&ConnectionKind, CallError> {
        self.registry.connection_kind(address.kind()).ok_or_else(|| {
            let message = format!("this dollop knows no connection `{}`", address.kind());
            CallError::refused(message)
        })
    }

    /// Lets go of a connection, when what is behind it is about to change.
    pub fn close(&self, address: &Address) {
        self.lock().remove(address);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Address, Slot>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries again while nothing answers, until `patience` is over.
async fn patiently<T, F>(
    patience: Duration,
    tell: &(dyn Fn(Wait) + Sync),
    attempt: impl FnMut() -> F,
) -> Result<T, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    // No patience, no second attempt.
    let times = if patience.is_zero() { 0 } else { usize::MAX };
    let often = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_factor(1.5)
        .with_max_times(times)
        .with_total_delay(Some(patience));
    let start = Instant::now();
    let mut tries = 0;
    let failed = |_: &CallError, _: Duration| {
        tries += 1;
        tell(Wait { tries, elapsed: start.elapsed(), patience });
    };
    let may_help = |error: &CallError| error.failure == Failure::Unreachable;
    attempt.retry(often).when(may_help).notify(failed).await
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::resource::{Concurrency, Connection};

    struct Desk;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Spec {
        /// How many at once.
        #[serde(default)]
        concurrency: Concurrency,
    }

    impl Connection for Desk {
        const KIND: &'static str = "test::desk";
        type Spec = Spec;

        async fn open(_: Spec, _: Scope) -> Result<Self, CallError> {
            Ok(Self)
        }

        fn describe(_: &Spec) -> String {
            "the desk".to_owned()
        }

        fn concurrency(spec: &Spec) -> Concurrency {
            spec.concurrency
        }
    }

    #[tokio::test]
    async fn a_wait_is_told_of_while_nothing_answers() {
        let told = Mutex::new(Vec::new());
        let tell = |wait: Wait| told.lock().unwrap().push((wait.tries, wait.patience));
        let mut left = 3;
        let patience = Duration::from_secs(30);
        let answer = patiently(patience, &tell, || {
            left -= 1;
            let answers = left == 0;
            async move { if answers { Ok("here") } else { Err(CallError::unreachable("nobody")) } }
        });
        assert_eq!(answer.await.unwrap(), "here");
        assert_eq!(*told.lock().unwrap(), [(1, patience), (2, patience)]);

        // What refuses is not asked again.
        let refused = || async { Err::<(), _>(CallError::refused("no")) };
        assert!(patiently(patience, &tell, refused).await.is_err());
        assert_eq!(told.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_connection_takes_as_many_calls_as_it_says() {
        let registry = Registry::new().provider("test", "Tests.").connection::<Desk>();
        let address: Address = "test::desk.front".parse().unwrap();
        let dial = registry.connection_kind("test::desk").unwrap().dial.clone();
        let scope = Scope { stack: "test".to_owned(), folder: "/".into() };
        let pool = Pool::new(Arc::new(registry), scope);
        for (given, permits) in [("{}", 8), (r#"{"concurrency": 2}"#, 2)] {
            let given = Value::from(serde_json::from_str::<serde_json::Value>(given).unwrap());
            let spec = dial.normalize(&given).unwrap();
            let line = pool.line(&address, &spec, Duration::ZERO);
            let line = futures::executor::block_on(line).unwrap();
            assert_eq!(line.permits.available_permits(), permits);
        }
        let none = serde_json::json!({ "concurrency": 0 });
        assert!(dial.normalize(&Value::from(none)).is_err(), "then nothing would ever be done");
    }
}
