//! Which vendors are on.

use std::process::Output;

use crate::support::engine::mayday;

fn check(settings: &[(&str, &str)]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = mayday(folder.path());
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .arg("check")
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    (status.success(), text)
}

#[test]
fn check_says_which_vendors_are_on_and_what_half_of_one_lacks() {
    let (good, text) = check(&[]);
    assert!(
        good && text.contains("SMS: off\n") && text.contains("EMAIL: off\n"),
        "{text}"
    );
    let mut settings = vec![
        ("MAYDAY__NOTIFY__TWILIO__BASE_URL", "http://127.0.0.1:9"),
        ("MAYDAY__NOTIFY__TWILIO__ACCOUNT_SID", "AC1"),
        ("MAYDAY__NOTIFY__TWILIO__AUTH_TOKEN", "hunter2"),
        ("MAYDAY__NOTIFY__TWILIO__FROM", "+15005550006"),
        ("MAYDAY__NOTIFY__MSG91__BASE_URL", "http://127.0.0.1:9"),
        ("MAYDAY__NOTIFY__MSG91__AUTHKEY", "hunter3"),
        ("MAYDAY__NOTIFY__MSG91__TEMPLATE_ID", "61e"),
    ];
    let (good, text) = check(&settings);
    assert!(good && text.contains("SMS: TWILIO, then MSG91\n"), "{text}");
    for lost in [1, 2, 3, 5, 6] {
        let (name, _) = settings.remove(lost);
        let (good, text) = check(&settings);
        let key = name
            .trim_start_matches("MAYDAY__")
            .to_lowercase()
            .replace("__", ".");
        assert!(!good && text.contains(&key), "{name}: {text}");
        assert!(!text.contains("hunter"), "{text}");
        settings.insert(
            lost,
            (
                name,
                ["", "AC1", "hunter2", "+15005550006", "", "hunter3", "61e"][lost],
            ),
        );
    }
    settings.push(("MAYDAY__NOTIFY__TEMPLATES_FOLDER", "/nonexistent"));
    let (good, text) = check(&settings);
    assert!(!good && text.contains("/nonexistent"), "{text}");
}
