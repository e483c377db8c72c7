//! A circle client on its WebSocket. It hears every message in order, and a story fails on one that nobody
//! expected.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::document::{check_close, check_frame};
use super::engine::DEADLINE;
use super::matching::misfit;

/// A connection.
pub struct Client {
    name: String,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    heard: Vec<String>,
    /// The `connected` message.
    pub greeting: Value,
}

/// An upgrade that was refused.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub body: Value,
}

/// What a client hears next.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Value),
    /// The close frame's code and text.
    Close(u16, String),
    /// The connection ended without one.
    End(String),
}

impl Client {
    pub(super) async fn open(name: &str, request: Request) -> Result<Self, Refused> {
        match timeout(DEADLINE, connect_async(request))
            .await
            .expect("no answer to the upgrade")
        {
            Ok((socket, _)) => Ok(Self::on(name, socket)),
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                let body = serde_json::from_slice(body).unwrap_or(Value::Null);
                Err(Refused {
                    status: response.status().as_u16(),
                    body,
                })
            }
            Err(error) => panic!("{name} could not connect: {error}"),
        }
    }

    /// On a socket that is open already.
    pub fn on(name: &str, socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self {
            name: name.into(),
            socket,
            heard: Vec::new(),
            greeting: Value::Null,
        }
    }

    /// Says something.
    pub async fn says(&mut self, message: Value) {
        self.sends(Message::text(message.to_string())).await;
    }

    /// Sends a frame of any kind.
    pub async fn sends(&mut self, frame: Message) {
        let sent = timeout(DEADLINE, self.socket.send(frame)).await;
        if let Err(error) = sent.expect("the engine does not read") {
            panic!("{} could not send: {error}", self.name);
        }
    }

    /// Sends a frame to an engine that may be gone.
    pub async fn tries_to_send(&mut self, frame: Message) -> bool {
        matches!(timeout(DEADLINE, self.socket.send(frame)).await, Ok(Ok(())))
    }

    /// Whatever comes next.
    pub async fn hears(&mut self) -> Heard {
        match self.next_text().await {
            Ok(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                assert!(
                    message["type"].is_string(),
                    "{} heard {message} without a type",
                    self.name
                );
                check_timestamp(&message);
                check_frame(&message);
                if self.heard.len() == 40 {
                    self.heard.remove(0);
                }
                self.heard.push(text);
                Heard::Message(message)
            }
            Err(end) => end,
        }
    }

    /// The next message as it came.
    pub async fn next_text(&mut self) -> Result<String, Heard> {
        loop {
            let Ok(next) = timeout(DEADLINE, self.socket.next()).await else {
                panic!(
                    "{} hears nothing more; heard so far:\n{}",
                    self.name,
                    self.heard.join("\n")
                );
            };
            match next {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(Some(close)))) => {
                    check_close(close.code.into());
                    return Err(Heard::Close(close.code.into(), close.reason.to_string()));
                }
                Some(Ok(Message::Close(None))) => return Err(Heard::Close(1005, String::new())),
                Some(Ok(other)) => panic!("{} heard {other:?}", self.name),
                Some(Err(error)) => return Err(Heard::End(error.to_string())),
                None => return Err(Heard::End("end".into())),
            }
        }
    }

    /// The next message, which must fit.
    pub async fn expect(&mut self, pattern: Value) -> Value {
        let message = self.message(&pattern).await;
        if let Some(misfit) = misfit(&pattern, &message) {
            self.unexpected(&misfit, &pattern, &message);
        }
        message
    }

    /// The next messages, which must fit these patterns in whatever order; answers them in the patterns'.
    pub async fn expect_in_any_order<const N: usize>(&mut self, patterns: [Value; N]) -> [Value; N] {
        let mut found: [Value; N] = std::array::from_fn(|_| Value::Null);
        for _ in 0..N {
            let wanted = Value::from(patterns.to_vec());
            let message = self.message(&wanted).await;
            let fits = (0..N).find(|n| found[*n].is_null() && misfit(&patterns[*n], &message).is_none());
            match fits {
                Some(n) => found[n] = message,
                None => self.unexpected("fits none of those left", &wanted, &message),
            }
        }
        found
    }

    async fn message(&mut self, pattern: &Value) -> Value {
        match self.hears().await {
            Heard::Message(message) => message,
            end => panic!(
                "{} expected {pattern} and heard {end:?} after:\n{}",
                self.name,
                self.heard.join("\n")
            ),
        }
    }

    fn unexpected(&self, misfit: &str, pattern: &Value, message: &Value) -> ! {
        panic!(
            "{}: {misfit}\n  expected {pattern}\n  heard    {message}\n  after:\n{}",
            self.name,
            self.heard.join("\n")
        )
    }

    /// Nothing else stands before the answer to a ping: what was sent to this client before now has been
    /// heard.
    pub async fn hears_nothing_more(&mut self) {
        self.says(json!({"type": "ping"})).await;
        self.expect(json!({"type": "pong"})).await;
    }

    /// The next is an error with this code; answers its message.
    pub async fn expect_error(&mut self, code: &str) -> Value {
        self.expect(json!({"type": "error", "code": code, "message": "*"}))
            .await
    }

    /// The next is an error with this text.
    pub async fn expect_error_text(&mut self, text: &str) {
        self.expect(json!({"type": "error", "code": "*", "message": text}))
            .await;
    }

    /// The engine closes; answers the text.
    pub async fn expect_close(&mut self, code: u16) -> String {
        match self.hears().await {
            Heard::Close(found, text) if found == code => text,
            heard => panic!("{} expected a close {code} and heard {heard:?}", self.name),
        }
    }

    /// Reads on until the engine closes, whatever comes before; answers the messages, the code and the text.
    pub async fn reads_to_the_close(&mut self) -> (Vec<Value>, u16, String) {
        let mut messages = Vec::new();
        loop {
            match self.hears().await {
                Heard::Message(message) => messages.push(message),
                Heard::Close(code, text) => return (messages, code, text),
                Heard::End(how) => panic!("{} expected a close and the connection broke: {how}", self.name),
            }
        }
    }

    /// Says goodbye and waits for the answer, so that the engine knows.
    pub async fn leaves(mut self) {
        let _ = self.socket.close(None).await;
        while let Ok(Some(Ok(_))) = timeout(DEADLINE, self.socket.next()).await {}
    }

    /// Who this connection is in a room that it was let into: the last message's participant id.
    pub fn name(&self) -> &str {
        &self.name
    }

    // ---- what stories say often ----

    /// Creates a circle of this name.
    pub async fn creates(&mut self, room: &str) -> Value {
        self.says(json!({"type": "create-room", "roomId": room})).await;
        self.expect(json!({"type": "room-created", "roomId": room, "owner": "p-*"}))
            .await
    }

    /// Joins a room it may join.
    pub async fn joins(&mut self, room: &str) -> Value {
        self.says(json!({"type": "join-room", "roomId": room})).await;
        self.expect(json!({"type": "join-approved", "roomId": room, "recovered": false}))
            .await
    }

    /// Sends a message to a room it is in, and hears that it was accepted and then the message itself.
    pub async fn writes(&mut self, room: &str, content: &str) -> Value {
        self.says(json!({"type": "room-message", "roomId": room, "content": content}))
            .await;
        let accepted = self
            .expect(json!({"type": "message-accepted", "roomId": room, "id": "*"}))
            .await;
        let own = json!({"type": "room-message", "roomId": room, "seq": accepted["seq"], "content": content});
        self.expect(own).await
    }

    /// Hears somebody's message.
    pub async fn reads(&mut self, room: &str, content: &str) -> Value {
        self.expect(json!({"type": "room-message", "roomId": room, "content": content}))
            .await
    }
}

/// RFC 3339 UTC with milliseconds.
fn check_timestamp(message: &Value) {
    let text = message["timestamp"]
        .as_str()
        .unwrap_or_else(|| panic!("no timestamp in {message}"));
    let shape = "0000-00-00T00:00:00.000Z";
    let fits = text.len() == shape.len()
        && text
            .chars()
            .zip(shape.chars())
            .all(|(c, s)| if s == '0' { c.is_ascii_digit() } else { c == s });
    assert!(fits, "{text} is no RFC 3339 time with milliseconds");
}
