use super::*;
use proptest::prelude::*;

const TOOL: &str = r#"
[[tools]]
slug = "a"
name = "A"
category = "Design"
tagline = "Draws"
description = "It draws."
published_at = 2026-11-16T09:00:00Z
"#;

fn refusal(text: &str) -> String {
    Catalogue::parse(text, Format::Toml)
        .and_then(|c| c.check())
        .expect_err("refused")
}

#[test]
fn a_fault_says_where_and_what_was_expected() {
    assert!(
        refusal(&TOOL.replace("\"a\"", "\"A b\"")).contains("line 3: \"A b\" is not a slug"),
        "{}",
        refusal(&TOOL.replace("\"a\"", "\"A b\""))
    );
    let review = |body: &str| refusal(&format!("{TOOL}[[tools.reviews]]\n{body}"));
    let good = "reviewer = \"Builder\"\nscore = 80\nverdict = \"ship\"\ntake = \"Good.\"\n";
    assert!(review(&good.replace("80", "101")).contains("line 11: 101 is not a score"));
    assert!(review(&good.replace("80", "82.5")).contains("expected a whole number"));
    assert!(review(&good.replace("ship", "maybe")).contains("ship, skip"));
    assert!(review(&good.replace("Builder", "Critic")).contains("Builder, Skeptic"));
    assert!(
        review(&format!("{good}[[tools.reviews]]\n{good}"))
            .contains("tool a, reviews: expected one of Builder")
    );
    assert!(refusal(&format!("{TOOL}colour = 1\n")).contains("unknown field `colour`"));
    assert!(refusal(&TOOL.replace("name = \"A\"\n", "")).contains("missing field `name`"));
    assert!(
        refusal(&TOOL.replace("2026-11-16T09:00:00Z", "2026-11-16"))
            .contains("expected one like 2026-11-16T09:00:00Z")
    );
    assert!(
        refusal(&TOOL.replace("\"Draws\"", "\"Dr\\u0000aws\""))
            .contains("without control characters")
    );
    assert!(
        refusal(&TOOL.replace("\"Draws\"", "\"Dr\\uFDD0aws\""))
            .contains("without control characters")
    );
    assert!(refusal(&format!("{TOOL}{TOOL}")).contains("tool a: expected each slug once"));
    assert!(
        refusal(
            "[[comparisons]]\nleft = \"a\"\nright = \"a\"\npublished_at = 2026-11-16T09:00:00Z\n"
        )
        .contains("two different tools")
    );
    assert!(
        Catalogue::parse("{\"tools\": [{]}", Format::Json)
            .expect_err("refused")
            .contains("line 1, column")
    );
    let fault = Catalogue::parse("{\"tools\": 5}", Format::Json).expect_err("refused");
    assert_eq!(
        fault.matches("column").count(),
        1,
        "the place is said once: {fault}"
    );
}

#[test]
fn what_is_written_reads_the_same_in_both_formats() {
    let text = format!(
        "{TOOL}url = \"https://a.example\"\npricing = \"Free & “open”\"\n[[tools.reviews]]\nreviewer = \"Skeptic\"\nscore = 12\nverdict = \"skip\"\ntake = \"\"\"No.\n\nNot \\\"ever\\\".\"\"\"\n{}",
        TOOL.replace("\"a\"", "\"b\"")
            .replace("09:00:00Z", "09:00:00.5+02:00")
    );
    let text = format!(
        "{text}[[comparisons]]\nleft = \"a\"\nright = \"b\"\npublished_at = 2026-11-17T09:00:00Z\n"
    );
    let catalogue = Catalogue::parse(&text, Format::Toml).expect("good");
    assert_eq!(catalogue.comparisons[0].slug.as_str(), "a-vs-b");
    for format in [Format::Toml, Format::Json] {
        let written = catalogue.write(format).expect("written");
        assert_eq!(
            Catalogue::parse(&written, format).expect("good"),
            catalogue,
            "{written}"
        );
    }
}

#[test]
fn dates_move_alike() {
    let mut catalogue = Catalogue::parse(
        &format!(
            "{TOOL}{}",
            TOOL.replace("\"a\"", "\"b\"").replace("-16T", "-14T")
        ),
        Format::Toml,
    )
    .expect("good");
    let now: Timestamp = "2030-01-01T00:00:00Z".parse().expect("a moment");
    catalogue.move_dates_to(now);
    assert_eq!(
        catalogue
            .tools
            .iter()
            .map(|t| (now - t.published_at).num_days())
            .collect::<Vec<_>>(),
        [0, 2]
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}", json: bool) {
        let _ = Catalogue::parse(&text, if json { Format::Json } else { Format::Toml });
    }
}
