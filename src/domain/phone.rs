//! Phone numbers, compared in E.164.

use std::fmt;
use std::sync::Arc;

/// A number in E.164. Its digits never show in debug output, so they cannot reach a log line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(Arc<str>);

/// The region (ISO 3166-1 alpha-2) by which national numbers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(phonenumber::country::Id);

/// Why a text is not a phone number or a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhone {
    /// Nothing that can be dialled.
    #[error("must be a phone number, in E.164 (+639171234567) or national form")]
    Number,
    /// Not a region.
    #[error("must be a two-letter ISO 3166-1 region such as PH")]
    Region,
}

impl Region {
    /// Parses a two-letter region code.
    ///
    /// # Errors
    /// When no numbering plan is known for it.
    pub fn new(code: &str) -> Result<Self, InvalidPhone> {
        code.to_ascii_uppercase().parse().map(Self).map_err(|_| InvalidPhone::Region)
    }
}

impl PhoneNumber {
    /// Reads an international or, by `region`, a national number.
    ///
    /// # Errors
    /// When it is not a number that the numbering plan allows.
    pub fn parse(text: &str, region: Region) -> Result<Self, InvalidPhone> {
        let text = text.trim();
        if text.len() > 40 {
            return Err(InvalidPhone::Number);
        }
        let number = phonenumber::parse(Some(region.0), text).map_err(|_| InvalidPhone::Number)?;
        if !phonenumber::is_viable(text) || !number.is_valid() {
            return Err(InvalidPhone::Number);
        }
        Self::from_e164(&number.format().mode(phonenumber::Mode::E164).to_string())
    }

    /// Takes a number that is in E.164 already (from the store).
    ///
    /// # Errors
    /// When it is not `+` and 3 to 15 digits.
    pub fn from_e164(text: &str) -> Result<Self, InvalidPhone> {
        let digits = text.strip_prefix('+').ok_or(InvalidPhone::Number)?;
        if !(3..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidPhone::Number);
        }
        Ok(Self(text.into()))
    }

    /// The number in E.164: for records and for those who may see it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn national_and_international_forms_are_the_same_number() {
        let ph = Region::new("PH").unwrap();
        let forms = ["+639171234567", "0917 123 4567", "(0917) 123-4567", "+63 917 123 4567"];
        for form in forms {
            assert_eq!(PhoneNumber::parse(form, ph).unwrap().reveal(), "+639171234567", "{form}");
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_refused() {
        let ph = Region::new("ph").unwrap();
        for bad in ["", "abc", "+", "12", "+63", "+63917123456789012345"] {
            assert_eq!(PhoneNumber::parse(bad, ph), Err(InvalidPhone::Number), "{bad}");
        }
        assert_eq!(Region::new("XX"), Err(InvalidPhone::Region));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,50}") {
            let _ = PhoneNumber::parse(&text, Region::new("PH").unwrap());
        }
    }
}
