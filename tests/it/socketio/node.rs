//! The real client, under Node.

use std::process::{Command, Stdio};

use super::Echo;
use crate::support::puppet::modules;

/// Runs the client's story over these transports. It has a deadline of its own, and ends with the test.
fn tells(transports: &str) {
    let echo = Echo::start("/socket.io/", &[]);
    let story = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/socketio/client.cjs");
    let told = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "node", story])
        .arg(format!("http://{}", echo.address))
        .arg(transports)
        .env("NODE_PATH", modules())
        .stdin(Stdio::null())
        .output()
        .expect("setpriv and node are there: scripts/setup");
    assert!(
        told.status.success(),
        "{}{}",
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr)
    );
}

#[test]
fn the_real_client_works_by_polling_alone() {
    tells("polling");
}

#[test]
fn the_real_client_works_by_websocket_alone() {
    tells("websocket");
}

#[test]
fn the_real_client_moves_from_polling_to_a_websocket() {
    tells("polling,websocket");
}
