//! What a push and a fan-out cost before any system call.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mayday::delivery::{Audience, Except, Frame, Outbox, OutboxState, Sent, Signal, SignalKey, Versions};

const MEMBERS: u64 = 1_000;

fn signals(count: u64) -> Vec<Signal> {
    (0..count)
        .map(|subject| Signal {
            key: SignalKey { room: 1, subject },
            origin: subject,
            versions: Frame::text(&[b'x'; 200]).into(),
        })
        .collect()
}

fn audience(max_bytes: usize) -> (Audience, Vec<Arc<Outbox>>) {
    let mut audience = Audience::new();
    let outboxes: Vec<_> = (0..MEMBERS).map(|_| Outbox::detached(max_bytes)).collect();
    for (outbox, origin) in outboxes.iter().zip(MEMBERS..) {
        audience.insert(Arc::clone(outbox), origin);
    }
    (audience, outboxes)
}

fn encode(c: &mut Criterion) {
    let payload = [b'x'; 200];
    c.bench_function("encode a frame of 200 bytes", |b| {
        b.iter(|| Frame::text(black_box(&payload)));
    });
}

fn state(c: &mut Criterion) {
    let frame = Frame::text(&[b'x'; 200]);
    c.bench_function("push 16 events and take them", |b| {
        let mut state = OutboxState::new(1 << 20);
        let (mut taken, mut sent) = (Vec::new(), Sent::default());
        b.iter(|| {
            for _ in 0..16 {
                state.push_event(&frame, &mut sent);
            }
            state.take(&mut taken, usize::MAX);
            taken.clear();
        });
    });
    for subjects in [10_u64, 1_000] {
        c.bench_function(
            &format!("replace one of {subjects} signals of a stalled reader"),
            |b| {
                let mut state = OutboxState::new(1 << 20);
                let (mut sent, mut next) = (Sent::default(), 0);
                b.iter(|| {
                    next += 1;
                    let key = SignalKey {
                        room: 1,
                        subject: next % subjects,
                    };
                    state.push_signal(key, &frame, true, &mut sent)
                });
            },
        );
    }
}

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan-out to 1,000");
    let frame = Versions::from(Frame::text(&[b'x'; 200]));
    group.throughput(Throughput::Elements(MEMBERS));
    group.bench_function("one event", |b| {
        b.iter_batched_ref(
            || audience(1 << 20),
            |(audience, _)| audience.send_event(&frame, None, Except::Nobody),
            BatchSize::LargeInput,
        );
    });
    for count in [1, 16] {
        let signals = signals(count);
        group.throughput(Throughput::Elements(MEMBERS * count));
        group.bench_function(format!("{count} signals to stalled readers"), |b| {
            let (audience, _outboxes) = audience(1 << 20);
            b.iter(|| audience.send_signals(&signals));
        });
    }
    group.finish();
}

criterion_group!(benches, encode, state, fan_out);
criterion_main!(benches);
