//! Where a request comes from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use actix_http::RequestHead;
use actix_web::http::header::HeaderName;

use crate::config::TrustedProxies;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 subscriber has. It does not show in
/// debug output.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// The address of the client that sent `head`: the peer, or, when the peer is a trusted proxy, the last
    /// one in `X-Forwarded-For` that is none. `None` when the connection has no address (in tests).
    pub fn of(head: &RequestHead, proxies: &TrustedProxies) -> Option<Self> {
        let peer = head.peer_addr?.ip();
        if !proxies.contains(peer) {
            return Some(Self::from(peer));
        }
        let lists = head
            .headers
            .get_all(X_FORWARDED_FOR)
            .filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            // What stands before something unreadable was not written by a proxy of ours.
            let Ok(address) = hop.parse() else { break };
            client = address;
            if !proxies.contains(address) {
                break;
            }
        }
        Some(Self::from(client))
    }
}

impl Address {
    /// The /48 that an IPv6 address lies in: what one customer or site may have been given, 65,536 addresses by
    /// this type's count. `None` for IPv4.
    pub fn site(self) -> Option<Ipv6Addr> {
        match self.0 {
            IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() >> 80 << 80)),
            IpAddr::V4(_) => None,
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn address(text: &str) -> Address {
        Address::from(text.parse::<IpAddr>().unwrap())
    }

    fn seen(peer: &str, forwarded: &[&str]) -> Address {
        let mut request = TestRequest::get().peer_addr(format!("{peer}:1").parse().unwrap());
        for value in forwarded {
            request = request.append_header((X_FORWARDED_FOR, *value));
        }
        Address::of(request.to_http_request().head(), &"10.0.0.0/8".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_stranger_cannot_say_who_they_are() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"]), address("203.0.113.9"));
    }

    #[test]
    fn behind_proxies_the_last_address_that_is_none_of_them_counts() {
        assert_eq!(
            seen("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]),
            address("198.51.100.1")
        );
        assert_eq!(
            seen("10.0.0.1", &["1.1.1.1", "198.51.100.1"]),
            address("198.51.100.1")
        );
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, unknown"]), address("10.0.0.1"));
        assert_eq!(seen("10.0.0.1", &[]), address("10.0.0.1"));
    }

    #[test]
    fn one_ipv6_subscriber_is_one_address() {
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }
}
