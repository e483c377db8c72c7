//! What messages say: templates by language and occasion, filled with plain values.
//!
//! Each occasion has four files: `subject.txt` (one line), `short.txt` (one line, for text messages and pushes), `txt` and
//! `html` (what stands in an e-mail's body). Two more, `drill.txt` and `twice.txt`, are put before and after everything
//! here, so that no template of the operators can leave them out. Values are cleaned first: no control character, no
//! mark that turns the direction of what follows, no link that is none. HTML is escaped by the engine.

mod built_in;
mod clean;
mod folder;

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, Value};

use self::built_in::BUILT_IN;
use super::settings::{SettingsError, TemplateSettings};
use super::sms::segments;
use crate::domain::notify::{Content, Locale, Occasion};

/// Steps of one template; one that loops for ever ends here.
const FUEL: u64 = 20_000;
/// What is cut from a text message that is too long, in this order. Links never are.
const CUT: [&str; 6] = ["message", "place", "reason", "age", "kind", "person"];
/// What stands where something was cut; it is in every network's table.
const CUT_MARK: &str = "...";
/// The longest subject of an e-mail and title of a push, in characters.
const TITLE_MAX: usize = 150;

/// All templates.
pub struct Templates {
    environment: Environment<'static>,
    names: BTreeSet<String>,
    locale: Locale,
    sms_segments_max: usize,
}

/// What stands in an e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// For readers without HTML.
    pub text: String,
    /// A whole document.
    pub html: String,
}

/// What a push shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// One line.
    pub title: String,
    /// One line.
    pub body: String,
}

/// There is no text for it: a template failed, and so did those of less special languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no template for it can be filled")]
pub struct NoText;

/// Of a template's four.
#[derive(Clone, Copy)]
enum Part {
    Subject,
    Short,
    Text,
    Html,
}

impl Part {
    const ALL: [Self; 4] = [Self::Subject, Self::Short, Self::Text, Self::Html];

    const fn ending(self) -> &'static str {
        match self {
            Self::Subject => "subject.txt",
            Self::Short => "short.txt",
            Self::Text => "txt",
            Self::Html => "html",
        }
    }
}

type Values = BTreeMap<String, String>;

impl Templates {
    /// Those in the program, and in their place those of the operators' folder.
    ///
    /// # Errors
    /// When a file of theirs cannot be read, is no template or has no place.
    pub fn load(settings: &TemplateSettings) -> Result<Self, SettingsError> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        let mut names = BTreeSet::new();
        for (locale, name, text) in BUILT_IN {
            let name = format!("{}/{name}", locale.to_ascii_lowercase());
            environment
                .add_template_owned(name.clone(), *text)
                .map_err(|error| SettingsError::new(&name, error.to_string()))?;
            names.insert(name);
        }
        let mut templates = Self {
            environment,
            names,
            locale: settings.locale.clone(),
            sms_segments_max: settings.sms_segments_max.max(1),
        };
        if let Some(folder) = &settings.folder {
            for file in folder::read(folder)? {
                let failed = |error: minijinja::Error| SettingsError::new(&file.path, error.to_string());
                let name = file.name.clone();
                let environment = &mut templates.environment;
                environment
                    .add_template_owned(name.clone(), file.text)
                    .map_err(failed)?;
                // What only shows when it is filled shows now.
                environment
                    .get_template(&name)
                    .and_then(|template| template.render(sample()))
                    .map_err(failed)?;
                templates.names.insert(name);
            }
        }
        Ok(templates)
    }

    /// One line for a text message, in no more segments than allowed: what the person wrote is cut, links are not.
    ///
    /// # Errors
    /// When no template can be filled.
    pub fn sms(&self, content: &Content, twice: bool) -> Result<String, NoText> {
        let mut values = clean::values(content);
        let fits = |text: &str| segments(text) <= self.sms_segments_max;
        let mut text = self.short(content, &values, twice)?;
        for name in CUT {
            if fits(&text) {
                break;
            }
            let Some(whole) = values.remove(name) else {
                continue;
            };
            text = self.short(content, &values, twice)?;
            if !fits(&text) {
                continue;
            }
            // The most of it that fits.
            let ends: Vec<usize> = whole.char_indices().map(|(at, _)| at).collect();
            let (mut low, mut high) = (0, ends.len());
            while low + 1 < high {
                let middle = usize::midpoint(low, high);
                values.insert(name.into(), cut(&whole[..ends[middle]]));
                let longer = self.short(content, &values, twice)?;
                if fits(&longer) {
                    (low, text) = (middle, longer);
                } else {
                    high = middle;
                }
            }
        }
        Ok(text)
    }

    /// The whole of a short text, however long.
    ///
    /// # Errors
    /// When no template can be filled.
    pub fn text(&self, content: &Content, twice: bool) -> Result<String, NoText> {
        self.short(content, &clean::values(content), twice)
    }

    /// An e-mail.
    ///
    /// # Errors
    /// When no template can be filled.
    pub fn mail(&self, content: &Content, twice: bool) -> Result<Mail, NoText> {
        let values = clean::values(content);
        let subject = self.titled(content, &values)?;
        let mut text = clean::lines(&self.fill(content, Part::Text, &values)?);
        let body = self.fill(content, Part::Html, &values)?;
        let (mut before, mut after) = (String::new(), String::new());
        if content.drill {
            let drill = self.phrase(content, "drill.txt");
            text = format!("{drill}\n\n{text}");
            before = format!("<p><strong>{}</strong></p>\n", clean::html(&drill));
        }
        if twice {
            let note = self.phrase(content, "twice.txt");
            text = format!("{text}\n\n{note}");
            after = format!("<p>{}</p>\n", clean::html(&note));
        }
        let title = clean::html(&subject);
        let html = format!(
            "<!doctype html>\n<html lang=\"{}\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
             <body>\n{before}{body}{after}</body>\n</html>\n",
            content.locale.as_str()
        );
        Ok(Mail { subject, text, html })
    }

    /// A push.
    ///
    /// # Errors
    /// When no template can be filled.
    pub fn push(&self, content: &Content, twice: bool) -> Result<Push, NoText> {
        let values = clean::values(content);
        let title = self.titled(content, &values)?;
        let body = self.short(content, &values, twice)?;
        Ok(Push { title, body })
    }

    /// What a vendor's own template is filled with: one text for each of `names`, the first of which says that it is an
    /// exercise if it is one.
    ///
    /// # Errors
    /// When `text` or `title` is asked for and cannot be had.
    pub fn variables(&self, content: &Content, names: &[String], twice: bool) -> Result<Vec<String>, NoText> {
        let values = clean::values(content);
        let mut filled = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            let says_so = matches!(name.as_str(), "text" | "title" | "drill");
            let mut text = match name.as_str() {
                "text" => self.sms(content, twice)?,
                "title" => self.titled(content, &values)?,
                "drill" if content.drill => self.phrase(content, "drill.txt"),
                name => values.get(name).cloned().unwrap_or_default(),
            };
            if place == 0 && content.drill && !says_so {
                text = format!("{} {text}", self.phrase(content, "drill.txt"));
            }
            // A template's variable must be something.
            filled.push(if text.is_empty() {
                "-".into()
            } else {
                text.trim_end().into()
            });
        }
        Ok(filled)
    }

    /// The values, safe to show as they are.
    pub(super) fn values(&self, content: &Content) -> Values {
        clean::values(content)
    }

    fn titled(&self, content: &Content, values: &Values) -> Result<String, NoText> {
        let title = clean::line(&self.fill(content, Part::Subject, values)?);
        let title = if content.drill {
            format!("{} {title}", self.phrase(content, "drill.txt"))
        } else {
            title
        };
        Ok(match title.char_indices().nth(TITLE_MAX) {
            Some((end, _)) => cut(&title[..end]),
            None => title,
        })
    }

    fn short(&self, content: &Content, values: &Values, twice: bool) -> Result<String, NoText> {
        let mut parts = vec![];
        if content.drill {
            parts.push(self.phrase(content, "drill.txt"));
        }
        if twice {
            // Before the text, which may end with a link.
            parts.push(self.phrase(content, "twice.txt"));
        }
        parts.push(clean::line(&self.fill(content, Part::Short, values)?));
        Ok(parts.join(" "))
    }

    fn fill(&self, content: &Content, part: Part, values: &Values) -> Result<String, NoText> {
        let file = file_of(content.occasion, part);
        let context = Value::from_pairs(values.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        for name in self.candidates(content, &file) {
            match self
                .environment
                .get_template(&name)
                .and_then(|t| t.render(&context))
            {
                Ok(text) => return Ok(text),
                // What it says of values stays out of the log.
                Err(error) => tracing::error!(template = %name, kind = ?error.kind(), "a template failed"),
            }
        }
        Err(NoText)
    }

    fn phrase(&self, content: &Content, file: &str) -> String {
        let mut found = self.candidates(content, file).into_iter().filter_map(|name| {
            let template = self.environment.get_template(&name).ok()?;
            template.render(Value::UNDEFINED).ok()
        });
        clean::line(&found.next().unwrap_or_default())
    }

    /// The names to try: of the content's language, of the operators', of ours.
    fn candidates(&self, content: &Content, file: &str) -> Vec<String> {
        let tags = content.locale.fallbacks().chain(self.locale.fallbacks());
        tags.chain(["en"])
            .map(|tag| format!("{}/{file}", tag.to_ascii_lowercase()))
            .filter(|name| self.names.contains(name))
            .collect()
    }
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates")
            .field("files", &self.names.len())
            .finish_non_exhaustive()
    }
}

fn cut(text: &str) -> String {
    format!("{}{CUT_MARK}", text.trim_end())
}

/// `sos_raised.short.txt`
fn file_of(occasion: Occasion, part: Part) -> String {
    format!("{}.{}", occasion.as_str().to_ascii_lowercase(), part.ending())
}

/// Every file that a language may have.
fn files() -> impl Iterator<Item = String> {
    let of_occasions = Occasion::ALL
        .iter()
        .flat_map(|occasion| Part::ALL.map(|part| file_of(*occasion, part)));
    of_occasions.chain(["drill.txt".into(), "twice.txt".into()])
}

/// Something for every value.
fn sample() -> Value {
    Value::from_pairs(super::settings::VARIABLES.map(|name| (name, "x")))
}

#[cfg(test)]
mod tests;
