mod oidc;
mod relays;

use super::*;

pub fn loaded(file: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("verdicts.toml");
    std::fs::write(&path, file).expect("written");
    load(
        Some(&path),
        environment
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string())),
    )
}

fn refusal(file: &str, environment: &[(&str, &str)]) -> String {
    loaded(file, environment).expect_err("refused").to_string()
}

/// The settings file with its defaults in force: `# key = value` becomes `key = value`. Examples are indented and stay comments.
fn with_defaults_in_force(file: &str) -> String {
    let is_default = |line: &str| {
        line.split_once(" = ")
            .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    let lines = file.lines().map(|line| {
        line.strip_prefix("# ")
            .filter(|rest| is_default(rest))
            .unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_file_in_the_repository_says_every_default_and_sets_nothing() {
    let text = include_str!("../../config/verdicts.toml");
    assert!(
        text.lines()
            .all(|line| line.is_empty() || line.starts_with('#') || line.starts_with('[')),
        "each key is commented out"
    );
    let json = |settings: Settings| serde_json::to_value(settings).expect("json");
    assert_eq!(
        json(
            loaded(&with_defaults_in_force(text), &[])
                .expect("good")
                .settings
        ),
        json(Settings::default())
    );
    for shown in loaded("", &[]).expect("good").shown() {
        let key = shown.key.rsplit('.').next().expect("a key");
        assert!(
            text.lines().any(|line| line
                .trim_start_matches(['#', ' '])
                .starts_with(&format!("{key} ="))),
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
    assert_eq!(
        (
            s.site.name.as_str(),
            s.site.newsletter.as_str(),
            s.mail.connections
        ),
        ("42", "B", 3)
    );
    assert_eq!(
        (s.mail.retry.first, s.picker.max_items),
        (Duration::from_secs(1), 5)
    );
    let origin = |key: &str| {
        loaded
            .shown()
            .into_iter()
            .find(|s| s.key == key)
            .expect("shown")
            .origin
    };
    assert_eq!(
        origin("site.name"),
        "environment variable VERDICTS_SITE__NAME"
    );
    assert!(origin("site.newsletter").ends_with("verdicts.toml"));
    assert_eq!(origin("picker.max_items"), "default");
}

#[test]
fn a_whole_table_fits_into_a_variable_and_leaves_its_other_keys_alone() {
    let s = loaded("", &[("VERDICTS_MAIL__RETRY", "{ first = \"2s\" }")])
        .expect("good")
        .settings;
    assert_eq!(
        (s.mail.retry.first, s.mail.retry.max_age),
        (Duration::from_secs(2), days(4))
    );
    assert!(refusal("", &[("VERDICTS_MAIL__RETRY", "2s")]).contains("VERDICTS_MAIL__RETRY"));
}

#[test]
fn a_secret_may_be_one_text_or_a_list_and_is_never_shown() {
    let one = loaded("", &[("VERDICTS_SITE__SECRET", "1234567890123456")]).expect("good");
    let two = loaded(
        "",
        &[(
            "VERDICTS_SITE__SECRET",
            "[\"0123456789abcdef\", \"fedcba9876543210\"]",
        )],
    )
    .expect("good");
    assert_eq!(
        (
            one.settings.site.secret.len(),
            two.settings.site.secret.len()
        ),
        (1, 2)
    );
    let commas = loaded(
        "",
        &[(
            "VERDICTS_SITE__SECRET",
            "0123456789abcdef, fedcba9876543210",
        )],
    )
    .expect("good");
    let texts = |of: &Loaded| -> Vec<String> {
        of.settings
            .site
            .secret
            .iter()
            .map(|secret| secret.expose().to_owned())
            .collect()
    };
    assert_eq!(texts(&commas), texts(&two));
    let unquoted = refusal(
        "",
        &[(
            "VERDICTS_SITE__SECRET",
            "[0123456789abcdef, fedcba9876543210]",
        )],
    );
    assert!(
        unquoted.contains("VERDICTS_SITE__SECRET")
            && unquoted.contains("a list")
            && !unquoted.contains("0123"),
        "{unquoted}"
    );
    let transport = (
        "VERDICTS_MAIL__TRANSPORT",
        "smtp://user:hunter2@mail.example.org",
    );
    let database = (
        "VERDICTS_DATABASE__URL",
        "postgres://user:hunter3@db/verdicts",
    );
    let text = format!(
        "{:?}",
        loaded(
            "site.secret = [\"0123456789abcdef\"]",
            &[transport, database]
        )
        .expect("good")
        .shown()
    );
    assert!(
        !text.contains("0123456789abcdef") && !text.contains("hunter"),
        "{text}"
    );
    assert!(text.contains("***:***@mail.example.org"), "{text}");
    let odd = (
        "VERDICTS_DATABASE__URL",
        "postgres://h/db?user=v&password=hunter4",
    );
    let text = format!("{:?}", loaded("", &[odd]).expect("good").shown());
    assert!(
        !text.contains("hunter4") && text.contains("postgres://h/db"),
        "{text}"
    );
}

#[test]
fn a_fault_names_the_key_and_the_place() {
    let refused = refusal("[site]\nnmae = \"x\"\n", &[]);
    assert!(
        refused.contains("\"nmae\"")
            && refused.contains("verdicts.toml")
            && refused.contains("newsletter"),
        "{refused}"
    );
    let refused = refusal("[picker]\nmax_items = \"many\"\n", &[]);
    assert!(
        refused.contains("picker.max_items") && refused.contains("verdicts.toml"),
        "{refused}"
    );
    assert!(refusal("", &[("VERDICTS_SITE__NMAE", "x")]).contains("VERDICTS_SITE__NMAE"));
    assert!(refusal("", &[("VERDICTS_SITE_NAME", "x")]).contains("VERDICTS_SITE__NAME"));
    assert!(refusal("", &[("VERDICTS_MAIL__CONNECTIONS", "lots")]).contains("mail.connections"));
    assert!(refusal("", &[("VERDICTS_SITE__SECRET", "short")]).contains("site.secret"));
    assert!(refusal("", &[("VERDICTS_SITE__BASE_URL", "ftp://x")]).contains("site.base_url"));
    for address in [
        "https://ada:hunter2@news.example.org",
        "https://ada@news.example.org",
        "https://:hunter2@news.example.org",
    ] {
        let said = refusal("", &[("VERDICTS_SITE__BASE_URL", address)]);
        assert!(
            said.contains("site.base_url")
                && said.contains("without a user")
                && !said.contains("hunter2"),
            "{said}"
        );
    }
    for address in [
        "https://news.example.org/?a=b",
        "https://news.example.org/#a",
        "https://news.example.org/path",
    ] {
        assert!(
            refusal("", &[("VERDICTS_SITE__BASE_URL", address)]).contains("site.base_url"),
            "{address}"
        );
    }
    assert!(
        refusal(
            "",
            &[(
                "VERDICTS_SIGNUP__ORIGINS",
                "https://ada:hunter2@blog.example"
            )]
        )
        .contains("signup.origins")
    );
    assert!(refusal("", &[("VERDICTS_PICKER__LOOK_BACK", "soon")]).contains("picker.look_back"));
    assert!(refusal("[site\n", &[]).contains("verdicts.toml"));
    let missing = load(Some(Path::new("nowhere.toml")), std::iter::empty())
        .expect_err("refused")
        .to_string();
    assert!(missing.contains("nowhere.toml"), "{missing}");
}

#[test]
fn a_value_of_the_wrong_kind_is_refused_in_plain_words() {
    for (key, value, expected) in [
        (
            "PICKER__MAX_ITEMS",
            "many",
            "picker.max_items: expected a whole number, 0 or more",
        ),
        (
            "PICKER__MAX_ITEMS",
            "-1",
            "picker.max_items: expected a whole number, 0 or more",
        ),
        (
            "PICKER__LOOK_BACK",
            "soon",
            "picker.look_back: expected a length of time like 90s, 5m or 28d",
        ),
        (
            "SCHEDULE__LOCAL_TIME",
            "perhaps",
            "schedule.local_time: expected true or false",
        ),
        (
            "SCHEDULE__APPROVAL",
            "maybe",
            "schedule.approval: expected auto or required",
        ),
        (
            "SITE__LISTEN",
            "here",
            "site.listen: expected an IP address and a port, like 127.0.0.1:8080",
        ),
        (
            "SITE__BASE_URL",
            "nowhere",
            "site.base_url: expected an http or https address without a path",
        ),
        (
            "SITE__TRUSTED_PROXIES",
            "all",
            "site.trusted_proxies.0: expected networks, like 10.0.0.0/8",
        ),
        (
            "MAIL__RESOLVER",
            "dns",
            "mail.resolver.0: expected an IP address and a port",
        ),
        (
            "MAIL__WARM_UP",
            "{ growth = \"x\" }",
            "mail.warm_up.growth: expected a number",
        ),
        (
            "MAIL__DKIM",
            "[\"key.pem\"]",
            "mail.dkim.0: expected a table of keys",
        ),
        (
            "MAIL__DKIM",
            "[{ domain = \"example.org\" }]",
            "mail.dkim.0: \"selector\" is missing",
        ),
        (
            "MAIL__PER_DOMAIN",
            "[{ domain = 5 }]",
            "mail.per_domain.0.domain: expected a text or a list of texts",
        ),
        (
            "MAIL__IN_DOUBT",
            "x",
            "mail.in_doubt: expected resend or hold",
        ),
    ] {
        let name = format!("VERDICTS_{key}");
        let refused = refusal("", &[(&name, value)]);
        assert!(
            refused.starts_with(expected)
                && refused.ends_with(&format!("(in environment variable {name}).")),
            "{refused}"
        );
    }
    for (file, expected) in [
        ("site = 5", "site: expected a table of keys"),
        (
            "[site]\nsecret = 1234567890123456",
            "site.secret: expected a text or a list of texts",
        ),
        ("[site]\nname = 5", "site.name: expected a text"),
        (
            "[mail]\nconnections = 1.5",
            "mail.connections: expected a whole number, 0 or more",
        ),
        (
            "[[mail.relays]]\nname = 5",
            "mail.relays.0.name: expected a text",
        ),
    ] {
        let refused = refusal(file, &[]);
        assert!(
            refused.starts_with(expected)
                && refused.contains("verdicts.toml")
                && !refused.contains("1234"),
            "{refused}"
        );
    }
}

#[test]
fn a_site_that_may_sign_people_up_is_named_as_browsers_name_it() {
    let origins = |text: &str| {
        loaded(&format!("signup.origins = {text}"), &[])
            .map(|loaded| loaded.settings.signup.origins.len())
    };
    assert_eq!(
        origins("[\"https://blog.example.org\", \"http://127.0.0.1:8000\"]").expect("good"),
        2
    );
    for bad in [
        "*",
        "null",
        "blog.example.org",
        "https://blog.example.org/",
        "https://Blog.example.org",
        "https://a.example:443",
        "https://*.a.example",
        "ftp://a",
    ] {
        assert!(
            refusal(&format!("signup.origins = [{bad:?}]"), &[]).contains("signup.origins"),
            "{bad}"
        );
    }
    let variable = (
        "VERDICTS_SIGNUP__ORIGINS",
        "https://a.example,https://b.example",
    );
    assert_eq!(
        loaded("", &[variable])
            .expect("good")
            .settings
            .signup
            .origins,
        ["https://a.example", "https://b.example"]
    );
}
