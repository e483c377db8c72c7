//! How many connections each address has open.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::address::Address;

/// Counts connections by address.
#[derive(Clone, Debug)]
pub struct Connections {
    max: usize,
    open: Arc<Mutex<HashMap<Address, usize>>>,
}

/// One open connection; dropping it counts it out.
#[derive(Debug)]
pub struct ConnectionGuard {
    address: Address,
    open: Arc<Mutex<HashMap<Address, usize>>>,
}

impl Connections {
    /// At most `max` for each address; 0: no limit.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            open: Arc::default(),
        }
    }

    /// Counts a connection in; `None` when its address has too many.
    pub fn open(&self, address: Address) -> Option<ConnectionGuard> {
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        if self.max > 0 && *count >= self.max {
            return None;
        }
        *count += 1;
        Some(ConnectionGuard {
            address,
            open: self.open.clone(),
        })
    }

    /// How many addresses have a connection.
    pub fn addresses(&self) -> usize {
        self.open.lock().len()
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
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
        assert_eq!(connections.addresses(), 0);
    }

    #[test]
    fn zero_is_no_limit() {
        let connections = Connections::new(0);
        let open: Vec<_> = (0..5_000)
            .map(|_| connections.open(address("::1")).unwrap())
            .collect();
        assert_eq!((open.len(), connections.addresses()), (5_000, 1));
    }
}
