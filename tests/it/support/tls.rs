//! Certificates, and clients that believe them.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{Connector, client_async_tls_with_config};

use super::client::Client;
use super::engine::{DEADLINE, Engine};
use super::people::Person;

/// An authority, and the files that an engine reads its certificate from.
pub struct Pki {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    roots: RootCertStore,
}

impl Pki {
    /// With a first certificate in the files.
    pub fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = parameters.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(own.der().clone()).unwrap();
        let pki = Self {
            folder: tempfile::tempdir().unwrap(),
            issuer: Issuer::new(parameters, key),
            roots,
        };
        fs::write(pki.path("ca.pem"), own.pem()).unwrap();
        pki.renew();
        pki
    }

    /// Puts a new certificate with a new key into the files, and answers it.
    pub fn renew(&self) -> CertificateDer<'static> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(names).unwrap();
        // OpenSSL takes one that is named like its authority for one that signed itself.
        parameters
            .distinguished_name
            .push(DnType::CommonName, "a server of the tests");
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        // The key first: with the old certificate it does not match, and is not taken.
        fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
        fs::write(self.path("chain.pem"), certificate.pem()).unwrap();
        certificate.der().clone()
    }

    /// Where a file lies.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// An engine with TLS on a port of its own, whose settings differ by `settings`.
    pub fn engine(&self, settings: &[(&str, &str)]) -> Engine {
        let (chain, key) = (self.path("chain.pem"), self.path("key.pem"));
        let mut all = vec![
            ("tls.certificate", chain.as_str()),
            ("tls.key", key.as_str()),
            ("tls.port", "0"),
        ];
        all.extend_from_slice(settings);
        Engine::start(&all)
    }

    /// What a client goes by that speaks these protocols and versions.
    pub fn client_config(
        &self,
        protocols: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// A client of HTTP over TLS that speaks these protocols.
    pub fn http(&self, protocols: &[&str]) -> reqwest::Client {
        let config = self.client_config(protocols, rustls::ALL_VERSIONS);
        let builder = reqwest::Client::builder().use_preconfigured_tls(config);
        builder.no_proxy().timeout(DEADLINE).build().unwrap()
    }

    /// A TLS connection, or why there is none.
    pub async fn try_connect(
        &self,
        to: SocketAddr,
        config: ClientConfig,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let connecting = async {
            let socket = TcpStream::connect(to).await?;
            let name = ServerName::try_from("localhost").unwrap();
            TlsConnector::from(Arc::new(config)).connect(name, socket).await
        };
        timeout(DEADLINE, connecting)
            .await
            .expect("no end of the handshake")
    }

    /// A TLS connection that speaks these protocols.
    pub async fn connect(&self, to: SocketAddr, protocols: &[&str]) -> TlsStream<TcpStream> {
        let config = self.client_config(protocols, rustls::ALL_VERSIONS);
        self.try_connect(to, config).await.unwrap()
    }

    /// The certificate that is shown there.
    pub async fn shown(&self, to: SocketAddr) -> CertificateDer<'static> {
        let stream = self.connect(to, &["http/1.1"]).await;
        let shown = stream.get_ref().1.peer_certificates().unwrap();
        shown[0].clone().into_owned()
    }

    /// A person's WebSocket over TLS, which has heard nothing yet.
    pub async fn open(&self, engine: &Engine, person: &Person, name: &str) -> Client {
        let socket = TcpStream::connect(engine.tls_address()).await.unwrap();
        self.open_on(socket, engine, person, name).await
    }

    /// The same on a socket of one's own making.
    pub async fn open_on(&self, socket: TcpStream, engine: &Engine, person: &Person, name: &str) -> Client {
        let mut request = person.upgrade("/api/ws");
        let path = request.uri().path_and_query().unwrap();
        let to = format!("wss://{}{path}", engine.tls_address());
        *request.uri_mut() = to.parse().unwrap();
        let config = self.client_config(&[], rustls::ALL_VERSIONS);
        let connector = Connector::Rustls(Arc::new(config));
        let connecting = client_async_tls_with_config(request, socket, None, Some(connector));
        let connected = timeout(DEADLINE, connecting)
            .await
            .expect("no answer to the upgrade");
        Client::on(name, connected.unwrap().0)
    }
}
