//! Takes fields out of a body or a query one by one and collects everything that is wrong on the way.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::body::{BodyError, FieldError};
use crate::wire::field::{self, Checked, Problem};
use crate::wire::loose::Loose;

/// An object being read.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
    /// Its values are texts of a query, where a number is written as text too.
    from_query: bool,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// The fields of a body.
    pub fn of_body(object: &'a Map<String, Value>) -> Self {
        Self {
            object,
            path: String::new(),
            from_query: false,
            errors: Vec::new(),
        }
    }

    /// The parameters of a query.
    pub fn of_query(object: &'a Map<String, Value>) -> Self {
        Self {
            from_query: true,
            ..Self::of_body(object)
        }
    }

    /// A field as `check` reads it; `None` when it is not there or wrong, which is noted.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&'static str, &Loose<'_>) -> Checked<Option<T>>,
    ) -> Option<T> {
        let value = Loose::of(self.object.get(name));
        self.keep(check(name, &value)).flatten()
    }

    /// The same for a field that must be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&'static str, &Loose<'_>) -> Checked<Option<T>>,
    ) -> Option<T> {
        let value = Loose::of(self.object.get(name));
        self.keep(check(name, &value).and_then(|found| field::required(name, found)))
    }

    /// A field that holds a number or a time, and in a query is written as text.
    pub fn loose(&self, name: &str) -> Loose<'a> {
        match Loose::of(self.object.get(name)) {
            Loose::Text(text) if self.from_query => Loose::number_in(&text),
            value => value,
        }
    }

    /// Notes what is wrong.
    pub fn keep<T>(&mut self, checked: Checked<T>) -> Option<T> {
        checked
            .map_err(|problem| self.errors.push(FieldError::at(&self.path, problem)))
            .ok()
    }

    /// An object inside; `None` when it is not there or none.
    pub fn nested<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Fields<'a>) -> T) -> Option<T> {
        match self.object.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::Object(object)) => Some(self.enter(object, name, read)),
            Some(_) => self.keep(Err(Problem::wants(name, "an object"))),
        }
    }

    /// A list of at most `max` objects; `None` when it is not there or no such list.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        max: usize,
        mut read: impl FnMut(&mut Fields<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let entries = match self.object.get(name) {
            None | Some(Value::Null) => return None,
            Some(Value::Array(entries)) if entries.len() <= max => entries,
            Some(_) => return self.keep(Err(Problem::wants(name, format_args!("a list of at most {max}")))),
        };
        let mut found = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            match entry {
                Value::Object(object) => {
                    found.extend(self.enter(object, &format!("{name}.{index}"), &mut read));
                }
                _ => self.errors.push(FieldError {
                    field: format!("{}{name}.{index}", self.path),
                    message: format!("{name}.{index} must be an object"),
                }),
            }
        }
        Some(found)
    }

    /// The same as [`Fields::texts`] for a list that may be left out.
    pub fn optional_texts<T, E: Display>(
        &mut self,
        name: &'static str,
        max: usize,
        parse: impl FnMut(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        match self.object.get(name) {
            None | Some(Value::Null) => None,
            Some(_) => self.texts(name, max, parse),
        }
    }

    /// A list, which must be there, of at most `max` texts that a domain type reads.
    pub fn texts<T, E: Display>(
        &mut self,
        name: &'static str,
        max: usize,
        mut parse: impl FnMut(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let entries = match self.object.get(name) {
            None | Some(Value::Null) => return self.keep(Err(Problem::missing(name))),
            Some(Value::Array(entries)) if entries.len() <= max => entries,
            Some(_) => return self.keep(Err(Problem::wants(name, format_args!("a list of at most {max}")))),
        };
        let mut found = Some(Vec::with_capacity(entries.len()));
        for (index, entry) in entries.iter().enumerate() {
            let read = match entry.as_str() {
                Some(text) => parse(text).map_err(|error| error.to_string()),
                None => Err("must be text".to_owned()),
            };
            match read {
                Ok(one) => {
                    if let Some(found) = &mut found {
                        found.push(one);
                    }
                }
                Err(error) => {
                    self.reject(&format!("{name}.{index}"), &error);
                    found = None;
                }
            }
        }
        found
    }

    /// Notes that the field at `path` is not what it should be: `what` goes on after its name.
    pub fn reject(&mut self, path: &str, what: &str) {
        self.errors.push(FieldError {
            field: format!("{}{path}", self.path),
            message: format!("{path} {what}"),
        });
    }

    /// What was read, if nothing was wrong.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, BodyError> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(BodyError::Fields(self.errors)),
        }
    }

    fn enter<T>(
        &mut self,
        object: &'a Map<String, Value>,
        name: &str,
        read: impl FnOnce(&mut Fields<'a>) -> T,
    ) -> T {
        let path = format!("{}{name}.", self.path);
        let mut inner = Fields {
            object,
            path,
            from_query: self.from_query,
            errors: Vec::new(),
        };
        let value = read(&mut inner);
        self.errors.append(&mut inner.errors);
        value
    }
}
