use actix_web::test::TestRequest;
use proptest::prelude::*;

use super::*;

fn forwarding(header: ProxyHeader) -> Forwarding {
    Forwarding {
        proxies: "10.0.0.0/8, fd00::/8".parse().unwrap(),
        header,
    }
}

fn seen(header: ProxyHeader, peer: &str, headers: &[(HeaderName, &str)]) -> Client {
    let peer: IpAddr = peer.parse().unwrap();
    let mut request = TestRequest::get().peer_addr((peer, 1).into());
    for (name, value) in headers {
        request = request.append_header((
            (*name).clone(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        ));
    }
    forwarding(header)
        .client(request.to_http_request().head())
        .unwrap()
}

fn x(peer: &str, values: &[&str]) -> String {
    let headers: Vec<_> = values.iter().map(|value| (X_FORWARDED_FOR, *value)).collect();
    seen(ProxyHeader::XForwarded, peer, &headers).address.to_string()
}

fn rfc(values: &[&str]) -> (String, bool) {
    let headers: Vec<_> = values.iter().map(|value| (FORWARDED, *value)).collect();
    let client = seen(ProxyHeader::Forwarded, "10.0.0.1", &headers);
    (client.address.to_string(), client.https)
}

#[test]
fn a_stranger_cannot_say_who_they_are() {
    assert_eq!(x("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
    let claims = [
        (FORWARDED, "for=1.1.1.1;proto=https"),
        (X_FORWARDED_PROTO, "https"),
    ];
    for header in [ProxyHeader::Forwarded, ProxyHeader::XForwarded] {
        let client = seen(header, "203.0.113.9", &claims);
        assert_eq!(
            (client.address.to_string().as_str(), client.https),
            ("203.0.113.9", false)
        );
    }
}

#[test]
fn behind_proxies_the_last_address_that_is_none_of_them_counts() {
    assert_eq!(
        x("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]),
        "198.51.100.1"
    );
    assert_eq!(x("10.0.0.1", &["1.1.1.1", "198.51.100.1"]), "198.51.100.1");
    assert_eq!(x("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
    assert_eq!(x("10.0.0.1", &["1.1.1.1, caf\u{e9}"]), "10.0.0.1");
    assert_eq!(x("10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
    assert_eq!(x("10.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
    assert_eq!(x("10.0.0.1", &["10.0.0.9, 10.0.0.8"]), "10.0.0.9");
    assert_eq!(x("10.0.0.1", &[]), "10.0.0.1");
    assert_eq!(x("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
}

#[test]
fn only_the_header_of_the_settings_is_looked_at() {
    let both = [(X_FORWARDED_FOR, "198.51.100.1"), (FORWARDED, "for=198.51.100.2")];
    assert_eq!(
        seen(ProxyHeader::XForwarded, "10.0.0.1", &both)
            .address
            .to_string(),
        "198.51.100.1"
    );
    assert_eq!(
        seen(ProxyHeader::Forwarded, "10.0.0.1", &both)
            .address
            .to_string(),
        "198.51.100.2"
    );
}

#[test]
fn forwarded_is_read_as_rfc_7239_has_it() {
    for (value, address, https) in [
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60", false),
        ("for=192.0.2.60; proto=https", "192.0.2.60", true),
        ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17", false),
        (
            "for=192.0.2.43, for=\"[2001:db8::1]\";proto=HTTPS",
            "2001:db8::1",
            true,
        ),
        (
            "for=192.0.2.43;proto=https, for=10.0.0.7;proto=http",
            "192.0.2.43",
            true,
        ),
        ("proto=https;FOR=\"192.0.2.9:_port\"", "192.0.2.9", true),
        ("for=1.1.1.1, for=unknown", "10.0.0.1", false),
        ("for=1.1.1.1, for=_hidden;proto=https", "10.0.0.1", true),
        (",, for=192.0.2.60 ,", "192.0.2.60", false),
        ("for=\"1\\92.0.2.60\"", "192.0.2.60", false),
        // Against the letter, but what is meant is plain.
        ("for=[2001:db8::1]:80", "2001:db8::1", false),
    ] {
        assert_eq!(rfc(&[value]), (address.to_owned(), https), "{value}");
    }
}

#[test]
fn of_a_line_that_breaks_the_rules_nothing_is_believed() {
    for bad in [
        // A client that opens a quotation for the proxy's own words to fall into.
        "for=\"1.1.1.1, for=198.51.100.1",
        "for=\"x, for=\"[2001:db8::1]:4711\"",
        "for=1.1.1.1;for=2.2.2.2",
        "for",
        "for=",
        "=1.1.1.1",
        "for=1.1.1.1 for=2.2.2.2",
        "for=1.1.1.1\"",
    ] {
        assert_eq!(rfc(&[bad]).0, "10.0.0.1", "{bad}");
        assert_eq!(rfc(&["for=9.9.9.9", bad]).0, "10.0.0.1", "{bad}");
        // A line after it stands by itself.
        assert_eq!(rfc(&[bad, "for=198.51.100.1"]).0, "198.51.100.1", "{bad}");
        assert_eq!(rfc(&[bad, "for=10.0.0.3"]).0, "10.0.0.3", "{bad}");
    }
}

#[test]
fn the_scheme_is_that_of_the_clients_own_hop() {
    let https = |peer, headers: &[(HeaderName, &str)]| seen(ProxyHeader::XForwarded, peer, headers).https;
    assert!(https("10.0.0.1", &[(X_FORWARDED_PROTO, "https")]));
    assert!(https(
        "10.0.0.1",
        &[(X_FORWARDED_FOR, "1.1.1.1"), (X_FORWARDED_PROTO, "HTTPS")]
    ));
    let two = || (X_FORWARDED_FOR, "1.1.1.1, 10.0.0.2");
    assert!(https("10.0.0.1", &[two(), (X_FORWARDED_PROTO, "https, http")]));
    assert!(!https("10.0.0.1", &[two(), (X_FORWARDED_PROTO, "http, https")]));
    assert!(!https("10.0.0.1", &[two(), (X_FORWARDED_PROTO, "http")]));
    assert!(!https("10.0.0.1", &[]));
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([10, a, b, c])),
        any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([203, a, b, c])),
        any::<[u16; 7]>().prop_map(|[a, b, c, d, e, f, g]| IpAddr::from([0xfd00, a, b, c, d, e, f, g])),
        any::<[u16; 6]>().prop_map(|[a, b, c, d, e, f]| IpAddr::from([0x2001, 0xdb8, a, b, c, d, e, f])),
    ]
}

fn hop(address: &IpAddr, header: ProxyHeader) -> String {
    match (header, address) {
        (ProxyHeader::XForwarded, address) => address.to_string(),
        (ProxyHeader::Forwarded, IpAddr::V4(address)) => format!("for={address}"),
        (ProxyHeader::Forwarded, IpAddr::V6(address)) => format!("for=\"[{address}]\";proto=https"),
    }
}

fn either() -> impl Strategy<Value = ProxyHeader> {
    prop_oneof![Just(ProxyHeader::XForwarded), Just(ProxyHeader::Forwarded)]
}

fn name(header: ProxyHeader) -> HeaderName {
    match header {
        ProxyHeader::XForwarded => X_FORWARDED_FOR,
        ProxyHeader::Forwarded => FORWARDED,
    }
}

proptest! {
    #[test]
    fn nothing_that_a_client_writes_changes_who_they_are(
        written in "[ -~]{0,80}", hops in prop::collection::vec(address(), 0..4),
        client in any::<[u8; 3]>(), header in either(),
    ) {
        // The client writes anything; each of our proxies then adds a line for whom it heard.
        let client = IpAddr::from([198, client[0], client[1], client[2]]);
        let proxies = forwarding(header).proxies;
        let ours: Vec<_> = hops.iter().filter(|hop| proxies.contains(**hop)).collect();
        let added = hop(&client, header);
        let joined = seen(header, "10.0.0.1", &[(name(header), &format!("{written}, {added}"))]).address;
        // A quotation that the client leaves open costs them their address, and gives them no other.
        let spoilt = header == ProxyHeader::Forwarded && joined.to_string() == "10.0.0.1";
        prop_assert!(joined == client || spoilt, "{}", joined);
        let mut lines = vec![written, added];
        lines.extend(ours.iter().map(|proxy| hop(proxy, header)));
        let headers: Vec<_> = lines.iter().map(|line| (name(header), line.as_str())).collect();
        prop_assert_eq!(seen(header, "10.0.0.1", &headers).address, client);
    }

    #[test]
    fn the_rightmost_stranger_is_the_client(hops in prop::collection::vec(address(), 1..6), header in either()) {
        let proxies = forwarding(header).proxies;
        let expected = hops.iter().rev().find(|hop| !proxies.contains(**hop)).unwrap_or(&hops[0]);
        let line = hops.iter().map(|address| hop(address, header)).collect::<Vec<_>>().join(", ");
        prop_assert_eq!(seen(header, "10.0.0.1", &[(name(header), &line)]).address, *expected);
        prop_assert_eq!(seen(header, "192.0.2.1", &[(name(header), &line)]).address.to_string(), "192.0.2.1");
    }

    #[test]
    fn no_line_makes_it_fail(line in "[\\t -~]{0,60}", header in either()) {
        let client = seen(header, "10.0.0.1", &[(name(header), &line)]);
        // Whoever it is, they are in the line or are the peer.
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        prop_assert!(client.address == peer || !line.is_empty());
    }
}
