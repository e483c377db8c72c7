//! Engine.IO: what the published suite of its fourth version looks at, and what surrounds it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;
use crate::socketio::echo::QUICK;
use crate::support::eventually;

fn engine() -> Echo {
    Echo::start("/engine.io/", &[])
}

/// A poll that is answered is answered by then.
const SOON: Duration = Duration::from_secs(2);
const UNKNOWN: &str = r#"{"code":1,"message":"Session ID unknown"}"#;
const BAD: &str = r#"{"code":3,"message":"Bad request"}"#;

#[tokio::test]
async fn a_session_opens_with_exactly_what_the_protocol_says() {
    let flags = [QUICK, ["--max-payload", "5000", "--connect-timeout", "1000"]].concat();
    for path in ["/engine.io/", "/socket.io/"] {
        let echo = Echo::start(path, &flags);
        let mut handshake = echo.opens().await;
        let sid = handshake["sid"].take();
        assert!(sid.as_str().is_some_and(|sid| sid.len() >= 20), "{sid}");
        let expected = json!({"sid": null, "upgrades": ["websocket"], "pingInterval": 200, "pingTimeout": 2000, "maxPayload": 5000});
        assert_eq!(handshake, expected);
        let (_, mut handshake) = echo.connects().await;
        handshake["sid"].take();
        let expected = json!({"sid": null, "upgrades": [], "pingInterval": 200, "pingTimeout": 2000, "maxPayload": 5000});
        assert_eq!(handshake, expected);
    }
}

#[tokio::test]
async fn requests_that_are_none_are_refused_in_the_words_of_the_reference() {
    let echo = engine();
    let version = r#"{"code":5,"message":"Unsupported protocol version"}"#;
    let transport = r#"{"code":0,"message":"Transport unknown"}"#;
    let method = r#"{"code":2,"message":"Bad handshake method"}"#;
    for (verb, query, body) in [
        ("GET", "transport=polling", version),
        ("GET", "EIO=abc&transport=polling", version),
        ("GET", "EIO=3&transport=polling", version),
        ("GET", "EIO=4", transport),
        ("GET", "EIO=4&transport=abc", transport),
        ("POST", "EIO=4&transport=polling", method),
        ("PUT", "EIO=4&transport=polling", method),
        ("GET", "EIO=4&transport=websocket", BAD),
        ("GET", "EIO=4&transport=polling&sid=abc", UNKNOWN),
        ("POST", "EIO=4&transport=polling&sid=abc", UNKNOWN),
    ] {
        let answer = echo.asks(verb, query).await;
        assert_eq!(answer, (400, body.to_owned()), "{verb} {query}");
    }
    for query in [
        "transport=websocket",
        "EIO=abc&transport=websocket",
        "EIO=4",
        "EIO=4&transport=abc",
        "EIO=4&transport=websocket&sid=abc",
    ] {
        assert_eq!(echo.tries(query).await.err(), Some(400), "{query}");
    }
}

#[tokio::test]
async fn messages_come_back_over_polling() {
    let echo = engine();
    let sid = echo.sid().await;
    for body in [
        "4hello",
        "4test1\u{1e}4test2\u{1e}4test3",
        "4hello\u{1e}bAQIDBA==",
        "4€",
    ] {
        echo.says(&sid, body).await;
        assert_eq!(echo.polls(&sid).await, (200, body.to_owned()));
    }
    let (poll, ()) = tokio::join!(echo.polls(&sid), echo.says(&sid, "4while it waits"));
    assert_eq!(poll, (200, "4while it waits".into()));
}

#[tokio::test]
async fn messages_come_back_over_a_websocket() {
    let echo = engine();
    let (mut socket, _) = echo.connects().await;
    socket.says("4hello").await;
    assert_eq!(socket.hears().await, "4hello");
    socket.sends(&[1, 2, 3, 4]).await;
    assert_eq!(socket.gets().await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_is_not_the_protocol_ends_the_session() {
    let echo = engine();
    let sid = echo.sid().await;
    assert_eq!(echo.posts(&sid, "abc").await, (400, BAD.into()));
    assert_eq!(echo.polls(&sid).await, (400, UNKNOWN.into()));
    let (mut socket, _) = echo.connects().await;
    socket.says("abc").await;
    assert!(socket.is_closed().await.is_empty());
}

#[tokio::test]
async fn what_is_larger_than_promised_ends_the_session() {
    let echo = Echo::start("/engine.io/", &["--max-payload", "100"]);
    let long = format!("4{}", "a".repeat(100));
    let sid = echo.sid().await;
    assert_eq!(echo.posts(&sid, &long).await.0, 413);
    assert_eq!(echo.polls(&sid).await.0, 400);
    let (mut socket, _) = echo.connects().await;
    socket.says(&long[1..]).await;
    assert!(socket.is_closed().await.is_empty());
    let (mut socket, _) = echo.connects().await;
    socket.says(&long).await;
    assert!(socket.is_closed().await.is_empty());
}

#[tokio::test]
async fn a_second_poll_ends_the_session() {
    let echo = engine();
    let sid = echo.sid().await;
    // Whichever comes second is refused, the other hears of the end.
    let (one, two) = tokio::join!(echo.polls(&sid), echo.polls(&sid));
    let mut both = [one, two];
    both.sort();
    assert_eq!(both, [(200, "1".into()), (400, BAD.into())]);
    assert_eq!(echo.polls(&sid).await, (400, UNKNOWN.into()));
}

#[tokio::test]
async fn a_poll_that_the_client_gives_up_ends_the_session() {
    let echo = engine();
    // One that is given up before the server has read it is nobody's: then it is tried with another session.
    eventually("the session ends", || async {
        let sid = echo.sid().await;
        let mut stream = TcpStream::connect(echo.address).await.unwrap();
        let poll = format!("GET /engine.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(poll.as_bytes()).await.unwrap();
        for _ in 0..5 {
            echo.sid().await;
        }
        drop(stream);
        // A poll that overtakes it ends with it.
        while let Ok((status, _)) = tokio::time::timeout(SOON, echo.polls(&sid)).await {
            if status == 400 {
                return Some(());
            }
        }
        None
    })
    .await;
}

#[tokio::test]
async fn heartbeats_keep_a_session_and_their_absence_ends_it() {
    let echo = Echo::start("/engine.io/", &QUICK);
    let polling = async {
        let sid = echo.sid().await;
        for _ in 0..3 {
            assert_eq!(echo.polls(&sid).await, (200, "2".into()));
            echo.says(&sid, "3").await;
        }
        assert_eq!(echo.polls(&sid).await, (200, "2".into()));
        assert_eq!(echo.polls(&sid).await, (200, "1".into()));
        assert_eq!(echo.posts(&sid, "3").await, (400, UNKNOWN.into()));
    };
    let websocket = async {
        let (mut socket, _) = echo.connects().await;
        for _ in 0..3 {
            assert_eq!(socket.hears().await, "2");
            socket.says("3").await;
        }
        let left = socket.is_closed().await;
        assert_eq!(left.len(), 1, "one more ping: {left:?}");
    };
    tokio::join!(polling, websocket);
}

#[tokio::test]
async fn a_client_may_end_its_session() {
    let echo = engine();
    let sid = echo.sid().await;
    let poll = async { echo.polls(&sid).await };
    let close = async { echo.says(&sid, "1").await };
    let (poll, ()) = tokio::join!(biased; poll, close);
    // The poll may come after the end.
    assert!(
        poll == (200, "6".into()) || poll == (400, UNKNOWN.into()),
        "{poll:?}"
    );
    assert_eq!(echo.polls(&sid).await, (400, UNKNOWN.into()));
    let (mut socket, _) = echo.connects().await;
    socket.says("1").await;
    assert!(socket.is_closed().await.is_empty());
}

#[tokio::test]
async fn a_session_moves_to_a_websocket_and_loses_nothing() {
    for path in ["/engine.io/", "/socket.io/"] {
        let echo = Echo::start(path, &[]);
        let sid = echo.sid().await;
        let mut socket = echo.joins(&sid).await;
        socket.says("2probe").await;
        assert_eq!(socket.hears().await, "3probe");
        assert_eq!(echo.polls(&sid).await, (200, "6".into()));
        if path == "/engine.io/" {
            echo.says(&sid, "4over polling").await;
        }
        socket.says("5").await;
        if path == "/engine.io/" {
            assert_eq!(socket.hears().await, "4over polling");
            socket.says("4over the socket").await;
            assert_eq!(socket.hears().await, "4over the socket");
        } else {
            socket.says("40").await;
            assert!(socket.hears().await.starts_with("40{"));
            assert_eq!(socket.hears().await, r#"42["auth",{}]"#);
        }
        // Neither polls nor other sockets are of use any more, and do no harm.
        assert_eq!(echo.polls(&sid).await, (400, BAD.into()));
        assert_eq!(echo.posts(&sid, "4hello").await, (400, BAD.into()));
        let mut other = echo.joins(&sid).await;
        assert!(other.is_closed().await.is_empty());
        if path == "/engine.io/" {
            socket.says("4still").await;
            assert_eq!(socket.hears().await, "4still");
        }
    }
}

#[tokio::test]
async fn a_poll_that_waits_is_released_by_the_probe() {
    let echo = engine();
    let sid = echo.sid().await;
    let mut socket = echo.joins(&sid).await;
    let (poll, ()) = tokio::join!(echo.polls(&sid), async {
        socket.says("2probe").await;
        assert_eq!(socket.hears().await, "3probe");
    });
    assert_eq!(poll, (200, "6".into()));
}

#[tokio::test]
async fn an_answer_is_not_to_be_stored_and_says_what_it_is() {
    let echo = engine();
    let url = format!("http://{}/engine.io/?EIO=4&transport=polling", echo.address);
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=UTF-8");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let error = reqwest::get(format!("http://{}/engine.io/", echo.address))
        .await
        .unwrap();
    assert_eq!(error.headers()["content-type"], "application/json");
    let body: Value = error.json().await.unwrap();
    assert_eq!(body["code"], 0);
}
