//! How long a text message is, in what a network carries at once.

/// Characters of the basic table of GSM 03.38; each takes one place.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
                     abcdefghijklmnopqrstuvwxyzäöñüà";
/// Those of its extension; each takes two.
const EXTENDED: &str = "^{}\\[~]|€\u{c}";

/// How many segments a text takes: 160 places of GSM 03.38 or 70 of UTF-16 in one, 153 or 67 in each of several.
pub fn segments(text: &str) -> usize {
    let mut places = 0;
    for c in text.chars() {
        if BASIC.contains(c) {
            places += 1;
        } else if EXTENDED.contains(c) {
            places += 2;
        } else {
            return in_parts(text.encode_utf16().count(), 70, 67);
        }
    }
    in_parts(places, 160, 153)
}

fn in_parts(places: usize, alone: usize, each: usize) -> usize {
    if places <= alone { 1 } else { places.div_ceil(each) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_holds_160_places_or_70_where_a_letter_is_in_no_table() {
        for (text, expected) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("ж".repeat(70), 1),
            ("ж".repeat(71), 2),
            ("ж".repeat(135), 3),
            ("🆘".repeat(35), 1),
            ("🆘".repeat(36), 2),
            ("ñ".repeat(160), 1),
        ] {
            assert_eq!(segments(&text), expected, "{text}");
        }
    }
}
