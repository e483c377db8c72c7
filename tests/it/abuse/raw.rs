//! A client that speaks bytes.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{DEADLINE, Engine};

/// A connection.
pub struct Raw(TcpStream);

impl Raw {
    pub async fn open(engine: &Engine) -> Self {
        Self(TcpStream::connect(engine.address()).await.unwrap())
    }

    /// Sends bytes, as far as the engine takes them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = timeout(DEADLINE, self.0.write_all(bytes.as_ref())).await;
        matches!(sent, Ok(Ok(())))
    }

    /// Reads until there are so many bytes, or the end.
    pub async fn read(&mut self, wanted: usize) -> String {
        let (mut all, mut buffer) = (Vec::new(), [0; 16_384]);
        while all.len() < wanted {
            match timeout(DEADLINE, self.0.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(n)) => all.extend_from_slice(&buffer[..n]),
                Err(_) => panic!("nothing more comes after: {}", String::from_utf8_lossy(&all)),
            }
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Reads to the end; answers what came, and after how long it ended.
    pub async fn reads_to_the_end(&mut self) -> (String, Duration) {
        let begun = Instant::now();
        (self.read(usize::MAX).await, begun.elapsed())
    }

    /// Reads so many answers; each has its `Content-Length` and is taken off whole. Answers their statuses.
    pub async fn statuses(&mut self, count: usize) -> Vec<u16> {
        let (mut statuses, mut all, mut buffer) = (Vec::new(), Vec::new(), vec![0; 65_536]);
        while statuses.len() < count {
            let read = timeout(DEADLINE, self.0.read(&mut buffer)).await;
            let n = read
                .expect("the answers come in time")
                .expect("the connection holds");
            assert!(n > 0, "the connection ended after {} answers", statuses.len());
            all.extend_from_slice(&buffer[..n]);
            while let Some((status, length)) = whole(&all) {
                statuses.push(status);
                all.drain(..length);
            }
        }
        statuses
    }
}

/// The status and the length of the answer that stands at the beginning.
fn whole(bytes: &[u8]) -> Option<(u16, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).unwrap().to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .expect("a Content-Length");
    let end = head + length.trim().parse::<usize>().unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (bytes.len() >= end).then_some((status, end))
}
