//! What it costs to put news into bytes and to read them again.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mayday::bus::contract_tests::samples;
use mayday::bus::envelope::{decode, encode, speaker};
use mayday::bus::{News, NodeId};
use mayday::domain::room::EventBody;

const ME: NodeId = NodeId::from_bits(0x0123_4567_89ab_cdef);

/// News as they are most often: one message, or the position of one.
fn typical() -> Vec<(&'static str, News)> {
    let mut found = Vec::new();
    for news in samples::all() {
        match news {
            News::Events { room, events, people } => {
                let is_message = |body: &EventBody| matches!(body, EventBody::MessageSent { .. });
                let events: Vec<_> = events
                    .into_iter()
                    .filter(|event| is_message(&event.body))
                    .collect();
                found.push((
                    "one message and its sender",
                    News::Events {
                        room,
                        events,
                        people: people.into_iter().take(1).collect(),
                    },
                ));
            }
            News::Positions { room, fixes } => {
                let fixes: Vec<_> = fixes.into_iter().skip(1).take(1).collect();
                let many = fixes.iter().cycle().take(100).copied().collect();
                found.push((
                    "100 positions",
                    News::Positions {
                        room: room.clone(),
                        fixes: many,
                    },
                ));
                found.push(("one position", News::Positions { room, fixes }));
            }
            News::Incident { .. } => found.push(("an incident", news)),
            _ => {}
        }
    }
    found
}

fn envelopes(c: &mut Criterion) {
    for (name, news) in typical() {
        let bytes = encode(ME, &news);
        let mut group = c.benchmark_group(format!("{name}, {} bytes", bytes.len()));
        group.throughput(Throughput::Elements(1));
        group.bench_function("encode", |b| b.iter(|| encode(ME, black_box(&news))));
        group.bench_function("decode", |b| b.iter(|| decode(black_box(&bytes))));
        group.finish();
    }
    let bytes = encode(ME, &News::Blocks);
    c.bench_function("whose it is", |b| b.iter(|| speaker(black_box(&bytes))));
}

criterion_group!(benches, envelopes);
criterion_main!(benches);
