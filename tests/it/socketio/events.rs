//! Socket.IO: what the published suite of its fifth version looks at.

use serde_json::Value;

use super::*;
use crate::socketio::echo::QUICK;

fn socketio() -> Echo {
    Echo::start("/socket.io/", &[])
}

/// The session id of an answer to a connect.
fn sid(answer: &str, before: &str) -> String {
    let json = answer.strip_prefix(before).unwrap_or_else(|| panic!("{answer}"));
    let json: Value = serde_json::from_str(json).unwrap();
    assert_eq!(json.as_object().unwrap().len(), 1, "{json}");
    json["sid"].as_str().unwrap().to_owned()
}

/// A client that is connected to `/`.
async fn connected(echo: &Echo) -> Socket {
    let (mut socket, _) = echo.connects().await;
    socket.says("40").await;
    sid(&socket.hears().await, "40");
    assert_eq!(socket.hears().await, r#"42["auth",{}]"#);
    socket
}

#[tokio::test]
async fn a_client_connects_to_namespaces_with_what_it_shows() {
    let echo = socketio();
    let mut sids = Vec::new();
    for (connect, before, auth) in [
        ("40", "40", r#"42["auth",{}]"#),
        (r#"40{"token":"123"}"#, "40", r#"42["auth",{"token":"123"}]"#),
        ("40/custom,", "40/custom,", r#"42/custom,["auth",{}]"#),
        (
            r#"40/custom,{"token":"abc"}"#,
            "40/custom,",
            r#"42/custom,["auth",{"token":"abc"}]"#,
        ),
    ] {
        let (mut socket, handshake) = echo.connects().await;
        socket.says(connect).await;
        sids.push(sid(&socket.hears().await, before));
        sids.push(handshake["sid"].as_str().unwrap().to_owned());
        assert_eq!(socket.hears().await, auth);
    }
    sids.sort();
    sids.dedup();
    assert_eq!(sids.len(), 8, "ids are used once");
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_refused_and_the_connection_stays() {
    let echo = socketio();
    let (mut socket, _) = echo.connects().await;
    socket.says("40/random").await;
    assert_eq!(
        socket.hears().await,
        r#"44/random,{"message":"Invalid namespace"}"#
    );
    socket.says("40").await;
    sid(&socket.hears().await, "40");
}

#[tokio::test]
async fn who_connects_to_nothing_is_closed() {
    let echo = Echo::start("/socket.io/", &["--connect-timeout", "1500"]);
    let (mut socket, _) = echo.connects().await;
    assert!(socket.is_closed().await.is_empty());
    let polls = echo.sid().await;
    assert_eq!(echo.polls(&polls).await, (200, "1".into()));
    // Nothing happens to who did.
    let mut stays = connected(&echo).await;
    let (mut other, _) = echo.connects().await;
    assert!(other.is_closed().await.is_empty());
    stays.says(r#"42["message"]"#).await;
    assert_eq!(stays.hears().await, r#"42["message-back"]"#);
}

#[tokio::test]
async fn leaving_one_namespace_leaves_the_others() {
    let echo = Echo::start("/socket.io/", &QUICK);
    let mut socket = connected(&echo).await;
    socket.says("41").await;
    assert_eq!(socket.hears().await, "2", "the session goes on");

    let echo = socketio();
    let mut socket = connected(&echo).await;
    socket.says("40/custom").await;
    sid(&socket.hears().await, "40/custom,");
    assert_eq!(socket.hears().await, r#"42/custom,["auth",{}]"#);
    socket.says("41/custom").await;
    socket.says(r#"42["message","to the main namespace"]"#).await;
    assert_eq!(
        socket.hears().await,
        r#"42["message-back","to the main namespace"]"#
    );
}

#[tokio::test]
async fn events_and_acknowledgements_carry_texts_and_bytes() {
    let echo = socketio();
    let mut socket = connected(&echo).await;
    socket.says(r#"42["message",1,"2",{"3":[true]}]"#).await;
    assert_eq!(socket.hears().await, r#"42["message-back",1,"2",{"3":[true]}]"#);
    socket
        .says(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#)
        .await;
    assert_eq!(socket.hears().await, r#"43456[1,"2",{"3":[false]}]"#);

    let two = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    for (said, heard) in [
        (
            format!(r#"452-["message",{two}]"#),
            format!(r#"452-["message-back",{two}]"#),
        ),
        (
            format!(r#"452-789["message-with-ack",{two}]"#),
            format!("462-789[{two}]"),
        ),
    ] {
        socket.says(&said).await;
        socket.sends(&[1, 2, 3]).await;
        socket.sends(&[4, 5, 6]).await;
        assert_eq!(socket.hears().await, heard);
        assert_eq!(socket.gets().await, [1, 2, 3]);
        assert_eq!(socket.gets().await, [4, 5, 6]);
    }
}

#[tokio::test]
async fn the_same_over_polling() {
    let echo = socketio();
    let polls = echo.sid().await;
    echo.says(&polls, r#"40{"token":"123"}"#).await;
    let (status, text) = echo.polls(&polls).await;
    assert_eq!(status, 200);
    let (connect, auth) = text.split_once('\u{1e}').unwrap();
    sid(connect, "40");
    assert_eq!(auth, r#"42["auth",{"token":"123"}]"#);
    let said =
        "451-9[\"message-with-ack\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQID\u{1e}42[\"message\",\"€\"]";
    echo.says(&polls, said).await;
    let heard = "461-9[{\"_placeholder\":true,\"num\":0}]\u{1e}bAQID\u{1e}42[\"message-back\",\"€\"]";
    assert_eq!(echo.polls(&polls).await, (200, heard.into()));
}

#[tokio::test]
async fn what_is_not_the_protocol_closes_the_connection() {
    let echo = socketio();
    for wrong in [
        "4abc",
        "42{}",
        r#"42abc["message-with-ack",1]"#,
        r#"42/custom,["message"]"#,
        r#"4511-["message"]"#,
        "40",
    ] {
        let mut socket = connected(&echo).await;
        socket.says(wrong).await;
        assert!(socket.is_closed().await.is_empty(), "{wrong}");
    }
    let (mut socket, _) = echo.connects().await;
    socket.says("4abc").await;
    assert!(socket.is_closed().await.is_empty());
    let polls = echo.sid().await;
    echo.says(&polls, "42[\"before a connect\"]").await;
    assert_eq!(echo.polls(&polls).await, (200, "1".into()));
    assert_eq!(echo.polls(&polls).await.0, 400);
}
