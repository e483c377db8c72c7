//! Everything at once: writers on all nodes, a bad bus, nodes that are cut off and come back, and one that dies.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use mayday::bus::local::Faults;
use mayday::domain::ids::{MessageId, RoomId};
use mayday::domain::room::{Command, EventBody};

use super::cluster::{Cluster, each_once_in_order};
use crate::support::eventually;

/// How often something happens to the bus.
const TROUBLES: usize = 24;

#[actix::test]
async fn nothing_acknowledged_is_lost_or_doubled_whatever_happens_to_nodes_and_bus() {
    let cluster = Cluster::start(3).await;
    let sos = RoomId::new("sos").unwrap();
    let guests = [0, 1, 2].map(|node| cluster.guest(node, &format!("guest{node}")));
    guests[0].raises(&sos).await;
    guests[1].joins(&sos).await;
    guests[2].joins(&sos).await;
    guests[0].hears_times("user-joined", 2).await;
    let bad = Faults {
        lose: 0.2,
        repeat: 0.2,
        delay: Duration::from_millis(15),
    };
    cluster.hub.suffer(bad, 42);

    let (over, dead) = (Cell::new(false), Cell::new(false));
    let acknowledged = RefCell::new(BTreeSet::new());
    let writer = |node: usize, n: usize| {
        let (guest, sos, over, dead, acknowledged) = (&guests[node], &sos, &over, &dead, &acknowledged);
        async move {
            let mut written = 0;
            while !(over.get() || (node == 2 && dead.get())) {
                let id = format!("w{node}-{n}-{written}");
                let content = id.clone();
                let command = Command::SendMessage {
                    id: MessageId::new(id.clone()).unwrap(),
                    content,
                };
                // Whoever gets no answer asks again, as a client does; the log knows whether it was.
                if guest.calls(sos, command).await.is_ok() {
                    acknowledged.borrow_mut().insert(id);
                }
                written += 1;
            }
        }
    };
    let trouble = async {
        for n in 0..TROUBLES {
            tokio::time::sleep(Duration::from_millis(40)).await;
            let node = cluster.id((n * 7 + n / 3) % 3);
            if n % 2 == 0 {
                cluster.hub.cut(node);
            } else {
                cluster.hub.mend_all();
            }
            if n == TROUBLES / 2 {
                cluster.kill(2);
                dead.set(true);
            }
        }
        cluster.hub.mend_all();
        over.set(true);
    };
    let writers = (0..3).flat_map(|node| (0..3).map(move |n| (node, n)));
    let writers = futures_util::future::join_all(writers.map(|(node, n)| writer(node, n)));
    futures_util::future::join(writers, trouble).await;
    cluster.hub.suffer(Faults::default(), 1);

    let mut logged = vec![];
    for event in cluster.log(&sos).await {
        if let EventBody::MessageSent { content, .. } = event.body {
            logged.push(content);
        }
    }
    let found: BTreeSet<String> = logged.iter().cloned().collect();
    assert_eq!(found.len(), logged.len(), "nothing is there twice");
    let missing: Vec<_> = acknowledged.borrow().difference(&found).cloned().collect();
    assert_eq!(missing, Vec::<String>::new(), "nothing acknowledged is lost");
    assert!(found.len() > 30, "it was a storm: {}", found.len());

    // Members on the nodes that live have heard all of it, each once and in order.
    for guest in &guests[..2] {
        guest.hears_times("room-message", logged.len()).await;
        let heard = guest.all_of("room-message");
        let heard: Vec<&str> = heard.iter().map(|m| m["content"].as_str().unwrap()).collect();
        assert_eq!(heard, logged);
        each_once_in_order(&guest.seqs());
    }
    eventually("the nodes that live agree", || async {
        let one = cluster.nodes[0].view(&sos, guests[0].identity()).await.unwrap();
        let other = cluster.nodes[1].view(&sos, guests[0].identity()).await.unwrap();
        (one.state == other.state && one.online.len() == 2 && other.online.len() == 2).then_some(())
    })
    .await;
}
