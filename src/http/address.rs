//! Where a request comes from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use actix_http::RequestHead;

use super::forwarded::Forwarding;

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 subscriber has. It does not show in
/// debug output.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// The address of the client that sent `head`, as [`Forwarding`] finds it. `None` when the connection has
    /// no address (in tests).
    pub fn of(head: &RequestHead, forwarding: &Forwarding) -> Option<Self> {
        Some(Self::from(forwarding.client(head)?.address))
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

    fn address(text: &str) -> Address {
        Address::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn one_ipv6_subscriber_is_one_address() {
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }
}
