//! Many nodes as one, on a MongoDB and a Redis that the tool starts: each part is a scenario of one node, over many.

use crate::Result;
use crate::cli::{Cluster, Common, Fanout, Locations, Part, SosStorm, Via, What};
use crate::dialect::Dialect;
use crate::report::Outcome;
use crate::{fanout, locations, sos_storm};

const NODES: u16 = 2;

pub fn run(common: &Common, args: &Cluster) -> Result<Outcome> {
    if common.url.is_some() {
        return Err("cluster starts its own nodes: leave out --url".into());
    }
    let mut common = common.clone();
    common.nodes.get_or_insert(NODES);
    let mut outcome = Outcome::new("cluster");
    for part in [Part::Messages, Part::Positions, Part::Uploads, Part::Storm] {
        if !args.only.is_empty() && !args.only.contains(&part) {
            continue;
        }
        if part == Part::Storm && common.dialect == Dialect::Socketio {
            outcome.remark(
                "the storm is left out: its watchers watch an area, for which Socket.IO has no event",
            );
            continue;
        }
        let (name, found) = match part {
            Part::Messages => ("messages", fanout::run(&common, &rooms(args, What::Messages))?),
            Part::Positions => ("positions", fanout::run(&common, &rooms(args, What::Positions))?),
            Part::Uploads => ("uploads", locations::run(&common, &uploads(args))?),
            Part::Storm => ("storm", sos_storm::run(&common, &storm(args))?),
        };
        outcome.take(name, found);
    }
    Ok(outcome)
}

fn rooms(args: &Cluster, what: What) -> Fanout {
    Fanout {
        rooms: args.rooms,
        members: args.members,
        rate: args.rate,
        what,
        payload_bytes: 318,
        seconds: args.seconds,
        min_interval_ms: None,
        max: false,
        trial_seconds: args.seconds,
        max_p99_ms: 100.0,
    }
}

fn uploads(args: &Cluster) -> Locations {
    Locations {
        rate: args.uploads,
        connections: args.subjects,
        subjects: args.subjects,
        via: Via::Socket,
        seconds: args.seconds,
        min_interval_ms: None,
        max: false,
        trial_seconds: args.seconds,
        max_p99_ms: 100.0,
    }
}

fn storm(args: &Cluster) -> SosStorm {
    SosStorm {
        count: args.storm,
        rate: args.storm_rate,
        connections: 256,
        watchers: 6,
        verify: None,
        contacts: 0,
        vendor_latency_ms: 0,
    }
}
