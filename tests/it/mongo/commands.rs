//! What operators do: migrate, several nodes at once too; and what they are told of what is not the engine's.

use mongodb::Client;
use mongodb::bson::{Document, doc};
use serde_json::json;

use super::{engine_on, runs};
use crate::support::{Engine, fire, mongo};

/// An engine that is not started.
async fn idle(url: &str) -> Engine {
    let mut engine = engine_on(&mongo::shared().await, &[]).await;
    engine.kill9();
    engine.set("store.url", url);
    engine
}

#[tokio::test]
async fn migrations_are_told_tried_and_carried_out() {
    let url = mongo::shared().await;
    let engine = idle(&url).await;
    let (well, before) = runs(&engine, &["migrate", "--status"]).await;
    assert!(well && before.contains("schema version 0 of"), "{before}");
    assert!(
        before.contains("0001_rooms") && before.contains("pending"),
        "{before}"
    );
    let (well, tried) = runs(&engine, &["migrate", "--dry-run"]).await;
    assert!(well && tried.contains("applied 0001_rooms"), "{tried}");
    assert!(tried.contains("nothing was changed"), "{tried}");
    let (_, still) = runs(&engine, &["migrate", "--status"]).await;
    assert_eq!(still, before);
    let databases = Client::with_uri_str(&url)
        .await
        .unwrap()
        .list_database_names()
        .await
        .unwrap();
    assert!(
        !databases.iter().any(|name| name.contains("rehearsal")),
        "{databases:?}"
    );

    let (well, done) = runs(&engine, &["migrate", "--rebuild"]).await;
    assert!(well && done.contains("applied 0001_rooms"), "{done}");
    assert!(done.contains("rebuilt the projections of 0 rooms"), "{done}");
    let (_, after) = runs(&engine, &["migrate", "--status"]).await;
    assert!(
        after.contains("applied 20") && !after.contains("pending"),
        "{after}"
    );
}

#[tokio::test]
async fn an_engine_that_is_not_to_migrate_says_what_to_run() {
    let mut engine = idle(&mongo::shared().await).await;
    engine.set("store.migrate_on_start", "false");
    let (well, said) = runs(&engine, &["serve"]).await;
    assert!(!well && said.contains("mayday migrate"), "{said}");
}

#[tokio::test]
async fn backups_are_mongodbs_own_and_the_command_says_so() {
    let engine = idle(&mongo::shared().await).await;
    for command in ["backup", "restore"] {
        let (well, said) = runs(&engine, &[command, "a-file"]).await;
        assert!(
            !well && said.contains("mongodump") && said.contains("mongorestore"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_password_in_the_address_is_never_told() {
    let url = mongo::shared()
        .await
        .replace("mongodb://", "mongodb://mayday:the-pass-word@");
    for url in [
        url.as_str(),
        "mongodb://mayday:the-pass-word@",
        "mysql://mayday:the-pass-word@host/",
    ] {
        let mut engine = idle(url).await;
        engine.set("log.filter", "trace");
        let (well, said) = runs(&engine, &["serve"]).await;
        assert!(!well, "{said}");
        assert!(!said.contains("the-pass-word"), "{said}");
    }
}

#[tokio::test]
async fn nodes_that_start_at_once_migrate_once() {
    let url = mongo::shared().await;
    let (a, b, c) = tokio::join!(engine_on(&url, &[]), engine_on(&url, &[]), engine_on(&url, &[]));
    let database = Client::with_uri_str(&url)
        .await
        .unwrap()
        .default_database()
        .unwrap();
    let ledger = database.collection::<Document>("migrations");
    let applied = [&a, &b, &c].map(|engine| engine.log().matches("migrated the schema").count());
    assert_eq!(
        applied.iter().sum::<usize>() as u64,
        ledger.count_documents(doc! {}).await.unwrap(),
        "{applied:?}"
    );
    let sos = a.user("Ana").raises(fire()).await;
    let found = c
        .user("Dora")
        .role("ADMIN")
        .get(&format!("/api/v1/sos/{sos}"))
        .await
        .data(200);
    assert_eq!(found["sosId"], json!(sos));
    drop(b);
}
