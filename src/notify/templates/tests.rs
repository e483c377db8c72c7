use super::*;
use proptest::prelude::*;

fn all() -> Templates {
    Templates::load(&TemplateSettings::default()).unwrap()
}

fn content(occasion: Occasion, locale: &str, values: &[(&str, &str)]) -> Content {
    Content {
        occasion,
        locale: Locale::parse(locale).unwrap(),
        drill: false,
        values: values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

const LINK: &str = "https://sos.example.org/live/0f8fad5b-d9cb-469f-a165-70867728950e";
const ACKNOWLEDGE: &str = "https://sos.example.org/a/7c9e6679f3d1";

#[test]
fn every_occasion_has_its_four_texts_in_every_language_and_each_can_be_filled_with_nothing() {
    let templates = all();
    for locale in ["en", "fil"] {
        for name in files() {
            assert!(
                templates.names.contains(&format!("{locale}/{name}")),
                "{locale}/{name}"
            );
        }
        for occasion in Occasion::ALL {
            for values in [vec![], VARIABLES_OF_A_TEST.to_vec()] {
                let content = content(*occasion, locale, &values);
                let mail = templates.mail(&content, true).unwrap();
                let push = templates.push(&content, true).unwrap();
                for text in [mail.subject, mail.text, mail.html, push.title, push.body] {
                    assert!(!text.trim().is_empty(), "{occasion:?} {locale}");
                    assert!(
                        !text.contains("{%") && !text.contains("{{") && !text.contains("None"),
                        "{text}"
                    );
                }
            }
        }
    }
}

const VARIABLES_OF_A_TEST: [(&str, &str); 8] = [
    ("person", "Maria"),
    ("kind", "medical"),
    ("message", "I fell"),
    ("place", "Rizal Park"),
    ("map", LINK),
    ("acknowledge", ACKNOWLEDGE),
    ("code", "123456"),
    ("minutes", "5"),
];

#[test]
fn an_sos_reads_as_a_person_would_say_it() {
    let templates = all();
    let values = &VARIABLES_OF_A_TEST[..6];
    assert_eq!(
        templates
            .sms(&content(Occasion::SosRaised, "en-PH", values), false)
            .unwrap(),
        format!(
            "SOS: Maria needs help (medical). Message: I fell. Place: Rizal Park. Map: {LINK} I can help: {ACKNOWLEDGE}"
        )
    );
    assert_eq!(
        templates
            .sms(&content(Occasion::SosRaised, "fil", &values[..1]), false)
            .unwrap(),
        "SOS: Kailangan ni Maria ng tulong."
    );
    // Nobody has templates in Breton; English is what is left.
    assert_eq!(
        templates
            .sms(&content(Occasion::SosRaised, "br", &[]), false)
            .unwrap(),
        "SOS: Somebody needs help."
    );
}

#[test]
fn a_drill_says_so_before_anything_else_and_twice_is_told() {
    let templates = all();
    let mut content = content(Occasion::SosRaised, "en", &VARIABLES_OF_A_TEST);
    content.drill = true;
    let sms = templates.sms(&content, true).unwrap();
    assert!(
        sms.starts_with("DRILL, nothing has happened. You may have this message already. SOS: Maria"),
        "{sms}"
    );
    let mail = templates.mail(&content, true).unwrap();
    assert!(mail.subject.starts_with("DRILL") && mail.text.starts_with("DRILL"));
    assert!(mail.text.ends_with("You may have this message already."));
    let body = mail.html.split("<body>").nth(1).unwrap();
    assert!(
        body.starts_with("\n<p><strong>DRILL, nothing has happened.</strong></p>"),
        "{body}"
    );
    let push = templates.push(&content, false).unwrap();
    assert!(push.title.starts_with("DRILL") && push.body.starts_with("DRILL"));
    let names = ["person", "map"].map(str::to_owned);
    let filled = templates.variables(&content, &names, false).unwrap();
    assert_eq!(filled, ["DRILL, nothing has happened. Maria", LINK]);
}

#[test]
fn what_a_person_wrote_is_cut_and_links_are_not() {
    let templates = all();
    for letter in ["a", "ж", "🆘", "€"] {
        let long = letter.repeat(900);
        let mut values = VARIABLES_OF_A_TEST.to_vec();
        values[2].1 = &long;
        values[3].1 = &long;
        values[0].1 = &long;
        let text = templates
            .sms(&content(Occasion::SosRaised, "en", &values), false)
            .unwrap();
        assert!(segments(&text) <= 3, "{text}");
        assert!(text.contains(LINK) && text.ends_with(ACKNOWLEDGE), "{text}");
        assert!(text.contains(CUT_MARK), "{text}");
    }
    // As much as fits stays.
    let long = "a".repeat(900);
    let text = templates
        .sms(
            &content(Occasion::SosRaised, "en", &[("message", &long), ("map", LINK)]),
            false,
        )
        .unwrap();
    assert_eq!(segments(&text), 3);
    assert!(text.len() > 3 * 153 - 5, "{}", text.len());
}

#[test]
fn a_link_that_is_none_is_left_out() {
    let values = [
        ("map", "javascript:alert(1)"),
        ("acknowledge", "https://a.example/ b"),
    ];
    let mail = all()
        .mail(&content(Occasion::SosRaised, "en", &values), false)
        .unwrap();
    assert!(!mail.html.contains("href"), "{}", mail.html);
}

#[test]
fn operators_put_templates_of_their_own_in_place_of_ours_file_by_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("en-PH")).unwrap();
    let file = folder.path().join("en-PH/sos_raised.short.txt");
    let settings = TemplateSettings {
        folder: Some(folder.path().into()),
        ..TemplateSettings::default()
    };
    std::fs::write(&file, "Tulong! {{ person }}").unwrap();
    let templates = Templates::load(&settings).unwrap();
    let said = |locale: &str| {
        let content = content(Occasion::SosRaised, locale, &[("person", "Maria")]);
        templates.push(&content, false).unwrap()
    };
    assert_eq!(said("en-PH").body, "Tulong! Maria");
    assert_eq!(said("en-PH").title, "SOS: Maria needs help");
    assert_eq!(said("en").body, "SOS: Maria needs help.");

    for text in [
        "{{ person",
        "{% for x in y %}",
        "{{ person|loud }}",
        "{% include 'x' %}",
    ] {
        std::fs::write(&file, text).unwrap();
        let error = Templates::load(&settings).unwrap_err();
        assert!(error.key.ends_with("sos_raised.short.txt"), "{error}");
    }
    std::fs::write(&file, "fine").unwrap();
    std::fs::write(folder.path().join("en-PH/sos_rised.txt"), "x").unwrap();
    assert!(
        Templates::load(&settings)
            .unwrap_err()
            .key
            .ends_with("sos_rised.txt")
    );
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,200}",
        ".{0,60}",
        Just("\r\nBcc: a@b.c\r\n\r\n<script>alert(1)</script>".to_owned()),
        Just("{{ person }}{% raw %}\" onclick='x'".to_owned()),
        Just("\u{202e}txt.exe\u{2028}x\0".to_owned()),
    ]
}

proptest! {
    #[test]
    fn no_value_breaks_out_of_a_line_or_out_of_html(
        person in any_text(), message in any_text(), map in any_text(), drill: bool, twice: bool,
        occasion in proptest::sample::select(Occasion::ALL),
    ) {
        let templates = all();
        let values = [("person", person.as_str()), ("message", &message), ("map", &map), ("code", &message), ("reason", &person)];
        let mut filled = content(occasion, "fil-PH", &values);
        filled.drill = drill;
        let mut harmless = content(occasion, "fil-PH", &values.map(|(name, _)| (name, "x")));
        harmless.drill = drill;
        // A link or an empty value is there or not; what else stands in the document does not depend on values.
        harmless.values = clean::values(&filled).into_keys()
            .map(|name| { let value = if name == "map" { LINK } else { "x" }; (name, value.to_owned()) }).collect();

        let (mail, push) = (templates.mail(&filled, twice).unwrap(), templates.push(&filled, twice).unwrap());
        for line in [&mail.subject, &push.title, &push.body, &templates.sms(&filled, twice).unwrap()] {
            prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
        }
        let tags = |html: &str| html.matches('<').count();
        let plain = templates.mail(&harmless, twice).unwrap();
        prop_assert_eq!(tags(&mail.html), tags(&plain.html), "{}", mail.html);
        prop_assert_eq!(mail.html.matches('"').count(), plain.html.matches('"').count(), "{}", mail.html);
        prop_assert_eq!(mail.text.lines().count(), plain.text.lines().count(), "{}", mail.text);
    }

    #[test]
    fn a_text_message_never_takes_more_segments_than_allowed(
        person in any_text(), message in any_text(), place in any_text(), drill: bool, twice: bool, limit in 2_usize..6,
    ) {
        let templates = Templates::load(&TemplateSettings { sms_segments_max: limit, ..TemplateSettings::default() }).unwrap();
        let mut filled = content(Occasion::SosReminder, "en", &[("person", &person), ("message", &message), ("place", &place), ("acknowledge", ACKNOWLEDGE)]);
        filled.drill = drill;
        let text = templates.sms(&filled, twice).unwrap();
        prop_assert!(segments(&text) <= limit, "{} {}", segments(&text), text);
        prop_assert!(text.ends_with(ACKNOWLEDGE));
    }
}
