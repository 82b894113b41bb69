use super::*;

fn loaded(file: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("verdicts.toml");
    std::fs::write(&path, file).expect("written");
    load(Some(&path), environment.iter().map(|(k, v)| (k.to_string(), v.to_string())))
}

fn refusal(file: &str, environment: &[(&str, &str)]) -> String {
    loaded(file, environment).expect_err("refused").to_string()
}

#[test]
fn the_file_in_the_repository_says_every_default() {
    let text = include_str!("../../config/verdicts.toml");
    let from_file = loaded(text, &[]).expect("good").settings;
    assert_eq!(serde_json::to_value(from_file).expect("json"), serde_json::to_value(Settings::default()).expect("json"));
    for shown in loaded("", &[]).expect("good").shown() {
        let key = shown.key.rsplit('.').next().expect("a key");
        assert!(
            text.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} ="))),
            "{} stands in the file",
            shown.key
        );
    }
}

#[test]
fn a_variable_overrides_the_file_and_the_file_the_default() {
    let loaded = loaded(
        "[site]\nname = \"A\"\nnewsletter = \"B\"\n",
        &[
            ("VERDICTS_SITE__NAME", "42"),
            ("VERDICTS_MAIL__RETRY__FIRST", "1s"),
            ("VERDICTS_MAIL__CONNECTIONS", "3"),
            ("VERDICTS_LOG", "debug"),
        ],
    )
    .expect("good");
    let s = &loaded.settings;
    assert_eq!((s.site.name.as_str(), s.site.newsletter.as_str(), s.mail.connections), ("42", "B", 3));
    assert_eq!((s.mail.retry.first, s.picker.max_items), (Duration::from_secs(1), 5));
    let origin = |key: &str| loaded.shown().into_iter().find(|s| s.key == key).expect("shown").origin;
    assert_eq!(origin("site.name"), "environment variable VERDICTS_SITE__NAME");
    assert!(origin("site.newsletter").ends_with("verdicts.toml"));
    assert_eq!(origin("picker.max_items"), "default");
}

#[test]
fn a_whole_table_fits_into_a_variable_and_leaves_its_other_keys_alone() {
    let s = loaded("", &[("VERDICTS_MAIL__RETRY", "{ first = \"2s\" }")]).expect("good").settings;
    assert_eq!((s.mail.retry.first, s.mail.retry.max_age), (Duration::from_secs(2), days(4)));
    assert!(refusal("", &[("VERDICTS_MAIL__RETRY", "2s")]).contains("VERDICTS_MAIL__RETRY"));
}

#[test]
fn a_secret_may_be_one_text_or_a_list_and_is_never_shown() {
    let one = loaded("", &[("VERDICTS_SITE__SECRET", "1234567890123456")]).expect("good");
    let two = loaded("", &[("VERDICTS_SITE__SECRET", "[\"0123456789abcdef\", \"fedcba9876543210\"]")]).expect("good");
    assert_eq!((one.settings.site.secret.len(), two.settings.site.secret.len()), (1, 2));
    let transport = ("VERDICTS_MAIL__TRANSPORT", "smtp://user:hunter2@mail.example.org");
    let database = ("VERDICTS_DATABASE__URL", "postgres://user:hunter3@db/verdicts");
    let text = format!("{:?}", loaded("site.secret = [\"0123456789abcdef\"]", &[transport, database]).expect("good").shown());
    assert!(!text.contains("0123456789abcdef") && !text.contains("hunter"), "{text}");
    assert!(text.contains("***:***@mail.example.org"), "{text}");
    let odd = ("VERDICTS_DATABASE__URL", "postgres://h/db?user=v&password=hunter4");
    let text = format!("{:?}", loaded("", &[odd]).expect("good").shown());
    assert!(!text.contains("hunter4") && text.contains("postgres://h/db"), "{text}");
}

#[test]
fn a_fault_names_the_key_and_the_place() {
    let refused = refusal("[site]\nnmae = \"x\"\n", &[]);
    assert!(refused.contains("\"nmae\"") && refused.contains("verdicts.toml") && refused.contains("newsletter"), "{refused}");
    let refused = refusal("[picker]\nmax_items = \"many\"\n", &[]);
    assert!(refused.contains("picker.max_items") && refused.contains("verdicts.toml"), "{refused}");
    assert!(refusal("", &[("VERDICTS_SITE__NMAE", "x")]).contains("VERDICTS_SITE__NMAE"));
    assert!(refusal("", &[("VERDICTS_SITE_NAME", "x")]).contains("VERDICTS_SITE__NAME"));
    assert!(refusal("", &[("VERDICTS_SITE__TIMEZONE", "Mars/Base")]).contains("site.timezone"));
    assert!(refusal("", &[("VERDICTS_MAIL__CONNECTIONS", "lots")]).contains("mail.connections"));
    assert!(refusal("", &[("VERDICTS_SITE__SECRET", "short")]).contains("site.secret"));
    assert!(refusal("", &[("VERDICTS_SITE__BASE_URL", "ftp://x")]).contains("site.base_url"));
    assert!(refusal("", &[("VERDICTS_PICKER__LOOK_BACK", "soon")]).contains("picker.look_back"));
    assert!(refusal("[site\n", &[]).contains("verdicts.toml"));
    let missing = load(Some(Path::new("nowhere.toml")), std::iter::empty()).expect_err("refused").to_string();
    assert!(missing.contains("nowhere.toml"), "{missing}");
}
