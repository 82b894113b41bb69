//! Check that a text is well-formed HTML, more strictly than browsers ask: each element closed where it was opened, each
//! attribute in double quotes and once, each `&` the start of a reference.

/// Elements without an end (HTML standard, 13.1.2).
const VOID: [&str; 5] = ["meta", "br", "img", "hr", "link"];

/// Panics with the place of the first fault.
pub fn check(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with("<!--") {
            rest.find("-->").map(|end| end + 3)
        } else {
            rest.find('>').map(|end| end + 1)
        };
        let (tag, behind) =
            rest.split_at(end.unwrap_or_else(|| panic!("a tag without an end: {}", start(rest))));
        rest = behind;
        if tag.starts_with("<!") {
            continue;
        }
        if let Some(name) = tag.strip_prefix("</") {
            assert_eq!(
                open.pop(),
                Some(name.trim_end_matches('>')),
                "closed before {}",
                start(rest)
            );
            continue;
        }
        let (name, attributes) = tag[1..tag.len() - 1]
            .split_once(' ')
            .unwrap_or((&tag[1..tag.len() - 1], ""));
        assert!(
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
            "an element is named {name:?}"
        );
        check_attributes(attributes);
        if name == "style" {
            rest = &rest[rest.find("</style>").expect("an end of the styles")..];
        }
        if !VOID.contains(&name) {
            open.push(name);
        }
    }
    text(rest);
    assert!(open.is_empty(), "left open: {open:?}");
}

fn check_attributes(mut rest: &str) {
    let mut seen = Vec::new();
    while !rest.trim().is_empty() {
        let (name, behind) = rest
            .trim_start()
            .split_once("=\"")
            .unwrap_or_else(|| panic!("no quoted value: {rest:?}"));
        let (value, behind) = behind
            .split_once('"')
            .unwrap_or_else(|| panic!("no end of a value: {behind:?}"));
        assert!(
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
            "an attribute is named {name:?}"
        );
        assert!(!seen.contains(&name), "{name} stands twice");
        assert!(!value.contains('<'), "{value:?}");
        text(value);
        seen.push(name);
        rest = behind;
    }
}

/// No bare `&` or `>`, nothing that is no text.
fn text(text: &str) {
    assert!(!text.contains('>'), "a bare > in {:?}", start(text));
    assert!(
        !text.chars().any(|c| c.is_control() && c != '\n'),
        "a control character in {:?}",
        start(text)
    );
    for part in text.split('&').skip(1) {
        let name = part
            .split_once(';')
            .map(|(name, _)| name)
            .unwrap_or_default();
        let is_reference = !name.is_empty()
            && name.len() < 8
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'#');
        assert!(is_reference, "a bare & before {:?}", start(part));
    }
}

fn start(text: &str) -> String {
    text.chars().take(80).collect()
}

#[test]
fn what_is_not_well_formed_is_found() {
    check("<!DOCTYPE html><p class=\"a\">x &amp; y<br><!-- < --></p>");
    for bad in [
        "<p>",
        "</p>",
        "<p><b></p></b>",
        "<p a=b></p>",
        "<p a=\"1\" a=\"2\"></p>",
        "<p>a & b</p>",
        "a > b",
        "<p",
        "\u{7}",
        "<P></P>",
    ] {
        assert!(std::panic::catch_unwind(|| check(bad)).is_err(), "{bad:?}");
    }
}
