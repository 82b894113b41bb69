//! The publisher's own face: what the settings say of it stands in mails, on the form and on pages, and nowhere else.

use mail_parser::MessageParser;
use reqwest::StatusCode;
use verdicts::config::SecondFactor;
use verdicts::config::Settings;
use verdicts::domain::user::Role;

use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::desk::Browser;
use crate::support::on_both;
use crate::support::program::Program;

const LOGO: &[u8] = include_bytes!("../fixtures/logo.png");
const PRIVACY: &str = "https://press.example/privacy?lang=en&of=news";
const IMPRINT: &str = "https://press.example/imprint";
const FOOTER: &str = "Published by Example Press & Daughters, Exampletown.";

fn face(settings: &mut Settings, folder: &std::path::Path) {
    let logo = folder.join("logo.png");
    std::fs::write(&logo, LOGO).expect("written");
    let site = &mut settings.site;
    site.logo = Some(logo);
    site.logo_alt = Some("Example Press".into());
    site.accent = Some("#7a0019".parse().expect("a colour"));
    site.footer = Some(FOOTER.into());
    site.privacy_url = Some(PRIVACY.parse().expect("an address"));
    site.imprint_url = Some(IMPRINT.parse().expect("an address"));
    settings.desk.second_factor = SecondFactor::Off;
}

/// HTML and text of a mail.
fn parts(mail: &[u8]) -> (String, String) {
    let mail = MessageParser::default().parse(mail).expect("a mail");
    let html = mail.body_html(0).expect("HTML").into_owned();
    let text = mail.body_text(0).expect("text").replace("\r\n", "\n");
    (html, text)
}

/// The address after `before` in a page, up to its quotation mark.
fn path_after<'a>(page: &'a str, before: &str) -> &'a str {
    let (_, rest) = page
        .split_once(before)
        .unwrap_or_else(|| panic!("{before} in {page}"));
    rest.split('"').next().expect("an end")
}

on_both! {
    async fn a_publishers_face_stands_in_both_parts_of_mails_on_the_form_and_on_pages(test_db) {
        let folder = test_db.dir.path().to_path_buf();
        let test_app = TestApp::open_with(test_db, |settings| face(settings, &folder)).await;
        test_app.stock_small().await;
        test_app.join("ada@example.org").await;
        test_app.send_digest().await;
        test_app.deliver_while("the digest, the question, the welcome", async || test_app.mails_to("ada@example.org").len() == 3).await;
        let mails = test_app.mails_to("ada@example.org");
        for mail in &mails {
            let (html, text) = parts(mail);
            let links = [PRIVACY.replace('&', "&#38;"), IMPRINT.into()];
            for link in links {
                assert!(html.contains(&format!("href=\"{link}\"")), "{link} in {html}");
            }
            assert!(html.contains(&FOOTER.replace('&', "&#38;")), "{html}");
            assert!(text.ends_with(&format!("{FOOTER}\n\nPrivacy:\n{PRIVACY}\n\nImprint:\n{IMPRINT}\n")), "{text}");
            assert!(html.contains("alt=\"Example Press\"") && html.contains("width=\"160\" height=\"40\""));
            assert!(html.contains("background-color:#7a0019") && !html.contains("#14573a") && !html.contains("#14452f"), "{html}");
        }
        let (html, _) = parts(&mails[0]);
        let logo = test_app.get(path_after(&html, "<img src=\"")).await;
        assert_eq!(logo.status(), StatusCode::OK);
        assert_eq!(logo.headers()["content-type"], "image/png");
        assert_eq!(logo.headers()["x-content-type-options"], "nosniff");
        assert!(logo.headers()["cache-control"].to_str().expect("text").contains("immutable"));
        let bytes = logo.bytes().await.expect("a picture");
        assert!(LOGO.windows(3).any(|part| part == b"Ada") && !bytes.windows(3).any(|part| part == b"Ada"), "what is no picture is not served");

        let front = test_app.page("/").await;
        let style = format!("/assets/face{}", path_after(&front, "href=\"/assets/face"));
        let style = test_app.page(&style).await;
        assert!(style.contains("--accent:#7a0019") && style.contains("prefers-color-scheme:dark"), "{style}");
        for page in ["/", "/digests", "/comparisons", &format!("/digests/{}", test_app.slot())] {
            let page = test_app.page(page).await;
            assert!(page.contains("alt=\"Example Press\"") && page.contains(IMPRINT) && page.contains(&FOOTER.replace('&', "&#38;")), "{page}");
        }
        let (_, form) = front.split_once("class=\"sign-up\"").expect("a form");
        let (form, _) = form.split_once("</form>").expect("its end");
        assert!(form.contains("press.example/privacy") && form.contains(IMPRINT), "{form}");
        let embed = test_app.page("/embed").await;
        assert!(embed.contains("https://press.example/privacy"), "{embed}");

        let editor = Browser::of(&test_app, Role::Editor).await;
        for scheme in ["light", "dark"] {
            let mail = editor.page(&format!("/desk/digests/{}/mail/{scheme}", test_app.slot())).await;
            assert!(mail.contains("<img src=\"data:image/png;base64,") && mail.contains("#7a0019") && mail.contains(IMPRINT), "{mail}");
        }
    }

    async fn without_these_settings_nothing_of_a_face_is_shown(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.join("ada@example.org").await;
        test_app.send_digest().await;
        for mail in test_app.mails_to("ada@example.org") {
            let (html, text) = parts(&mail);
            assert!(!html.contains("<img") && html.contains("#14573a") && !html.contains("Privacy"), "{html}");
            assert!(!text.contains("Privacy"), "{text}");
        }
        let front = test_app.page("/").await;
        assert!(!front.contains("/assets/face") && !front.contains("/assets/logo") && !front.contains("Privacy"), "{front}");
    }
}

#[test]
fn a_face_that_cannot_be_read_or_shown_is_refused_with_a_sentence() {
    let test_db = TestDb::sqlite();
    let program = || Program::set_up(&test_db);
    let said = |name: &str, value: &str, words: &[&str]| {
        program()
            .with(name, value)
            .run(&["digest", "list"])
            .refused(words)
    };
    said(
        "VERDICTS_SITE__ACCENT",
        "#ffcc00",
        &["site.accent", "#ffcc00", "1.30:1", "4.5:1", "darker"],
    );
    said(
        "VERDICTS_SITE__ACCENT",
        "green",
        &["site.accent", "#14573a"],
    );
    said(
        "VERDICTS_SITE__ACCENT_DARK",
        "#7a0019",
        &["site.accent_dark", ":1", "lighter"],
    );
    said(
        "VERDICTS_SITE__ACCENT_DARK",
        "#ffffff",
        &["site.accent_dark", "needs site.accent"],
    );
    said(
        "VERDICTS_SITE__PRIVACY_URL",
        "javascript:alert(1)",
        &["site.privacy_url", "https"],
    );
    said(
        "VERDICTS_SITE__IMPRINT_URL",
        "/imprint",
        &["site.imprint_url", "https"],
    );
    said(
        "VERDICTS_SITE__FOOTER",
        "two\nlines",
        &["site.footer", "one paragraph"],
    );
    said(
        "VERDICTS_SITE__LOGO",
        "nowhere.png",
        &["site.logo", "nowhere.png", "cannot be read"],
    );
    said(
        "VERDICTS_SITE__LOGO_ALT",
        "Example Press",
        &["site.logo_alt", "site.logo"],
    );
    let files: [(&str, &[u8], &str); 3] = [
        (
            "logo.svg",
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
            "SVG",
        ),
        ("logo.gif", b"GIF89a...", "PNG or JPEG"),
        ("logo.png", &LOGO[..LOGO.len() - 20], "damaged"),
    ];
    for (name, bytes, words) in files {
        program().write(name, bytes);
        said("VERDICTS_SITE__LOGO", name, &["site.logo", name, words]);
    }
}
