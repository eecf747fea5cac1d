//! The clients of a database, and which statements queue behind each other on one.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio_postgres::Client;

/// Which of a database's clients a statement goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Short statements; they queue on one client.
    Short,
    /// Making and dropping databases, which can take long.
    Long,
    /// What users wrote, which can do anything to its session.
    Scripts,
    /// What users ask.
    Questions,
}

impl Lane {
    /// How long to wait for a lock. One that somebody else keeps must not hang a run for ever,
    /// and waiting for one keeps everybody else waiting: better to let go and try again. What
    /// stands alone waits for all who use a table.
    fn patience(self) -> &'static str {
        match self {
            Self::Short | Self::Questions => "4s",
            Self::Scripts => "30s",
            Self::Long => "10min",
        }
    }

    /// Whether every message is a transaction that can say its settings itself. A pooler may
    /// give each of them to another session, which then belongs to somebody else.
    pub(super) fn sets_locally(self) -> bool {
        matches!(self, Self::Short | Self::Questions)
    }

    pub(super) fn settings(self) -> String {
        let local = if self.sets_locally() { "local " } else { "" };
        format!(
            "set {local}lock_timeout = '{}'; set {local}client_min_messages = warning;\n",
            self.patience()
        )
    }
}

/// Clients are shared: PostgreSQL answers the statements of one in order, and every write is
/// one message, so that no two tasks ever stand inside one transaction.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) client: tokio::sync::Mutex<Option<Arc<Client>>>,
    /// When it was last used, as a count.
    pub(super) used: AtomicU64,
    /// When its client last answered.
    pub(super) answered: Mutex<Option<Instant>>,
}

impl Slot {
    /// Whether nobody holds it or its client.
    pub(super) fn is_idle(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
            && self.client.try_lock().is_ok_and(|client| {
                client.as_ref().is_none_or(|client| Arc::strong_count(client) == 1)
            })
    }
}
