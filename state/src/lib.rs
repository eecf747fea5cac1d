//! dollop's memory on disk: one folder (`.dollop/`) per stack.
//!
//! What to call, in order:
//!
//! - [`read_state`] for everything that only looks: it never waits for an apply.
//! - [`SledStore::open`] for what changes state: it takes the lock and is a
//!   [`Store`](dollop_engine::store::Store).
//! - [`history`] and [`read_revision`] for what was: each finished run left a revision.
//! - [`recover`] when the store says it is damaged.
//! - [`Keyring`] to seal secrets in any other file, a saved plan say.
//!
//! The folder:
//!
//! ```text
//! lock                      held while a dollop works; says who
//! store/                    sled: records, outputs, the journal of the open run
//! trail.jsonl               the open run once more, in a plain file, for `recover`
//! revisions/000042.json.zst the whole state after run 42, immutable
//! key                       32 random bytes, mode 600, made when first needed
//! .gitignore                `*`
//! ```
//!
//! Invariants:
//!
//! - An append that returned is on disk: sled's `flush` and then `sync_data` of its file.
//! - A record and the journal entry that changed it are one atomic batch.
//! - No secret is in clear in any file, and nothing is ever written into a revision again.
//! - sled is touched by one thread only ([`STORE_THREAD`]), which catches its panics.

mod clock;
mod codec;
mod files;
mod lock;
mod read;
mod recover;
mod revision;
mod seal;
mod store;
mod table;
mod trail;
mod upgrade;
mod vault;
mod worker;
mod writer;

pub use codec::FORMAT;
pub use lock::Holder;
pub use read::{
    History, Snapshot, history, open_latest, read_revision, read_state, read_state_telling,
};
pub use recover::{Recovered, recover};
pub use revision::{Changes, RevisionHeader};
pub use seal::Keyring;
pub use store::SledStore;
pub use worker::STORE_THREAD;
