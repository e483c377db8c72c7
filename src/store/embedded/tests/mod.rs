//! What only the embedded store promises, and the contract held against it.

mod durability;
mod erasure;
mod faults;
mod folder;
mod load;
mod plans;
mod rebuild;
mod restore;

use tempfile::TempDir;

use std::sync::mpsc::{SyncSender, sync_channel};

use super::job::Answer;
use super::queue::Lane;
use super::writes::Writes;
use super::{Embedded, EmbeddedOptions};
use crate::store::contract::Store;
use crate::store::contract_tests::{Harness, store_contract};

/// A store in a folder of its own.
pub struct InFolder {
    store: Embedded,
    folder: TempDir,
}

fn options(path: &std::path::Path) -> EmbeddedOptions {
    EmbeddedOptions {
        feed: true,
        ..EmbeddedOptions::new(path)
    }
}

impl Harness for InFolder {
    type S = Embedded;

    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: Embedded::open(options(folder.path())).unwrap(),
            folder,
        }
    }

    fn store(&self) -> &Embedded {
        &self.store
    }

    async fn reopen(self) -> Self {
        self.store.close().await;
        Self {
            store: Embedded::open(options(self.folder.path())).unwrap(),
            folder: self.folder,
        }
    }
}

store_contract!(contract, InFolder);

/// Keeps the writer busy until it is released, so that what is queued meanwhile becomes one group.
fn stall(store: &Embedded) -> (SyncSender<()>, Answer<()>) {
    let (release, held) = sync_channel::<()>(1);
    let (started, starts) = sync_channel::<()>(1);
    let wait = move |_: &mut Writes<'_>| {
        let _ = started.send(());
        let _ = held.recv();
        Ok(())
    };
    let answer = store.queue(Lane::Urgent, 1, None, wait).unwrap();
    starts.recv().unwrap();
    (release, answer)
}
