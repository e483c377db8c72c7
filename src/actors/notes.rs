//! What is to be written some time soon and by itself: when devices were seen, and when people in rooms gave a sign
//! of life. Gathered here and written by the janitor, so that neither costs a write of its own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::Mutex;

use crate::domain::ids::DeviceId;
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;
use crate::store::Sign;

/// Signs of life that wait to be written, at most. Rooms keep what does not fit until they are asked again.
const SIGNS_MAX: usize = 200_000;

/// What waits to be written.
#[derive(Debug)]
pub struct Notes {
    every: Duration,
    max: usize,
    /// When each device was last thought worth a note.
    known: DashMap<DeviceId, Timestamp>,
    seen: Mutex<Vec<(DeviceId, Timestamp)>>,
    signs: Mutex<Vec<Sign>>,
    dropped: AtomicU64,
}

impl Notes {
    /// A device is noted at most once in `every`; at most `max` are remembered.
    pub fn new(every: Duration, max: usize) -> Self {
        Self {
            every,
            max,
            known: DashMap::new(),
            seen: Mutex::default(),
            signs: Mutex::default(),
            dropped: AtomicU64::new(0),
        }
    }

    /// A device has done something. Costs one look into memory unless it is worth a note.
    pub fn saw(&self, device: DeviceId, now: Timestamp) {
        let last = self.known.get(&device).map(|last| *last);
        // A clock that stepped back must not silence anybody.
        if last.is_some_and(|last| last <= now && now.since(last) < self.every) {
            return;
        }
        if self.known.len() >= self.max {
            self.known.clear();
        }
        self.known.insert(device, now);
        let mut seen = self.seen.lock();
        if seen.len() < self.max {
            seen.push((device, now));
        } else {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// A device was erased: nothing here remembers it.
    pub fn forget(&self, subject: &Subject) {
        if let Subject::Device(device) = subject {
            self.known.remove(device);
            self.seen.lock().retain(|(other, _)| other != device);
        }
    }

    /// Whether a room may hand over its signs of life.
    pub fn has_room(&self) -> bool {
        self.signs.lock().len() < SIGNS_MAX
    }

    /// Takes a room's signs of life.
    pub fn add(&self, signs: impl IntoIterator<Item = Sign>) {
        self.signs.lock().extend(signs);
    }

    /// What waits: devices that were seen, and signs of life.
    pub fn take(&self) -> (Vec<(DeviceId, Timestamp)>, Vec<Sign>) {
        (
            std::mem::take(&mut *self.seen.lock()),
            std::mem::take(&mut *self.signs.lock()),
        )
    }

    /// They could not be written, and wait for the next time as far as there is room.
    pub fn give_back(&self, devices: Vec<(DeviceId, Timestamp)>, signs: Vec<Sign>) {
        let mut seen = self.seen.lock();
        let room = self.max.saturating_sub(seen.len());
        self.dropped
            .fetch_add(devices.len().saturating_sub(room) as u64, Relaxed);
        seen.extend(devices.into_iter().take(room));
        drop(seen);
        let mut waiting = self.signs.lock();
        let room = SIGNS_MAX.saturating_sub(waiting.len());
        waiting.extend(signs.into_iter().take(room));
    }

    /// How many devices are remembered, and how many notes wait.
    pub fn depth(&self) -> (usize, usize) {
        (self.known.len(), self.seen.lock().len() + self.signs.lock().len())
    }

    /// Sights of devices that were not noted for want of room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u8) -> DeviceId {
        DeviceId::from_random([n; 16])
    }

    fn at(s: i64) -> Timestamp {
        Timestamp::from_ms(s * 1000)
    }

    #[test]
    fn a_device_is_noted_once_an_hour_however_often_it_is_seen() {
        let notes = Notes::new(Duration::from_secs(3_600), 10);
        for second in 0..7_200 {
            notes.saw(device(1), at(second));
        }
        let times: Vec<_> = notes.take().0.into_iter().map(|(_, at)| at).collect();
        assert_eq!(times, [at(0), at(3_600)]);
    }

    #[test]
    fn made_up_devices_do_not_grow_the_memory() {
        let notes = Notes::new(Duration::from_secs(3_600), 10);
        for n in 0..=255 {
            notes.saw(device(n), at(0));
        }
        let (known, waiting) = notes.depth();
        assert!(known <= 10 && waiting <= 10, "{known} {waiting}");
        assert_eq!(notes.dropped(), 246);
    }

    #[test]
    fn what_was_erased_is_not_noted() {
        let notes = Notes::new(Duration::from_secs(3_600), 10);
        notes.saw(device(1), at(0));
        notes.saw(device(2), at(0));
        notes.forget(&Subject::Device(device(1)));
        assert_eq!(notes.take().0.len(), 1);
    }
}
