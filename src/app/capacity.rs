//! How many connections are open, by what they speak, and what happens to those that are too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use crate::delivery;
use crate::http::request::RequestId;
use crate::telemetry::Scrape;

/// They have so long to read it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    Plain,
    Tls,
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Handshake {
    Done,
    /// Not TLS, or none that both sides speak.
    Failed,
    TimedOut,
}

/// Counts connections while HTTP has them. A WebSocket is counted by `delivery` from its upgrade on.
#[derive(Debug)]
pub(super) struct Capacity {
    max: usize,
    open: [AtomicUsize; 2],
    refused: AtomicU64,
    handshakes: [AtomicU64; 3],
}

/// One connection; dropping it counts it out.
#[derive(Debug)]
pub(super) struct Inside(Arc<Capacity>, Listener);

impl Capacity {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            open: Default::default(),
            refused: AtomicU64::new(0),
            handshakes: Default::default(),
        })
    }

    /// Lets a connection in, unless there are too many.
    pub(super) fn enter(self: &Arc<Self>, by: Listener) -> Option<Inside> {
        let sockets = usize::try_from(delivery::stats().connections).unwrap_or(0);
        let http: usize = self.open.iter().map(|open| open.load(Ordering::Relaxed)).sum();
        if http + sockets >= self.max {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.open[by as usize].fetch_add(1, Ordering::Relaxed);
        Some(Inside(Arc::clone(self), by))
    }

    pub(super) fn shook_hands(&self, how: Handshake) {
        self.handshakes[how as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn observe(&self, scrape: &mut Scrape) {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed) as u64;
        let help = "Connections that HTTP has open, WebSockets not counted.";
        for (listener, label) in [(Listener::Plain, "plain"), (Listener::Tls, "tls")] {
            let open = of(&self.open[listener as usize]);
            scrape.gauge("mayday_http_connections", help, &[("listener", label)], open);
        }
        let help = "The most connections that may be open, WebSockets included.";
        scrape.gauge("mayday_connections_max", help, &[], self.max as u64);
        let help = "Connections refused because there were too many.";
        let refused = self.refused.load(Ordering::Relaxed);
        scrape.counter("mayday_http_connections_refused_total", help, &[], refused);
        let help = "TLS handshakes, by how they ended.";
        for (how, label) in [
            (Handshake::Done, "ok"),
            (Handshake::Failed, "failed"),
            (Handshake::TimedOut, "timeout"),
        ] {
            let count = self.handshakes[how as usize].load(Ordering::Relaxed);
            scrape.counter("mayday_tls_handshakes_total", help, &[("outcome", label)], count);
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.open[self.1 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is said to whoever finds the node full, before anything of their request is read.
fn full(id: &RequestId) -> String {
    let body = serde_json::json!({
        "success": false,
        "code": "UNAVAILABLE",
        "message": "The node has all the connections it can take",
        "requestId": id.as_str(),
    });
    let body = body.to_string();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 5\r\n\
         cache-control: no-store\r\nx-request-id: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        id.as_str(),
        body.len(),
    )
}

/// Tells a client that came in vain when to come back.
pub(super) async fn turn_away(mut socket: TcpStream) {
    let farewell = async {
        // An answer that comes before the question is none to many clients.
        let mut unread = [0; 1024];
        if socket.read(&mut unread).await? == 0 {
            return Ok(());
        }
        let answer = full(&RequestId::of(None));
        socket.write_all(answer.as_bytes()).await?;
        socket.shutdown().await?;
        // Reading to the end keeps a reset from overtaking the answer.
        while socket.read(&mut unread).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    let _ = timeout(FAREWELL, farewell).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_who_comes_in_vain_is_a_whole_answer() {
        let id = RequestId::of(None);
        let answer = full(&id);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
        assert!(
            head.contains(&format!("x-request-id: {}\r\n", id.as_str())),
            "{head}"
        );
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["code"], &body["requestId"]),
            (&"UNAVAILABLE".into(), &id.as_str().into())
        );
    }

    #[test]
    fn who_leaves_makes_room() {
        let capacity = Capacity::new(2);
        let first = capacity.enter(Listener::Plain).unwrap();
        let _second = capacity.enter(Listener::Tls).unwrap();
        assert!(capacity.enter(Listener::Plain).is_none());
        drop(first);
        assert!(capacity.enter(Listener::Tls).is_some());
    }
}
