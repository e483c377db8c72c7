//! How quickly a room decides and applies, and how quickly a batcher's board takes fixes.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mayday::domain::geo::{Fix, Position};
use mayday::domain::ids::{MessageId, ParticipantId, RoomId};
use mayday::domain::location::{Board, LocationPolicy};
use mayday::domain::room::{Actor, Command, Event, Genesis, Policy, RoomState, Standing, UserType, decide};
use mayday::domain::time::Timestamp;

fn id(text: &str) -> RoomId {
    RoomId::new(text).expect("a valid id")
}

fn give(state: &mut RoomState, who: u64, standing: Standing, command: Command) -> Vec<Event> {
    let actor = Actor::Participant(ParticipantId::from_bits(who));
    let bodies = decide(state, &Policy::default(), actor, standing, command).expect("allowed");
    let mut events = Vec::new();
    for body in bodies {
        let event = Event {
            room: state.id.clone(),
            seq: state.seq.next(),
            at: Timestamp::from_ms(1_000),
            actor,
            body,
        };
        state.apply(&event);
        events.push(event);
    }
    events
}

fn circle(members: u64) -> (RoomState, Vec<Event>) {
    let mut state = RoomState::new(id("bench"));
    let create = Command::Create {
        genesis: Genesis::Circle,
        user_type: UserType::Citizen,
    };
    let mut log = give(&mut state, 0, Standing::Stranger, create);
    for who in 1..members {
        let join = Command::Join {
            user_type: UserType::Citizen,
        };
        log.extend(give(&mut state, who, Standing::Contact, join));
    }
    (state, log)
}

fn rooms(c: &mut Criterion) {
    let (state, _) = circle(1_000);
    let mut n = 0u64;
    c.bench_function("decide and apply a message in a room of 1,000", |b| {
        b.iter_batched_ref(
            || {
                n += 1;
                let id = MessageId::new(format!("m{n}")).expect("a valid id");
                (
                    state.clone(),
                    Command::SendMessage {
                        id,
                        content: "on my way".to_owned(),
                    },
                )
            },
            |(state, command)| black_box(give(state, 7, Standing::Contact, command.clone())),
            BatchSize::LargeInput,
        );
    });
    c.bench_function("decide a join in a room of 1,000", |b| {
        let actor = Actor::Participant(ParticipantId::from_bits(5_000));
        let policy = Policy::default();
        b.iter(|| {
            let join = Command::Join {
                user_type: UserType::Citizen,
            };
            black_box(decide(&state, &policy, actor, Standing::Contact, join))
        });
    });
    let (mut state, mut log) = circle(50);
    for n in 0..10_000u64 {
        let id = MessageId::new(format!("m{n}")).expect("a valid id");
        let say = Command::SendMessage {
            id,
            content: "on my way".to_owned(),
        };
        log.extend(give(&mut state, n % 50, Standing::Contact, say));
    }
    let mut group = c.benchmark_group("replay");
    group.throughput(Throughput::Elements(log.len() as u64));
    group.bench_function("a log of 10,000 messages", |b| {
        b.iter(|| {
            let mut state = RoomState::new(id("bench"));
            log.iter().for_each(|event| state.apply(event));
            black_box(state.seq)
        });
    });
    group.finish();
}

fn board(c: &mut Criterion) {
    let mut group = c.benchmark_group("board");
    let subjects = 10_000u64;
    group.throughput(Throughput::Elements(subjects));
    group.bench_function("a fix from each of 10,000 subjects, twice a second", |b| {
        let position = Position::new(14.5995, 120.9842).expect("a valid position");
        let mut board: Board<u64, ()> = Board::new(LocationPolicy::default(), 1_000_000);
        let mut now = 0i64;
        b.iter(|| {
            now += 500;
            for subject in 0..subjects {
                let fix = Fix::new(position, Timestamp::from_ms(now));
                black_box(board.offer(Timestamp::from_ms(now), &subject, fix, ()));
            }
            black_box(board.due(Timestamp::from_ms(now), usize::MAX).len())
        });
    });
    group.finish();
}

criterion_group!(benches, rooms, board);
criterion_main!(benches);
