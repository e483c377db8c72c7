//! Reports of misconduct, and whom staff keep out.

use serde_json::{Value, json};

use super::incidents::{data, page};
use super::operation::{Describer, Operation};
use crate::http::error::Code;
use crate::wire::rest::schemas::pages_query;
use crate::wire::rest::{BlockView, ReportView, UnblockedView};

const TAG: &str = "Conduct";

fn report() -> Value {
    json!({
        "sosId": "7b0d3a4f6d0e4a53b6c1f09a77a3d2f1", "participantId": "p-b447fcbc8b87f80c",
        "reporterId": "p-27c059c801000003", "reason": "He threatened me", "reportedAt": "2026-11-21T01:18:46.087Z",
    })
}

fn block() -> Value {
    json!({
        "participantId": "p-b447fcbc8b87f80c", "blocked": true, "blockedAt": "2026-11-21T01:20:00.000Z",
        "until": null, "reason": "Threatens people", "blockedBy": "dina",
    })
}

pub(super) fn describe(to: &mut Describer<'_>) {
    reports(to);
    blocks(to);
}

fn reports(to: &mut Describer<'_>) {
    let (one, many) = (to.data::<ReportView<'_>>(), to.page::<ReportView<'_>>());
    let body = json!({"participantId": "p-b447fcbc8b87f80c", "reason": "He threatened me"});
    let path = "/api/v1/sos/{id}/reports";
    to.add(
        Operation::new("POST", path, TAG, "report", "Report somebody")
            .text(
                "Only staff read it: the one it is about never learns of it. A second report of the same person \
                 replaces the first.",
            )
            .body("Report", &[("a threat", body)])
            .answers(201, "It is kept.", one, data(report())),
    );
    for (path, id, summary) in [
        (path, "incidentReports", "What was reported in an incident"),
        ("/api/v1/reports", "reports", "What was reported anywhere"),
    ] {
        to.add(
            Operation::new("GET", path, TAG, id, summary)
                .text("The newest first.")
                .query(pages_query())
                .answers(
                    200,
                    "A page of reports.",
                    many.clone(),
                    page(report(), Value::Null),
                ),
        );
    }
}

fn blocks(to: &mut Describer<'_>) {
    let (one, many) = (to.data::<BlockView<'_>>(), to.page::<BlockView<'_>>());
    let lifted = to.data::<UnblockedView>();
    let path = "/api/v1/devices/{participant}/block";
    let unknown = "Participant not found";
    to.add(
        Operation::new("POST", path, TAG, "block", "Keep somebody out")
            .text(
                "A user or device, by who they are in one incident; it holds everywhere, and at once: their sockets are \
                 closed with 4003, and their requests get 403 `BLOCKED`.",
            )
            .optional_body("Block", &[("for a while", json!({"reason": "Threatens people"}))])
            .refuses(Code::NotFound, unknown)
            .refuses(Code::Conflict, "Operators cannot be blocked")
            .answers(201, "They are out.", one, data(block())),
    );
    let free = json!({"participantId": "p-b447fcbc8b87f80c", "blocked": false});
    to.add(
        Operation::new("DELETE", path, TAG, "unblock", "Let somebody in again")
            .refuses(Code::NotFound, unknown)
            .answers(200, "They are not kept out.", lifted, data(free)),
    );
    to.add(
        Operation::new("GET", "/api/v1/blocks", TAG, "blocks", "Whom staff keep out")
            .query(pages_query())
            .answers(200, "A page of blocks.", many, page(block(), Value::Null)),
    );
}
