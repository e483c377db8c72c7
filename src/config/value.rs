//! How a raw value becomes a typed one. Text is accepted for every type, because the environment has
//! nothing else.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use config::ValueKind;

use super::proxies::TrustedProxies;
use super::secret::Secret;
use crate::bus::redis::BusUrl;
use crate::domain::bounds::ServiceArea;
use crate::domain::phone::Region;
use crate::notify::{Credential, SmtpTls};
use crate::store::MongoOptions;

/// A type that a setting may have.
pub(super) trait Setting: Sized {
    /// What a person should have written.
    const EXPECTED: &'static str;
    /// The value must not be repeated in an error.
    const HIDDEN: bool = false;

    /// Reads it; `None` when it is not of this type.
    fn read(raw: &ValueKind) -> Option<Self>;
}

fn text(raw: &ValueKind) -> Option<&str> {
    match raw {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

fn integer(raw: &ValueKind) -> Option<i128> {
    match raw {
        ValueKind::I64(n) => Some((*n).into()),
        ValueKind::U64(n) => Some((*n).into()),
        ValueKind::I128(n) => Some(*n),
        ValueKind::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

macro_rules! integer_settings {
    ($($type:ty = $expected:literal),*) => {$(
        impl Setting for $type {
            const EXPECTED: &'static str = $expected;

            fn read(raw: &ValueKind) -> Option<Self> {
                integer(raw)?.try_into().ok()
            }
        }
    )*};
}

integer_settings!(
    u16 = "an integer from 0 to 65535",
    u32 = "an integer from 0 to 4294967295",
    u64 = "an integer, 0 or more",
    usize = "an integer, 0 or more"
);

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(raw: &ValueKind) -> Option<Self> {
        match raw {
            ValueKind::Boolean(value) => Some(*value),
            _ => text(raw)?.trim().to_ascii_lowercase().parse().ok(),
        }
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "a text";

    fn read(raw: &ValueKind) -> Option<Self> {
        text(raw).map(str::to_owned)
    }
}

impl Setting for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn read(raw: &ValueKind) -> Option<Self> {
        text(raw).filter(|path| !path.is_empty()).map(Self::from)
    }
}

impl Setting for Region {
    const EXPECTED: &'static str = "a two-letter ISO 3166-1 region such as PH";

    fn read(raw: &ValueKind) -> Option<Self> {
        Self::new(text(raw)?).ok()
    }
}

impl Setting for TrustedProxies {
    const EXPECTED: &'static str = "addresses or networks, such as 10.0.0.0/8, separated by commas";

    fn read(raw: &ValueKind) -> Option<Self> {
        text(raw)?.parse().ok()
    }
}

impl Setting for ServiceArea {
    const EXPECTED: &'static str =
        "boxes of south,west,north,east in degrees, such as 14.3,120.9,14.8,121.2, separated by semicolons";

    fn read(raw: &ValueKind) -> Option<Self> {
        text(raw)?.parse().ok()
    }
}

/// A secret may be left out: the empty text means "generate one".
impl Setting for Option<Secret> {
    const EXPECTED: &'static str = "a text of at least 32 bytes, or an empty one to have it generated";
    const HIDDEN: bool = true;

    fn read(raw: &ValueKind) -> Option<Self> {
        match text(raw)? {
            "" => Some(None),
            text => Secret::new(text).ok().map(Some),
        }
    }
}

/// What a vendor gave out may be left out.
impl Setting for Option<Credential> {
    const EXPECTED: &'static str = "a text, or an empty one";
    const HIDDEN: bool = true;

    fn read(raw: &ValueKind) -> Option<Self> {
        // A key of digits alone is a number in a file.
        match raw {
            ValueKind::String(text) => Some(Credential::new(text)),
            _ => integer(raw).map(|digits| Credential::new(&digits.to_string())),
        }
    }
}

impl Setting for SmtpTls {
    const EXPECTED: &'static str = "starttls, implicit or none";

    fn read(raw: &ValueKind) -> Option<Self> {
        match text(raw)? {
            "starttls" => Some(Self::StartTls),
            "implicit" => Some(Self::Implicit),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

/// It may hold a password. What is wrong with it is told when it is looked at.
impl Setting for BusUrl {
    const EXPECTED: &'static str = "a text such as redis://127.0.0.1:6379, or an empty one";
    const HIDDEN: bool = true;

    fn read(raw: &ValueKind) -> Option<Self> {
        text(raw).map(Self::new)
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $expected:literal, { $($(#[$option_doc:meta])* $option:ident = $text:literal),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$option_doc])* $option),*
        }

        impl Setting for $name {
            const EXPECTED: &'static str = $expected;

            fn read(raw: &ValueKind) -> Option<Self> {
                match text(raw)? {
                    $($text => Some(Self::$option),)*
                    _ => None,
                }
            }
        }
    };
}

choice!(
    /// How log lines look.
    LogFormat, "pretty or json", {
        /// For a person's eyes.
        Pretty = "pretty",
        /// One JSON object a line.
        Json = "json"
    }
);

choice!(
    /// What becomes of an SOS from outside the area that is served.
    OutsideArea, "refuse or mark", {
        /// It is refused, so that whoever calls turns to others at once.
        Refuse = "refuse",
        /// It is taken, and staff are told.
        Mark = "mark"
    }
);

/// Where the log of every room is kept. An address may hold a password: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// SQLite in the data folder.
    Embedded,
    /// MongoDB at this address.
    Mongo(Arc<str>),
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Mongo(_) => "mongodb://…",
        })
    }
}

impl Setting for StoreUrl {
    const EXPECTED: &'static str = "embedded, or an address such as mongodb://HOST/DATABASE?replicaSet=NAME";
    const HIDDEN: bool = true;

    fn read(raw: &ValueKind) -> Option<Self> {
        match text(raw)? {
            "embedded" => Some(Self::Embedded),
            url if MongoOptions::takes(url) => Some(Self::Mongo(url.into())),
            _ => None,
        }
    }
}

choice!(
    /// In which header trusted proxies say for whom they speak.
    ProxyHeader, "x-forwarded or forwarded", {
        /// `X-Forwarded-For` and `X-Forwarded-Proto`.
        XForwarded = "x-forwarded",
        /// `Forwarded` (RFC 7239).
        Forwarded = "forwarded"
    }
);

choice!(
    /// The oldest version of TLS that is spoken.
    TlsVersion, "1.2 or 1.3, in quotes", {
        /// TLS 1.2.
        V12 = "1.2",
        /// TLS 1.3.
        V13 = "1.3"
    }
);
