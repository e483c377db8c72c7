//! Settings about tokens and keys that are more than a number or a text.

use std::collections::HashMap;
use std::path::PathBuf;

use config::ValueKind;

use super::value::Setting;
use crate::domain::ids::ServiceName;
use crate::domain::scopes::{Scope, Scopes};

/// How a token may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256 and a shared secret.
    Hs256,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// `EdDSA` with Ed25519.
    EdDsa,
}

impl TokenAlgorithm {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];

    /// The `alg` of a token that is signed so.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// By its `alg`, to the letter: that is how RFC 7515 compares it.
    pub fn of(alg: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == alg)
    }
}

/// The algorithms that are accepted, where there is a key for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAlgorithms(Vec<TokenAlgorithm>);

impl TokenAlgorithms {
    /// Whether tokens may be signed so.
    pub fn accept(&self, algorithm: TokenAlgorithm) -> bool {
        self.0.contains(&algorithm)
    }
}

impl Default for TokenAlgorithms {
    fn default() -> Self {
        Self(TokenAlgorithm::ALL.to_vec())
    }
}

impl Setting for TokenAlgorithms {
    const EXPECTED: &'static str = "one or more of HS256, RS256, ES256, EdDSA, separated by commas";

    fn read(raw: &ValueKind) -> Option<Self> {
        let ValueKind::String(text) = raw else { return None };
        text.split(',')
            .map(|name| {
                let named = |known: &TokenAlgorithm| known.as_str().eq_ignore_ascii_case(name.trim());
                TokenAlgorithm::ALL.into_iter().find(named)
            })
            .collect::<Option<_>>()
            .map(Self)
    }
}

/// A file with one public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The `kid` of its tokens; without one it is tried for every token of its algorithm.
    pub id: Option<String>,
    /// Where.
    pub path: PathBuf,
}

/// Files with public keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFiles(pub Vec<KeyFile>);

impl Setting for KeyFiles {
    const EXPECTED: &'static str = "paths of PEM files, separated by commas, such as /etc/mayday/issuer.pem or \
                                    2026-01=/etc/mayday/issuer.pem, the key's id before its path";

    fn read(raw: &ValueKind) -> Option<Self> {
        let ValueKind::String(text) = raw else { return None };
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| {
                let (id, path) = match entry.split_once('=') {
                    Some((id, path)) => (Some(id.trim()), path.trim()),
                    None => (None, entry),
                };
                (!path.is_empty() && id.is_none_or(|id| !id.is_empty())).then(|| KeyFile {
                    id: id.map(str::to_owned),
                    path: path.into(),
                })
            })
            .collect::<Option<_>>()
            .map(Self)
    }
}

/// The key of a sister service. The key itself is nowhere: only who has it knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Whose.
    pub name: ServiceName,
    /// The SHA-256 of the key's text.
    pub sha256: [u8; 32],
    /// What they may do.
    pub scopes: Scopes,
}

impl ApiKey {
    fn new<'a>(name: &str, sha256: &str, scopes: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(sha256.trim(), &mut digest).ok()?;
        let scopes: Scopes = scopes
            .map(str::trim)
            .filter(|scope| !scope.is_empty())
            .map(|scope| {
                if scope == "*" {
                    Some(Scopes::ALL)
                } else {
                    Scope::parse(scope).map(Into::into)
                }
            })
            .try_fold(Scopes::NONE, |all, more| more.map(|more| all.union(more)))?;
        (scopes != Scopes::NONE).then_some(Self {
            name: ServiceName::new(name.trim()).ok()?,
            sha256: digest,
            scopes,
        })
    }

    fn of_table(table: &HashMap<String, config::Value>) -> Option<Self> {
        let text = |key: &str| match &table.get(key)?.kind {
            ValueKind::String(text) => Some(text.as_str()),
            _ => None,
        };
        let scopes: Vec<&str> = match &table.get("scopes")?.kind {
            ValueKind::String(text) => text.split(',').collect(),
            ValueKind::Array(items) => items
                .iter()
                .map(|item| match &item.kind {
                    ValueKind::String(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect::<Option<_>>()?,
            _ => return None,
        };
        if table
            .keys()
            .any(|key| !["name", "sha256", "scopes"].contains(&key.as_str()))
        {
            return None;
        }
        Self::new(text("name")?, text("sha256")?, scopes.into_iter())
    }

    /// `name sha256 scope,scope`: the environment has no tables.
    fn of_text(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let key = Self::new(words.next()?, words.next()?, words.next()?.split(','))?;
        words.next().is_none().then_some(key)
    }
}

/// The keys of sister services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeys(pub Vec<ApiKey>);

impl Setting for ApiKeys {
    const EXPECTED: &'static str = "a list of { name, sha256, scopes }: a name of letters, digits, '_', '-', '.', ':', \
         64 hex digits, and one or more of incidents:read, incidents:write, messages:write, positions:write, \
         participants:write, devices:write or '*'; as a text: name sha256 scope,scope; name sha256 scope";
    const HIDDEN: bool = true;

    fn read(raw: &ValueKind) -> Option<Self> {
        match raw {
            ValueKind::Array(items) => items
                .iter()
                .map(|item| match &item.kind {
                    ValueKind::Table(table) => ApiKey::of_table(&table.clone().into_iter().collect()),
                    ValueKind::String(text) => ApiKey::of_text(text),
                    _ => None,
                })
                .collect::<Option<_>>()
                .map(Self),
            ValueKind::String(text) => text
                .split(';')
                .filter(|entry| !entry.trim().is_empty())
                .map(ApiKey::of_text)
                .collect::<Option<_>>()
                .map(Self),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn text<T: Setting>(text: &str) -> Option<T> {
        T::read(&ValueKind::String(text.into()))
    }

    #[test]
    fn algorithms_are_read_in_any_letter_case_and_no_other_is() {
        let some: TokenAlgorithms = text("es256, EDDSA").unwrap();
        assert!(some.accept(TokenAlgorithm::Es256) && some.accept(TokenAlgorithm::EdDsa));
        assert!(!some.accept(TokenAlgorithm::Hs256));
        for bad in ["", "none", "HS512", "ES256,", "RS256;ES256"] {
            assert_eq!(text::<TokenAlgorithms>(bad), None, "{bad}");
        }
        assert_eq!(
            TokenAlgorithm::of("es256"),
            None,
            "a token's alg is read to the letter"
        );
    }

    #[test]
    fn key_files_may_have_an_id() {
        let files: KeyFiles = text("/a.pem, k1 = b.pem").unwrap();
        assert_eq!(
            (files.0[0].id.as_deref(), files.0[0].path.to_str()),
            (None, Some("/a.pem"))
        );
        assert_eq!(
            (files.0[1].id.as_deref(), files.0[1].path.to_str()),
            (Some("k1"), Some("b.pem"))
        );
        assert_eq!(text::<KeyFiles>(""), Some(KeyFiles::default()));
        for bad in ["=x", "k=", "="] {
            assert_eq!(text::<KeyFiles>(bad), None, "{bad}");
        }
    }

    #[test]
    fn api_keys_are_read_from_tables_and_from_text() {
        let hash = "ab".repeat(32);
        let toml = format!(
            "[[auth.api_keys]]\nname = 'dispatch'\nsha256 = '{hash}'\nscopes = ['incidents:read', 'messages:write']\n\
             [[auth.api_keys]]\nname = 'all'\nsha256 = '{hash}'\nscopes = '*'\n"
        );
        let tables = Config::parse("t.toml", &toml, []).unwrap().auth.api_keys;
        let words = format!("dispatch {hash} incidents:read,messages:write; all {hash} *;");
        assert_eq!(text::<ApiKeys>(&words), Some(tables.clone()));
        assert_eq!(tables.0[0].sha256, [0xab; 32]);
        assert!(
            tables.0[0].scopes.allow(Scope::MessagesWrite) && !tables.0[0].scopes.allow(Scope::DevicesWrite)
        );
        assert_eq!(tables.0[1].scopes, Scopes::ALL);
    }

    #[test]
    fn an_api_key_that_says_too_little_or_too_much_is_refused_without_its_hash() {
        let hash = "ab".repeat(32);
        for bad in [
            format!("dispatch {hash}"),
            format!("dispatch {hash} everything"),
            format!("dispatch {hash} ,"),
            format!("dispatch {} *", &hash[..62]),
            format!("dis/patch {hash} *"),
            format!("dispatch {hash} * more"),
        ] {
            assert_eq!(text::<ApiKeys>(&bad), None, "{bad}");
        }
        let toml = format!("[[auth.api_keys]]\nname = 'x'\nsha256 = '{hash}'\nscopes = '*'\nsecret = 'y'\n");
        let error = Config::parse("t.toml", &toml, []).unwrap_err().to_string();
        assert!(
            error.starts_with("auth.api_keys: ") && !error.contains(&hash),
            "{error}"
        );
    }
}
