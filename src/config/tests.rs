use super::*;

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    Config::parse("test.toml", text, environment)
        .map_err(|error| error.0.iter().map(ToString::to_string).collect())
}

#[test]
fn the_committed_file_holds_every_key_with_its_default() {
    let text = include_str!("../../config.toml");
    assert_eq!(parse(text, &[]), Ok(Config::default()));
    let mut section = "";
    let mut written = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            written.push(format!("{section}.{key}"));
        }
    }
    let declared = Config::keys().flat_map(|(s, keys)| keys.iter().map(move |k| format!("{s}.{k}")));
    assert_eq!(written, declared.collect::<Vec<_>>());
}

#[test]
fn the_environment_overrides_the_file() {
    let config = parse(
        "[http]\nport = 1\n",
        &[("MAYDAY__HTTP__PORT", "2"), ("HTTP__PORT", "3")],
    )
    .unwrap();
    assert_eq!(config.http.port, 2);
    let digits = "01234567890123456789012345678901";
    let config = parse("", &[("MAYDAY__AUTH__JWT_SECRET", digits)]).unwrap();
    assert!(config.auth.jwt_secret.unwrap().matches(digits.as_bytes()));
}

#[test]
fn a_wrong_value_is_named_with_its_key_and_its_variable() {
    assert_eq!(
        parse("", &[("MAYDAY__HTTP__PORT", "abc")]).unwrap_err(),
        [
            "http.port: invalid value \"abc\", expected an integer from 0 to 65535 \
          (from the environment variable MAYDAY__HTTP__PORT)"
        ]
    );
    assert_eq!(
        parse("[http]\nport = 70000", &[]).unwrap_err(),
        ["http.port: invalid value 70000, expected an integer from 0 to 65535"]
    );
}

#[test]
fn a_rule_that_a_variable_breaks_names_the_variable_too() {
    let environment = [("MAYDAY__STORE__READERS", "0"), ("MAYDAY__HTTP__PORT", "x")];
    let problems = parse("", &environment).unwrap_err();
    assert!(
        problems
            .iter()
            .any(|p| p.starts_with("store.readers: ") && p.contains("MAYDAY__STORE__READERS"))
    );
    assert_eq!(problems.len(), 2);
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = "[http]\nport = -1\nprot = 3\n[store]\nurl = 'oracle'\n[htp]\nport = 1\n[contacts]\ndefault_region = 'XX'";
    let problems = parse(text, &[("MAYDAY__LOG__FORMT", "json"), ("MAYDAY__STORE", "x")]).unwrap_err();
    let keys = [
        "http.port",
        "http.prot",
        "htp.port",
        "contacts.default_region",
        "log.formt",
        "store",
    ];
    for key in keys {
        assert!(
            problems.iter().any(|p| p.starts_with(&format!("{key}: "))),
            "{key} in {problems:#?}"
        );
    }
    assert!(
        problems.iter().any(|p| p.contains("MAYDAY__LOG__FORMT")),
        "{problems:#?}"
    );
    assert_eq!(problems.len(), keys.len(), "{problems:#?}");
}

#[test]
fn a_secret_is_never_part_of_an_error() {
    let short = "hunter2hunter2";
    for problems in [
        parse("", &[("MAYDAY__AUTH__JWT_SECRET", short)]).unwrap_err(),
        parse(&format!("[auth]\njwt_secret = '{short}'"), &[]).unwrap_err(),
        parse(&format!("[auth]\njwt_secret = '{short}\n"), &[]).unwrap_err(),
        parse(&format!("[auth]\njwt_secret = {short}\n"), &[]).unwrap_err(),
        parse(&format!("[bus]\nurl = 'redis://:{short}@a:port'\n"), &[]).unwrap_err(),
        parse("", &[("MAYDAY__BUS__URL", short)]).unwrap_err(),
    ] {
        assert!(!problems.join("\n").contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_named_with_the_place() {
    let problems = parse("[http]\nport = = 3", &[]).unwrap_err().join("\n");
    assert!(
        problems.starts_with("test.toml: ") && problems.contains("line 2"),
        "{problems}"
    );
}
