//! All keys together: those of the settings and those of the issuer's set.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use smallvec::SmallVec;

use super::jwks::{Jwks, Options};
use super::{Key, KeyFileError, Source, SourceError, pem};
use crate::config::{Auth, Secret, TokenAlgorithm, TokenAlgorithms};
use crate::domain::time::Timestamp;
use crate::http::auth::Clock;

/// The keys that one token may be signed by. More than a few only when neither it nor they have an id.
pub type Candidates = SmallVec<[Arc<Key>; 4]>;

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// Its algorithm is not accepted, or its key is for another one.
    Algorithm,
    /// Its key is not known (yet).
    Unknown,
    /// Its key may be in a set that is too old to be relied on.
    Stale,
}

/// The keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A key file.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// Where the set comes from.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Every key that tokens are verified with.
pub struct KeyRing {
    accepted: TokenAlgorithms,
    fixed: Vec<Arc<Key>>,
    jwks: Option<Arc<Jwks>>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({:?}, a set: {})", self.fixed, self.jwks.is_some())
    }
}

impl KeyRing {
    /// By the settings: the shared secret, the key files, and the issuer's set as it was last seen, which
    /// [`Jwks::run`] then keeps fresh.
    ///
    /// # Errors
    /// When a key file cannot be used, or the set's source cannot be what it is.
    pub fn load(auth: &Auth, secret: &Secret, data: &Path, clock: Clock) -> Result<Self, KeysError> {
        let mut ring = Self::of(auth, secret)?;
        if let Some(source) = Source::of(auth)? {
            ring.jwks = Some(Arc::new(Jwks::new(source, Options::of(auth, data), clock)));
        }
        Ok(ring)
    }

    /// The shared secret and the key files alone.
    ///
    /// # Errors
    /// When a key file cannot be used.
    pub fn of(auth: &Auth, secret: &Secret) -> Result<Self, KeyFileError> {
        let mut keys = Self::public(auth)?;
        if auth.algorithms.accept(TokenAlgorithm::Hs256) {
            keys.push(Key::shared(secret.reveal()));
        }
        Ok(Self {
            accepted: auth.algorithms.clone(),
            fixed: keys.into_iter().map(Arc::new).collect(),
            jwks: None,
        })
    }

    /// The keys in the key files.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn public(auth: &Auth) -> Result<Vec<Key>, KeyFileError> {
        pem::read_all(&auth.key_files, &auth.algorithms)
    }

    /// The keys that a token of this algorithm and key id may be signed by.
    ///
    /// # Errors
    /// Why there is none.
    pub fn candidates(
        &self,
        algorithm: TokenAlgorithm,
        id: Option<&str>,
        now: Timestamp,
    ) -> Result<Candidates, NoKey> {
        if !self.accepted.accept(algorithm) {
            return Err(NoKey::Algorithm);
        }
        let known = self.jwks.as_ref().map(|jwks| jwks.known());
        let stale = self.jwks.as_ref().is_some_and(|jwks| jwks.is_stale(now));
        let of_set = known.iter().filter(|_| !stale).flat_map(|known| &known.keys);
        let all = self.fixed.iter().chain(of_set);
        let found: Candidates = all
            .filter(|key| key.algorithm() == algorithm && key.may_be(id))
            .cloned()
            .collect();
        if found.is_empty() {
            Err(self.why_none(algorithm, id, stale))
        } else {
            Ok(found)
        }
    }

    fn why_none(&self, algorithm: TokenAlgorithm, id: Option<&str>, stale: bool) -> NoKey {
        let known = self.jwks.as_ref().map(|jwks| jwks.known());
        let mut all = self
            .fixed
            .iter()
            .chain(known.iter().flat_map(|known| &known.keys));
        let in_set = self.jwks.is_some() && algorithm != TokenAlgorithm::Hs256;
        let confused = id.is_some_and(|id| {
            all.clone()
                .any(|key| key.id.as_deref() == Some(id) && key.algorithm() != algorithm)
        });
        if confused || (!in_set && !all.any(|key| key.algorithm() == algorithm)) {
            NoKey::Algorithm
        } else if in_set && stale {
            NoKey::Stale
        } else {
            NoKey::Unknown
        }
    }

    /// The issuer's set, when a token of this algorithm and key id may be signed by a key that is new in it, or
    /// was known and is too old.
    pub fn may_be_new(
        &self,
        algorithm: TokenAlgorithm,
        id: Option<&str>,
        now: Timestamp,
    ) -> Option<&Arc<Jwks>> {
        let jwks = self.jwks.as_ref()?;
        if algorithm == TokenAlgorithm::Hs256 || !self.accepted.accept(algorithm) {
            return None;
        }
        let fits = |key: &Arc<Key>| key.algorithm() == algorithm && key.may_be(id);
        let fixed = |key: &Arc<Key>| fits(key) && (id.is_none() || key.id.is_some());
        let there =
            self.fixed.iter().any(fixed) || (!jwks.is_stale(now) && jwks.known().keys.iter().any(fits));
        (!there).then_some(jwks)
    }

    /// The issuer's set, when there is one.
    pub fn jwks(&self) -> Option<&Arc<Jwks>> {
        self.jwks.as_ref()
    }
}
