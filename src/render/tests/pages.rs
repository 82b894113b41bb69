//! Pages: links, data for search engines, pictures.

use super::super::fixture::*;
use super::super::page;
use super::super::picture;
use super::OUR_SCRIPT;
use super::page_of;
use super::pages_of;

/// Beginning of data for search engines, which no browser runs.
pub(super) const DATA: &str = "<script type=\"application/ld+json\">";

#[test]
fn pages_obey_a_policy_that_forbids_inline_styles_and_scripts() {
    for (name, page) in pages_of(&content([matchup(1)]), "x") {
        let scripts = page.matches("<script").count();
        let ours = page
            .matches(&format!(
                "{OUR_SCRIPT}{}\" defer></script>",
                page::script().path
            ))
            .count()
            + page.matches(DATA).count();
        assert!(
            !page.contains(" style=") && !page.contains("<style") && scripts == ours,
            "{name}"
        );
        assert!(
            name == "feed" || page.contains(&page::stylesheet().path),
            "{name}"
        );
    }
}

#[test]
fn what_is_agreed_to_stands_word_for_word_beside_the_button() {
    let sentence = page::consent_sentence(&site());
    for name in ["front", "link_expired", "comparison", "digest"] {
        assert!(page_of(name, matchup(1)).contains(&sentence), "{name}");
    }
}

#[test]
fn a_page_behind_a_token_has_one_button_to_its_own_address_and_is_not_found_by_search() {
    for name in ["confirm", "unsubscribe"] {
        let page = page_of(name, matchup(1));
        assert!(
            page.contains(&format!(
                "<form method=\"post\" action=\"/{name}/token\"><button"
            )),
            "{page}"
        );
        assert_eq!(page.matches("<button").count(), 1, "{name}");
    }
    for name in [
        "confirm",
        "unsubscribe",
        "confirmed",
        "goodbye",
        "link_expired",
        "check_inbox",
        "problem",
    ] {
        let page = page_of(name, matchup(1));
        assert!(
            page.contains("<meta name=\"robots\" content=\"noindex\">")
                && !page.contains("canonical"),
            "{name}"
        );
    }
    assert!(
        page_of("front", matchup(1))
            .contains("<link rel=\"canonical\" href=\"https://verdicts.example/\">")
    );
}

/// Data of a page for search engines.
fn data_of(page: &str) -> serde_json::Value {
    let data = page
        .split(DATA)
        .nth(1)
        .and_then(|rest| rest.split("</script>").next())
        .expect("data");
    assert!(
        !data.contains(['<', '>', '&']),
        "nothing in it ends it: {data}"
    );
    serde_json::from_str(data).expect("JSON")
}

#[test]
fn search_engines_read_each_review_of_the_panel_and_no_rating_that_nobody_gave() {
    let (tool, comparison) = (
        data_of(&page_of("tool", matchup(1))),
        data_of(&page_of("comparison", matchup(1))),
    );
    let graph = comparison["@graph"].as_array().expect("a graph");
    let tools = graph
        .iter()
        .filter(|node| node["@type"] == "SoftwareApplication");
    assert_eq!(tools.count(), 2);
    for (data, context) in [(&tool, &tool), (&comparison["@graph"][0], &comparison)] {
        assert_eq!(context["@context"], "https://schema.org");
        assert_eq!(
            (&data["@type"], &data["name"]),
            (&"SoftwareApplication".into(), &"Llama 1".into())
        );
        assert_eq!(
            (&data["url"], &data["offers"]["price"]),
            (&"https://verdicts.example/tools/llama-1".into(), &0.into())
        );
        assert_eq!(data["review"].as_array().map(Vec::len), Some(3));
        let review = &data["review"][1];
        assert_eq!(
            (&review["@type"], &review["author"]["name"]),
            (&"Review".into(), &"Skeptic".into())
        );
        let rating = &review["reviewRating"];
        assert_eq!(
            (
                &rating["ratingValue"],
                &rating["worstRating"],
                &rating["bestRating"]
            ),
            (&45.into(), &0.into(), &100.into())
        );
        assert_eq!(
            review["reviewBody"],
            "The numbers are the vendor's own. Wait for others."
        );
        assert!(
            data.get("aggregateRating").is_none()
                && data.get("disambiguatingDescription").is_none()
        );
    }
}

#[test]
fn no_text_of_a_catalogue_ends_the_data_for_search_engines() {
    for name in ["tool", "comparison"] {
        let data = data_of(&page_of(name, hostile(1)));
        let tool = if name == "tool" {
            &data
        } else {
            &data["@graph"][1]
        };
        assert!(
            tool["name"]
                .as_str()
                .is_some_and(|text| text.contains("<script>{{ 7*7 }}")),
            "{tool}"
        );
        assert!(
            tool.get("sameAs").is_none(),
            "a link that is a script is none"
        );
        assert_eq!(
            tool["disambiguatingDescription"],
            "A sample: this tool and its reviews are invented."
        );
        assert_eq!(
            data_of(&page_of(name, bare()))["@context"],
            "https://schema.org"
        );
    }
}

#[test]
fn a_link_to_a_public_page_shows_what_it_is_and_a_comparisons_its_picture() {
    let all = pages_of(&content([matchup(1)]), "x");
    for name in ["front", "comparison", "tool", "digests", "digest"] {
        let page = &all
            .iter()
            .find(|(page, _)| *page == name)
            .expect("such a page")
            .1;
        for property in [
            "og:title",
            "og:description",
            "og:url",
            "og:type",
            "og:site_name",
        ] {
            assert_eq!(
                page.matches(&format!("<meta property=\"{property}\" content=\""))
                    .count(),
                1,
                "{name}: {property}"
            );
        }
        let pictures = usize::from(name == "comparison");
        for property in [
            "og:image",
            "og:image:width",
            "og:image:height",
            "og:image:alt",
        ] {
            assert_eq!(
                page.matches(&format!("<meta property=\"{property}\" content=\""))
                    .count(),
                pictures,
                "{name}: {property}"
            );
        }
        assert_eq!(
            page.matches("<meta name=\"twitter:card\" content=\"")
                .count(),
            1,
            "{name}"
        );
    }
    let page = page_of("comparison", matchup(1));
    assert!(page.contains("<meta property=\"og:image\" content=\"https://verdicts.example/comparisons/llama-1-vs-mistral/picture.png\">"));
    assert!(
        page.contains(
            "Llama 1: Ship · 2 ship / 1 skip; of Mistral Small 3.1: Split · 1 ship / 1 skip."
        ),
        "in words too"
    );
    assert!(
        !page_of("vote", matchup(1)).contains("og:"),
        "what is behind a token is nobody's to show"
    );
}

#[test]
fn a_picture_has_the_size_that_other_sites_ask_for_whatever_the_names_are() {
    let named = |left: &str, right: &str| {
        let mut matchup = matchup(1);
        (matchup.left.tool.name, matchup.right.tool.name) = (left.into(), right.into());
        matchup
    };
    let all = [
        matchup(1),
        bare(),
        hostile(1),
        named("שלום כלי", "أداة الذكاء 2"),
        named("🦀🚀 Ferris 👩\u{200d}🚀", "🏳\u{fe0f}\u{200d}🌈"),
        named("通义千问", "Ä".repeat(60).as_str()),
        named("A", "B"),
    ];
    let mut tags = std::collections::HashSet::new();
    for matchup in &all {
        let picture = picture::comparison(&site(), matchup).expect("a picture");
        let png = picture.draw().expect("pixels");
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        let number =
            |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes"));
        assert_eq!((number(16), number(20)), (picture::WIDTH, picture::HEIGHT));
        assert!((5_000..300_000).contains(&png.len()), "{} bytes", png.len());
        assert_eq!(
            picture::comparison(&site(), matchup)
                .expect("a picture")
                .tag,
            picture.tag
        );
        assert!(tags.insert(picture.tag), "another picture has another tag");
    }
}

#[test]
fn a_score_over_time_is_drawn_in_steps_until_now() {
    let page = page_of("tool", matchup(1));
    // 50 of 100 for five days, the same sum of another panel's verdicts since; ten days in all.
    assert!(
        page.contains("points=\"0,50 300,50 300,50 600,50\""),
        "{}",
        page.split("polyline").nth(1).unwrap_or_default()
    );
}
