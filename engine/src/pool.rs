//! Connections that are open, each opened once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use futures::future::join_all;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;

use crate::address::Address;
use crate::ahead::{self, Behind, Foreseen, Remembered};
use crate::error::{CallError, Failure};
use crate::graph::Graph;
use crate::kind::{ConnectionKind, Kind, OpenConnection, Registry};
use crate::plan::desired::desired;
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
    /// What is being read that nobody asked for yet.
    ahead: Mutex<Vec<(Address, JoinHandle<Option<Behind>>)>>,
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

/// One connection, and what it was opened with: whoever comes while it is being opened waits for
/// that.
type Slot = Arc<tokio::sync::Mutex<Option<(Value, Result<Line, CallError>)>>>;

impl Pool {
    /// A pool with nothing open.
    pub fn new(registry: Arc<Registry>, scope: Scope) -> Self {
        Self { registry, scope, open: Mutex::default(), ahead: Mutex::default() }
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
        let slot = self.slot(address);
        let mut slot = slot.lock().await;
        match slot.take().filter(|(known, _)| known == spec) {
            Some((_, Ok(line))) => {
                *slot = Some((spec.clone(), Ok(line.clone())));
                return Ok(line);
            }
            // Found out ahead of time; whoever asks after this one tries again.
            Some((_, Err(error))) if !worth_another_try(&error) || patience.is_zero() => {
                return Err(error);
            }
            _ => {}
        }
        let line = self.open(address, spec, patience, tell).await?;
        *slot = Some((spec.clone(), Ok(line.clone())));
        Ok(line)
    }

    /// Opens the connections of a stack that can be before anything is read: those with known
    /// arguments that stand on nothing the stack makes, and through which something is reached.
    /// What comes of it is there for whoever asks for them, the errors too.
    pub fn open_ahead(self: Arc<Self>, graph: &Graph) -> impl Future<Output = ()> + use<> {
        let used: BTreeSet<_> = graph
            .in_order()
            .filter_map(|declaration| declaration.connection.as_ref())
            .collect();
        let known = |address: &Address| {
            let declaration = graph.get(address)?;
            if graph.needs(address).next().is_some() {
                return None;
            }
            let kind = self.registry.connection_kind(address.kind())?;
            let normalize = |spec: &Value| kind.dial.normalize(spec);
            let spec = desired(&kind.schema, &declaration.attributes, &normalize).ok()?.spec;
            Some((address.clone(), spec.known()?.clone()))
        };
        let known: Vec<_> = used.into_iter().filter_map(known).collect();
        async move {
            let pool = &self;
            join_all(known.into_iter().map(|(address, spec)| pool.open_as(address, spec)))
                .await;
        }
    }

    /// Begins to read what is remembered behind a connection that was opened ahead, for the next
    /// plan. It needs a runtime around it.
    pub fn look_ahead(self: &Arc<Self>, connection: Address, remembered: Remembered) {
        let reading = ahead::read(self.clone(), connection.clone(), remembered);
        let reading = tokio::spawn(reading);
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).push((connection, reading));
    }

    /// What was read ahead behind these connections, once all of it was; the rest is given up.
    pub(crate) async fn foreseen(&self, behind: impl Fn(&Address) -> bool) -> Foreseen {
        let mut begun =
            std::mem::take(&mut *self.ahead.lock().unwrap_or_else(PoisonError::into_inner));
        for (_, reading) in begun.extract_if(.., |(connection, _)| !behind(connection)) {
            reading.abort();
        }
        let read = begun.into_iter().map(|(connection, reading)| async move {
            Some((connection, reading.await.ok().flatten()?))
        });
        join_all(read).await.into_iter().flatten().collect()
    }

    /// A connection that is open with these arguments.
    pub(crate) async fn opened(&self, address: &Address, spec: &Value) -> Option<Line> {
        let slot = self.slot(address);
        let slot = slot.lock().await;
        let (_, line) = slot.as_ref().filter(|(known, _)| known == spec)?;
        line.as_ref().ok().cloned()
    }

    /// Opens a connection that nobody asked for yet.
    pub async fn open_as(&self, address: Address, spec: Value) {
        let slot = self.slot(&address);
        let mut slot = slot.lock().await;
        if slot.is_none() {
            let line = self.open(&address, &spec, Duration::ZERO, &|_| {}).await;
            *slot = Some((spec, line));
        }
    }

    async fn open(
        &self,
        address: &Address,
        spec: &Value,
        patience: Duration,
        tell: &(dyn Fn(Wait) + Sync),
    ) -> Result<Line, CallError> {
        let kind = self.kind(address)?;
        let open = || kind.dial.open(spec, self.scope.clone());
        let connection = patiently(patience, tell, open).await?;
        let permits = Arc::new(Semaphore::new(kind.dial.concurrency(spec).permits()));
        Ok(Line { connection, permits })
    }

    fn slot(&self, address: &Address) -> Slot {
        self.lock().entry(address.clone()).or_default().clone()
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
    attempt.retry(often).when(worth_another_try).notify(failed).await
}

/// Whether it may go well a moment later.
fn worth_another_try(error: &CallError) -> bool {
    error.failure == Failure::Unreachable
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::diagnostic::Span;
    use crate::graph;
    use crate::map::Map;
    use crate::program::{Declaration, Lifecycle, Program};
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

    /// Refuses the first who comes.
    struct Shy;

    static KNOCKS: AtomicUsize = AtomicUsize::new(0);

    impl Connection for Shy {
        const KIND: &'static str = "test::shy";
        type Spec = Spec;

        async fn open(_: Spec, _: Scope) -> Result<Self, CallError> {
            match KNOCKS.fetch_add(1, Ordering::SeqCst) {
                0 => Err(CallError::unreachable("not yet")),
                _ => Ok(Self),
            }
        }

        fn describe(_: &Spec) -> String {
            "the shy one".to_owned()
        }
    }

    #[tokio::test]
    async fn what_was_opened_ahead_is_there_and_what_could_not_be_is_told_once() {
        let declaration = |address: &str, connection: Option<&str>| Declaration {
            address: address.parse().unwrap(),
            connection: connection.map(|address| address.parse().unwrap()),
            attributes: Map::new(),
            lifecycle: Lifecycle::plain(),
            allow: BTreeSet::new(),
            clear: Vec::new(),
            lookup: None,
            implicit: false,
            off: None,
            span: Span { file: "main.rhai".into(), line: 1, column: 1, length: 1 },
            spans: Arc::default(),
        };
        let declarations = vec![
            declaration("test::shy.front", None),
            declaration("test::desk.back", None),
            declaration("test::thing.a", Some("test::shy.front")),
        ];
        let graph = graph::build(Program { declarations, ..Program::default() }).unwrap();
        let registry = Registry::new().provider("test", "Tests.");
        let registry = registry.connection::<Desk>().connection::<Shy>();
        let scope = Scope { stack: "test".to_owned(), folder: "/".into() };
        let pool = Arc::new(Pool::new(Arc::new(registry), scope));
        pool.clone().open_ahead(&graph).await;
        assert_eq!(pool.lock().len(), 1, "nothing is reached through the desk");

        let address: Address = "test::shy.front".parse().unwrap();
        let dial = &pool.registry.connection_kind("test::shy").unwrap().dial;
        let spec = dial.normalize(&Value::Map(Map::new())).unwrap();
        let told = pool.line(&address, &spec, Duration::ZERO).await.err().unwrap();
        assert_eq!((told.message.as_str(), KNOCKS.load(Ordering::SeqCst)), ("not yet", 1));
        assert!(pool.line(&address, &spec, Duration::ZERO).await.is_ok());
        pool.clone().open_ahead(&graph).await;
        assert!(pool.line(&address, &spec, Duration::ZERO).await.is_ok());
        assert_eq!(KNOCKS.load(Ordering::SeqCst), 2, "it is open");
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
