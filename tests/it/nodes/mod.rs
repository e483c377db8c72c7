//! Many nodes as one engine, in one process: several engines over one store, joined by a bus that can be made to lose,
//! delay and repeat. The same on real servers is told elsewhere; here every fault can be had at will.

mod areas;
mod circles;
pub mod cluster;
mod deadlines;
mod people;
mod rooms;
mod storm;
