//! What a browser may do with our pages: nothing but what they need.

use url::Url;

/// The origin of an address, as a content policy names it; none for one of our own.
pub fn origin_of(address: &str) -> Option<String> {
    let origin = Url::parse(address).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// The content policy. `host` is by which name the reader reached us: older browsers do not count a WebSocket to it
/// as ours unless it is spelled out.
pub fn content_policy(host: Option<&str>, tiles: Option<&str>) -> String {
    let sockets = host
        .filter(|host| is_plain(host))
        .map_or_else(String::new, |host| format!(" ws://{host} wss://{host}"));
    let tiles = tiles.map_or_else(String::new, |origin| format!(" {origin}"));
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{tiles}; connect-src 'self'{sockets}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// A host header that can stand in a policy without meaning something else there.
fn is_plain(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 255
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_host_and_the_tiles_and_nothing_else() {
        let policy = content_policy(Some("help.example.org:8443"), Some("https://tiles.example.org"));
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
        assert!(policy.contains("img-src 'self' https://tiles.example.org;"));
        assert!(
            policy.contains("connect-src 'self' ws://help.example.org:8443 wss://help.example.org:8443;")
        );
        assert!(content_policy(Some("[::1]:3000"), None).contains("ws://[::1]:3000 "));
    }

    #[test]
    fn a_host_that_would_change_the_policy_is_left_out() {
        for host in ["a; script-src *", "a b", "*", "", "a'b", &"a".repeat(256)] {
            assert_eq!(
                content_policy(Some(host), None),
                content_policy(None, None),
                "{host}"
            );
        }
    }

    #[test]
    fn tiles_are_named_by_their_origin_and_our_own_are_not() {
        let theirs = origin_of("https://tiles.example.org:8443/{z}/{x}/{y}.png?key=1");
        assert_eq!(theirs.as_deref(), Some("https://tiles.example.org:8443"));
        assert_eq!(origin_of("/tiles/{z}/{x}/{y}.png"), None);
        assert_eq!(origin_of(""), None);
        assert_eq!(origin_of("data:image/png,"), None);
    }
}
