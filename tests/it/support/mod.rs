//! What all stories stand on: the engine as a process, people with credentials, clients that expect.

pub mod cable;
pub mod client;
pub mod document;
pub mod engine;
pub mod http;
pub mod matching;
pub mod mongo;
pub mod people;
pub mod puppet;
pub mod raw;
pub mod redis;
pub mod sister;
pub mod stories;
pub mod tls;
pub mod tools;
pub mod vendors;

pub use client::{Client, Heard};
pub use engine::{DEADLINE, Engine, UNLIMITED};
pub use people::{Person, now_ms, now_s, sign, sign_with, uuid4};
pub use puppet::{Puppet, Puppets};
pub use raw::exchange;
pub use stories::*;
pub use tls::Pki;

/// What must never be printed or logged.
pub const SECRET_WORDS: [&str; 14] = [
    engine::SECRET,
    engine::INTERNAL_TOKEN,
    sister::TOKEN,
    sister::SIGNING,
    vendors::SECRETS[0],
    vendors::SECRETS[1],
    vendors::SECRETS[2],
    vendors::SECRETS[3],
    vendors::SECRETS[4],
    vendors::SECRETS[5],
    vendors::SECRETS[6],
    vendors::SECRETS[7],
    vendors::SECRETS[8],
    vendors::SECRETS[9],
];

use std::future::Future;
use std::time::Duration;

/// How often a condition is looked at that nothing announces.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits for a condition that nothing announces, and gives up after the deadline.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    eventually_or(what, || {
        let look = look();
        async move { look.await.ok_or("") }
    })
    .await
}

/// The same, and tells what it was instead.
pub async fn eventually_or<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let until = tokio::time::Instant::now() + DEADLINE;
    loop {
        let instead = match look().await {
            Ok(found) => return found,
            Err(instead) => instead,
        };
        assert!(
            tokio::time::Instant::now() < until,
            "never came true: {what} {instead}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
