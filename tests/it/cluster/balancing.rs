//! The examples in `deploy/` before three real nodes: even, without stickiness, and gentle when nodes go and come.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};

use super::{Cluster, NodeSettings};
use crate::support::redis::{Redis, free_port};
use crate::support::{Client, DEADLINE, Engine, Heard, Person, eventually};

const CLIENTS: usize = 3_000;
/// Handshakes under way at once.
const AT_ONCE: usize = 50;
/// Those who come at a time when the node is back.
const NEWCOMERS: usize = 100;
const SPREAD: Duration = Duration::from_secs(3);
/// A client that was refused tries again then.
const AGAIN: Duration = Duration::from_millis(200);

/// A load balancer that runs.
struct Balancer {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Balancer {
    /// Runs an example with other addresses and a quicker start of new nodes.
    fn start(file: &str, nodes: &[Engine], command: impl FnOnce(&Path) -> Command) -> Self {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file));
        let port = free_port();
        let mut text = text
            .unwrap()
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
        for (n, node) in nodes.iter().enumerate() {
            let example = format!("127.0.0.1:300{}", n + 1);
            assert!(text.contains(&example), "{file} knows no {example}");
            text = text.replace(&example, &node.address().to_string());
        }
        let text = text.replace("slowstart 10s", "slowstart 1s");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        let mut command = command(&path);
        command.current_dir(folder.path()).stdin(Stdio::null());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{file} cannot be run, scripts/setup installs what it needs: {error}")
            });
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let until = Instant::now() + DEADLINE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "{file}: nobody listens");
            std::thread::yield_now();
        }
        Self {
            child,
            address,
            folder,
        }
    }

    fn haproxy(nodes: &[Engine]) -> Self {
        Self::start("haproxy.cfg", nodes, |path| {
            // The kernel ends it with the test, however that ends.
            let mut command = Command::new("setpriv");
            command
                .args(["--pdeathsig", "KILL", "haproxy", "-db", "-f"])
                .arg(path);
            command
        })
    }

    fn nginx(nodes: &[Engine]) -> Self {
        Self::start("nginx.conf", nodes, |path| {
            let folder = path.parent().unwrap();
            // One process, so that none is left behind.
            let own = format!(
                "daemon off; master_process off; pid {}/pid; error_log stderr;",
                folder.display()
            );
            let mut command = Command::new("setpriv");
            command
                .args(["--pdeathsig", "KILL", "nginx", "-g", &own, "-p"])
                .arg(folder)
                .arg("-c")
                .arg(path);
            command
        })
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            println!("--- the balancer's last lines ---");
            println!("{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}

/// Comes in, and again when the node that was asked is on its way out.
async fn comes_in(person: &Person) -> Client {
    eventually("the balancer lets them in", || async {
        person.try_open("/api/ws").await.ok()
    })
    .await
}

/// Opens so many connections, some at a time.
async fn crowd(at: &Person, count: usize) -> Vec<(Person, Client)> {
    stream::iter(0..count)
        .map(|_| async {
            let person = at.another_device();
            let client = comes_in(&person).await;
            (person, client)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// What became of somebody while a node left.
struct Stay {
    client: Client,
    /// When the node told them to come back.
    hint: Option<Duration>,
    /// Nodes that could not keep them (4100), as on a machine with too much to do: they come back at once.
    lost: usize,
}

/// Stays until the node says goodbye, and comes back when it was told to.
async fn stays(
    (person, mut client): (Person, Client),
    mut over: watch::Receiver<bool>,
    doors: Arc<Semaphore>,
) -> Stay {
    let mut lost = 0;
    loop {
        let heard = tokio::select! {
            heard = client.hears() => heard,
            _ = over.wait_for(|over| *over) => return Stay { client, hint: None, lost },
        };
        match heard {
            Heard::Message(_) => {}
            Heard::Close(1001, text) => {
                let hint = text.strip_prefix("retry-after-ms=").map(str::parse);
                let hint = Duration::from_millis(hint.expect("when to come back").unwrap());
                tokio::time::sleep_until(tokio::time::Instant::now() + hint).await;
                let _door = doors.acquire().await.unwrap();
                let client = eventually("they are let in", || async {
                    let opened = person.try_open("/api/ws").await.ok();
                    if opened.is_none() {
                        tokio::time::sleep_until(tokio::time::Instant::now() + AGAIN).await;
                    }
                    opened
                })
                .await;
                return Stay {
                    client,
                    hint: Some(hint),
                    lost,
                };
            }
            Heard::Close(4100, _) => {
                lost += 1;
                client = comes_in(&person).await;
            }
            other => panic!("a client heard {other:?}"),
        }
    }
}

fn even(counts: &[usize], of: usize) {
    let share = of / counts.len();
    for count in counts {
        assert!(count.abs_diff(share) * 10 <= share, "{counts:?} of {of}");
    }
}

async fn a_balancer_does_its_work(balance: fn(&[Engine]) -> Balancer) {
    let spread = SPREAD.as_millis().to_string();
    let redis = Redis::start();
    let node = || NodeSettings {
        bus: redis.url(),
        port: Some(free_port()),
        ..NodeSettings::default()
    };
    let nodes = vec![node(), node(), node()];
    let mut cluster = Cluster::of(redis, nodes, &[("drain.spread_ms", &spread)]).await;
    let balancer = balance(&cluster.nodes);
    let door = cluster.nodes[0].device().at(balancer.address);
    eventually("the balancer has nodes", || async {
        let asked = reqwest::get(format!("http://{}/health", balancer.address)).await;
        asked.is_ok_and(|answer| answer.status() == 200).then_some(())
    })
    .await;

    let clients = crowd(&door, CLIENTS).await;
    let counts = cluster.connections().await;
    assert_eq!(counts.iter().sum::<usize>(), CLIENTS);
    even(&counts, CLIENTS);

    // A node drains: its people come to the others, spread over time. Nobody else is disturbed.
    let (over, watched) = watch::channel(false);
    let doors = Arc::new(Semaphore::new(AT_ONCE));
    let stay = clients
        .into_iter()
        .map(|client| tokio::spawn(stays(client, watched.clone(), Arc::clone(&doors))));
    let stay: Vec<_> = stay.collect();
    cluster.nodes[0].ask_to_end();
    let leaving = cluster.nodes.remove(0);
    let mut leaving = leaving;
    eventually("all are on the other nodes", || async {
        (cluster.connections().await.iter().sum::<usize>() == CLIENTS).then_some(())
    })
    .await;
    over.send(true).unwrap();
    let (mut clients, mut hints, mut lost) = (Vec::new(), Vec::new(), 0);
    for stay in stay {
        let stay = stay.await.unwrap();
        clients.push(stay.client);
        hints.extend(stay.hint);
        lost += stay.lost;
    }
    let others = hints.len().abs_diff(counts[0]);
    assert!(
        others <= lost,
        "everybody on that node, and nobody else: {others} others, {lost} came back by themselves"
    );
    let early = hints.iter().filter(|hint| **hint < SPREAD / 2).count();
    assert!(
        early * 4 > hints.len() && early * 4 < hints.len() * 3,
        "{early} of {}",
        hints.len()
    );
    even(&cluster.connections().await, CLIENTS);
    assert!(leaving.ended().success());

    // It is back, and takes its share once it has had time to start: most of those who come, for it has the fewest.
    leaving.restart();
    cluster.nodes.insert(0, leaving);
    // Somebody's requests find it.
    eventually("the balancer has seen that it is back", || async {
        door.get("/api/v1/sos?limit=1").await.ok(200);
        let metrics = cluster.nodes[0].nobody().get("/metrics").await.text;
        metrics
            .contains("mayday_http_requests_total{route=\"sos\",status=\"200\"}")
            .then_some(())
    })
    .await;
    let (mut newcomers, until) = (Vec::new(), Instant::now() + DEADLINE);
    loop {
        let before = cluster.connections().await;
        newcomers.extend(crowd(&door, NEWCOMERS).await);
        let after = cluster.connections().await;
        if (after[0] - before[0]) * 10 >= NEWCOMERS * 7 {
            break;
        }
        assert!(Instant::now() < until, "{before:?} became {after:?}");
    }
    drop((clients, newcomers));
}

#[tokio::test]
async fn haproxy_spreads_three_thousand_people_evenly_and_lets_nodes_go_and_come() {
    a_balancer_does_its_work(Balancer::haproxy).await;
}

#[tokio::test]
async fn nginx_spreads_three_thousand_people_evenly_and_lets_nodes_go_and_come() {
    a_balancer_does_its_work(Balancer::nginx).await;
}
