//! No read that grows with the store: every statement on a hot path goes by an index.

use super::InFolder;
use crate::store::contract::Store;
use crate::store::contract_tests::Harness;

/// The statements of these files, as they stand in the source.
const SOURCES: &[&str] = &[
    include_str!("../append.rs"),
    include_str!("../fixes.rs"),
    include_str!("../geo.rs"),
    include_str!("../incidents.rs"),
    include_str!("../jobs.rs"),
    include_str!("../privacy.rs"),
    include_str!("../project.rs"),
    include_str!("../records.rs"),
    include_str!("../rooms.rs"),
    include_str!("../rows.rs"),
    include_str!("../upkeep.rs"),
];

fn statements() -> Vec<String> {
    let starts = ["SELECT ", "INSERT ", "UPDATE ", "DELETE "];
    let quoted = SOURCES
        .iter()
        .flat_map(|source| source.split('"').skip(1).step_by(2));
    quoted
        .filter(|text| starts.iter().any(|start| text.starts_with(start)))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn no_statement_reads_a_whole_table() {
    let harness = InFolder::start().await;
    harness.store().close().await;
    let conn = rusqlite::Connection::open(harness.folder.path().join("mayday.db")).unwrap();
    let statements = statements();
    assert!(
        statements.len() > 25,
        "only {} statements were found",
        statements.len()
    );
    let mut planned = 0;
    for sql in statements {
        // Those that are put together from parts are not whole here.
        let Ok(mut statement) = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")) else {
            continue;
        };
        let places = statement.parameter_count();
        let nothing = vec![rusqlite::types::Null; places];
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        for step in plan {
            let scan = step.starts_with("SCAN") && step != "SCAN CONSTANT ROW";
            let sort =
                step.contains("TEMP B-TREE") && !sql.contains("DISTINCT") && !sql.contains("ORDER BY r.id");
            assert!(!scan && !sort, "{step}: {sql}");
        }
        planned += 1;
    }
    assert!(planned > 25, "only {planned} statements could be planned");
}
