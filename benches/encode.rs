//! What one core can read and write: a position in, a position out, a message out.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mayday::domain::geo::{Fix, Position};
use mayday::domain::ids::{MessageId, ParticipantId, RoomId};
use mayday::domain::people::Role;
use mayday::domain::room::Seq;
use mayday::domain::time::Timestamp;
use mayday::wire::Reading;
use mayday::wire::json::{ServerMessage, UserView, parse};
use mayday::wire::rest::LocationBody;

const NOW: Timestamp = Timestamp::from_ms(1_750_000_000_123);
const ROOM: &str = "0f8fad5bd9cb469fa16570867728950e";

const UPDATE: &str = r#"{"type":"location-update","roomId":"0f8fad5bd9cb469fa16570867728950e","latitude":14.5995124,"longitude":120.9842195,"accuracy":8.5,"speed":1.25,"heading":271.5,"timestamp":"2025-06-15T15:06:39.871Z"}"#;
const UPDATE_IN_MS: &str = r#"{"type":"location-update","latitude":14.5995124,"longitude":120.9842195,"accuracy":8.5,"speed":1.25,"heading":271.5,"timestamp":1750000000000}"#;

fn reading() -> Reading {
    Reading {
        now: NOW,
        max_ahead: Duration::from_secs(120),
        radius_max_km: 25,
        content_max_chars: 2000,
    }
}

fn reads(c: &mut Criterion) {
    let reading = reading();
    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Elements(1));
    group.bench_function("location-update", |b| {
        b.iter(|| parse(black_box(UPDATE), &reading));
    });
    group.bench_function("location-update, ms", |b| {
        b.iter(|| parse(black_box(UPDATE_IN_MS), &reading));
    });
    group.bench_function("POST /api/location", |b| {
        b.iter(|| LocationBody::parse(black_box(UPDATE.as_bytes()), &reading));
    });
    group.finish();
}

fn writes(c: &mut Criterion) {
    let (Ok(room), Ok(position), Ok(id)) = (
        RoomId::new(ROOM),
        Position::new(14.599_512_4, 120.984_219_5),
        MessageId::new(ROOM),
    ) else {
        return;
    };
    let Ok(fix) = Fix::new(position, NOW).with_motion(Some(8.5), Some(1.25), Some(271.5)) else {
        return;
    };
    let user = UserView {
        id: ParticipantId::from_bits(0x0123_4567_89ab_cdef),
        name: Some("Ana Reyes"),
        role: Role::Citizen,
        phone: None,
    };
    let moved = ServerMessage::LocationUpdate {
        room: &room,
        user: user.id,
        name: user.name,
        visible_phone: None,
        fix: &fix,
        rescuer: false,
    };
    let confirmed = ServerMessage::LocationUpdateConfirmed {
        rooms: std::slice::from_ref(&room),
    };
    let said = ServerMessage::RoomMessage {
        room: &room,
        seq: Seq::new(4_711),
        id: &id,
        content: "We are on the third floor, the stairs are full of smoke. Two children are with us.",
        client_id: "p-0123456789abcdef",
        user_name: user.name,
        user,
    };
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(1));
    group.bench_function("location-update", |b| b.iter(|| black_box(&moved).encode(NOW)));
    group.bench_function("location-update-confirmed", |b| {
        b.iter(|| black_box(&confirmed).encode(NOW));
    });
    group.bench_function("room-message", |b| b.iter(|| black_box(&said).encode(NOW)));
    group.finish();
}

criterion_group!(benches, reads, writes);
criterion_main!(benches);
