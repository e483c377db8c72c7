//! A plain echo server on the engine's own transport, for conformance suites and memory trials.
//!
//! `cargo run --release --example ws_echo -- --port 9001`

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;

use actix::prelude::*;
use actix_http::{HttpService, Request};
use actix_service::fn_service;
use actix_web::dev::AppConfig;
use actix_web::{App, HttpResponse, web};
use clap::Parser;
use mayday::delivery::{Frame, Hub, Outbox};
use mayday::transport::{Inbound, Limits, Message, Upgraded, accept};

const MIB: usize = 1024 * 1024;

/// Reading stops while more than this waits for the client.
const ECHO_BACKLOG_BYTES: usize = MIB;

#[derive(Parser)]
struct Options {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 9001)]
    port: u16,
    /// Worker threads.
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

/// One connection. Its messages come as a stream, what it says goes into its outbox.
struct Echo {
    outbox: Arc<Outbox>,
}

impl Echo {
    fn start(outbox: Arc<Outbox>, inbound: Inbound) {
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(1);
            Self::add_stream(inbound, ctx);
            Self { outbox }
        });
    }
}

impl Actor for Echo {
    type Context = Context<Self>;
}

impl StreamHandler<Message> for Echo {
    fn handle(&mut self, message: Message, ctx: &mut Self::Context) {
        let frame = match message {
            Message::Text(text) => Frame::text(text.as_bytes()),
            Message::Binary(bytes) => Frame::binary(&bytes),
        };
        self.outbox.push_event(&frame);
        if self.outbox.queued_bytes() > ECHO_BACKLOG_BYTES {
            // While the actor waits it takes no message from its stream: a slow reader is not
            // closed but slowed down.
            ctx.wait(self.outbox.drained(ECHO_BACKLOG_BYTES).into_actor(self));
        }
    }
}

async fn upgrade(request: Request, framed: Upgraded, hub: &Hub, limits: &Limits) -> Result<(), Infallible> {
    match accept(request.head(), framed, hub, limits) {
        Ok((outbox, inbound)) => Echo::start(outbox, inbound),
        Err(bad) => bad.refuse().await,
    }
    Ok(())
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind((options.host.as_str(), options.port))?;
    println!("listening on {}", listener.local_addr()?);
    let limits = Limits {
        frame_max_bytes: 64 * MIB,
        message_max_bytes: 64 * MIB,
        outbox_max_bytes: 130 * MIB,
        ..Limits::default()
    };
    actix_server::Server::build()
        .workers(options.workers)
        .listen("echo", listener, move || {
            let hub = Hub::start(limits.hub());
            let app = App::new().default_service(web::to(HttpResponse::NotFound));
            HttpService::build()
                .upgrade(fn_service(move |(request, framed): (Request, Upgraded)| {
                    let hub = hub.clone();
                    async move { upgrade(request, framed, &hub, &limits).await }
                }))
                .finish(actix_service::map_config(app, |()| AppConfig::default()))
                .tcp()
        })?
        .run()
        .await
}
