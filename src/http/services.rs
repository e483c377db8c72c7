//! Sister services: each has a key of its own with what it may do, and the engine knows only the keys' hashes.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::error::ApiError;
use crate::config::{ApiKey, ApiKeys, INTERNAL, Secret};
use crate::domain::ids::ServiceName;
use crate::domain::scopes::{Scope, Scopes};

/// What a new key begins with, so that one is recognised where it should not be.
const PREFIX: &str = "mayday_";

/// A sister service that has shown its key. As an extractor it refuses requests without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SisterService {
    /// Whose key.
    pub name: ServiceName,
    /// What it may do.
    pub scopes: Scopes,
}

impl SisterService {
    /// Goes on only when the key allows this.
    ///
    /// # Errors
    /// 403 when it does not.
    pub fn require(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.allow(scope) {
            Ok(())
        } else {
            Err(ApiError::forbidden(format!(
                "The key of {} lacks the scope {}",
                self.name,
                scope.as_str()
            )))
        }
    }
}

/// The keys of all sister services.
pub struct Services {
    keys: Vec<ApiKey>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.keys.iter().map(|key| key.name.as_str()))
            .finish()
    }
}

impl Services {
    /// The configured keys, and the one that may do everything.
    pub fn new(internal: &Secret, keys: &ApiKeys) -> Self {
        let all = ApiKey {
            name: ServiceName::new(INTERNAL).expect("invariant: it is a name"),
            sha256: Sha256::digest(internal.reveal()).into(),
            scopes: Scopes::ALL,
        };
        Self {
            keys: std::iter::once(all).chain(keys.0.iter().cloned()).collect(),
        }
    }

    /// Whose key `given` is. Every key is looked at, whichever fits: the time it takes tells nothing.
    pub fn find(&self, given: &[u8]) -> Option<SisterService> {
        let digest: [u8; 32] = Sha256::digest(given).into();
        let mut place = u64::MAX;
        for (at, key) in (0_u64..).zip(&self.keys) {
            let fits: Choice = key.sha256.ct_eq(&digest);
            place = u64::conditional_select(&place, &at, fits);
        }
        let key = self.keys.get(usize::try_from(place).ok()?)?;
        Some(SisterService {
            name: key.name.clone(),
            scopes: key.scopes,
        })
    }
}

/// A new key from 32 random bytes, and its hash in hex digits for the settings.
pub fn new_key(random: [u8; 32]) -> (String, String) {
    let key = format!("{PREFIX}{}", hex::encode(random));
    let hash = hex::encode(Sha256::digest(key.as_bytes()));
    (key, hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::Code;

    fn key(name: &str, key: &str, scopes: Scopes) -> ApiKey {
        ApiKey {
            name: ServiceName::new(name).unwrap(),
            sha256: Sha256::digest(key.as_bytes()).into(),
            scopes,
        }
    }

    #[test]
    fn a_key_tells_whose_it_is_and_what_it_may_do() {
        let (text, hash) = new_key([7; 32]);
        assert_eq!(hash, hex::encode(Sha256::digest(text.as_bytes())));
        let read = Scopes::from(Scope::IncidentsRead);
        let keys = ApiKeys(vec![
            key("dispatch", &text, read),
            key("billing", "b", Scopes::ALL),
        ]);
        let services = Services::new(&Secret::new(&"i".repeat(32)).unwrap(), &keys);
        let found = services.find(text.as_bytes()).unwrap();
        assert_eq!((found.name.as_str(), found.scopes), ("dispatch", read));
        assert!(found.require(Scope::IncidentsRead).is_ok());
        let refused = found.require(Scope::MessagesWrite).unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (
                Code::Forbidden,
                "The key of dispatch lacks the scope messages:write"
            )
        );
        assert_eq!(services.find(b"b").unwrap().name.as_str(), "billing");
        let internal = services.find("i".repeat(32).as_bytes()).unwrap();
        assert_eq!((internal.name.as_str(), internal.scopes), (INTERNAL, Scopes::ALL));
        for bad in [&b""[..], b"i", hash.as_bytes()] {
            assert_eq!(services.find(bad), None);
        }
        assert!(!format!("{services:?}").contains(&hash[..8]));
    }
}
