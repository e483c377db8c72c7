//! A rebuild makes every projected row anew, bit for bit.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::super::queue::Lane;
use super::super::writes::Writes;
use super::InFolder;
use crate::domain::testing::{report, room};
use crate::store::contract::Store;
use crate::store::contract_tests::Harness;
use crate::store::contract_tests::replay::{carry_out, check, deeds};
use crate::store::contract_tests::scribe::raise_all;
use crate::store::{Embedded, StoreError};

const TABLES: &[&str] = &["rooms", "participants", "incidents", "geo"];

/// Every row of every projection.
async fn rows(store: &Embedded) -> Vec<String> {
    let read = |writes: &mut Writes<'_>| {
        let mut found = vec![];
        for table in TABLES {
            let mut statement = writes.db.conn().prepare(&format!("SELECT * FROM {table}"))?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let values: Result<Vec<rusqlite::types::Value>, _> =
                    (0..columns).map(|n| row.get(n)).collect();
                found.push(format!("{table}: {:?}", values?));
            }
        }
        Ok::<_, StoreError>(found)
    };
    store.write(Lane::Rest, 1, read).await.unwrap()
}

/// Makes every list wrong.
async fn scramble(store: &Embedded) {
    let spoil = |writes: &mut Writes<'_>| {
        writes.db.run("DELETE FROM geo WHERE room % 2 = 0", [])?;
        writes.db.run("UPDATE geo SET status = 'CLOSED', lat = 0", [])?;
        writes.db.run(
            "UPDATE incidents SET status = 'CLOSED', creator = 1, updated_at = 0, public = 0",
            [],
        )?;
        writes
            .db
            .run("UPDATE participants SET left_at = 5, user_type = 'ADMIN'", [])?;
        writes
            .db
            .run("DELETE FROM participants WHERE participant = 1", [])?;
        writes
            .db
            .run("INSERT INTO participants VALUES (1, 99, 'CITIZEN', 1, NULL)", [])?;
        writes.db.run(
            "UPDATE rooms SET members = 77, live = 1 - live, kind = 'sos', links = 'x', last_at = 0",
            [],
        )
    };
    store.write(Lane::Rest, 1, spoil).await.unwrap();
}

#[tokio::test]
async fn a_rebuild_restores_every_row_from_the_logs() {
    let strategy = deeds();
    let mut runner = TestRunner::default();
    for _ in 0..16 {
        let deeds = strategy.new_tree(&mut runner).unwrap().current();
        // Shown only when the test fails.
        println!("{deeds:?}");
        let harness = InFolder::start().await;
        let store = harness.store();
        let scribes = carry_out(store, &deeds).await;
        let before = rows(store).await;
        scramble(store).await;
        assert_ne!(rows(store).await, before);
        assert_eq!(store.rebuild().await, Ok(5));
        assert_eq!(rows(store).await, before);
        check(store, &scribes).await;
    }
}

#[tokio::test]
async fn a_rebuild_of_many_rooms_comes_in_slices_and_appends_go_on() {
    let harness = InFolder::start().await;
    let store = harness.store();
    let reports: Vec<_> = (0..6_000)
        .map(|n| {
            (
                format!("sos-{n}"),
                crate::store::contract_tests::scribe::ms(1_000_000),
                report(),
            )
        })
        .collect();
    raise_all(store, reports).await;
    let before = rows(store).await;
    let commits = store.stats().commits;
    let late = crate::store::contract_tests::scribe::Scribe::new("late").raise(report());
    let (rebuilt, appended) = futures_util::join!(store.rebuild(), store.append(late));
    assert!(rebuilt.unwrap() >= 6_000);
    assert_eq!(appended, Ok(()));
    assert!(store.stats().commits - commits >= 3, "it was not one transaction");
    let after = rows(store).await;
    assert!(
        before
            .iter()
            .all(|row| after.binary_search(row).is_ok() || after.contains(row))
    );
    assert!(store.incident(&room("late")).await.unwrap().is_some());
}
