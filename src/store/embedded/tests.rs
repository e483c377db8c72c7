//! What only the embedded store promises, and the contract held against it.

use tempfile::TempDir;

use super::{Embedded, EmbeddedOptions};
use crate::store::contract::Store;
use crate::store::contract_tests::{Harness, store_contract};

/// A store in a folder of its own.
pub struct InFolder {
    store: Embedded,
    folder: TempDir,
}

impl Harness for InFolder {
    type S = Embedded;

    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: Embedded::open(EmbeddedOptions::new(folder.path())).unwrap(),
            folder,
        }
    }

    fn store(&self) -> &Embedded {
        &self.store
    }

    async fn reopen(self) -> Self {
        self.store.close().await;
        Self {
            store: Embedded::open(EmbeddedOptions::new(self.folder.path())).unwrap(),
            folder: self.folder,
        }
    }
}

store_contract!(contract, InFolder);
