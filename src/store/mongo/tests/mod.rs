//! The contract held against a real server, and what only this store promises.

#[path = "../../../../tests/it/support/mongo.rs"]
mod server;

mod nodes;
mod plans;

use super::{Mongo, MongoOptions};
use crate::store::contract::Store;
use crate::store::contract_tests::{Harness, store_contract};

/// A store in a database of its own on the server that tests share.
pub struct OnServer {
    store: Mongo,
    options: MongoOptions,
}

impl Harness for OnServer {
    type S = Mongo;

    async fn start() -> Self {
        let mut options = MongoOptions::new(server::shared().await);
        options.feed = true;
        Self {
            store: Mongo::open(options.clone()).await.unwrap(),
            options,
        }
    }

    fn store(&self) -> &Mongo {
        &self.store
    }

    async fn reopen(self) -> Self {
        self.store.close().await;
        Self {
            store: Mongo::open(self.options.clone()).await.unwrap(),
            options: self.options,
        }
    }
}

store_contract!(contract, OnServer);
