//! How many connections each address and each person has open.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::{DispatchError, ParseError};
use actix_rt::net::TcpStream;
use actix_service::{Service, ServiceFactory, apply_fn_factory};
use parking_lot::Mutex;

use super::address::Address;
use super::error::ApiError;
use super::limits;
use crate::config::{Config, TrustedProxies};
use crate::domain::budget::Budget;
use crate::telemetry::Metrics;

/// Told to whoever finds all of their connections in use.
const RETRY: Duration = Duration::from_secs(5);

/// Counts connections by whose they are.
#[derive(Clone, Debug)]
pub struct Connections<K> {
    max: usize,
    open: Arc<Mutex<HashMap<K, u32>>>,
}

/// One open connection; dropping it counts it out.
#[derive(Debug)]
pub struct ConnectionGuard<K: Copy + Eq + Hash> {
    key: K,
    open: Arc<Mutex<HashMap<K, u32>>>,
}

impl<K: Copy + Eq + Hash> Connections<K> {
    /// At most `max` for each; 0: no limit.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            open: Arc::default(),
        }
    }

    /// Counts a connection in; `None` when there are too many of theirs.
    pub fn open(&self, key: K) -> Option<ConnectionGuard<K>> {
        let mut open = self.open.lock();
        let count = open.entry(key).or_default();
        if self.max > 0 && *count as usize >= self.max {
            return None;
        }
        *count += 1;
        Some(ConnectionGuard {
            key,
            open: self.open.clone(),
        })
    }

    /// How many have a connection.
    pub fn len(&self) -> usize {
        self.open.lock().len()
    }

    /// Whether nobody has.
    pub fn is_empty(&self) -> bool {
        self.open.lock().is_empty()
    }

    /// 429: all of theirs are in use.
    pub fn crowded(&self) -> ApiError {
        limits::over(&Budget {
            limit: u32::try_from(self.max).unwrap_or(u32::MAX),
            remaining: 0,
            reset: RETRY,
            wait: RETRY,
        })
    }
}

impl<K: Copy + Eq + Hash> Drop for ConnectionGuard<K> {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
                // A crowd that has gone leaves no memory behind.
                if open.capacity() > 1_024 && open.len() < open.capacity() / 4 {
                    open.shrink_to_fit();
                }
            }
        }
    }
}

/// The doors of plain HTTP: how many connections an address may hold, whatever it does with them.
///
/// A connection that becomes a WebSocket leaves here and is counted as one. Proxies that are trusted are not
/// counted: they stand for many.
#[derive(Clone)]
pub struct Doors {
    open: Connections<Address>,
    proxies: TrustedProxies,
    silence: Option<Duration>,
    metrics: Arc<Metrics>,
}

impl Doors {
    /// By the settings.
    pub fn new(config: &Config, metrics: Arc<Metrics>) -> Self {
        Self {
            open: Connections::new(config.limits.http_connections_per_address),
            proxies: config.http.trusted_proxies.clone(),
            silence: config.sessions.tcp_user_timeout(),
            metrics,
        }
    }

    /// How many addresses have a connection.
    pub fn addresses(&self) -> usize {
        self.open.len()
    }

    fn enter(&self, io: &TcpStream) -> Result<Option<ConnectionGuard<Address>>, Crowded> {
        // Whoever takes nothing of what they asked for is given up by the kernel.
        if let Some(silence) = self.silence {
            let ms = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
            let _ = rustix::net::sockopt::set_tcp_user_timeout(io, ms);
        }
        let Ok(peer) = io.peer_addr() else { return Ok(None) };
        if self.proxies.contains(peer.ip()) {
            return Ok(None);
        }
        self.open.open(peer.ip().into()).map(Some).ok_or(Crowded)
    }

    fn refused(&self, reason: &str) {
        self.metrics.refused.with_label_values(&[reason]).inc();
    }
}

/// The address has all the connections it may have.
struct Crowded;

tokio::task_local! {
    /// Whether a whole request has come on this connection.
    static SPOKE: Cell<bool>;
}

/// A whole request has come on this connection. One on which none ever does was opened for nothing, or to keep
/// others out; it is counted when it ends.
pub fn spoke() {
    let _ = SPOKE.try_with(|spoke| spoke.set(true));
}

/// Puts the doors before what serves connections. One too many is closed at once, before it costs anything
/// (a TLS handshake, say). `fault` names what an error says of the client.
pub fn guarded<S>(
    doors: Doors,
    service: S,
    fault: fn(&S::Error) -> Option<&'static str>,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = S::Error, InitError = S::InitError>
where
    S: ServiceFactory<TcpStream, Config = (), Response = ()>,
{
    apply_fn_factory(service, move |io: TcpStream, service: &S::Service| {
        // Boxed: each future around it would have room for it once more, tens of kilobytes for every connection.
        let entered = doors.enter(&io).map(|guard| (guard, Box::pin(service.call(io))));
        let doors = doors.clone();
        async move {
            let Ok((_guard, served)) = entered else {
                doors.refused("http_connections");
                return Ok(());
            };
            SPOKE
                .scope(Cell::new(false), async {
                    let outcome = served.await;
                    if let Some(reason) = outcome.as_ref().err().and_then(fault) {
                        doors.refused(reason);
                    } else if !SPOKE.with(Cell::get) {
                        doors.refused("no_request");
                    }
                    outcome
                })
                .await
        }
    })
}

/// What an error of HTTP says of the client.
pub fn fault(error: &DispatchError) -> Option<&'static str> {
    match error {
        DispatchError::Parse(ParseError::TooLarge) => Some("head_too_large"),
        DispatchError::Parse(_) => Some("malformed"),
        DispatchError::SlowRequestTimeout => Some("no_request"),
        DispatchError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Some("slow_reader"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let connections = Connections::new(2);
        let first = connections.open(address("192.0.2.1")).unwrap();
        let second = connections.open(address("192.0.2.1")).unwrap();
        assert!(connections.open(address("192.0.2.1")).is_none());
        assert!(connections.open(address("192.0.2.2")).is_some());
        drop(first);
        assert!(connections.open(address("192.0.2.1")).is_some());
        drop(second);
        assert!(connections.is_empty());
    }

    #[test]
    fn zero_is_no_limit() {
        let connections = Connections::new(0);
        let open: Vec<_> = (0..5_000)
            .map(|_| connections.open(address("::1")).unwrap())
            .collect();
        assert_eq!((open.len(), connections.len()), (5_000, 1));
    }

    #[test]
    fn a_crowd_that_has_gone_leaves_no_memory_behind() {
        let connections = Connections::new(1);
        let crowd: Vec<_> = (0..10_000u64).map(|n| connections.open(n).unwrap()).collect();
        drop(crowd);
        assert!(connections.is_empty() && connections.open.lock().capacity() <= 1_024);
    }
}
