//! Whose word about a client's address is believed.

use std::net::IpAddr;
use std::str::FromStr;

/// Addresses and networks of the reverse proxies in front of the engine. Empty: none, and
/// `X-Forwarded-For` is ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<(IpAddr, u8)>);

/// Not a list of addresses and networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidProxies;

impl TrustedProxies {
    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(network, bits)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same_prefix(u32::from(*network).into(), u32::from(address).into(), 32 - *bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same_prefix((*network).into(), address.into(), 128 - *bits)
            }
            _ => false,
        })
    }
}

fn same_prefix(a: u128, b: u128, free_bits: u8) -> bool {
    (a ^ b).checked_shr(free_bits.into()).unwrap_or(0) == 0
}

impl FromStr for TrustedProxies {
    type Err = InvalidProxies;

    fn from_str(text: &str) -> Result<Self, InvalidProxies> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(entry: &str) -> Result<(IpAddr, u8), InvalidProxies> {
    let (address, bits) = entry
        .split_once('/')
        .map_or((entry, None), |(a, bits)| (a, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| InvalidProxies)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| InvalidProxies))?;
    if bits > most {
        Err(InvalidProxies)
    } else {
        Ok((address, bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let proxies: TrustedProxies = "10.0.0.0/8, 192.0.2.7, fd00::/8".parse().unwrap();
        for inside in ["10.255.0.1", "192.0.2.7", "fd12::1", "::ffff:10.1.2.3"] {
            assert!(proxies.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "192.0.2.8", "fe80::1", "::1"] {
            assert!(!proxies.contains(outside.parse().unwrap()), "{outside}");
        }
        assert!(
            "0.0.0.0/0"
                .parse::<TrustedProxies>()
                .unwrap()
                .contains("203.0.113.9".parse().unwrap())
        );
        assert!(!TrustedProxies::default().contains("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for bad in ["localhost", "10.0.0.0/33", "10.0.0.0/x", "::/129"] {
            assert_eq!(bad.parse::<TrustedProxies>(), Err(InvalidProxies), "{bad}");
        }
    }
}
