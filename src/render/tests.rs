mod mails;
mod pages;

use super::email;
use super::fixture::*;
use super::page;
use super::page::CapturedRow;
use super::page::DigestEntry;
use super::page::MailView;
use super::page::RefusedField;
use super::page::SignUpForm;
use super::page::VisitorView;
use super::text;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::Verdict;
use crate::domain::digest::DigestContent;
use crate::domain::reader::PanelPoint;
use crate::domain::reader::Preferences;
use crate::domain::reader::ReaderToolState;
use crate::domain::reader::Saved;
use crate::domain::rendered_mail::Rendered;
use crate::domain::rendered_mail::TOKEN_PLACEHOLDER;
use pages::DATA;

/// Begin of the one script that pages may have.
const OUR_SCRIPT: &str = "<script src=\"";

/// Every page with this content on it, by name.
fn pages_of(content: &DigestContent, words: &str) -> Vec<(&'static str, String)> {
    let (site, form) = (
        site(),
        SignUpForm {
            email: words,
            problem: Some(words),
        },
    );
    let matchups: Vec<RatedComparison> = content
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
    let row = CapturedRow {
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
    let standing = ReaderToolState {
        vote: Some(Verdict::Ship),
        saved: true,
    };
    let visit = VisitorView {
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
    let refused = RefusedField {
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
                (words, "/unsubscribe/x"),
                page::ZoneField {
                    names: &[],
                    refused: None,
                },
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
        (
            "unsubscribe",
            page::unsubscribe(&site, words, "/preferences/x".into()),
        ),
        ("goodbye", page::goodbye(&site, words)),
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
                &form,
                now() + chrono::TimeDelta::days(10),
            ),
        ),
        (
            "digests",
            page::digests(&site, std::slice::from_ref(&entry), None),
        ),
        (
            "digest",
            page::digest(&site, content, now(), (None, None), &form),
        ),
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

fn page_of(name: &str, matchup: RatedComparison) -> String {
    let pages = pages_of(&content([matchup]), "token");
    pages
        .into_iter()
        .find(|(page, _)| *page == name)
        .expect("such a page")
        .1
}

fn digest_of(matchups: impl IntoIterator<Item = RatedComparison>) -> Rendered {
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

/// Returns what a program makes of the characters that are escaped.
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
        !mail.subject.contains(['\n', TOKEN_PLACEHOLDER]) && mail.subject.chars().count() <= 90,
        "{:?}",
        mail.subject
    );
}

#[test]
fn the_hole_of_a_token_stands_in_its_links_and_nowhere_else() {
    let digest = digest_of([matchup(1), hostile(1)]);
    let link = format!("https://verdicts.example/unsubscribe/{TOKEN_PLACEHOLDER}");
    assert!(
        digest.html.contains(&format!("href=\"{link}\""))
            && digest.text.contains(&format!("\n{link}\n"))
    );
    assert_eq!(
        [&digest.html, &digest.text].map(|part| part.matches(TOKEN_PLACEHOLDER).count()),
        [1, 1]
    );

    let confirmation = email::confirmation(&site(), "3 days", false).expect("a mail");
    let link = format!("https://verdicts.example/confirm/{TOKEN_PLACEHOLDER}");
    assert_eq!(
        [&confirmation.html, &confirmation.text].map(|part| part.matches(&link).count()),
        [2, 1]
    );
    assert!(confirmation.text.contains("after 3 days"));
}

#[test]
fn a_missing_review_says_so_wherever_reviews_stand() {
    let mail = digest_of([matchup(1)]);
    assert!(mail.html.contains("No panel take"));
    assert!(
        mail.text
            .contains("Mistral Small 3.1: SPLIT 1 to 1\nBuilder 80 ship, Skeptic 30 skip\nNo panel take: Founder\n"),
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
        assert!(part.contains(verdict), "{verdict} is not in {part}");
        let is_whole_page = verdict == "No verdict yet";
        for words in ["No community votes yet", "Pricing"] {
            assert_eq!(
                part.contains(words),
                is_whole_page,
                "a row that says nothing stands on the comparison's page alone: {part}"
            );
        }
        assert!(!part.contains(" 0%") && !part.contains(">0%") && !part.contains("0 to 0"));
        assert!(verdict == "No verdict yet" || part.contains(lead));
    }
    let none = email::digest(&site(), &content([]))
        .expect("an empty digest")
        .mail;
    assert!(none.text.contains("Nothing new this week."));
}

#[test]
fn what_is_invented_is_labelled_in_both_parts_and_on_every_page_that_shows_it() {
    let sampled = |mut matchup: RatedComparison| {
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
fn texts_are_cut_between_words() {
    assert_eq!(text::shorten("one two three four", 12), "one two…");
    assert_eq!(
        text::shorten(&"x".repeat(50), 10),
        format!("{}…", "x".repeat(9))
    );
    assert_eq!(text::shorten("fits", 4), "fits");
    assert_eq!(
        text::wrap(&format!("ab https://x.example/{} cd", "y".repeat(20)), 10)[1],
        format!("https://x.example/{}", "y".repeat(20))
    );
    assert_eq!(text::wrap("漢字漢字漢字", 10), ["漢字漢字漢", "字"]);
}
