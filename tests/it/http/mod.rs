//! HTTP as it is for every route: TLS, HTTP/2, other sites' pages, proxies, sizes.

mod compression;
mod cors;
mod heads;
mod http2;
mod methods;
mod proxies;
mod secure_sockets;
mod tls;
