//! TLS over a connection's socket, without a task or a buffer of its own: the session actor reads, the hub writes,
//! each when the socket is ready, as they do with a plain one.

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead as _, IoSlice, Read, Write};
use std::net::Shutdown;
use std::task::{Context, Poll};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConnection;

/// A TLS session that stands, and its socket.
#[derive(Debug)]
pub struct TlsSocket {
    socket: TcpStream,
    session: RefCell<ServerConnection>,
    /// Whether bytes may lie decrypted in the session, of which the socket's readiness says nothing.
    decrypted: Cell<bool>,
    /// The end was announced: when all is written, the socket's writing half is closed.
    finishing: Cell<bool>,
}

impl TlsSocket {
    /// Takes over what an acceptor made, with whatever came behind the handshake.
    #[must_use]
    pub(super) fn new(socket: TcpStream, session: ServerConnection) -> Self {
        Self {
            socket,
            session: RefCell::new(session),
            decrypted: Cell::new(true),
            finishing: Cell::new(false),
        }
    }

    /// The same session over what `change` makes of its socket.
    pub(super) fn with_socket(
        self,
        change: impl FnOnce(TcpStream) -> io::Result<TcpStream>,
    ) -> io::Result<Self> {
        let socket = change(self.socket)?;
        Ok(Self { socket, ..self })
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.socket
    }

    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.decrypted.get() {
            return Poll::Ready(Ok(()));
        }
        self.socket.poll_read_ready(cx)
    }

    pub(super) fn read(&self, buf: &mut BytesMut) -> io::Result<usize> {
        let session = &mut *self.session.borrow_mut();
        loop {
            match take_decrypted(session, buf) {
                Ok(n) => {
                    // The end stays the end; anything else may have more behind it.
                    self.decrypted.set(true);
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.decrypted.set(false),
                // The peer went without a word of TLS. What it sent is whole or not by WebSocket's own rules.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) => return Err(error),
            }
            if session.read_tls(&mut Raw(&self.socket))? == 0 {
                self.decrypted.set(true);
                return Ok(0);
            }
            if let Err(error) = session.process_new_packets() {
                // The alert that says why; the peer may not wait for it.
                let _ = self.hand_over(session);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            // The session may have to answer, such as a change of keys.
            self.hand_over(session)?;
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let session = &mut *self.session.borrow_mut();
        let n = session.writer().write(bytes)?;
        self.hand_over(session)?;
        Ok(n)
    }

    pub(super) fn owes(&self) -> bool {
        self.session.borrow().wants_write()
    }

    pub(super) fn push(&self) -> io::Result<bool> {
        self.hand_over(&mut self.session.borrow_mut())
    }

    pub(super) fn finish(&self) -> io::Result<()> {
        let session = &mut *self.session.borrow_mut();
        session.send_close_notify();
        self.finishing.set(true);
        self.hand_over(session).map(|_| ())
    }

    /// Writes what the session has encrypted; false when the socket takes no more now.
    fn hand_over(&self, session: &mut ServerConnection) -> io::Result<bool> {
        while session.wants_write() {
            match session.write_tls(&mut Raw(&self.socket)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        if self.finishing.take() {
            SockRef::from(&self.socket).shutdown(Shutdown::Write)?;
        }
        Ok(true)
    }
}

/// Moves decrypted bytes to `buf`, at most as many as it has room for. `Ok(0)` is the peer's proper end.
fn take_decrypted(session: &mut ServerConnection, buf: &mut BytesMut) -> io::Result<usize> {
    let mut reader = session.reader();
    let mut taken = 0;
    while buf.len() < buf.capacity() {
        let chunk = match reader.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(_) if taken > 0 => break,
            Err(error) => return Err(error),
        };
        let n = chunk.len().min(buf.capacity() - buf.len());
        buf.extend_from_slice(&chunk[..n]);
        reader.consume(n);
        taken += n;
    }
    Ok(taken)
}

/// The TCP socket as `rustls` wants it. What does not go at once is `WouldBlock`, which the readiness remembers.
struct Raw<'a>(&'a TcpStream);

impl Read for Raw<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut short = 0;
        let result = self.0.try_io(Interest::READABLE, || {
            let n = self.0.try_read(buf)?;
            if n > 0 && n < buf.len() {
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
}

impl Write for Raw<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
