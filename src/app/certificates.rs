//! The certificate that TLS shows, and how it is replaced while the engine runs.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use der::asn1::{GeneralizedTime, UtcTime};
use der::{Decode as _, Header, Reader as _, SliceReader, Tag};
use parking_lot::{Mutex, RwLock};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;

use crate::config::{Tls, TlsVersion};
use crate::telemetry::Scrape;

/// Why there is no usable certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or holds no PEM of the right kind.
    #[error("{0}: {1}")]
    Read(PathBuf, String),
    /// There is no certificate in the file.
    #[error("{0}: holds no certificate")]
    Empty(PathBuf),
    /// The certificate's dates cannot be read.
    #[error("{0}: the certificate is damaged ({1})")]
    Damaged(PathBuf, der::Error),
    /// The two do not belong together, or TLS cannot use them.
    #[error("the certificate and the key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// The new certificate is over while the one in use is not.
    #[error("the new certificate has expired, and the one in use has not")]
    Expired,
}

/// What the files are known by: their place, size and times. A link that points elsewhere shows here too.
type Stamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// A certificate with its key, and when it ends.
#[derive(Clone)]
struct Shown {
    key: Arc<CertifiedKey>,
    /// Unix seconds.
    expires_at: u64,
}

/// The certificate in use. TLS asks for it at every handshake.
pub struct Certificates {
    chain: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    shown: RwLock<Shown>,
    stamps: Mutex<[Stamp; 2]>,
    reloaded: AtomicU64,
    failed: AtomicU64,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates(…)")
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.read().key))
    }
}

impl Certificates {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn load(settings: &Tls) -> Result<Arc<Self>, CertificateError> {
        let (chain, key) = (PathBuf::from(&settings.certificate), PathBuf::from(&settings.key));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let stamps = [stamp(&chain), stamp(&key)];
        let shown = read(&chain, &key, &provider)?;
        if shown.expires_at <= now_s() {
            tracing::warn!("the TLS certificate has expired");
        }
        Ok(Arc::new(Self {
            chain,
            key,
            provider,
            shown: RwLock::new(shown),
            stamps: Mutex::new(stamps),
            reloaded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }))
    }

    /// What a listener goes by: certificates from here, HTTP/2 when `http2`.
    ///
    /// # Errors
    /// When there is no randomness for the tickets by which clients resume.
    pub fn server_config(
        self: &Arc<Self>,
        settings: &Tls,
        http2: bool,
    ) -> Result<ServerConfig, rustls::Error> {
        let versions: &[_] = match settings.min_version {
            TlsVersion::V12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::V13 => &[&rustls::version::TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        if http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        // A phone that comes back resumes by its own ticket: half the work, and nothing to remember here.
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        Ok(config)
    }

    /// Reads the files again if they have changed since they were last read.
    pub fn refresh(&self) {
        if [stamp(&self.chain), stamp(&self.key)] != *self.stamps.lock() {
            self.reload();
        }
    }

    /// Reads the files again. What cannot be used changes nothing.
    pub fn reload(&self) {
        // Before they are read: a change meanwhile is seen the next time.
        *self.stamps.lock() = [stamp(&self.chain), stamp(&self.key)];
        let now = now_s();
        let read = read(&self.chain, &self.key, &self.provider).and_then(|new| {
            let worse = new.expires_at <= now && self.shown.read().expires_at > now;
            if worse {
                Err(CertificateError::Expired)
            } else {
                Ok(new)
            }
        });
        match read {
            Ok(new) => {
                let expires_in_days = new.expires_at.saturating_sub(now) / 86_400;
                *self.shown.write() = new;
                self.reloaded.fetch_add(1, Ordering::Relaxed);
                tracing::info!(expires_in_days, "the TLS certificate was loaded again");
            }
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "the TLS certificate could not be loaded again; the old one stays");
            }
        }
    }

    /// Its numbers.
    pub fn observe(&self, scrape: &mut Scrape) {
        let expires = self.shown.read().expires_at;
        let help = "When the TLS certificate in use ends, in Unix seconds.";
        scrape.gauge(
            "mayday_tls_certificate_expires_timestamp_seconds",
            help,
            &[],
            expires,
        );
        let help = "Times the TLS certificate was loaded again.";
        for (outcome, count) in [("ok", &self.reloaded), ("failed", &self.failed)] {
            let count = count.load(Ordering::Relaxed);
            scrape.counter(
                "mayday_tls_certificate_reloads_total",
                help,
                &[("outcome", outcome)],
                count,
            );
        }
    }
}

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn stamp(path: &PathBuf) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    let (modified, changed) = (
        (meta.mtime(), meta.mtime_nsec()),
        (meta.ctime(), meta.ctime_nsec()),
    );
    Some((
        meta.dev(),
        meta.ino(),
        meta.size(),
        modified.0,
        modified.1,
        changed.0,
        changed.1,
    ))
}

fn read(chain: &PathBuf, key: &PathBuf, provider: &CryptoProvider) -> Result<Shown, CertificateError> {
    let unreadable = |path: &PathBuf| {
        let path = path.clone();
        move |error: pem::Error| CertificateError::Read(path, plain_words(&error))
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(chain))?;
    let Some(first) = certificates.first() else {
        return Err(CertificateError::Empty(chain.clone()));
    };
    let expires_at = not_after(first).map_err(|error| CertificateError::Damaged(chain.clone(), error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    let key = CertifiedKey::from_der(certificates, key, provider)?;
    Ok(Shown {
        key: Arc::new(key),
        expires_at,
    })
}

/// What is wrong with a PEM file, without a word of what is in it.
fn plain_words(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            "there is no such file".to_owned()
        }
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        pem::Error::NoItemsFound => "holds no private key in PEM".to_owned(),
        _ => "is not valid PEM".to_owned(),
    }
}

/// The end of a certificate's validity in Unix seconds (RFC 5280, 4.1): what stands before it is stepped over.
fn not_after(certificate: &[u8]) -> Result<u64, der::Error> {
    let mut reader = SliceReader::new(certificate)?;
    let outer = Header::decode(&mut reader)?;
    outer.tag.assert_eq(Tag::Sequence)?;
    let inner = Header::decode(&mut reader)?;
    inner.tag.assert_eq(Tag::Sequence)?;
    let mut header = Header::decode(&mut reader)?;
    if header.tag.is_context_specific() {
        // The version, which may be left out.
        reader.read_slice(header.length)?;
        header = Header::decode(&mut reader)?;
    }
    // The serial number, the signature's algorithm and the issuer.
    for _ in 0..3 {
        reader.read_slice(header.length)?;
        header = Header::decode(&mut reader)?;
    }
    header.tag.assert_eq(Tag::Sequence)?;
    let not_before = Header::decode(&mut reader)?;
    reader.read_slice(not_before.length)?;
    let not_after = match reader.peek_header()?.tag {
        Tag::UtcTime => UtcTime::decode(&mut reader)?.to_unix_duration(),
        _ => GeneralizedTime::decode(&mut reader)?.to_unix_duration(),
    };
    Ok(not_after.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    struct Files {
        folder: tempfile::TempDir,
        settings: Tls,
    }

    fn files() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let settings = Tls {
            certificate: path("chain.pem"),
            key: path("key.pem"),
            ..Tls::default()
        };
        Files { folder, settings }
    }

    impl Files {
        fn write(&self, year: i32) -> String {
            let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            parameters.not_after = rcgen::date_time_ymd(year, 2, 3);
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = parameters.self_signed(&key).unwrap();
            fs::write(Path::new(&self.settings.certificate), certificate.pem()).unwrap();
            fs::write(Path::new(&self.settings.key), key.serialize_pem()).unwrap();
            key.serialize_pem()
        }
    }

    fn shown(certificates: &Certificates) -> u64 {
        certificates.shown.read().expires_at
    }

    fn counts(certificates: &Certificates) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&certificates.reloaded), of(&certificates.failed))
    }

    /// The 3rd of February, at the first second.
    const IN_2040: u64 = 2_211_840_000;

    #[test]
    fn a_change_of_the_files_is_seen_and_nothing_else() {
        let files = files();
        files.write(2040);
        let certificates = Certificates::load(&files.settings).unwrap();
        assert_eq!(shown(&certificates), IN_2040);
        certificates.refresh();
        assert_eq!(counts(&certificates), (0, 0));
        // Beyond 2049 the date has another form.
        files.write(2060);
        certificates.refresh();
        assert_eq!(counts(&certificates), (1, 0));
        assert!(shown(&certificates) > IN_2040 + 19 * 365 * 86_400);
        certificates.refresh();
        assert_eq!(counts(&certificates), (1, 0));
    }

    #[test]
    fn what_cannot_be_used_changes_nothing() {
        let files = files();
        files.write(2040);
        let certificates = Certificates::load(&files.settings).unwrap();
        let before = shown(&certificates);
        let (chain, key) = (
            Path::new(&files.settings.certificate),
            Path::new(&files.settings.key),
        );
        let good = fs::read(chain).unwrap();
        fs::write(
            chain,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        certificates.refresh();
        fs::write(chain, "").unwrap();
        certificates.reload();
        fs::write(chain, &good).unwrap();
        fs::write(key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        certificates.reload();
        fs::remove_file(key).unwrap();
        certificates.reload();
        files.write(2001);
        certificates.reload();
        assert_eq!((counts(&certificates), shown(&certificates)), ((0, 5), before));
        files.write(2041);
        certificates.refresh();
        assert_eq!(counts(&certificates), (1, 5));
    }

    #[test]
    fn a_start_says_which_file_is_wrong_and_nothing_of_its_content() {
        let files = files();
        let missing = Certificates::load(&files.settings).unwrap_err().to_string();
        assert!(missing.ends_with("chain.pem: there is no such file"), "{missing}");
        let key = files.write(2040);
        fs::write(&files.settings.key, key.replace("BEGIN", "BEG1N")).unwrap();
        let bad = Certificates::load(&files.settings).unwrap_err().to_string();
        assert!(bad.contains("key.pem") && !bad.contains(&key[40..60]), "{bad}");
        assert!(files.folder.path().exists());
    }

    #[test]
    fn the_date_of_a_damaged_certificate_is_an_error_and_no_panic() {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap();
        let good = parameters.self_signed(&key).unwrap().der().to_vec();
        assert!(not_after(&good).is_ok());
        for cut in 0..80 {
            assert!(not_after(&good[..cut]).is_err(), "{cut}");
        }
    }
}
