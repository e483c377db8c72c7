//! The data folder: who may open it, and which schema it has.

use std::os::unix::fs::PermissionsExt;

use super::InFolder;
use crate::domain::testing::{report, room};
use crate::store::contract::{Store, StoreError};
use crate::store::contract_tests::Harness;
use crate::store::contract_tests::scribe::raised;
use crate::store::{Embedded, EmbeddedOptions};

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let harness = InFolder::start().await;
    harness.store().close().await;
    let options = EmbeddedOptions::new(harness.folder.path());
    let conn = rusqlite::Connection::open(options.file()).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let error = Embedded::open(options).err().unwrap().to_string();
    assert!(error.contains("version 99"), "{error}");
    assert!(Embedded::status(harness.folder.path()).is_err());
    assert!(Embedded::migrate(harness.folder.path()).is_err());
}

#[tokio::test]
async fn an_empty_folder_is_migrated_when_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made").join("for it");
    let version = || Embedded::status(&path).unwrap().version;
    let latest = Embedded::status(&path).unwrap().latest;
    assert_eq!(version(), 0);
    let options = EmbeddedOptions {
        migrate: false,
        ..EmbeddedOptions::new(&path)
    };
    let refused = Embedded::open(options.clone()).err();
    assert!(matches!(refused, Some(StoreError::Unavailable(_))), "{refused:?}");
    let migrated = Embedded::migrate(&path).unwrap();
    assert_eq!((migrated.from, migrated.to), (0, latest));
    assert_eq!(migrated.applied.len(), latest);
    assert_eq!(version(), latest);
    assert_eq!(Embedded::migrate(&path).unwrap().applied, []);
    let store = Embedded::open(options).unwrap();
    raised(&store, "sos", report()).await;
}

#[tokio::test]
async fn a_folder_belongs_to_one_process_at_a_time() {
    let harness = InFolder::start().await;
    raised(harness.store(), "sos", report()).await;
    let options = EmbeddedOptions::new(harness.folder.path());
    let refused = Embedded::open(options.clone()).err();
    assert_eq!(
        refused,
        Some(StoreError::Unavailable(
            "another process uses the data folder".into()
        ))
    );
    assert!(Embedded::migrate(harness.folder.path()).is_err());
    assert!(
        Embedded::status(harness.folder.path()).unwrap().is_current(),
        "anybody may ask"
    );
    harness.store().close().await;
    let again = Embedded::open(options).unwrap();
    assert!(again.load(&room("sos")).await.unwrap().is_some());
}

#[tokio::test]
async fn nobody_else_may_read_the_files() {
    let harness = InFolder::start().await;
    raised(harness.store(), "sos", report()).await;
    for name in ["mayday.db", "mayday.db-wal", "mayday.db-shm", "mayday.lock"] {
        let mode = std::fs::metadata(harness.folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let refused = Embedded::open(EmbeddedOptions::new(folder.path().join("file").join("data"))).err();
    assert!(matches!(refused, Some(StoreError::Unavailable(_))), "{refused:?}");
}
