//! A Chromium of its own for each test: own driver, own port, own profile folder; ended by process id, nothing left.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, Url};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::PATIENCE;

const LOOK_EVERY: Duration = Duration::from_millis(25);
/// A process that was killed has gone by then.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// A window of a browser.
pub struct Browser {
    client: Client,
    driver: Child,
    chromium: Option<i32>,
    url_of_session: String,
    _profile: TempDir,
}

/// What the window is like.
#[derive(Clone, Copy)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
    pub phone: bool,
}

/// At a desk, in light.
pub const DESK: Look = Look {
    width: 1280,
    height: 900,
    dark: false,
    phone: false,
};
/// A small phone, in light.
pub const PHONE: Look = Look {
    width: 360,
    height: 740,
    dark: false,
    phone: true,
};

impl Browser {
    /// Opens a window.
    pub async fn start(look: Look) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let (driver, port) = driver(&profile);
        let mut capabilities = Map::new();
        capabilities.insert(
            "goog:chromeOptions".into(),
            json!({
                "binary": program("chromium"),
                "args": arguments(&profile),
            }),
        );
        capabilities.insert(
            "goog:loggingPrefs".into(),
            json!({"browser": "ALL", "performance": "ALL"}),
        );
        let session = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        let client = session.unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        let id = client.session_id().await.unwrap().expect("a session");
        let chromium = client
            .capabilities()
            .and_then(|all| all.get("goog:processID")?.as_i64());
        let browser = Self {
            client,
            driver,
            chromium: chromium.and_then(|pid| i32::try_from(pid).ok()),
            url_of_session: format!("http://127.0.0.1:{port}/session/{id}/"),
            _profile: profile,
        };
        browser.looks(look).await;
        browser
    }

    /// Changes the window.
    pub async fn looks(&self, look: Look) {
        let metrics = json!({
            "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.phone,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if look.dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Is at this place, and lets pages know it.
    pub async fn is_at(&self, origin: &str, latitude: f64, longitude: f64) {
        let grant = json!({"origin": origin, "permissions": ["geolocation"]});
        self.devtools("Browser.grantPermissions", grant).await;
        let place = json!({"latitude": latitude, "longitude": longitude, "accuracy": 12});
        self.devtools("Emulation.setGeolocationOverride", place).await;
    }

    /// Goes to an address.
    pub async fn opens(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Goes there again.
    pub async fn reloads(&self) {
        self.client.refresh().await.unwrap();
    }

    /// Waits until something is to be seen.
    pub async fn sees(&self, css: &str) {
        let script = "const e = document.querySelector(arguments[0]); return !!e && e.checkVisibility();";
        self.until(&format!("{css} is seen"), script, vec![json!(css)])
            .await;
    }

    /// Waits until something is not to be seen.
    pub async fn misses(&self, css: &str) {
        let script = "const e = document.querySelector(arguments[0]); return !e || !e.checkVisibility();";
        self.until(&format!("{css} is not seen"), script, vec![json!(css)])
            .await;
    }

    /// Waits until something has this in its visible text.
    pub async fn reads(&self, css: &str, text: &str) {
        let script = "const e = document.querySelector(arguments[0]); return !!e && e.innerText.includes(arguments[1]);";
        self.until(
            &format!("{css} says {text:?}"),
            script,
            vec![json!(css), json!(text)],
        )
        .await;
    }

    /// Waits until there are so many of something.
    pub async fn counts(&self, css: &str, many: usize) {
        let script = "return document.querySelectorAll(arguments[0]).length === arguments[1];";
        self.until(&format!("{many} of {css}"), script, vec![json!(css), json!(many)])
            .await;
    }

    /// Waits until a script answers true.
    pub async fn until(&self, what: &str, script: &str, arguments: Vec<Value>) {
        let since = Instant::now();
        loop {
            match self.client.execute(script, arguments.clone()).await {
                Ok(answer) if answer == true => return,
                // In between two pages there is none to ask.
                Ok(_) | Err(_) if since.elapsed() < PATIENCE => {}
                other => {
                    let page = self.value("return document.body.innerText").await;
                    let said = self.log("browser").await;
                    panic!("never: {what} ({other:?})\n--- the page\n{page:#}\n--- its console\n{said:#?}")
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// A script's answer.
    pub async fn value(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    /// The visible text of something.
    pub async fn text(&self, css: &str) -> String {
        let element = self.client.find(Locator::Css(css)).await.unwrap();
        element.text().await.unwrap()
    }

    /// An attribute of something.
    pub async fn attribute(&self, css: &str, name: &str) -> String {
        let element = self.client.find(Locator::Css(css)).await.unwrap();
        element.attr(name).await.unwrap().unwrap_or_default()
    }

    /// Presses something with the mouse.
    pub async fn clicks(&self, css: &str) {
        self.sees(css).await;
        // Not under the bar that stays at the top.
        let middle = "document.querySelector(arguments[0]).scrollIntoView({block: 'center'})";
        self.client.execute(middle, vec![json!(css)]).await.unwrap();
        self.client
            .find(Locator::Css(css))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    /// Writes into an empty field.
    pub async fn types(&self, css: &str, text: &str) {
        self.sees(css).await;
        let field = self.client.find(Locator::Css(css)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Types into whatever has the focus.
    pub async fn keys(&self, text: &str) {
        let focused = self.client.active_element().await.unwrap();
        focused.send_keys(text).await.unwrap();
    }

    /// Which element has the focus, by its id.
    pub async fn focus(&self) -> String {
        let id = self.value("return document.activeElement?.id ?? ''").await;
        id.as_str().unwrap().to_owned()
    }

    /// Presses Tab until the element with this id has the focus.
    pub async fn tabs_to(&self, id: &str) {
        let mut passed = Vec::new();
        for _ in 0..40 {
            if self.focus().await == id {
                return;
            }
            self.keys("\u{e004}").await;
            passed.push(self.focus().await);
        }
        panic!("the Tab key never comes to {id}; it passes {passed:?}");
    }

    /// Runs a script of somebody else's in the page, which the page's own policy would not load.
    pub async fn with(&self, library: &str) {
        let answer = self
            .devtools("Runtime.evaluate", json!({"expression": library}))
            .await;
        assert!(answer.get("exceptionDetails").is_none(), "{answer}");
    }

    /// A script's answer that comes later.
    pub async fn awaits(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {script} }})().then(done, (e) => done(String(e)));"
        );
        self.client.execute_async(&script, vec![]).await.unwrap()
    }

    /// Keeps a picture, where whoever runs the tests has said so.
    pub async fn pictures(&self, name: &str) {
        if let Some(folder) = std::env::var_os("PICTURES") {
            let picture = self.client.screenshot().await.unwrap();
            std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), picture).unwrap();
        }
    }

    /// Closes the window, and holds the page to it that nothing went wrong: no error on its console, nothing that its
    /// policy forbade, no request to anybody but `allowed`.
    pub async fn ends(self, allowed: &[&str], expected: &[&str]) {
        let said = self.log("browser").await;
        let bad: Vec<_> = said
            .iter()
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].as_str().unwrap_or_default())
            .filter(|message| !expected.iter().any(|known| message.contains(known)))
            .collect();
        assert!(bad.is_empty(), "the console says: {bad:#?}");
        for url in self.requests().await {
            let host = Url::parse(&url).unwrap();
            let host = format!(
                "{}:{}",
                host.host_str().unwrap_or_default(),
                host.port().unwrap_or(0)
            );
            assert!(
                allowed.contains(&host.as_str()),
                "a request to {url}, not to {allowed:?}"
            );
        }
        self.client.clone().close().await.unwrap();
    }

    /// Every address that the page asked for, WebSockets included.
    async fn requests(&self) -> Vec<String> {
        let mut asked = Vec::new();
        for entry in self.log("performance").await {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            let event = &event["message"];
            let url = match event["method"].as_str() {
                Some("Network.requestWillBeSent") => &event["params"]["request"]["url"],
                Some("Network.webSocketCreated") => &event["params"]["url"],
                _ => continue,
            };
            let url = url.as_str().unwrap();
            if !url.starts_with("data:") && !url.starts_with("chrome") {
                asked.push(url.to_owned());
            }
        }
        assert!(!asked.is_empty(), "the driver tells of no request");
        asked
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.asks("se/log", json!({"type": kind})).await;
        entries.as_array().cloned().unwrap_or_default()
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.asks("goog/cdp/execute", json!({"cmd": command, "params": parameters}))
            .await
    }

    async fn asks(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.url_of_session);
        self.client.issue_cmd(Extra { url, body }).await.unwrap()
    }
}

impl Drop for Browser {
    /// Also when a story fails: by the ids that the driver told.
    fn drop(&mut self) {
        if let Some(pid) = self.chromium.and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
            // Its folder can only go when it has gone.
            let since = Instant::now();
            while test_kill_process(pid).is_ok() && since.elapsed() < GONE_WITHIN {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A command that the standard does not know.
#[derive(Debug)]
struct Extra {
    url: String,
    body: Value,
}

impl WebDriverCompatibleCommand for Extra {
    fn endpoint(&self, _: &Url, _: Option<&str>) -> Result<Url, url::ParseError> {
        Url::parse(&self.url)
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// Starts a driver, and hears from it on which port it listens.
fn driver(profile: &TempDir) -> (Child, u16) {
    let mut command = Command::new(program("chromedriver"));
    command
        .arg("--port=0")
        .env("HOME", profile.path())
        .env("TMPDIR", profile.path())
        .env("XDG_CONFIG_HOME", profile.path())
        .env("XDG_CACHE_HOME", profile.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let mut driver = command.spawn().unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    // It goes on talking; nobody who talks to a full pipe gets on.
    std::thread::spawn(move || lines.for_each(drop));
    (driver, port.expect("chromedriver says on which port it listens"))
}

/// As the machine that runs tests needs them: no sandbox for root, nothing that talks to somewhere else by itself.
fn arguments(profile: &TempDir) -> Vec<String> {
    let folder = profile.path().join("profile");
    [
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-breakpad",
        "--no-first-run",
        "--lang=en-GB",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!("--user-data-dir={}", folder.display())])
    .collect()
}

/// Where a program is.
fn program(name: &str) -> PathBuf {
    let places = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&places).map(|place| place.join(name));
    found
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: run scripts/setup"))
}
