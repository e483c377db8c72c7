//! The connection to Redis: each arrangement of servers, and what it does when they die.

use std::time::{Duration, Instant};

use mayday::bus::Health;
use mayday::bus::redis::{Connection, Failure, Options, State, TlsFiles};
use redis::{Script, cmd, pipe};

use super::options;
use crate::support::redis::{Redis, RedisCluster, Sentinels, free_port};
use crate::support::{DEADLINE, Pki};

/// A failover takes the servers some four seconds when nothing else runs.
const FAILOVER: Duration = Duration::from_secs(40);

async fn connect(options: Options) -> Connection {
    let connection = Connection::open(options);
    assert!(connection.connected(DEADLINE).await, "no connection");
    connection
}

async fn until(connection: &Connection, patience: Duration, what: &str, state: impl Fn(&State) -> bool) {
    let mut changes = connection.changes();
    let wait = tokio::time::timeout(patience, changes.wait_for(state)).await;
    assert!(matches!(wait, Ok(Ok(_))), "never came true: {what}");
}

async fn away(connection: &Connection) {
    until(connection, DEADLINE, "away", |state| state.health == Health::Away).await;
}

async fn set(connection: &Connection, key: &str, value: &str) -> Result<(), Failure> {
    connection.ask(cmd("SET").arg(key).arg(value)).await
}

async fn get(connection: &Connection, key: &str) -> Result<Option<String>, Failure> {
    connection.ask(cmd("GET").arg(key)).await
}

/// Tries until a write goes through.
async fn set_in_the_end(connection: &Connection, key: &str, value: &str) {
    let until = Instant::now() + FAILOVER;
    while let Err(failure) = set(connection, key, value).await {
        assert!(Instant::now() < until, "never written: {failure}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn commands_pipelines_and_scripts_are_answered(connection: &Connection) {
    for n in 0..20 {
        let key = format!("key{n}");
        set(connection, &key, &n.to_string()).await.unwrap();
        assert_eq!(get(connection, &key).await.unwrap(), Some(n.to_string()));
    }
    let mut pipeline = pipe();
    pipeline.cmd("SET").arg("{room}a").arg(1).ignore();
    pipeline.cmd("INCRBY").arg("{room}a").arg(4);
    pipeline.cmd("INCRBY").arg("{room}b").arg(7);
    let answers: (i64, i64) = connection.ask_all(&pipeline).await.unwrap();
    assert_eq!(answers, (5, 7));
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    for sum in [12, 17] {
        let answer: i64 = connection.run(script.key("{room}b").arg(5)).await.unwrap();
        assert_eq!(answer, sum);
    }
    assert!(connection.state().server.unwrap().sharded);
}

#[tokio::test]
async fn one_server_answers() {
    let redis = Redis::start();
    let connection = connect(options(&redis.url())).await;
    commands_pipelines_and_scripts_are_answered(&connection).await;
    let wrong: Result<i64, _> = connection.ask(cmd("LPUSH").arg("key1").arg("hunter2")).await;
    assert_eq!(wrong, Err(Failure::Refused("WRONGTYPE".into())));
    let wrong: Result<i64, _> = connection.ask(cmd("NOSUCH").arg("hunter2")).await;
    assert!(!wrong.unwrap_err().to_string().contains("hunter2"));
}

#[tokio::test]
async fn the_database_and_the_user_of_the_url_are_used() {
    let anna = "--user anna on >a+b ~* &* +@all".split(' ');
    let arguments: Vec<&str> = ["--requirepass", "p%/@:"].into_iter().chain(anna).collect();
    let redis = Redis::with(&arguments);
    let at = redis.port();
    let of = |user: &str, database: u16| format!("redis://{user}@127.0.0.1:{at}/{database}");
    let default = connect(options(&of(":p%25%2F%40%3A", 0))).await;
    let anna = connect(options(&of("anna:a%2Bb", 3))).await;
    set(&anna, "key", "three").await.unwrap();
    assert_eq!(get(&default, "key").await.unwrap(), None);
    assert_eq!(get(&anna, "key").await.unwrap().as_deref(), Some("three"));

    let stranger = Connection::open(options(&of(":wrong", 0)));
    assert!(!stranger.connected(Duration::from_millis(300)).await);
    assert_eq!(get(&stranger, "key").await, Err(Failure::Away));
    assert_eq!(stranger.health(), Health::Away);
}

#[tokio::test]
async fn a_server_that_dies_is_away_at_once_and_back_when_it_is_back() {
    let mut redis = Redis::start();
    let connection = connect(options(&redis.url())).await;
    let before = connection.state().generation;
    for _ in 0..3 {
        redis.kill9();
        away(&connection).await;
        let asked = Instant::now();
        assert_eq!(get(&connection, "key").await, Err(Failure::Away));
        assert!(
            asked.elapsed() < Duration::from_millis(100),
            "nobody waits for it"
        );
        redis.restart();
        assert!(connection.connected(DEADLINE).await);
        set(&connection, "key", "again").await.unwrap();
    }
    assert_eq!(connection.state().generation, before + 3);
}

#[tokio::test]
async fn one_that_is_not_there_yet_is_found_later() {
    let mut redis = Redis::start();
    redis.kill9();
    let connection = Connection::open(options(&redis.url()));
    assert!(!connection.connected(Duration::from_millis(100)).await);
    redis.restart();
    assert!(connection.connected(DEADLINE).await);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_taken_again_when_it_goes_on() {
    let redis = Redis::start();
    let connection = connect(options(&redis.url())).await;
    redis.freeze();
    let asked = Instant::now();
    let within = connection.within(Duration::from_millis(20), get(&connection, "key"));
    assert_eq!(within.await, Err(Failure::Slow));
    assert!(asked.elapsed() < Duration::from_millis(500));
    away(&connection).await;
    redis.thaw();
    assert!(connection.connected(DEADLINE).await);
    set(&connection, "key", "again").await.unwrap();
}

#[tokio::test]
async fn too_many_commands_at_once_are_refused() {
    let redis = Redis::start();
    let connection = connect(Options {
        commands_max: 2,
        ..options(&redis.url())
    })
    .await;
    let (mut one, mut two) = (cmd("BLPOP"), cmd("BLPOP"));
    let waiting = connection.clone();
    let answers = tokio::spawn(async move {
        tokio::join!(
            waiting.ask::<Option<(String, String)>>(one.arg("a").arg(0.2)),
            waiting.ask::<Option<(String, String)>>(two.arg("b").arg(0.2)),
        )
    });
    let mut changes = tokio::time::interval(Duration::from_millis(1));
    while connection.in_flight().0 < 2 {
        changes.tick().await;
    }
    assert_eq!(get(&connection, "key").await, Err(Failure::Busy));
    assert_eq!(answers.await.unwrap(), (Ok(None), Ok(None)));
    assert_eq!(get(&connection, "key").await, Ok(None));
}

#[tokio::test]
async fn a_connection_ends_with_its_last_handle() {
    let redis = Redis::start();
    let clients = || redis.cli(&["client", "list"]).matches("resp=3").count();
    let connection = connect(options(&redis.url())).await;
    let other = connection.clone();
    let blocking = connection.another(Duration::from_secs(5));
    assert!(blocking.connected(DEADLINE).await);
    assert!(clients() >= 2);
    drop(connection);
    set(&other, "key", "still").await.unwrap();
    drop((other, blocking));
    let until = Instant::now() + DEADLINE;
    while clients() > 0 {
        assert!(Instant::now() < until, "{}", redis.cli(&["client", "list"]));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn tls_is_believed_only_with_the_authority_that_vouches_for_it() {
    let pki = Pki::new();
    let port = free_port();
    let tls = [
        ("--tls-port", port.to_string()),
        ("--tls-cert-file", pki.path("chain.pem")),
        ("--tls-key-file", pki.path("key.pem")),
        ("--tls-ca-cert-file", pki.path("ca.pem")),
        ("--tls-auth-clients", "yes".into()),
    ];
    let arguments: Vec<&str> = tls
        .iter()
        .flat_map(|(key, value)| [*key, value.as_str()])
        .collect();
    let _redis = Redis::with(&arguments);
    let read = |name: &str| std::fs::read(pki.path(name)).unwrap();
    let url = format!("rediss://127.0.0.1:{port}");
    let known = TlsFiles {
        authorities: Some(read("ca.pem")),
        identity: Some((read("chain.pem"), read("key.pem"))),
    };
    let with = |tls: TlsFiles| Options { tls, ..options(&url) };
    let connection = connect(with(known.clone())).await;
    commands_pipelines_and_scripts_are_answered(&connection).await;
    for strange in [
        TlsFiles {
            authorities: None,
            ..known.clone()
        },
        TlsFiles {
            identity: None,
            ..known
        },
    ] {
        let stranger = Connection::open(with(strange));
        assert!(!stranger.connected(Duration::from_millis(300)).await);
    }
}

#[tokio::test]
async fn sentinels_lead_to_the_master_and_to_the_next_one() {
    let mut redis = Sentinels::start();
    let connection = connect(options(&redis.url())).await;
    commands_pipelines_and_scripts_are_answered(&connection).await;
    let before = connection.state().generation;
    redis.servers[0].kill9();
    until(&connection, FAILOVER, "the replica is found", |state| {
        state.health == Health::Connected && state.generation > before
    })
    .await;
    set_in_the_end(&connection, "key", "after").await;
    assert_eq!(redis.servers[1].cli(&["get", "key"]), "after");
}

#[tokio::test]
async fn a_cluster_is_one_store_also_when_a_primary_dies() {
    let mut redis = RedisCluster::start();
    let connection = connect(options(&redis.url())).await;
    commands_pipelines_and_scripts_are_answered(&connection).await;
    let before = connection.state().generation;
    redis.primary_of("key1").kill9();
    away(&connection).await;
    set_in_the_end(&connection, "key1", "after").await;
    until(&connection, FAILOVER, "all is well again", |state| {
        state.health == Health::Connected && state.generation > before
    })
    .await;
    assert_eq!(get(&connection, "key1").await.unwrap().as_deref(), Some("after"));
    assert!(redis.is_well());
}
