//! What the nodes of a cluster keep in common so that it does not matter to which of them somebody speaks: tickets,
//! and what is left of budgets. All of it is in Redis, for a short time; while Redis is away each node goes by what
//! it knows itself.

pub mod budgets;
pub mod tickets;

use std::time::Duration;

use crate::bus::redis::Connection;

use budgets::Budgets;
use tickets::SharedTickets;

/// The way to what is kept in common.
pub struct Cluster {
    /// Tickets that any node takes.
    pub tickets: SharedTickets,
    /// What is left of budgets.
    pub budgets: Budgets,
}

impl Cluster {
    /// Over `connection`; the names of all keys begin with `prefix`. A budget is waited for at most `patience`, and at
    /// most `keys_max` of them are remembered here (0: no limit).
    pub fn new(connection: &Connection, prefix: &str, patience: Duration, keys_max: usize) -> Self {
        Self {
            tickets: SharedTickets::new(connection.clone(), prefix),
            budgets: Budgets::new(connection.clone(), prefix, patience, keys_max),
        }
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster(…)")
    }
}
