//! Where Redis is: the URL of the settings, taken apart.
//!
//! `redis://[user[:password]@]host[:port][/db]`, `rediss://` the same by TLS,
//! `redis+sentinel://[user[:password]@]host[:port],host[:port]/master[/db]` and
//! `redis+cluster://[user[:password]@]host[:port],host[:port]`; these two with `rediss+` for TLS. Sentinels may have
//! credentials of their own: `?sentinel_username=…&sentinel_password=…`. What is not a letter, a digit or one of
//! `-._~` is percent-encoded in names and passwords.

use std::fmt;

use percent_encoding::percent_decode_str;

/// The port when none is named.
const REDIS_PORT: u16 = 6_379;
/// The same of a Sentinel.
const SENTINEL_PORT: u16 = 26_379;
/// More hosts in one URL are a mistake.
const HOSTS_MAX: usize = 64;

/// The `bus.url` of the settings, not yet looked at. It may hold a password, so it never shows itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BusUrl(String);

impl BusUrl {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// No bus is wanted: this node is alone.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it says; `None` when it is empty.
    ///
    /// # Errors
    /// With what is wrong, without the password.
    pub fn parse(&self) -> Result<Option<Address>, BadUrl> {
        if self.is_empty() {
            return Ok(None);
        }
        parse(&self.0).map(Some)
    }
}

impl fmt::Debug for BusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() {
            "BusUrl()"
        } else {
            "BusUrl(…)"
        })
    }
}

/// What is wrong with a URL. No part of the URL is repeated that could be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It is none.
    #[error(
        "must begin with redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://"
    )]
    Scheme,
    /// There is a part that this kind does not have.
    #[error("has a part that does not belong there: {0}")]
    Extra(&'static str),
    /// No host.
    #[error("names no host")]
    NoHost,
    /// More than one, where there can be only one.
    #[error("names several hosts: only redis+sentinel:// and redis+cluster:// take more than one")]
    SeveralHosts,
    /// Too many.
    #[error("names more than {HOSTS_MAX} hosts")]
    TooManyHosts,
    /// A host is written in a way that cannot be read.
    #[error("has a host that is neither a name, an IPv4 address nor an IPv6 address in brackets")]
    Host,
    /// A port is none.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// Sentinel is to say where the master is, and needs its name.
    #[error("names no master: redis+sentinel://host:port,host:port/master")]
    NoMaster,
    /// The number of the database is none.
    #[error("has a database that is not a number from 0 to 65535")]
    Database,
    /// A percent sign that encodes nothing, or bytes that are no text.
    #[error("has a name or a password that is not percent-encoded text")]
    Encoding,
}

/// A name and a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The name; none: the default user.
    pub username: Option<String>,
    /// The password; none: not asked for.
    pub password: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name, or the address without brackets.
    pub name: String,
    /// The port.
    pub port: u16,
}

/// How the servers are arranged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One server.
    Standalone {
        /// The number of the database.
        database: u16,
    },
    /// Sentinels that know which server is the master.
    Sentinel {
        /// The master's name.
        master: String,
        /// The number of the database.
        database: u16,
        /// What the sentinels themselves want to see.
        sentinels: Credentials,
    },
    /// Redis Cluster; the hosts are where to begin.
    Cluster,
}

/// Where Redis is and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// How the servers are arranged.
    pub kind: Kind,
    /// The server, the sentinels, or some nodes of the cluster; at least one.
    pub hosts: Vec<Host>,
    /// By TLS.
    pub tls: bool,
    /// What the servers want to see.
    pub credentials: Credentials,
}

impl Address {
    /// The number of the database; a cluster has one, 0.
    pub fn database(&self) -> u16 {
        match self.kind {
            Kind::Standalone { database } | Kind::Sentinel { database, .. } => database,
            Kind::Cluster => 0,
        }
    }
}

fn parse(text: &str) -> Result<Address, BadUrl> {
    let (scheme, rest) = text.trim().split_once("://").ok_or(BadUrl::Scheme)?;
    let scheme = scheme.to_ascii_lowercase();
    let (base, arrangement) = scheme.split_once('+').unwrap_or((&scheme, ""));
    let tls = match base {
        "redis" => false,
        "rediss" => true,
        _ => return Err(BadUrl::Scheme),
    };
    if rest.contains('#') {
        return Err(BadUrl::Extra("what follows a #"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let credentials = credentials(user)?;
    let path: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let sentinels = sentinel_credentials(query)?;
    if sentinels.is_some() && arrangement != "sentinel" {
        return Err(BadUrl::Extra("what follows a ?"));
    }
    let (kind, port) = match (arrangement, path.as_slice()) {
        ("", [database]) => (
            Kind::Standalone {
                database: database_number(database)?,
            },
            REDIS_PORT,
        ),
        ("sentinel", [master, database @ ..]) if database.len() <= 1 => {
            let master = decode(master)?;
            if master.is_empty() {
                return Err(BadUrl::NoMaster);
            }
            let kind = Kind::Sentinel {
                master,
                database: database_number(database.first().unwrap_or(&""))?,
                sentinels: sentinels.unwrap_or_default(),
            };
            (kind, SENTINEL_PORT)
        }
        ("cluster", [""]) => (Kind::Cluster, REDIS_PORT),
        ("cluster", _) => return Err(BadUrl::Extra("a path (a cluster has one database)")),
        ("" | "sentinel", _) => return Err(BadUrl::Extra("the end of the path")),
        _ => return Err(BadUrl::Scheme),
    };
    let hosts = hosts_of(hosts, port)?;
    if matches!(kind, Kind::Standalone { .. }) && hosts.len() > 1 {
        return Err(BadUrl::SeveralHosts);
    }
    Ok(Address {
        kind,
        hosts,
        tls,
        credentials,
    })
}

fn database_number(text: &str) -> Result<u16, BadUrl> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| BadUrl::Database)
}

fn decode(text: &str) -> Result<String, BadUrl> {
    let escapes = text.match_indices('%').all(|(at, _)| {
        text.as_bytes()
            .get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !escapes {
        return Err(BadUrl::Encoding);
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| BadUrl::Encoding)
}

fn credentials(user: &str) -> Result<Credentials, BadUrl> {
    let (name, password) = match user.split_once(':') {
        Some((name, password)) => (name, Some(password)),
        None => (user, None),
    };
    Ok(Credentials {
        username: Some(decode(name)?).filter(|name| !name.is_empty()),
        password: password.map(decode).transpose()?,
    })
}

/// `None` when nothing is said of them.
fn sentinel_credentials(query: &str) -> Result<Option<Credentials>, BadUrl> {
    let mut found = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let credentials: &mut Credentials = found.get_or_insert_default();
        match name {
            "sentinel_username" => credentials.username = Some(decode(value)?),
            "sentinel_password" => credentials.password = Some(decode(value)?),
            _ => return Err(BadUrl::Extra("what follows a ?")),
        }
    }
    Ok(found)
}

fn hosts_of(text: &str, port: u16) -> Result<Vec<Host>, BadUrl> {
    if text.is_empty() {
        return Err(BadUrl::NoHost);
    }
    let hosts: Vec<_> = text
        .split(',')
        .map(|host| host_of(host.trim(), port))
        .collect::<Result<_, _>>()?;
    if hosts.len() > HOSTS_MAX {
        return Err(BadUrl::TooManyHosts);
    }
    Ok(hosts)
}

fn host_of(text: &str, default: u16) -> Result<Host, BadUrl> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']').ok_or(BadUrl::Host)?;
            name.parse::<std::net::Ipv6Addr>().map_err(|_| BadUrl::Host)?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or(BadUrl::Host)?),
            };
            (name, port)
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let is_name = |name: &str| {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        !name.is_empty() && name.bytes().all(letter)
    };
    if !text.starts_with('[') && !is_name(name) {
        return Err(if text.is_empty() {
            BadUrl::NoHost
        } else {
            BadUrl::Host
        });
    }
    let port = match port {
        None => default,
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => return Err(BadUrl::Port),
            Ok(port) => port,
        },
    };
    Ok(Host {
        name: name.into(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Address {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn host(name: &str, port: u16) -> Host {
        let name = name.into();
        Host { name, port }
    }

    #[test]
    fn every_arrangement_is_read() {
        let one = read("redis://127.0.0.1");
        assert_eq!(one.kind, Kind::Standalone { database: 0 });
        assert_eq!(one.hosts, [host("127.0.0.1", 6379)]);
        assert!(!one.tls);
        assert_eq!(one.credentials, Credentials::default());

        let secure = read("rediss://anna:se%40cret%2F@redis.example.org:6380/3");
        assert!(secure.tls);
        assert_eq!(secure.kind, Kind::Standalone { database: 3 });
        assert_eq!(secure.hosts, [host("redis.example.org", 6380)]);
        assert_eq!(secure.credentials.username.as_deref(), Some("anna"));
        assert_eq!(secure.credentials.password.as_deref(), Some("se@cret/"));

        let only_password = read("redis://:hush@[::1]:7000/");
        assert_eq!(only_password.credentials.username, None);
        assert_eq!(only_password.credentials.password.as_deref(), Some("hush"));
        assert_eq!(only_password.hosts, [host("::1", 7000)]);

        let guarded = read(
            "redis+sentinel://u:p@a:26380,b,[fd00::1]/mymaster/2?sentinel_username=s&sentinel_password=t%26",
        );
        let Kind::Sentinel {
            master,
            database,
            sentinels,
        } = guarded.kind
        else {
            panic!("{guarded:?}");
        };
        assert_eq!((master.as_str(), database), ("mymaster", 2));
        assert_eq!(sentinels.username.as_deref(), Some("s"));
        assert_eq!(sentinels.password.as_deref(), Some("t&"));
        assert_eq!(
            guarded.hosts,
            [host("a", 26380), host("b", 26379), host("fd00::1", 26379)]
        );

        let many = read("rediss+cluster://n1:7001,n2:7002");
        assert_eq!(many.kind, Kind::Cluster);
        assert!(many.tls);
        assert_eq!(many.hosts, [host("n1", 7001), host("n2", 7002)]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, wrong) in [
            ("127.0.0.1:6379", BadUrl::Scheme),
            ("http://127.0.0.1", BadUrl::Scheme),
            ("redis+raft://a", BadUrl::Scheme),
            ("redis://", BadUrl::NoHost),
            ("redis:///0", BadUrl::NoHost),
            ("redis://a,b", BadUrl::SeveralHosts),
            ("redis+cluster://a,,b", BadUrl::NoHost),
            ("redis://a:b", BadUrl::Port),
            ("redis://a:0", BadUrl::Port),
            ("redis://a:70000", BadUrl::Port),
            ("redis://a b", BadUrl::Host),
            ("redis://[::1", BadUrl::Host),
            ("redis://[a]", BadUrl::Host),
            ("redis://a/x", BadUrl::Database),
            ("redis://a/-1", BadUrl::Database),
            ("redis://a/1/2", BadUrl::Extra("the end of the path")),
            ("redis://a?x=1", BadUrl::Extra("what follows a ?")),
            ("redis://a#insecure", BadUrl::Extra("what follows a #")),
            ("redis+sentinel://a", BadUrl::NoMaster),
            ("redis+sentinel://a/m?tls=1", BadUrl::Extra("what follows a ?")),
            (
                "redis+cluster://a/1",
                BadUrl::Extra("a path (a cluster has one database)"),
            ),
            ("redis://a%zz@b", BadUrl::Encoding),
            ("redis://:a%ff@b", BadUrl::Encoding),
            ("redis://:a%2@b", BadUrl::Encoding),
        ] {
            assert_eq!(parse(text), Err(wrong), "{text}");
        }
        let hosts = vec!["a"; HOSTS_MAX + 1].join(",");
        assert_eq!(
            parse(&format!("redis+cluster://{hosts}")),
            Err(BadUrl::TooManyHosts)
        );
    }

    #[test]
    fn a_password_shows_nowhere() {
        let text = "redis+sentinel://anna:hunter2@a/m?sentinel_password=hunter3";
        let url = BusUrl::new(text);
        let shown = format!("{url:?} {:?}", url.parse());
        assert!(!shown.contains("hunter"), "{shown}");
        for text in ["redis://:hunter2@a:b", "hunter2", "redis://hunter2/x/y"] {
            let error = BusUrl::new(text).parse().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
        }
        assert_eq!(BusUrl::default().parse(), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(rediss?(\\+(sentinel|cluster))?://)?[a-z%@:/?#\\[\\],0-9]{0,40}") {
            let _ = parse(&text);
        }
    }
}
