//! For whoever runs the process, and the documents themselves.

use serde_json::{Value, json};

use super::operation::{Describer, Operation};
use crate::http::routes::operations::Status;

const TAG: &str = "Operations";

pub(super) fn describe(to: &mut Describer<'_>) {
    let status = to.schema::<Status>();
    let fine = |word: &str| json!({"status": word});
    for (method, health, ready) in [("GET", "health", "ready"), ("HEAD", "healthHead", "readyHead")] {
        to.add(
            Operation::new(method, "/health", TAG, health, "Whether the process lives").answers(
                200,
                "It does.",
                status.clone(),
                fine("ok"),
            ),
        );
        to.add(
            Operation::new(method, "/ready", TAG, ready, "Whether it may be sent work")
                .answers(200, "It may.", status.clone(), fine("ready"))
                .answers(
                    503,
                    "It may not: `failing` says why.",
                    status.clone(),
                    json!({"status": "unavailable", "failing": ["draining"]}),
                )
                .with_header("Retry-After", true),
        );
    }
    let text =
        |kind: &'static str, what: &str| (kind, json!({"type": "string", "description": what}), Value::Null);
    to.add(
        Operation::new(
            "GET",
            "/metrics",
            TAG,
            "metrics",
            "What the process does, in numbers",
        )
        .answers_with(
            200,
            "Every metric.",
            vec![text("text/plain", "Prometheus' text format, version 0.0.4.")],
        ),
    );
    let document = || json!({"type": "object"});
    for (path, id, summary) in [
        ("/openapi.json", "openapi", "This document"),
        (
            "/asyncapi.json",
            "asyncapi",
            "The WebSocket's messages, as AsyncAPI 3.0",
        ),
    ] {
        to.add(
            Operation::new("GET", path, TAG, id, summary)
                .answers(200, "The document.", document(), Value::Null)
                .conditional(),
        );
    }
    for (path, id, summary, kind) in [
        ("/docs", "docsPage", "Both documents, to read", "text/html"),
        ("/docs/page.css", "docsStyle", "That page's style", "text/css"),
        (
            "/docs/page.js",
            "docsScript",
            "That page's script",
            "text/javascript",
        ),
    ] {
        to.add(
            Operation::new("GET", path, TAG, id, summary)
                .answers_with(200, "The file.", vec![text(kind, "A file.")])
                .conditional(),
        );
    }
}
