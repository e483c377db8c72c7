//! Reads the settings from a file and the environment. What is wrong is collected, not stopped at.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use config::{FileFormat, Value, ValueKind};

use super::sections::Config;
use super::value::Setting;

/// The file that is read, if it is there, when none is named.
const DEFAULT_FILE: &str = "config.toml";
const PREFIX: &str = "MAYDAY__";
/// How the `config` crate names the environment as a value's origin.
const ENVIRONMENT: &str = "the environment";

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    key: String,
    what: String,
    variable: bool,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            what: what.into(),
            variable: false,
        }
    }

    /// The key at fault, or the file.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)?;
        if self.variable {
            write!(f, " (from the environment variable {})", variable(&self.key))?;
        }
        Ok(())
    }
}

/// The settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<Problem>);

impl Config {
    /// Reads `file`, or `./config.toml` when none is named and it is there, then lets the environment
    /// override it.
    ///
    /// # Errors
    /// With everything that is wrong.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let file = match file {
            Some(path) => Some(path.to_owned()),
            None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()),
        };
        let text = match &file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                ConfigError(vec![Problem::new(
                    path.display().to_string(),
                    format!("cannot be read: {error}"),
                )])
            })?,
            None => String::new(),
        };
        let name = file.map_or_else(String::new, |path| path.display().to_string());
        Self::parse(&name, &text, std::env::vars_os())
    }

    /// Reads settings from the text of a file and from environment variables.
    ///
    /// # Errors
    /// With everything that is wrong.
    pub fn parse(
        file: &str,
        text: &str,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let overrides = overrides(environment, &mut problems);
        // No `try_parsing`: it would turn a secret made of digits into a number.
        let environment = config::Environment::with_prefix("MAYDAY")
            .prefix_separator("__")
            .separator("__")
            .source(Some(overrides));
        let merged = config::Config::builder()
            .add_source(config::File::from_str(text, FileFormat::Toml))
            .add_source(environment)
            .build()
            .map_err(|error| {
                ConfigError(vec![Problem::new(file, without_source_lines(&error.to_string()))])
            })?;
        let mut reader = Reader::new(merged.cache, problems);
        let settings = Self::read(&mut reader);
        let (mut problems, from_environment) = reader.finish();
        let read = problems.len();
        settings.check(&mut problems);
        for problem in &mut problems[read..] {
            problem.variable = from_environment.contains(&problem.key);
        }
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(ConfigError(problems))
        }
    }
}

/// The variables that concern the engine. One that is not Unicode is named but not shown: it may be a secret.
fn overrides(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Vec<Problem>,
) -> config::Map<String, String> {
    let mut found = config::Map::new();
    for (name, value) in environment {
        let Ok(name) = name.into_string() else { continue };
        if !name.to_uppercase().starts_with(PREFIX) {
            continue;
        }
        match value.into_string() {
            Ok(value) => drop(found.insert(name, value)),
            Err(_) => problems.push(Problem::new(name, "is not valid Unicode")),
        }
    }
    found
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// TOML errors quote the line at fault, which may hold a secret: keep the place and the reason.
fn without_source_lines(message: &str) -> String {
    let kept = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains('|'));
    kept.collect::<Vec<_>>().join(": ")
}

/// Hands out raw values one by one; what is left at the end is unknown.
pub(super) struct Reader {
    sections: BTreeMap<String, BTreeMap<String, Value>>,
    problems: Vec<Problem>,
    from_environment: HashSet<String>,
}

impl Reader {
    fn new(root: Value, problems: Vec<Problem>) -> Self {
        let mut reader = Self {
            sections: BTreeMap::new(),
            problems,
            from_environment: HashSet::new(),
        };
        for (section, value) in root.into_table().unwrap_or_default() {
            let from_environment = value.origin() == Some(ENVIRONMENT);
            match value.kind {
                ValueKind::Table(table) => reader.enter(section, table),
                _ if is_section(&section) => {
                    reader.report(section, "is a section, not a value".into(), from_environment);
                }
                _ => reader.report(section, unknown_section(), from_environment),
            }
        }
        reader
    }

    /// Notes a section and those within it.
    fn enter(&mut self, section: String, table: config::Map<String, Value>) {
        let mut keys = BTreeMap::new();
        for (key, value) in table {
            let within = format!("{section}.{key}");
            match value.kind {
                ValueKind::Table(table) if is_section(&within) => self.enter(within, table),
                _ => drop(keys.insert(key, value)),
            }
        }
        self.sections.insert(section, keys);
    }

    fn report(&mut self, key: String, what: String, variable: bool) {
        self.problems.push(Problem { key, what, variable });
    }

    /// Takes one value; `default` when it is not given, and also when it is wrong, so that the rest can be
    /// looked at.
    pub(super) fn take<T: Setting>(&mut self, section: &str, key: &str, default: T) -> T {
        let Some(value) = self.sections.get_mut(section).and_then(|keys| keys.remove(key)) else {
            return default;
        };
        let from_environment = value.origin() == Some(ENVIRONMENT);
        if let Some(setting) = T::read(&value.kind) {
            if from_environment {
                self.from_environment.insert(format!("{section}.{key}"));
            }
            return setting;
        }
        let what = if T::HIDDEN {
            format!("invalid value, expected {}", T::EXPECTED)
        } else {
            format!("invalid value {}, expected {}", shown(&value.kind), T::EXPECTED)
        };
        self.report(
            format!("{section}.{key}"),
            what,
            value.origin() == Some(ENVIRONMENT),
        );
        default
    }

    fn finish(mut self) -> (Vec<Problem>, HashSet<String>) {
        for (section, keys) in std::mem::take(&mut self.sections) {
            let known = Config::keys()
                .find(|(name, _)| *name == section)
                .map(|(_, keys)| keys);
            if keys.is_empty() && known.is_none() {
                self.report(section.clone(), unknown_section(), false);
            }
            for (key, value) in keys {
                let what = known.map_or_else(unknown_section, |known| {
                    format!("unknown key, [{section}] has {}", known.join(", "))
                });
                self.report(
                    format!("{section}.{key}"),
                    what,
                    value.origin() == Some(ENVIRONMENT),
                );
            }
        }
        (self.problems, self.from_environment)
    }
}

fn is_section(name: &str) -> bool {
    Config::keys().any(|(known, _)| known == name)
}

fn unknown_section() -> String {
    let known: Vec<_> = Config::keys().map(|(section, _)| section).collect();
    format!("unknown section, there are {}", known.join(", "))
}

fn shown(raw: &ValueKind) -> String {
    match raw {
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Table(_) => "(a table)".into(),
        ValueKind::Array(_) => "(a list)".into(),
        other => other.to_string(),
    }
}
