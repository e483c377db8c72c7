//! What the engine promises about positions, worked out again from the promise.

/// A position of a journey, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fix {
    pub unix_ms: u64,
    pub latitude: f64,
    pub longitude: f64,
}

const EARTH_RADIUS_M: f64 = 6_371_008.8;
const KEEP_DISTANCE_M: f64 = 50.0;
const KEEP_TIME_MS: u64 = 15_000;
/// Radii of the Earth differ by 0.5 %: a distance this near the threshold may go either way.
const DOUBT: f64 = 0.006;

/// Great-circle metres.
pub fn distance_m(a: &Fix, b: &Fix) -> f64 {
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let cosines = a.latitude.to_radians().cos() * b.latitude.to_radians().cos();
    let chord = half(a.latitude, b.latitude) + cosines * half(a.longitude, b.longitude);
    2.0 * EARTH_RADIUS_M * chord.sqrt().min(1.0).asin()
}

/// The fixes that move the live position: each newer by its own time than all before it.
pub fn live(fixes: &[Fix]) -> Vec<Fix> {
    let mut moves: Vec<Fix> = Vec::with_capacity(fixes.len());
    for fix in fixes {
        if moves.last().is_none_or(|newest| newest.unix_ms < fix.unix_ms) {
            moves.push(*fix);
        }
    }
    moves
}

/// Whether history keeps a fix after the last one that it kept.
pub fn is_kept(last: Option<&Fix>, fix: &Fix) -> bool {
    last.is_none_or(|last| {
        distance_m(last, fix) >= KEEP_DISTANCE_M || fix.unix_ms.saturating_sub(last.unix_ms) >= KEEP_TIME_MS
    })
}

/// Whether rounding alone decides about a fix.
fn is_doubtful(last: &Fix, fix: &Fix) -> bool {
    let off = (distance_m(last, fix) - KEEP_DISTANCE_M).abs();
    off < KEEP_DISTANCE_M * DOUBT && fix.unix_ms.saturating_sub(last.unix_ms) < KEEP_TIME_MS
}

/// Compares the history kept of a journey with the rule: the first difference, in words.
pub fn compare(fixes: &[Fix], history: &[Fix]) -> Result<(), String> {
    let mut last: Option<&Fix> = None;
    let mut kept = history.iter().peekable();
    for fix in fixes {
        let is_there = kept.peek().is_some_and(|next| next.unix_ms == fix.unix_ms);
        if is_there != is_kept(last, fix) && !last.is_some_and(|last| is_doubtful(last, fix)) {
            let moved = last.map_or(0.0, |last| distance_m(last, fix));
            let waited = last.map_or(0, |last| fix.unix_ms.saturating_sub(last.unix_ms));
            let verb = if is_there { "is kept" } else { "is missing" };
            return Err(format!(
                "the fix at {} {verb}: {moved:.1} m and {waited} ms after the last kept",
                fix.unix_ms
            ));
        }
        if is_there {
            if let Some(found) = kept.next()
                && distance_m(found, fix) > 0.2
            {
                return Err(format!("the fix at {} lies elsewhere", fix.unix_ms));
            }
            last = Some(fix);
        }
    }
    match kept.next() {
        Some(extra) => Err(format!(
            "a fix at {} that nobody sent, or that is out of order",
            extra.unix_ms
        )),
        None => Ok(()),
    }
}
