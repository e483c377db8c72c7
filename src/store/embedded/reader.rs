//! Reader threads, each with a connection of its own. What it reads is one moment of the store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::job::Held;
use super::queue::{Lane, Queue, Refused};
use super::sql::Db;
use crate::store::contract::StoreError;
use crate::store::meters::{Meters, bump};

pub(super) type Read = Box<dyn for<'a, 'c> FnOnce(&'a mut Db<'c>) + Send>;

/// Serves until the queue is closed and empty.
pub(super) fn serve(queue: &Queue<Read>, conn: &Connection, lock: Held) {
    let mut db = Db::new(conn);
    while let Some(read) = queue.next() {
        // Whoever asked hears that the answer is lost; the thread goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| read(&mut db)));
    }
    drop(lock);
}

/// Has a reader thread do something and waits for what it found.
pub(super) async fn read<T: Send + 'static>(
    queue: &Arc<Queue<Read>>,
    meters: &Meters,
    lane: Lane,
    work: impl FnOnce(&mut Db<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    let read: Read = Box::new(move |db| {
        if !reply.is_closed() {
            let _ = reply.send(at_one_moment(db, work));
        }
    });
    match queue.push(lane, read) {
        Ok(()) => answer.await.unwrap_or_else(|_| Err(lost())),
        Err(Refused::Closed) => Err(stopped()),
        Err(Refused::Full) => {
            bump(&meters.reads_refused, 1);
            Err(StoreError::Busy)
        }
    }
}

/// The thread that had the question did not come back with an answer.
pub(super) fn lost() -> StoreError {
    StoreError::Unavailable("the answer was lost".into())
}

pub(super) fn stopped() -> StoreError {
    StoreError::Unavailable("it has been closed".into())
}

fn at_one_moment<T>(
    db: &mut Db<'_>,
    work: impl FnOnce(&mut Db<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if !db.conn().is_autocommit() {
        db.run("ROLLBACK", [])?;
    }
    db.run("BEGIN", [])?;
    let found = work(db);
    db.run("COMMIT", [])?;
    found
}
