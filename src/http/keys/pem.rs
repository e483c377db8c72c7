//! Public keys in PEM files, as `openssl … -pubout` writes them.

use std::path::{Path, PathBuf};

use p256::pkcs8::DecodePublicKey;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;

use super::{Key, Unusable};
use crate::config::{KeyFile, KeyFiles, TokenAlgorithms};

/// No honest key file comes near.
const FILE_MAX_BYTES: u64 = 65_536;

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("auth.key_files: {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds no key that can be used.
    #[error("auth.key_files: {}: {why}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// It holds a good key for nothing.
    #[error("auth.key_files: {}: its algorithm, {algorithm}, is not in auth.algorithms", path.display())]
    Algorithm {
        /// Which.
        path: PathBuf,
        /// What it would be for.
        algorithm: &'static str,
    },
}

/// Reads every file.
pub(super) fn read_all(files: &KeyFiles, accepted: &TokenAlgorithms) -> Result<Vec<Key>, KeyFileError> {
    files.0.iter().map(|file| read(file, accepted)).collect()
}

fn read(KeyFile { id, path }: &KeyFile, accepted: &TokenAlgorithms) -> Result<Key, KeyFileError> {
    let failed = |source| KeyFileError::Io {
        path: path.clone(),
        source,
    };
    let text = read_text(path).map_err(failed)?;
    let key = parse(id.clone(), &text).map_err(|why| KeyFileError::Key {
        path: path.clone(),
        why,
    })?;
    if accepted.accept(key.algorithm) {
        Ok(key)
    } else {
        Err(KeyFileError::Algorithm {
            path: path.clone(),
            algorithm: key.algorithm.as_str(),
        })
    }
}

fn read_text(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let mut file = std::fs::File::open(path)?.take(FILE_MAX_BYTES);
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn parse(id: Option<String>, text: &str) -> Result<Key, &'static str> {
    if text.contains("PRIVATE KEY") {
        return Err("holds a private key; put its public key there (openssl pkey -pubout)");
    }
    if text.contains("BEGIN CERTIFICATE") {
        return Err("holds a certificate; put its public key there (openssl x509 -pubkey -noout)");
    }
    let text = text.trim();
    let key = if let Ok(key) = p256::PublicKey::from_public_key_pem(text) {
        Key::p256(id, &key.to_sec1_bytes())
    } else if let Ok(key) = ed25519_dalek::VerifyingKey::from_public_key_pem(text) {
        Key::ed25519(id, key.as_bytes())
    } else if let Ok(key) =
        rsa::RsaPublicKey::from_public_key_pem(text).or_else(|_| rsa::RsaPublicKey::from_pkcs1_pem(text))
    {
        Key::rsa(id, &key.n().to_bytes_be(), &key.e().to_bytes_be())
    } else {
        return Err("holds no public key of RSA, P-256 or Ed25519 in PEM form");
    };
    key.map_err(|why| match why {
        Unusable::Size => "an RSA key must have 2048 to 4096 bits",
        _ => "holds a key that is not valid",
    })
}
