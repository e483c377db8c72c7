//! One connection that stands: to the server, to the master that the sentinels name, or to the nodes of a cluster.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, InfoDict,
    IntoConnectionInfo, Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, RedisFuture,
    TlsCertificates, TlsMode, Value, cmd,
};

use super::address::{Host, Kind};
use super::failure::Failure;
use super::options::Options;

/// What hears the messages that Redis sends without being asked. It must not wait.
pub type Push = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// From this major version on there is sharded pub/sub.
const SHARDED_SINCE: u32 = 7;
/// Commands that the driver takes over before its caller waits.
const DRIVER_QUEUE: usize = 1_024;
/// After how long without an answer the kernel asks a peer whether it is still there, and then how often.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Channels of a cluster that are asked for at once.
const LISTEN_AT_ONCE: usize = 64;
/// How often a command is tried again that a cluster could not place, and how long it waits in between.
const CLUSTER_RETRIES: u32 = 4;
const CLUSTER_RETRY_WAIT: (u64, u64) = (20, 400);

/// A connection that stands. Clones share it.
#[derive(Clone)]
pub(super) enum Link {
    /// To one server.
    One(MultiplexedConnection),
    /// To the nodes of a cluster.
    Cluster(ClusterConnection),
}

impl Link {
    /// Connects, and looks what it is connected to.
    pub(super) async fn connect(options: &Options, push: Push) -> Result<(Self, Server), Failure> {
        let mut link = match options.address.kind {
            Kind::Standalone { .. } | Kind::Sentinel { .. } => {
                let client = match &options.address.kind {
                    Kind::Sentinel { .. } => master(options).await?,
                    _ => standalone(options)?,
                };
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(options.connect_timeout))
                    .set_response_timeout(Some(options.response_timeout))
                    .set_pipeline_buffer_size(DRIVER_QUEUE)
                    .set_push_sender(move |info| {
                        push(info);
                        Ok::<(), ()>(())
                    });
                Self::One(
                    client
                        .get_multiplexed_async_connection_with_config(&config)
                        .await?,
                )
            }
            Kind::Cluster => Self::Cluster(cluster(options, push).await?),
        };
        let mut server = link.look().await?;
        server.sharded &= options.sharded;
        link.probe().await?;
        Ok((link, server))
    }

    /// Which version it is; of a cluster the oldest.
    async fn look(&mut self) -> Result<Server, Failure> {
        let mut info = cmd("INFO");
        info.arg("server");
        let infos: Vec<InfoDict> = match self {
            Self::One(one) => vec![info.query_async(one).await?],
            Self::Cluster(cluster) => {
                let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let answer = cluster.route_command(info, masters).await?;
                let by_node: std::collections::HashMap<String, InfoDict> =
                    redis::from_redis_value(answer).map_err(|_| Failure::Unexpected)?;
                by_node.into_values().collect()
            }
        };
        let major = |info: &InfoDict| {
            let version: String = info.get("redis_version")?;
            version.split('.').next()?.parse::<u32>().ok()
        };
        let oldest = infos.iter().map(major).min().flatten();
        let oldest = oldest.ok_or(Failure::Unexpected)?;
        Ok(Server {
            sharded: oldest >= SHARDED_SINCE,
        })
    }

    /// Asks whether it is well: one server answers and takes writes, or every primary of the cluster answers and all
    /// slots are served.
    pub(super) async fn probe(&mut self) -> Result<(), Failure> {
        match self {
            Self::One(one) => {
                // A master that was replaced may still answer; it is of no use.
                let role: Vec<Value> = cmd("ROLE").query_async(one).await?;
                match role.first() {
                    Some(Value::BulkString(name)) if name == b"master" => Ok(()),
                    Some(Value::SimpleString(name)) if name == "master" => Ok(()),
                    _ => Err(Failure::Unusable("it is a replica")),
                }
            }
            Self::Cluster(cluster) => {
                let masters = RoutingInfo::MultiNode((
                    MultipleNodeRoutingInfo::AllMasters,
                    Some(ResponsePolicy::AllSucceeded),
                ));
                cluster.route_command(cmd("PING"), masters).await?;
                let mut info = cmd("CLUSTER");
                info.arg("INFO");
                let info: InfoDict = info.query_async(cluster).await?;
                match info.get::<String>("cluster_state").as_deref() {
                    Some("ok") => Ok(()),
                    _ => Err(Failure::Refused("CLUSTERDOWN".into())),
                }
            }
        }
    }

    /// Begins to hear channels, or leaves them.
    pub(super) async fn listen(
        &mut self,
        listen: Listen,
        sharded: bool,
        channels: &[String],
    ) -> Result<(), RedisError> {
        match self {
            Self::One(one) => {
                let name = match (listen, sharded) {
                    (Listen::Hear, true) => "SSUBSCRIBE",
                    (Listen::Hear, false) => "SUBSCRIBE",
                    (Listen::Leave, true) => "SUNSUBSCRIBE",
                    (Listen::Leave, false) => "UNSUBSCRIBE",
                };
                // One command for each: each is answered once.
                let mut pipeline = redis::pipe();
                for channel in channels {
                    pipeline.cmd(name).arg(channel);
                }
                pipeline.exec_async(one).await
            }
            Self::Cluster(cluster) => {
                // Each may be another node's.
                let asked = channels.iter().map(|channel| {
                    let mut cluster = cluster.clone();
                    async move {
                        match (listen, sharded) {
                            (Listen::Hear, true) => cluster.ssubscribe(channel).await,
                            (Listen::Hear, false) => cluster.subscribe(channel).await,
                            (Listen::Leave, true) => cluster.sunsubscribe(channel).await,
                            (Listen::Leave, false) => cluster.unsubscribe(channel).await,
                        }
                    }
                });
                let mut answers = stream::iter(asked).buffer_unordered(LISTEN_AT_ONCE);
                let mut all = Ok(());
                while let Some(answer) = answers.next().await {
                    all = all.and(answer);
                }
                all
            }
        }
    }

    /// Whether it mends itself when a node is lost.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

/// What to do with channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Hear them.
    Hear,
    /// Hear them no more.
    Leave,
}

/// What was found at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// It has sharded pub/sub, and that is to be used.
    pub sharded: bool,
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(one) => one.req_packed_command(command),
            Self::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(one) => one.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(one) => one.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

fn tcp(options: &Options) -> TcpSettings {
    TcpSettings::default()
        .set_nodelay(true)
        .set_user_timeout(options.response_timeout * 4)
        .set_keepalive(
            socket2::TcpKeepalive::new()
                .with_time(KEEPALIVE)
                .with_interval(KEEPALIVE),
        )
}

fn certificates(options: &Options) -> TlsCertificates {
    TlsCertificates {
        client_tls: options
            .tls
            .identity
            .clone()
            .map(|(client_cert, client_key)| ClientTlsConfig {
                client_cert,
                client_key,
            }),
        root_cert: options.tls.authorities.clone(),
    }
}

fn at(host: &Host, tls: bool) -> ConnectionAddr {
    let (name, port) = (host.name.clone(), host.port);
    if tls {
        ConnectionAddr::TcpTls {
            host: name,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(name, port)
    }
}

fn who(options: &Options, database: u16) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(database.into())
        .set_lib_name("mayday", env!("CARGO_PKG_VERSION"));
    let credentials = &options.address.credentials;
    if let Some(name) = &credentials.username {
        info = info.set_username(name);
    }
    if let Some(password) = &credentials.password {
        info = info.set_password(password);
    }
    info
}

fn first(options: &Options) -> Result<&Host, Failure> {
    let host = options.address.hosts.first();
    host.ok_or(Failure::Unusable("the address names no host"))
}

fn standalone(options: &Options) -> Result<Client, Failure> {
    let Kind::Standalone { database } = options.address.kind else {
        return Err(Failure::Unusable("the address is not one of a single server"));
    };
    let info: ConnectionInfo = at(first(options)?, options.address.tls)
        .into_connection_info()?
        .set_redis_settings(who(options, database))
        .set_tcp_settings(tcp(options));
    Ok(if options.address.tls {
        Client::build_with_tls(info, certificates(options))?
    } else {
        Client::open(info)?
    })
}

/// Asks the sentinels for the master. A new client each time: they may have changed their minds.
async fn master(options: &Options) -> Result<Client, Failure> {
    let Kind::Sentinel {
        master,
        database,
        sentinels,
    } = &options.address.kind
    else {
        return Err(Failure::Unusable("the address is not one of sentinels"));
    };
    let (address, tls) = (&options.address, options.address.tls);
    let hosts = address.hosts.iter().map(|host| at(host, tls));
    let mut builder = SentinelClientBuilder::new(hosts, master, SentinelServerType::Master)?
        .set_client_to_redis_protocol(ProtocolVersion::RESP3)
        .set_client_to_redis_db((*database).into())
        .set_client_to_redis_tcp_settings(tcp(options))
        .set_client_to_sentinel_tcp_settings(tcp(options));
    if let Some(name) = &address.credentials.username {
        builder = builder.set_client_to_redis_username(name);
    }
    if let Some(password) = &address.credentials.password {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(name) = &sentinels.username {
        builder = builder.set_client_to_sentinel_username(name);
    }
    if let Some(password) = &sentinels.password {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates(options))
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_certificates(certificates(options));
    }
    Ok(builder.build()?.async_get_client().await?)
}

async fn cluster(options: &Options, push: Push) -> Result<ClusterConnection, RedisError> {
    let address = &options.address;
    let hosts = address.hosts.iter().map(|host| at(host, address.tls));
    let mut builder = ClusterClient::builder(hosts)
        .use_protocol(ProtocolVersion::RESP3)
        .tcp_settings(tcp(options))
        .retries(CLUSTER_RETRIES)
        .min_retry_wait(CLUSTER_RETRY_WAIT.0)
        .max_retry_wait(CLUSTER_RETRY_WAIT.1)
        .overall_response_timeout(Some(options.response_timeout));
    if let Some(name) = &address.credentials.username {
        builder = builder.username(name);
    }
    if let Some(password) = &address.credentials.password {
        builder = builder.password(password);
    }
    if address.tls {
        builder = builder.tls(TlsMode::Secure).certs(certificates(options));
    }
    let config = ClusterConfig::new()
        .set_connection_timeout(options.connect_timeout)
        .set_response_timeout(options.response_timeout)
        .set_push_sender(move |info| {
            push(info);
            Ok::<(), ()>(())
        });
    builder.build()?.get_async_connection_with_config(config).await
}
