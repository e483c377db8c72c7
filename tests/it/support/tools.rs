//! Servers from elsewhere that vendors' tests talk to: Amazon's mail service (moto), a mail server (aiosmtpd), and the push
//! service of a browser (web-push-testing). Each listens on a port of its own and is ended by its process id, also when the
//! test panics.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mayday::domain::notify::{PushToken, WebPushKeys};
use p256::ecdsa::SigningKey;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::engine::DEADLINE;
use super::eventually;
use super::puppet::modules;
use super::redis::free_port;

/// A process that listens on a port; it ends with this.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Tries ports until one is its own.
    fn start(command: impl Fn(u16) -> Command) -> Self {
        for _ in 0..20 {
            let port = free_port();
            let mut command = command(port);
            let child = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut server = Self {
                child: child.spawn().expect("it starts: run scripts/setup"),
                port,
            };
            let until = Instant::now() + DEADLINE;
            while server.child.try_wait().unwrap().is_none() {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return server;
                }
                assert!(Instant::now() < until, "it does not listen: {command:?}");
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        panic!("it does not stay: run scripts/setup");
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python with what `scripts/setup` has put beside the packages of npm.
fn python() -> Command {
    let packages: PathBuf = modules().parent().unwrap().join("python");
    assert!(
        packages.join("moto").exists(),
        "moto is missing: run scripts/setup"
    );
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(DEADLINE)
        .build()
        .unwrap()
}

/// Amazon's mail service.
pub struct Moto(Server);

impl Moto {
    pub fn start() -> Self {
        Self(Server::start(|port| {
            let mut command = python();
            command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        }))
    }

    pub fn url(&self) -> String {
        self.0.url("")
    }

    /// From now on this address may send.
    pub async fn verify(&self, address: &str) {
        // Which service and region is asked stands in the signature's scope; that it is right is not looked at here.
        let scope = "AWS4-HMAC-SHA256 Credential=x/20261121/ap-southeast-1/ses/aws4_request, SignedHeaders=host, Signature=x";
        let answer = client()
            .post(self.0.url("/"))
            .header("authorization", scope)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!(
                "Action=VerifyEmailIdentity&Version=2010-12-01&EmailAddress={address}"
            ))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// Every mail that it took, in any region.
    pub async fn sent(&self) -> Vec<Value> {
        let answer = client()
            .get(self.0.url("/moto-api/data.json"))
            .send()
            .await
            .unwrap();
        let data: Value = answer.json().await.unwrap();
        data["ses"]["Message"].as_array().cloned().unwrap_or_default()
    }
}

/// A mail server that asks for a password, knows a few mailboxes that are none, and keeps letters as JSON.
pub struct MailServer {
    server: Server,
    folder: TempDir,
}

impl MailServer {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(|port| {
            let mut command = python();
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/mail_server.py");
            command.arg(script).arg(port.to_string()).arg(folder.path());
            command
        });
        Self { server, folder }
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Waits until it has so many letters.
    pub async fn letters(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} letters came"), || async {
            let mut paths: Vec<_> = std::fs::read_dir(self.folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|end| end == "json"))
                .collect();
            paths.sort();
            let letters = paths
                .iter()
                .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap());
            (paths.len() >= count).then(|| letters.collect())
        })
        .await
    }
}

/// Browsers and their push service.
pub struct Browsers {
    server: Server,
    private: String,
    public: String,
}

impl Browsers {
    pub async fn start() -> Self {
        let script = modules().join("web-push-testing/src/bin/server.js");
        assert!(script.exists(), "web-push-testing is missing: run scripts/setup");
        let server = Server::start(|port| {
            let mut command = Command::new("node");
            command.arg(&script).arg(port.to_string());
            command
        });
        let key = SigningKey::from_slice(&[9; 32]).unwrap();
        Self {
            server,
            private: URL_SAFE_NO_PAD.encode(key.to_bytes()),
            public: URL_SAFE_NO_PAD.encode(key.verifying_key().to_encoded_point(false).as_bytes()),
        }
    }

    /// The key by which subscribers know whom to expect.
    pub fn private_key(&self) -> &str {
        &self.private
    }

    async fn asks(&self, path: &str, body: Value) -> Value {
        let answer = client()
            .post(self.server.url(path))
            .json(&body)
            .send()
            .await
            .unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// A browser that has subscribed: its name, and what it gives to the site.
    pub async fn subscribe(&self) -> (String, WebPushKeys) {
        let options = json!({"userVisibleOnly": "true", "applicationServerKey": self.public});
        let answer = self.asks("/subscribe", options).await;
        let text = |value: &Value| PushToken::parse(value.as_str().unwrap()).unwrap();
        let keys = &answer["data"]["keys"];
        let subscription = WebPushKeys {
            endpoint: text(&answer["data"]["endpoint"]),
            p256dh: text(&keys["p256dh"]),
            auth: text(&keys["auth"]),
        };
        (
            answer["data"]["clientHash"].as_str().unwrap().to_owned(),
            subscription,
        )
    }

    /// The one message that a browser has read.
    pub async fn read(&self, browser: &str) -> Value {
        let answer = self
            .asks("/get-notifications", json!({"clientHash": browser}))
            .await;
        let messages = answer["data"]["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 1, "{messages:?}");
        serde_json::from_str(messages[0].as_str().unwrap()).unwrap()
    }

    /// It unsubscribes.
    pub async fn expire(&self, browser: &str) {
        let path = format!("/expire-subscription/{browser}");
        let answer = client().post(self.server.url(&path)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}
