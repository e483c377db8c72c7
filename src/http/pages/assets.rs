//! What lies in `web/`, in the binary: found by its path, compressed once, named by its content.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::sync::OnceLock;

use actix_web::web::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::atlas;

/// The template of `/`.
pub const HOME: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/index.html"));
/// The template of `/live/{sosId}`.
pub const LIVE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/live.html"));

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";

/// Digits of the version: enough that no two builds share one.
const VERSION_DIGITS: usize = 16;

macro_rules! table {
    ($($path:literal: $kind:expr,)*) => {
        const FILES: &[File] = &[$(File {
            path: $path,
            kind: $kind,
            content: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/", $path)),
            gzipped: GZIPPED_SUFFIX.is_end_of($path),
        }),*];
    };
}

/// Files that are checked in compressed; they are asked for without the suffix.
const GZIPPED_SUFFIX: Suffix = Suffix(b".gz");

struct Suffix(&'static [u8]);

impl Suffix {
    const fn is_end_of(&self, path: &str) -> bool {
        let (path, end) = (path.as_bytes(), self.0);
        if path.len() < end.len() {
            return false;
        }
        let mut n = 0;
        while n < end.len() {
            if path[path.len() - end.len() + n] != end[n] {
                return false;
            }
            n += 1;
        }
        true
    }
}

struct File {
    path: &'static str,
    kind: &'static str,
    content: &'static [u8],
    gzipped: bool,
}

table! {
    "icon.svg": SVG,
    "style.css": CSS,
    "js/announce.js": SCRIPT,
    "js/api.js": SCRIPT,
    "js/connection.js": SCRIPT,
    "js/dom.js": SCRIPT,
    "js/geo.js": SCRIPT,
    "js/home.js": SCRIPT,
    "js/identity.js": SCRIPT,
    "js/incident.js": SCRIPT,
    "js/live.js": SCRIPT,
    "js/map.js": SCRIPT,
    "js/mapdata.js": SCRIPT,
    "js/mapdraw.js": SCRIPT,
    "js/sharing.js": SCRIPT,
    "js/tiles.js": SCRIPT,
    "js/views.js": SCRIPT,
    "js/words.js": SCRIPT,
    "map/index.json": JSON,
    "map/world-110m.bin.gz": BINARY,
    "map/world-50m.bin.gz": BINARY,
}

/// Something to be sent, whole or compressed.
#[derive(Debug)]
pub struct Asset {
    /// Its media type.
    pub kind: &'static str,
    /// Its name by its content, in quotes.
    pub etag: String,
    /// By gzip. Brotli would save a tenth more, but browsers take it over TLS only.
    pub gzip: Bytes,
    /// As it is; what is kept compressed is unpacked for the few who ask for it so.
    plain: Option<Bytes>,
}

impl Asset {
    /// A page.
    pub fn page(text: String) -> Self {
        Self::of(HTML, Bytes::from(text))
    }

    /// Part of the map, which is kept compressed.
    pub fn map(gzip: &'static [u8]) -> Self {
        Self::gzipped(BINARY, gzip)
    }

    fn of(kind: &'static str, plain: Bytes) -> Self {
        Self {
            kind,
            etag: etag(&plain),
            gzip: compressed(&plain),
            plain: Some(plain),
        }
    }

    fn gzipped(kind: &'static str, gzip: &'static [u8]) -> Self {
        Self {
            kind,
            etag: etag(gzip),
            gzip: Bytes::from_static(gzip),
            plain: None,
        }
    }

    fn file(file: &File) -> Self {
        if file.gzipped {
            Self::gzipped(file.kind, file.content)
        } else {
            Self::of(file.kind, Bytes::from_static(file.content))
        }
    }

    /// As it is.
    pub fn plain(&self) -> Bytes {
        self.plain.clone().unwrap_or_else(|| {
            let mut plain = Vec::new();
            let read = GzDecoder::new(&*self.gzip).read_to_end(&mut plain);
            read.expect("invariant: what is checked in compressed can be read, a test sees to it");
            plain.into()
        })
    }
}

/// A file by the path it is asked for.
pub fn find(path: &str) -> Option<&'static Asset> {
    static READY: [OnceLock<Asset>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];
    let place = FILES.iter().position(|file| asked_for_as(file) == path)?;
    Some(READY[place].get_or_init(|| Asset::file(&FILES[place])))
}

fn asked_for_as(file: &File) -> Cow<'static, str> {
    let path = file.path;
    match path.strip_suffix(".gz").filter(|_| file.gzipped) {
        Some(path) => path.into(),
        None => path.into(),
    }
}

/// Names all files together, so that one address holds modules that belong to each other.
pub fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let mut hash = Sha256::new();
        for file in FILES {
            hash.update(file.path);
            hash.update(file.content);
        }
        hash.update(atlas::PACK);
        hex::encode(hash.finalize())[..VERSION_DIGITS].to_owned()
    })
}

fn etag(content: &[u8]) -> String {
    format!("\"{}\"", &hex::encode(Sha256::digest(content))[..VERSION_DIGITS])
}

fn compressed(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(8));
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.expect("invariant: memory can be written to").into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_in_the_folder_is_in_the_binary() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut there = BTreeSet::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let path = path.strip_prefix(&root).unwrap();
                    there.insert(path.to_str().unwrap().to_owned());
                }
            }
        }
        let served_otherwise = [
            "index.html",
            "live.html",
            "map/README.md",
            "map/cells-10m.pack",
            // By `routes::docs`, at paths of their own.
            "docs/docs.css",
            "docs/docs.html",
            "docs/docs.js",
        ];
        let known: BTreeSet<String> = FILES
            .iter()
            .map(|file| file.path)
            .chain(served_otherwise)
            .map(str::to_owned)
            .collect();
        assert_eq!(there, known);
    }

    #[test]
    fn every_file_is_the_same_whole_and_compressed() {
        for file in FILES {
            let asset = find(&asked_for_as(file)).unwrap();
            let mut plain = Vec::new();
            GzDecoder::new(&*asset.gzip).read_to_end(&mut plain).unwrap();
            assert!(!plain.is_empty() && plain == asset.plain(), "{}", file.path);
        }
        assert!(find("map/world-110m.bin").is_some() && find("map/world-110m.bin.gz").is_none());
    }
}
