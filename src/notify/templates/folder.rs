//! The operators' own templates: `<folder>/<language>/<file>`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;

use super::super::settings::SettingsError;
use super::files;
use crate::domain::notify::Locale;

/// The largest file.
const FILE_MAX_BYTES: u64 = 65_536;
/// The most languages.
const LOCALES_MAX: usize = 100;

/// One of them.
pub(super) struct File {
    /// `<language>/<file>`
    pub(super) name: String,
    /// Where it lies.
    pub(super) path: String,
    pub(super) text: String,
}

/// All that are there.
pub(super) fn read(folder: &Path) -> Result<Vec<File>, SettingsError> {
    let known: BTreeSet<String> = files().collect();
    let mut found = vec![];
    for (place, locale) in entries(folder)?.into_iter().enumerate() {
        let name = locale
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if Locale::parse(&name).is_err() || !locale.is_dir() || place >= LOCALES_MAX {
            return Err(wrong(
                &locale,
                format!("must be a folder named like a language, one of at most {LOCALES_MAX}"),
            ));
        }
        for path in entries(&locale)? {
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !known.contains(&file) {
                return Err(wrong(
                    &path,
                    "is no template's name, such as sos_raised.short.txt or drill.txt",
                ));
            }
            found.push(File {
                name: format!("{}/{file}", name.to_ascii_lowercase()),
                text: text(&path)?,
                path: path.display().to_string(),
            });
        }
    }
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>, SettingsError> {
    let failed = |error: std::io::Error| wrong(folder, error.to_string());
    let mut paths = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn text(path: &Path) -> Result<String, SettingsError> {
    let failed = |error: std::io::Error| wrong(path, error.to_string());
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(FILE_MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(wrong(path, format!("must be at most {FILE_MAX_BYTES} bytes")));
    }
    Ok(text)
}

fn wrong(path: &Path, why: impl Into<String>) -> SettingsError {
    SettingsError::new(path.display().to_string(), why)
}
