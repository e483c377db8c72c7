//! Where the issuer's key set comes from: an address or a file.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};

use crate::config::Auth;

/// The source cannot be what the settings say.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The authorities to trust cannot be read.
    #[error("auth.jwks_ca_file: {}: {why}", path.display())]
    Authorities {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There can be no connections.
    #[error("auth.jwks_url: {0}")]
    Client(String),
}

/// Why there is no answer that could be a key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It took longer than `auth.jwks_timeout_ms`.
    #[error("no answer in time")]
    Timeout,
    /// There is no connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// Another status than 200. Redirects are not followed: the settings name whom to trust.
    #[error("answered {0}")]
    Status(u16),
    /// More than `auth.jwks_max_bytes`.
    #[error("more than {0} bytes")]
    TooLarge(usize),
}

impl FetchError {
    /// The name that metrics know it by.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::Status(_) => "status",
            Self::TooLarge(_) => "too_large",
        }
    }
}

/// Where a key set is.
#[derive(Clone, Debug)]
pub enum Source {
    /// At an address.
    Address {
        /// Where.
        url: Url,
        /// By which it is asked.
        client: Client,
    },
    /// In a file.
    File(PathBuf),
}

impl Source {
    /// By the settings; `None` when they name none.
    ///
    /// # Errors
    /// When connections cannot be made as they say.
    pub fn of(auth: &Auth) -> Result<Option<Self>, SourceError> {
        if !auth.jwks_file.is_empty() {
            return Ok(Some(Self::File(auth.jwks_file.clone().into())));
        }
        if auth.jwks_url.is_empty() {
            return Ok(None);
        }
        let url = Url::parse(&auth.jwks_url).map_err(|error| SourceError::Client(error.to_string()))?;
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .timeout(auth.jwks_timeout())
            // Minutes lie between two questions.
            .pool_max_idle_per_host(0)
            .referer(false)
            .user_agent(concat!("mayday/", env!("CARGO_PKG_VERSION")));
        if url.scheme() == "http" {
            // Nothing to prove to anybody, and a proxy for the world outside does not know the neighbours.
            builder = builder.no_proxy().tls_built_in_root_certs(false);
        } else {
            builder = builder.https_only(true);
        }
        for authority in authorities(&auth.jwks_ca_file)? {
            builder = builder.add_root_certificate(authority);
        }
        let client = builder
            .build()
            .map_err(|error| SourceError::Client(chain(&error)))?;
        Ok(Some(Self::Address { url, client }))
    }

    /// What the cached set is remembered by; a file needs no cache.
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Address { url, .. } => Some(url.as_str()),
            Self::File(_) => None,
        }
    }

    /// Reads what is there, `max_bytes` at most, within `patience`.
    ///
    /// # Errors
    /// Why there is nothing.
    pub async fn fetch(&self, max_bytes: usize, patience: Duration) -> Result<Vec<u8>, FetchError> {
        let reading = async {
            match self {
                Self::Address { url, client } => ask(client, url, max_bytes).await,
                Self::File(path) => read(path.clone(), max_bytes).await,
            }
        };
        tokio::time::timeout(patience, reading)
            .await
            .unwrap_or(Err(FetchError::Timeout))
    }
}

fn authorities(path: &str) -> Result<Vec<Certificate>, SourceError> {
    if path.is_empty() {
        return Ok(vec![]);
    }
    let failed = |why: String| SourceError::Authorities {
        path: path.into(),
        why,
    };
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&text).map_err(|error| failed(chain(&error)))?;
    if found.is_empty() {
        Err(failed("holds no certificate".into()))
    } else {
        Ok(found)
    }
}

async fn ask(client: &Client, url: &Url, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let asked = client
        .get(url.clone())
        .header(ACCEPT, "application/jwk-set+json, application/json");
    let mut answer = asked.send().await.map_err(failure)?;
    if answer.status() != 200 {
        return Err(FetchError::Status(answer.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > max_bytes {
            return Err(FetchError::TooLarge(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn read(path: PathBuf, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let reading = tokio::task::spawn_blocking(move || {
        use std::io::Read;
        let mut body = Vec::new();
        let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
        std::fs::File::open(path)?.take(limit).read_to_end(&mut body)?;
        Ok::<_, std::io::Error>(body)
    });
    let body = match reading.await {
        Ok(body) => body.map_err(|error| FetchError::Unreachable(error.to_string()))?,
        Err(error) => return Err(FetchError::Unreachable(error.to_string())),
    };
    if body.len() > max_bytes {
        Err(FetchError::TooLarge(max_bytes))
    } else {
        Ok(body)
    }
}

fn failure(error: reqwest::Error) -> FetchError {
    if error.is_timeout() {
        FetchError::Timeout
    } else {
        // Without the address: it may hold a name and a password.
        FetchError::Unreachable(chain(&error.without_url()))
    }
}

/// What is behind an error stands in its causes.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}
