//! Numbers by chance, and what earlier answers told.

use serde_json::Value;

/// Numbers by chance (SplitMix64), from a seed.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'v, T>(&mut self, from: &'v [T]) -> &'v T {
        &from[self.below(from.len())]
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn hex(&mut self, digits: usize) -> String {
        (0..digits)
            .map(|_| char::from(b"0123456789abcdef"[self.below(16)]))
            .collect()
    }

    pub fn uuid4(&mut self) -> String {
        let hex = self.hex(30);
        format!(
            "{}-{}-4{}-a{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..15],
            &hex[15..18],
            &hex[18..30]
        )
    }
}

/// What earlier answers told: ids and cursors that are real.
#[derive(Default)]
pub struct Known {
    pub sos: Vec<String>,
    pub participants: Vec<String>,
    pub messages: Vec<String>,
    pub cursors: Vec<String>,
    pub others: Vec<String>,
}

impl Known {
    const MOST: usize = 200;

    /// Remembers what an answer tells.
    pub fn learn(&mut self, chance: &mut Chance, answer: &Value) {
        match answer {
            Value::Object(object) => {
                for (key, value) in object {
                    match (key.as_str(), value.as_str()) {
                        ("sosId", Some(id)) => keep(chance, &mut self.sos, id),
                        ("nextCursor", Some(id)) => keep(chance, &mut self.cursors, id),
                        ("id" | "reportId", Some(id)) if !id.starts_with("p-") => {
                            keep(chance, &mut self.messages, id);
                        }
                        ("roomId" | "blockId", Some(id)) => keep(chance, &mut self.others, id),
                        (_, Some(id)) if id.starts_with("p-") && id.len() == 18 => {
                            keep(chance, &mut self.participants, id);
                        }
                        _ => self.learn(chance, value),
                    }
                }
            }
            Value::Array(items) => items.iter().take(5).for_each(|item| self.learn(chance, item)),
            _ => {}
        }
    }
}

fn keep(chance: &mut Chance, list: &mut Vec<String>, id: &str) {
    if list.iter().any(|known| known == id) {
        return;
    }
    if list.len() < Known::MOST {
        list.push(id.to_owned());
    } else {
        let place = chance.below(list.len());
        list[place] = id.to_owned();
    }
}
