//! Many connections on one thread: epoll, edge-triggered, one shared buffer to read into.
//!
//! The tool shares the machine with the engine, so what it costs is taken from what it measures. A connection
//! owns bytes only while a message is incomplete or a write did not fit; the time is read once for each read.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use socket2::{Domain, Protocol, Socket, Type};

use crate::dialect::Opening;
pub use crate::handler::{ConnId, Ending, Handler, Ignore};
use crate::{Result, http, ws};

const READ_BUFFER: usize = 256 * 1024;
/// What must be free in the buffer before a read.
const READ_ROOM: usize = 64 * 1024;
/// Reads of one connection before others get their turn.
const READS_IN_TURN: usize = 4;
const EVENTS_IN_TURN: usize = 1024;
/// Loopback addresses to connect from: each has about 28,000 ports of its own.
const SOURCES: u64 = 250;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Upgrading,
    Socket,
    Http,
}

struct Conn {
    server_index: usize,
    stream: TcpStream,
    phase: Phase,
    is_socket: bool,
    /// What to say once the server has greeted.
    greeting: Vec<u8>,
    /// The part of a message whose rest is still to come.
    partial: Vec<u8>,
    unsent: Vec<u8>,
}

struct Slot {
    generation: u32,
    conn: Option<Conn>,
}

/// The connections and their thread.
pub struct Reactor {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    buffer: Vec<u8>,
    unfinished: Vec<ConnId>,
    servers: Vec<SocketAddr>,
    host: String,
    connects: u64,
    began: Instant,
    bytes_received: u64,
}

impl Reactor {
    /// Connections go to these in turn.
    pub fn new(servers: Vec<SocketAddr>) -> Result<Self> {
        let host = servers.first().ok_or("there is no server")?.to_string();
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS_IN_TURN),
            slots: Vec::new(),
            free: Vec::new(),
            buffer: vec![0; READ_BUFFER],
            unfinished: Vec::new(),
            servers,
            host,
            connects: 0,
            began: Instant::now(),
            bytes_received: 0,
        })
    }

    /// Nanoseconds since the reactor began.
    #[inline]
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// An instant as such a number.
    pub fn at(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.began);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn bytes_received(&self) -> u64 {
        self.bytes_received
    }

    /// Starts counting source addresses elsewhere, for a further client process.
    pub fn skip_sources(&mut self, connects: u64) {
        self.connects = connects;
    }

    /// Begins to open a WebSocket; `opened` follows once it is upgraded.
    pub fn open_socket(&mut self, opening: Opening) -> Result<ConnId> {
        let request = ws::upgrade_request(&self.host, &opening.path);
        self.open(request, true, opening.greeting)
    }

    /// Begins to open a connection for requests; `opened` follows once it is connected.
    pub fn open_http(&mut self) -> Result<ConnId> {
        self.open(Vec::new(), false, Vec::new())
    }

    fn open(&mut self, unsent: Vec<u8>, is_socket: bool, greeting: Vec<u8>) -> Result<ConnId> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        let server_index = self.connects as usize % self.servers.len();
        let server = self.servers[server_index];
        if server.ip().is_loopback() {
            // Bound to port 0 the kernel picks a port that is free for this address, which is enough here:
            // the addresses are many. IP_BIND_ADDRESS_NO_PORT would save a little of its search.
            let source = self.connects / self.servers.len() as u64 % SOURCES;
            let [high, low] = [1 + source / 50, 1 + source % 50].map(|n| u8::try_from(n).unwrap_or(1));
            socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, high, low), 0)).into())?;
        }
        self.connects += 1;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&server.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error.into()),
        }
        let conn = Conn {
            server_index,
            stream: socket.into(),
            phase: Phase::Connecting,
            is_socket,
            greeting,
            partial: Vec::new(),
            unsent,
        };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Slot {
                    generation: 0,
                    conn: None,
                });
                u32::try_from(self.slots.len() - 1)?
            }
        };
        let generation = self.slots[slot as usize].generation;
        let data = EventData::new_u64(u64::from(generation) << 32 | u64::from(slot));
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &conn.stream, data, flags)?;
        self.slots[slot as usize].conn = Some(conn);
        Ok(ConnId { slot, generation })
    }

    fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation == id.generation {
            slot.conn.as_mut()
        } else {
            None
        }
    }

    /// Which of the servers it goes to.
    pub fn server_of(&mut self, id: ConnId) -> Option<usize> {
        self.conn(id).map(|conn| conn.server_index)
    }

    pub fn is_open(&mut self, id: ConnId) -> bool {
        self.conn(id).is_some()
    }

    /// Drops a connection without a close frame; `closed` is not called.
    pub fn drop_conn(&mut self, id: ConnId) {
        if let Some(slot) = self.slots.get_mut(id.slot as usize)
            && slot.generation == id.generation
            && slot.conn.take().is_some()
        {
            slot.generation += 1;
            self.free.push(id.slot);
        }
    }

    /// Sends bytes as they are: a prebuilt frame or a request.
    pub fn send(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(conn) = self.conn(id) else { return };
        if conn.phase == Phase::Connecting || conn.phase == Phase::Upgrading || !conn.unsent.is_empty() {
            conn.unsent.extend_from_slice(bytes);
            return;
        }
        match conn.stream.write(bytes) {
            Ok(count) => conn.unsent.extend_from_slice(&bytes[count..]),
            // What is wrong shows when the connection is read.
            Err(_) => conn.unsent.extend_from_slice(bytes),
        }
    }

    /// Sends a text frame.
    pub fn send_text(&mut self, id: ConnId, payload: &str) {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        ws::push_frame(&mut frame, ws::TEXT, payload.as_bytes());
        self.send(id, &frame);
    }

    /// Waits for news, at most until the time given, and hands it to `handler`.
    pub fn turn<H: Handler>(&mut self, handler: &mut H, until: u64) -> Result<()> {
        let wait = if self.unfinished.is_empty() {
            until.saturating_sub(self.now())
        } else {
            0
        };
        let timeout = rustix::event::Timespec::try_from(Duration::from_nanos(wait))?;
        self.events.clear();
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for id in std::mem::take(&mut self.unfinished) {
            self.read(handler, id, true);
        }
        for event in &events {
            let data = event.data.u64();
            let id = ConnId {
                slot: (data & 0xffff_ffff) as u32,
                generation: (data >> 32) as u32,
            };
            let flags = event.flags;
            if flags.contains(EventFlags::OUT) {
                self.writable(handler, id);
            }
            let hung_up = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            if hung_up || flags.contains(EventFlags::IN) {
                self.read(handler, id, hung_up);
            }
        }
        self.events = events;
        Ok(())
    }

    fn writable<H: Handler>(&mut self, handler: &mut H, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        if conn.phase == Phase::Connecting {
            match conn.stream.take_error() {
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => {
                    return self.end(handler, id, Ending::Refused(error.to_string()));
                }
            }
            conn.phase = if conn.is_socket {
                Phase::Upgrading
            } else {
                Phase::Http
            };
            if !conn.is_socket {
                handler.opened(self, id);
            }
        }
        let Some(conn) = self.conn(id) else { return };
        while !conn.unsent.is_empty() {
            match conn.stream.write(&conn.unsent) {
                Ok(count) => drop(conn.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
        conn.unsent = Vec::new();
    }

    fn read<H: Handler>(&mut self, handler: &mut H, id: ConnId, to_the_end: bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let ending = self.read_into(handler, id, &mut buffer, to_the_end);
        self.buffer = buffer;
        if let Err(ending) = ending {
            self.end(handler, id, ending);
        }
    }

    fn read_into<H: Handler>(
        &mut self,
        handler: &mut H,
        id: ConnId,
        buffer: &mut Vec<u8>,
        to_the_end: bool,
    ) -> std::result::Result<(), Ending> {
        for _ in 0..READS_IN_TURN {
            let Some(conn) = self.conn(id) else { return Ok(()) };
            if conn.phase == Phase::Connecting {
                return match conn.stream.take_error() {
                    Ok(None) => Ok(()),
                    Ok(Some(error)) | Err(error) => Err(Ending::Refused(error.to_string())),
                };
            }
            let held = conn.partial.len();
            if buffer.len() < held + READ_ROOM {
                buffer.resize((held + READ_ROOM) * 2, 0);
            }
            let count = match conn.stream.read(&mut buffer[held..]) {
                Ok(0) => return Err(Ending::Lost("end of stream".into())),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Ending::Lost(error.to_string())),
            };
            buffer[..held].copy_from_slice(&conn.partial);
            conn.partial = Vec::new();
            let filled = held + count;
            let room = buffer.len() - held;
            self.bytes_received += count as u64;
            let used = self.deliver(handler, id, &buffer[..filled])?;
            if used < filled
                && let Some(conn) = self.conn(id)
            {
                conn.partial = buffer[used..filled].to_vec();
            }
            // A read that did not fill the buffer has emptied the socket: no need to hear it say so, unless
            // the end of the stream came with the same event, which does not come twice.
            if count < room && !to_the_end {
                return Ok(());
            }
        }
        self.unfinished.push(id);
        Ok(())
    }

    /// Hands whole messages over and says how many bytes they took.
    fn deliver<H: Handler>(
        &mut self,
        handler: &mut H,
        id: ConnId,
        bytes: &[u8],
    ) -> std::result::Result<usize, Ending> {
        let now = self.now();
        let mut used = 0;
        while used < bytes.len() {
            let Some(conn) = self.conn(id) else {
                return Ok(bytes.len());
            };
            let rest = &bytes[used..];
            match conn.phase {
                Phase::Socket => return self.deliver_frames(handler, id, bytes, used, now),
                Phase::Upgrading => match ws::upgrade_answer(rest) {
                    None => return Ok(used),
                    Some(Err(line)) => return Err(Ending::Refused(line)),
                    Some(Ok(len)) => {
                        used += len;
                        conn.phase = Phase::Socket;
                        let unsent = std::mem::take(&mut conn.unsent);
                        if !unsent.is_empty() {
                            self.send(id, &unsent);
                        }
                        handler.opened(self, id);
                    }
                },
                Phase::Http | Phase::Connecting => match http::next_response(rest) {
                    http::Step::Incomplete => return Ok(used),
                    http::Step::Malformed(why) => return Err(Ending::Lost(why.into())),
                    http::Step::Response { status, body, len } => {
                        used += len;
                        handler.response(self, id, status, &body, now);
                    }
                },
            }
        }
        Ok(used)
    }

    fn deliver_frames<H: Handler>(
        &mut self,
        handler: &mut H,
        id: ConnId,
        bytes: &[u8],
        mut used: usize,
        now: u64,
    ) -> std::result::Result<usize, Ending> {
        loop {
            match ws::next_frame(&bytes[used..]) {
                ws::Step::Frame { opcode, payload, len } => {
                    used += len;
                    match opcode {
                        ws::TEXT if self.keep_up(id, payload) => {}
                        ws::TEXT => handler.frame(self, id, payload, now),
                        ws::PING => {
                            let mut pong = Vec::new();
                            ws::push_frame(&mut pong, ws::PONG, payload);
                            self.send(id, &pong);
                        }
                        ws::CLOSE => {
                            let code = match *payload {
                                [a, b, ..] => u16::from_be_bytes([a, b]),
                                _ => 1005,
                            };
                            return Err(Ending::Code(code));
                        }
                        _ => {}
                    }
                }
                ws::Step::Incomplete => return Ok(used),
                ws::Step::Malformed(why) => return Err(Ending::Lost(why.into())),
            }
        }
    }

    /// What Engine.IO says below Socket.IO: its greeting and its pings. The JSON dialect says nothing that begins
    /// with a digit.
    fn keep_up(&mut self, id: ConnId, payload: &[u8]) -> bool {
        match payload {
            b"2" => {
                let mut pong = Vec::new();
                ws::push_frame(&mut pong, ws::TEXT, b"3");
                self.send(id, &pong);
                true
            }
            [b'0', ..] => {
                let greeting = self.conn(id).map(|conn| std::mem::take(&mut conn.greeting));
                self.send(id, &greeting.unwrap_or_default());
                true
            }
            _ => false,
        }
    }

    fn end<H: Handler>(&mut self, handler: &mut H, id: ConnId, ending: Ending) {
        if self.is_open(id) {
            self.drop_conn(id);
            handler.closed(self, id, ending);
        }
    }
}
