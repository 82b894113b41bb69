use super::email;
use super::fixture::*;
use super::page;
use super::page::DigestEntry;
use super::page::MailRow;
use super::page::MailView;
use super::page::Refused;
use super::page::SignUpForm;
use super::page::Visit;
use super::picture;
use super::text;
use crate::domain::catalogue::Matchup;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::Verdict;
use crate::domain::digest::Content;
use crate::domain::letter::Rendered;
use crate::domain::letter::TOKEN_HOLE;
use crate::domain::reader::PanelPoint;
use crate::domain::reader::Preferences;
use crate::domain::reader::Saved;
use crate::domain::reader::Standing;

/// How the one script begins that pages may have.
const OUR_SCRIPT: &str = "<script src=\"";

/// How data for search engines begins, which no browser runs.
const DATA: &str = "<script type=\"application/ld+json\">";

/// Every page with this content on it, by name.
fn pages_of(content: &Content, words: &str) -> Vec<(&'static str, String)> {
    let (site, form) = (
        site(),
        SignUpForm {
            email: words,
            problem: Some(words),
        },
    );
    let matchups: Vec<Matchup> = content
        .items
        .iter()
        .map(|item| item.matchup.clone())
        .collect();
    let first = &matchups[0];
    let entry = DigestEntry {
        slot: content.slot,
        published_at: now(),
        titles: vec![words.into()],
        sample: true,
    };
    let row = MailRow {
        name: words.into(),
        to: words.into(),
        subject: words.into(),
        date: Some(now()),
        size: 4096,
    };
    let text = Some(format!(
        "{words} https://verdicts.example/confirm/x \"<img>"
    ));
    let mail = MailView {
        row: row.clone(),
        from: words.into(),
        headers: words.into(),
        text,
        has_html: true,
    };
    let standing = Standing {
        vote: Some(Verdict::Ship),
        saved: true,
    };
    let visit = Visit {
        is_reader: true,
        standings: vec![standing; 2],
        saved: vec![(first.left.tool.slug.clone(), words.into())],
    };
    let point = |day, ships| PanelPoint {
        at: now() + chrono::TimeDelta::days(day),
        panel: Panel {
            ships,
            skips: 4 - ships,
        },
        points: 200,
    };
    let history = [point(0, 1), point(5, 3)];
    let wanted = Preferences {
        categories: vec![words.into()],
        monthly: true,
        paused_until: Some(now() + chrono::TimeDelta::days(9)),
    };
    let refused = Refused {
        field: "email",
        typed: words,
        sentence: words,
    };
    let saved = Saved {
        contender: first.left.clone(),
        at: now(),
        then: history[0].panel,
        since: vec![history[1]],
    };
    let pages = [
        (
            "vote",
            page::vote(&site, &first.left, Verdict::Skip, standing, words),
        ),
        ("voted", page::voted(&site, &first.left, standing, words)),
        ("save", page::save(&site, &first.left, standing, words)),
        ("saved", page::saved(&site, &first.left, standing, words)),
        (
            "preferences",
            page::preferences(
                &site,
                &wanted,
                &[words.into(), "Design".into()],
                now(),
                words,
                words,
            ),
        ),
        ("account", page::account(&site, words, Some(refused))),
        ("confirm_move", page::confirm_move(&site, words)),
        ("saved_tools", page::saved_tools(&site, &[saved], words)),
        ("front", page::front(&site, &matchups, &form)),
        ("check_inbox", page::check_inbox(&site, "1 hour", None)),
        (
            "check_inbox_later",
            page::check_inbox(&site, "1 hour", Some(words)),
        ),
        ("confirm", page::confirm(&site, words)),
        ("confirmed", page::confirmed(&site)),
        ("link_expired", page::link_expired(&site, &form)),
        ("unsubscribe", page::unsubscribe(&site, words)),
        ("goodbye", page::goodbye(&site)),
        (
            "comparison",
            page::comparison(&site, first, &matchups, &visit, &form),
        ),
        (
            "tool",
            page::tool(
                &site,
                &first.left,
                &history,
                &matchups,
                &visit,
                now() + chrono::TimeDelta::days(10),
            ),
        ),
        (
            "digests",
            page::digests(&site, std::slice::from_ref(&entry), None),
        ),
        ("digest", page::digest(&site, content, now(), &form)),
        ("problem", page::problem(&site, words, words)),
        ("mailbox", page::mailbox(&site, std::slice::from_ref(&row))),
        ("mailbox_mail", page::mailbox_mail(&site, &mail)),
        (
            "feed",
            page::feed(&site, &[(entry, content.clone())], now()),
        ),
    ];
    pages
        .into_iter()
        .map(|(name, page)| (name, page.expect(name)))
        .collect()
}

fn page_of(name: &str, matchup: Matchup) -> String {
    let pages = pages_of(&content([matchup]), "token");
    pages
        .into_iter()
        .find(|(page, _)| *page == name)
        .expect("such a page")
        .1
}

fn digest_of(matchups: impl IntoIterator<Item = Matchup>) -> Rendered {
    email::digest(&site(), &content(matchups))
        .expect("a digest")
        .mail
}

fn links_of_html(html: &str) -> Vec<&str> {
    html.split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

/// What a program makes of the characters that are escaped.
fn unescaped(html: &str) -> String {
    let marks = [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
    ];
    marks.iter().fold(html.to_owned(), |text, (escaped, mark)| {
        text.replace(escaped, mark)
    })
}

fn links_of_text(text: &str) -> Vec<&str> {
    text.split_whitespace()
        .filter(|word| word.contains("://"))
        .collect()
}

#[test]
fn hostile_content_is_escaped_in_every_page_and_mail() {
    let content = content([hostile(1), hostile(2)]);
    let mail = email::digest(&site(), &content).expect("a digest").mail;
    let mut seen = pages_of(&content, &hostile_text());
    seen.push(("mail", mail.html.clone()));
    for (name, html) in &seen {
        let html = &html.replace(OUR_SCRIPT, "").replace(DATA, "");
        for raw in ["<img", "<script", "javascript:", "href=\"\"", "\u{1b}Bcc"] {
            assert!(!html.contains(raw), "{name} holds {raw:?}");
        }
    }
    assert!(
        seen.iter()
            .filter(|(name, _)| ["mail", "comparison", "tool"].contains(name))
            .all(|(_, html)| html.contains("{{ 7*7 }}"))
    );
    for shown in [&mail.subject, &mail.html, &mail.text] {
        assert!(
            !shown.contains(['\u{202E}', '\u{1b}', '\u{FFFE}', '\r']),
            "only holes are left of what is no text"
        );
    }
    assert!(
        !mail.subject.contains(['\n', TOKEN_HOLE]) && mail.subject.chars().count() <= 90,
        "{:?}",
        mail.subject
    );
}

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
fn the_hole_of_a_token_stands_in_its_links_and_nowhere_else() {
    let digest = digest_of([matchup(1), hostile(1)]);
    let link = format!("https://verdicts.example/unsubscribe/{TOKEN_HOLE}");
    assert!(
        digest.html.contains(&format!("href=\"{link}\""))
            && digest.text.contains(&format!("\n{link}\n"))
    );
    assert_eq!(
        [&digest.html, &digest.text].map(|part| part.matches(TOKEN_HOLE).count()),
        [1, 1]
    );

    let confirmation = email::confirmation(&site(), "3 days", false).expect("a mail");
    let link = format!("https://verdicts.example/confirm/{TOKEN_HOLE}");
    assert_eq!(
        [&confirmation.html, &confirmation.text].map(|part| part.matches(&link).count()),
        [2, 1]
    );
    assert!(confirmation.text.contains("after 3 days"));
}

#[test]
fn both_parts_of_a_mail_have_the_same_links_in_the_same_order() {
    let many = (1..=12).map(matchup);
    for mail in [
        digest_of(many),
        digest_of([hostile(1)]),
        email::confirmation(&site(), "3 days", false).expect("a mail"),
    ] {
        let links = links_of_html(&mail.html);
        assert!(
            !links.is_empty()
                && links
                    .iter()
                    .all(|link| link.starts_with("https://verdicts.example/"))
        );
        assert_eq!(links, links_of_text(&mail.text));
    }
}

#[test]
fn a_mail_is_never_so_long_that_it_is_clipped() {
    let usual = digest_of((1..=5).map(matchup));
    assert!(
        (15_000..40_000).contains(&usual.html.len()),
        "{}",
        usual.html.len()
    );
    for count in [1, 5, 8, 60] {
        let fitted = email::digest(&site(), &content((1..=count).map(hostile))).expect("a digest");
        let mail = &fitted.mail;
        assert!(
            mail.html.len() <= 80_000 && mail.text.len() <= 80_000,
            "{count}: {} and {}",
            mail.html.len(),
            mail.text.len()
        );
        assert!(
            mail.html.contains("SHIP 3 to 2"),
            "{count}: no comparison is shown in full"
        );
        assert_eq!(
            fitted.moved > 0,
            mail.html.contains("Also this week"),
            "{count}"
        );
        assert!(
            fitted.is_shortened || fitted.moved == count.saturating_sub(8),
            "{count}: takes are shortened before anything is moved"
        );
    }
}

#[test]
fn lines_of_a_text_part_have_78_columns_but_links_are_whole() {
    for mail in [
        digest_of((1..=9).map(matchup)),
        digest_of((1..=9).map(hostile)),
        digest_of([bare()]),
    ] {
        super::wellformed::check(&mail.html);
        for line in mail.text.lines() {
            assert!(
                text::columns(line) <= 78 || line.starts_with("https://") && !line.contains(' '),
                "{line:?}"
            );
        }
    }
}

#[test]
fn a_missing_review_says_so_wherever_reviews_stand() {
    let mail = digest_of([matchup(1)]);
    assert!(mail.html.contains("No panel take"));
    assert!(
        mail.text
            .contains("Founder         72 ship                         No panel take"),
        "{}",
        mail.text
    );
    for name in ["comparison", "tool", "digest"] {
        assert!(
            page_of(name, matchup(1)).contains("No panel take"),
            "{name}"
        );
    }
}

#[test]
fn a_tool_of_which_nothing_is_known_is_shown_as_such() {
    let mail = digest_of([bare()]);
    let lead = "One comparison, two tools: 2 without a verdict.";
    for (part, verdict) in [
        (mail.html, "NO VERDICT YET"),
        (mail.text, "NO VERDICT YET"),
        (page_of("comparison", bare()), "No verdict yet"),
        (page_of("digest", bare()), "NO VERDICT YET"),
    ] {
        for words in [verdict, "No community votes yet", "Not stated"] {
            assert!(part.contains(words), "{words} is not in {part}");
        }
        assert!(!part.contains("0 %") && !part.contains("0 to 0"));
        assert!(verdict == "No verdict yet" || part.contains(lead));
    }
    let none = email::digest(&site(), &content([]))
        .expect("an empty digest")
        .mail;
    assert!(none.text.contains("Nothing new this week."));
}

#[test]
fn what_is_invented_is_labelled_in_both_parts_and_on_every_page_that_shows_it() {
    let sampled = |mut matchup: Matchup| {
        matchup.left.tool.sample = true;
        matchup
    };
    for (matchup, expected) in [(sampled(matchup(1)), true), (matchup(1), false)] {
        let mail = digest_of([matchup.clone()]);
        let mut parts = vec![("html", mail.html), ("text", mail.text)];
        parts.extend(
            ["front", "comparison", "tool", "digest", "feed"]
                .map(|name| (name, page_of(name, matchup.clone()))),
        );
        for (name, part) in parts {
            assert_eq!(
                part.contains("Sample") && part.contains("invented"),
                expected,
                "{name}"
            );
        }
    }
}

#[test]
fn a_digest_quotes_the_most_decided_ship_and_skip_in_whole_sentences() {
    let text = digest_of([matchup(1)]).text;
    assert!(
        text.contains("\"It runs in an hour. No keys, no limits, e.g. none at all.\"\n    Builder on Llama 1, 82 of 100: ship"),
        "{text}"
    );
    assert!(
        text.contains("Skeptic on Mistral Small 3.1, 30 of 100: skip"),
        "{text}"
    );
    assert!(!text.contains("third sentence"));
}

#[test]
fn a_subject_names_what_is_inside_and_gets_shorter_with_long_names() {
    let subject = |matchups: Vec<Matchup>| digest_of(matchups).subject;
    assert_eq!(
        subject((1..=5).map(matchup).collect()),
        "Llama 1 or Mistral Small 3.1? And 4 more verdicts"
    );
    assert_eq!(subject(vec![matchup(1)]), "Llama 1 or Mistral Small 3.1?");
    let mut long = matchup(1);
    long.left.tool.name = "A tool with a name as long as a short sentence about nothing".into();
    assert_eq!(
        subject(vec![long.clone(), matchup(2)]),
        "A tool with a name as long as a short sentence about nothing or Mistral Small 3.1?"
    );
    long.right.tool.name = long.left.tool.name.clone();
    let both =
        "A tool with a name as long as… or A tool with a name as long as…? And 1 more verdict";
    assert_eq!(subject(vec![long, matchup(2)]), both);
}

#[test]
fn a_setting_says_how_a_subject_is_made() {
    let subject = |pattern: &str, matchups: Vec<Matchup>| {
        let site = super::Site {
            subject: pattern.parse().expect("a pattern"),
            ..site()
        };
        email::digest(&site, &content(matchups))
            .expect("a digest")
            .mail
            .subject
    };
    assert_eq!(
        subject("{newsletter} {week}: {pair}", vec![matchup(1)]),
        "Weekly AI Tool Verdicts 2026-W47: Llama 1 or Mistral Small 3.1?"
    );
    assert_eq!(
        subject(
            "[{site}] {count} verdicts. {more}",
            vec![matchup(1), matchup(2)]
        ),
        "[Ship or Skip] 2 verdicts. And 1 more verdict"
    );
    assert_eq!(
        subject("{more}", vec![matchup(1)]),
        "Weekly AI Tool Verdicts, 2026-W47",
        "never an empty one"
    );
}

#[test]
fn behind_the_subject_stand_40_to_90_characters_and_then_nothing_of_the_mail() {
    let confirmation = email::confirmation(&site(), "3 days", false).expect("a mail");
    let notices = [
        confirmation,
        email::welcome(&site()).expect("a mail"),
        email::already(&site()).expect("a mail"),
    ];
    let digests = [
        digest_of([matchup(1)]),
        digest_of((1..=12).map(matchup)),
        digest_of([bare()]),
        digest_of([hostile(1)]),
        digest_of([]),
    ];
    for mail in digests.into_iter().chain(notices) {
        let hidden = mail
            .html
            .split("overflow:hidden\">")
            .nth(1)
            .and_then(|rest| rest.split("</div>").next())
            .expect("a preheader");
        let hidden = unescaped(hidden);
        let words = hidden.trim_end_matches(['\u{a0}', '\u{34f}']);
        assert!((40..=90).contains(&words.chars().count()), "{words:?}");
        assert!(
            hidden.chars().filter(|c| *c != '\u{34f}').count() >= 150,
            "{hidden:?}"
        );
    }
    assert!(
        digest_of([matchup(1)])
            .html
            .contains(">Mistral Small 3.1 splits the panel 1 to 1. 1 ship, 1 split.")
    );
}

#[test]
fn a_mail_about_a_subscription_has_one_button_whose_address_stands_in_plain_sight() {
    let mails = [
        (
            "https://verdicts.example/confirm/",
            email::confirmation(&site(), "3 days", false).expect("a mail"),
            false,
        ),
        (
            "https://verdicts.example/account/",
            email::account(&site(), "1 hour").expect("a mail"),
            false,
        ),
        (
            "https://verdicts.example/move/",
            email::new_address(&site(), "2 days").expect("a mail"),
            false,
        ),
        (
            "https://verdicts.example/digests",
            email::welcome(&site()).expect("a mail"),
            true,
        ),
        (
            "https://verdicts.example/digests",
            email::already(&site()).expect("a mail"),
            true,
        ),
    ];
    for (link, mail, leaves) in mails {
        assert_eq!(mail.html.matches("class=\"go\"").count(), 1);
        assert!(
            mail.html.matches(link).count() == 2 && mail.text.matches(link).count() == 1,
            "{}",
            mail.html
        );
        assert_eq!(links_of_html(&mail.html), links_of_text(&mail.text));
        assert_eq!(mail.html.contains(">Unsubscribe</a>"), leaves);
        super::wellformed::check(&mail.html);
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

/// What a page says to search engines.
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
    assert_eq!(comparison["@graph"].as_array().map(Vec::len), Some(2));
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

#[test]
fn texts_are_cut_between_words_and_sentences() {
    assert_eq!(text::shorten("one two three four", 12), "one two…");
    assert_eq!(
        text::shorten(&"x".repeat(50), 10),
        format!("{}…", "x".repeat(9))
    );
    assert_eq!(text::shorten("fits", 4), "fits");
    assert_eq!(
        text::sentences("Version 3.1 vs. Version 4. Then \"more.\" And more.", 100),
        "Version 3.1 vs. Version 4. Then \"more.\""
    );
    assert_eq!(
        text::sentences("A very long first sentence without an end in sight", 20),
        "A very long first…"
    );
    assert_eq!(
        text::wrap(&format!("ab https://x.example/{} cd", "y".repeat(20)), 10)[1],
        format!("https://x.example/{}", "y".repeat(20))
    );
    assert_eq!(text::wrap("漢字漢字漢字", 10), ["漢字漢字漢", "字"]);
}
