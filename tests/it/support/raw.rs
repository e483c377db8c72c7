//! HTTP/1 byte for byte, for what no well-behaved client sends.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::engine::DEADLINE;

/// An answer as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// The one header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends these bytes and reads until the engine closes the connection: send `Connection: close`.
pub async fn exchange(to: SocketAddr, request: impl AsRef<[u8]>) -> Reply {
    let all = async {
        let mut socket = TcpStream::connect(to).await.unwrap();
        // Who is refused may be refused before all is sent.
        let _ = socket.write_all(request.as_ref()).await;
        let mut read = Vec::new();
        let _ = socket.read_to_end(&mut read).await;
        read
    };
    let read = timeout(DEADLINE, all).await.expect("no end of the answer");
    reply(&read)
}

/// Takes an answer apart.
#[track_caller]
pub fn reply(read: &[u8]) -> Reply {
    let end = read
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(read)));
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let status = head[9..12].parse().unwrap();
    Reply {
        status,
        head,
        body: read[end + 4..].to_vec(),
    }
}
