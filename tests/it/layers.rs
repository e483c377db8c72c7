//! The layers keep their order: `domain ← wire, store, delivery, notify ← bus, transport ← actors ← http ← app, main`.
//! Settings and telemetry stand beside `http`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each part of the crate may use. What is not listed may use everything.
const LAYERS: [(&str, &[&str]); 11] = [
    ("domain", &[]),
    ("wire", &["domain"]),
    ("store", &["domain"]),
    ("delivery", &["domain"]),
    ("notify", &["domain"]),
    ("bus", &["domain", "wire", "store"]),
    ("transport", &["domain", "wire", "store", "delivery"]),
    (
        "actors",
        &[
            "domain",
            "wire",
            "store",
            "bus",
            "delivery",
            "transport",
            "notify",
        ],
    ),
    (
        "config",
        &[
            "domain",
            "wire",
            "store",
            "bus",
            "delivery",
            "transport",
            "notify",
            "actors",
        ],
    ),
    (
        "telemetry",
        &[
            "domain",
            "wire",
            "store",
            "bus",
            "delivery",
            "transport",
            "notify",
            "actors",
            "config",
        ],
    ),
    (
        "http",
        &[
            "domain",
            "wire",
            "store",
            "bus",
            "delivery",
            "transport",
            "notify",
            "actors",
            "config",
            "telemetry",
        ],
    ),
];

/// What the domain knows nothing of.
const IMPURE: [&str; 11] = [
    "serde",
    "tokio",
    "actix",
    "SystemTime",
    "Instant",
    "rand::",
    "getrandom",
    "tracing",
    "std::net",
    "std::fs",
    "std::env",
];

struct Source {
    path: PathBuf,
    /// The modules it lies in, from the crate's root.
    modules: Vec<String>,
    /// Its code, without comments and tests.
    code: String,
}

#[test]
fn imports_run_from_the_outer_layers_to_the_inner_ones() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some((layer, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == source.modules[0]) else {
            continue;
        };
        for used in used_modules(&source) {
            if used != *layer && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: `{layer}` uses `{used}`", source.path.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports against the layers:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_domain_knows_no_format_no_clock_no_socket_and_no_chance() {
    let mut wrong = Vec::new();
    for source in sources()
        .into_iter()
        .filter(|source| source.modules[0] == "domain")
    {
        for (number, line) in source.code.lines().enumerate() {
            for name in IMPURE.iter().filter(|name| mentions(line, name)) {
                wrong.push(format!("{}:{}: {name}", source.path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "the domain is not pure:\n{}", wrong.join("\n"));
}

#[test]
fn the_test_itself_sees_an_import_in_every_form() {
    let source = |modules: &[&str], code: &str| Source {
        path: PathBuf::from("x.rs"),
        modules: modules.iter().map(|name| (*name).to_owned()).collect(),
        code: code.to_owned(),
    };
    let used = |source: &Source| used_modules(source).into_iter().collect::<Vec<_>>();
    assert_eq!(used(&source(&["domain"], "use crate::http::auth;")), ["http"]);
    assert_eq!(
        used(&source(
            &["domain"],
            "use crate::{actors::{a, b}, wire::c, store};"
        )),
        ["actors", "store", "wire"]
    );
    assert_eq!(
        used(&source(&["domain", "room"], "use super::super::http::x;")),
        ["http"]
    );
    assert!(used(&source(&["domain", "room"], "use super::ids::RoomId;")).is_empty());
    assert_eq!(
        used(&source(&["domain"], "fn f() -> crate::store::Seq {}")),
        ["store"]
    );
    assert_eq!(strip("a // crate::http\n/* crate::http */ b"), "a \n b");
    assert_eq!(
        strip("x\n#[cfg(test)]\nmod tests { use crate::http; }\ny"),
        "x\n\ny"
    );
}

/// Every file of `src` that is not a test's.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    assert!(files.len() > 50, "the sources are not where they should be");
    let tests: BTreeSet<PathBuf> = files.iter().flat_map(|file| test_modules(file)).collect();
    files.retain(|file| {
        !tests
            .iter()
            .any(|test| file.starts_with(test) || *file == test.with_extension("rs"))
    });
    files
        .into_iter()
        .map(|path| {
            let code = strip(&fs::read_to_string(&path).unwrap());
            let inside = path.strip_prefix(&root).unwrap().with_extension("");
            let mut modules: Vec<String> = inside
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            if modules.len() > 1 && modules.last().is_some_and(|last| last == "mod") {
                modules.pop();
            }
            Source { path, modules, code }
        })
        .collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The modules in files of their own that `file` declares for tests only, as paths without extension.
fn test_modules(file: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(file).unwrap();
    let folder = match file.file_stem().unwrap().to_str().unwrap() {
        "mod" | "lib" | "main" => file.parent().unwrap().to_path_buf(),
        _ => file.with_extension(""),
    };
    let mut found = Vec::new();
    let mut for_tests = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(any(test") {
            for_tests = true;
        } else if !line.starts_with("#[") {
            let name = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            if let Some(name) = name.strip_prefix("mod ").and_then(|name| name.strip_suffix(';'))
                && for_tests
            {
                found.push(folder.join(name));
            }
            for_tests = false;
        }
    }
    found
}

/// Code without comments and without test modules.
fn strip(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            rest = &rest[rest.find("*/").map_or(rest.len(), |end| end + 2)..];
        } else if rest.starts_with("#[cfg(test)]\nmod ") && is_block(rest) {
            rest = &rest[end_of_block(rest)..];
        } else if rest.starts_with('"') {
            let end = end_of_text(rest);
            code.push_str("\"\"");
            rest = &rest[end..];
        } else {
            let next = rest.chars().next().unwrap();
            code.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    code
}

/// Whether a module's code follows, not only its name.
fn is_block(text: &str) -> bool {
    let brace = text.find('{').unwrap_or(usize::MAX);
    brace < text.find(';').unwrap_or(usize::MAX)
}

/// Where the block ends that starts at the first brace; rustfmt puts its end at a line's start.
fn end_of_block(text: &str) -> usize {
    let open = text.find('{').unwrap();
    let line = text[open..].find("\n}").map(|end| open + end + 2);
    line.unwrap_or_else(|| text[open..].find('}').map_or(text.len(), |end| open + end + 1))
}

fn end_of_text(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The crate's top modules that a file names.
fn used_modules(source: &Source) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for root in ["crate::", "mayday::"] {
        for (at, _) in source.code.match_indices(root) {
            let before = source.code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                used.extend(first_names(&source.code[at + root.len()..]));
            }
        }
    }
    // A chain of `super` that climbs out of the layer names another one.
    let climb = "super::".repeat(source.modules.len());
    for (at, _) in source.code.match_indices(&climb) {
        let rest = &source.code[at + climb.len()..];
        if !source.code[..at].ends_with("super::") && !rest.starts_with("super::") {
            used.extend(first_names(rest));
        }
    }
    used.retain(|name| name.chars().next().is_some_and(char::is_lowercase));
    used
}

/// The first name of a path, or of each path in braces.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn mentions(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}
