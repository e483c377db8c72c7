//! The socket of a connection: TCP, or TLS over it.
//!
//! What the hub does with a socket it does here in one place. A plain socket goes the way it always went, past one
//! look at the variant; a TLS one keeps its session in a box of its own, so that a plain connection is no larger.

use std::io;
use std::net::Shutdown;
use std::task::{Context, Poll};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::tls::TlsSocket;

/// A connection's socket.
#[derive(Debug)]
pub enum Socket {
    /// Bytes as they are.
    Plain(TcpStream),
    /// Bytes under TLS.
    Tls(Box<TlsSocket>),
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        Self::Plain(socket)
    }
}

impl From<TlsStream<TcpStream>> for Socket {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        let (socket, session) = stream.into_inner();
        Self::Tls(Box::new(TlsSocket::new(socket, session)))
    }
}

impl Socket {
    /// The same on the thread that calls: it is told there when the socket is ready.
    ///
    /// # Errors
    /// When that thread has no runtime that takes it.
    pub fn moved_here(self) -> io::Result<Self> {
        let move_it = |socket: TcpStream| TcpStream::from_std(socket.into_std()?);
        match self {
            Self::Plain(socket) => move_it(socket).map(Self::Plain),
            Self::Tls(tls) => tls.with_socket(move_it).map(|tls| Self::Tls(Box::new(tls))),
        }
    }

    /// The TCP socket under it.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.tcp(),
        }
    }

    /// Waits for bytes to read.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_read_ready(cx),
            Self::Tls(tls) => tls.poll_readable(cx),
        }
    }

    /// Reads once into the free room of `buf`; `Ok(0)` is the end, `WouldBlock` that there is nothing now.
    pub(super) fn read(&self, buf: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => read_available(socket, buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }

    /// Writes as much as it takes now. Less than all of it means that it takes no more.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => write_available(socket, bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    /// Whether bytes that it took are not with the kernel yet: [`push`](Self::push) moves them on.
    pub(super) fn owes(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.owes(),
        }
    }

    /// Hands the kernel what it took; false when the kernel takes no more now.
    pub(super) fn push(&self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Tls(tls) => tls.push(),
        }
    }

    /// Says that nothing more is written.
    pub(super) fn finish(&self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => SockRef::from(socket).shutdown(Shutdown::Write),
            Self::Tls(tls) => tls.finish(),
        }
    }
}

/// Reads once. A read that leaves room in `buf` has emptied the socket, which is noted in the
/// readiness, so that the next poll waits instead of asking the kernel again.
fn read_available(socket: &TcpStream, buf: &mut BytesMut) -> io::Result<usize> {
    let room = buf.capacity() - buf.len();
    let mut short = 0;
    let result = socket.try_io(Interest::READABLE, || {
        let n = socket.try_read_buf(buf)?;
        if n > 0 && n < room {
            short = n;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(n)
    });
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && short > 0 => Ok(short),
        other => other,
    }
}

/// Writes once. A write that leaves bytes over has filled the socket, which is noted in the same way.
fn write_available(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut partial = 0;
    let result = socket.try_io(Interest::WRITABLE, || {
        let n = socket.try_write(bytes)?;
        if n < bytes.len() {
            // Saves the call that would only say so: the socket is full.
            partial = n;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(n)
    });
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(partial),
        other => other,
    }
}
