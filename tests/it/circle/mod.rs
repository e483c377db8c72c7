//! Section 2 of the contract: circle clients on their WebSocket, and the REST beside it.

mod areas;
mod connecting;
mod contacts;
mod dialect;
mod emergency;
mod history;
mod joining;
mod messages;
mod paging;
mod positions;
mod rest_locations;
mod resume;
mod rooms;
