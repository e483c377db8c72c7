//! What reverse proxies say of the client for whom they speak.
//!
//! Only a peer that the settings trust is listened to, only in the one header that the settings name, and only
//! from the right: each proxy adds to the end, so what a trusted one wrote ends where the first stranger stands.
//! Everything before that a client may have made up.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use actix_http::RequestHead;
use actix_web::http::header::{HeaderName, HeaderValue};

use crate::config::{Http, ProxyHeader, TrustedProxies};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whom to believe, and where they write it.
#[derive(Clone, Debug)]
pub struct Forwarding {
    proxies: TrustedProxies,
    header: ProxyHeader,
}

/// Who sent a request, as far as can be believed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Their address.
    pub address: IpAddr,
    /// Whether a proxy says that they came by HTTPS.
    pub https: bool,
}

/// What one proxy says of the hop before it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hop {
    /// `None`: it does not say, or hides it.
    address: Option<IpAddr>,
    https: bool,
}

impl Forwarding {
    /// By the settings.
    pub fn new(http: &Http) -> Self {
        Self {
            proxies: http.trusted_proxies.clone(),
            header: http.proxy_header,
        }
    }

    /// The client that sent `head`: the peer, or, when the peer is a trusted proxy, the last hop that is none.
    /// `None` when the connection has no address (in tests).
    pub fn client(&self, head: &RequestHead) -> Option<Client> {
        let peer = head.peer_addr?.ip();
        let mut client = Client {
            address: peer,
            https: false,
        };
        if !self.proxies.contains(peer) {
            return Some(client);
        }
        let hops = match self.header {
            ProxyHeader::Forwarded => forwarded(head),
            ProxyHeader::XForwarded => x_forwarded(head),
        };
        for hop in hops.into_iter().rev() {
            client.https = hop.https;
            // What stands before something unreadable or hidden was not written by a proxy of ours.
            let Some(address) = hop.address else { break };
            client.address = address;
            if !self.proxies.contains(address) {
                break;
            }
        }
        Some(client)
    }

    /// Whether the client came by HTTPS, by the word of a trusted proxy.
    pub fn is_https(&self, head: &RequestHead) -> bool {
        self.client(head).is_some_and(|client| client.https)
    }
}

/// The hops in `X-Forwarded-For`, and in `X-Forwarded-Proto` what the nearest proxy says of the scheme: where
/// both lists are of one length they belong together, else the last scheme counts for all.
fn x_forwarded(head: &RequestHead) -> Vec<Hop> {
    let list = |name: &HeaderName| -> Vec<String> {
        let values = head.headers.get_all(name);
        let parts = values.flat_map(|value| match value.to_str() {
            Ok(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            // Something stands there; it says nothing.
            Err(_) => vec![String::new()],
        });
        parts.collect()
    };
    let protos = list(&X_FORWARDED_PROTO);
    let hops = list(&X_FORWARDED_FOR);
    let aligned = protos.len() == hops.len();
    let https = |at: usize| {
        let proto = if aligned { protos.get(at) } else { protos.last() };
        proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
    };
    if hops.is_empty() {
        // A proxy that tells the scheme only.
        return vec![Hop {
            address: None,
            https: https(0),
        }];
    }
    let hop = |(at, text): (usize, &String)| Hop {
        address: node(text),
        https: https(at),
    };
    hops.iter().enumerate().map(hop).collect()
}

/// The hops in `Forwarded`. Of a line that breaks the rules nothing is believed, nor of the lines before it.
fn forwarded(head: &RequestHead) -> Vec<Hop> {
    let mut hops = Vec::new();
    for value in head.headers.get_all(FORWARDED) {
        match elements(value) {
            Some(more) => hops.extend(more),
            None => {
                hops.clear();
                hops.push(Hop::default());
            }
        }
    }
    hops
}

/// `for=192.0.2.60;proto=http, for="[2001:db8::1]:4711"`; `None` when it is not well-formed.
fn elements(value: &HeaderValue) -> Option<Vec<Hop>> {
    let mut rest = value.to_str().ok()?;
    let mut hops = Vec::new();
    loop {
        let mut hop = Hop::default();
        let mut seen: Vec<String> = Vec::new();
        loop {
            rest = blank(rest);
            if !rest.starts_with([',', ';']) && !rest.is_empty() {
                let name;
                (name, rest) = token(rest)?;
                let text;
                (text, rest) = token_or_quoted(rest.strip_prefix('=')?)?;
                let name = name.to_ascii_lowercase();
                // A parameter must not occur twice: which of them would count?
                if seen.contains(&name) {
                    return None;
                }
                match name.as_str() {
                    "for" => hop.address = node(&text),
                    "proto" => hop.https = text.eq_ignore_ascii_case("https"),
                    _ => {}
                }
                seen.push(name);
                rest = blank(rest);
            }
            match rest.strip_prefix(';') {
                Some(after) => rest = after,
                None => break,
            }
        }
        // An empty element means nothing, as in any list.
        if !seen.is_empty() {
            hops.push(hop);
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return rest.is_empty().then_some(hops),
        }
    }
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

fn token(text: &str) -> Option<(&str, &str)> {
    let tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !tchar(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn token_or_quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Not quoted although it must be: an IPv6 address, or a port. Common enough to be read.
        let end = text.find([',', ';', ' ', '\t', '"']).unwrap_or(text.len());
        return (end > 0).then(|| (Cow::Borrowed(&text[..end]), &text[end..]));
    };
    let mut read = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(read), &quoted[at + 1..])),
            '\\' => read.push(chars.next()?.1),
            c => read.push(c),
        }
    }
    None
}

/// The address of a node: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
/// `None` for `unknown`, for a name that hides it, and for anything else.
fn node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        // The port may be hidden too: `192.0.2.1:_a`.
        None => text.split_once(':')?,
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    let hidden = port.is_empty() || port.starts_with('_');
    address
        .parse()
        .ok()
        .filter(|address: &IpAddr| hidden && (address.is_ipv6() == text.starts_with('[')))
}

#[cfg(test)]
#[path = "forwarded_tests.rs"]
mod tests;
