//! `[[desk.oidc]]`.

use super::loaded;
use super::refusal;

#[test]
fn a_provider_is_read_and_what_cannot_work_is_named() {
    let good = "[[desk.oidc]]\nname = \"Example ID\"\nissuer = \"https://id.example\"\nclient_id = \"x\"\n";
    let settings = loaded(good, &[]).expect("good").settings;
    let provider = &settings.desk.oidc[0];
    assert_eq!(
        (provider.slug().as_str(), provider.create),
        ("example-id", false)
    );
    for (more, key) in [
        ("create = true", "create"),
        ("role_claim = \"groups\"", "role_claim, roles"),
        ("roles = { a = \"owner\" }", "role_claim, roles"),
        ("role_claim = \"g\"\nroles = { a = \"king\" }", "roles"),
        ("allow = [\"@\"]", "allow"),
        ("allow = [\"example.org\"]", "allow"),
        ("scopes = [\"a b\"]", "scopes"),
        (
            "client_secret = \"a\"\nclient_secret_file = \"b\"",
            "client_secret",
        ),
        ("client_auth = \"none\"", "client_auth"),
        ("secret = \"a\"", "secret"),
    ] {
        let words = refusal(&format!("{good}{more}\n"), &[]);
        assert!(
            words.contains("desk.oidc") && words.contains(key),
            "{more}: {words}"
        );
    }
    for (from, to) in [
        ("https://id.example", "id.example"),
        ("https://id.example", "https://id.example?a=b"),
        ("https://id.example", "ftp://id.example"),
        ("\"x\"", "\"\""),
        ("Example ID", "Example/ID"),
    ] {
        assert!(
            refusal(&good.replace(from, to), &[]).contains("desk.oidc"),
            "{to}"
        );
    }
    assert!(refusal(&format!("{good}{good}"), &[]).contains("a name of its own"));
}
