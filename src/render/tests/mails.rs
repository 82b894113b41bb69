//! Mails: subjects, previews, links, lengths.

use super::super::email;
use super::super::fixture::*;
use super::super::text;
use super::digest_of;
use super::links_of_html;
use super::unescaped;
use crate::domain::catalogue::RatedComparison;
use crate::domain::issue_text::IssueText;
use crate::domain::issue_text::Sponsor;

fn links_of_text(text: &str) -> Vec<&str> {
    text.split_whitespace()
        .filter(|word| word.contains("://"))
        .collect()
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
fn text_that_people_write_has_the_same_links_in_both_parts_and_is_marked_where_it_is_paid_for() {
    let mut content = content((1..=3).map(matchup));
    content.text = IssueText {
        introduction:
            "A [b **c** d](https://one.example/?x=1&y=2), [e](/no) and\n\n- [f](mailto:a@b.example)"
                .into(),
        sponsor: Some(Sponsor {
            text: "Acme & sons".into(),
            url: "https://acme.example/x".into(),
        }),
        question: "Which one?".into(),
        sign_off: "**Ada**, [x](https://two.example)".into(),
        preheader: "{pair} {count} <b>".into(),
    };
    let mail = email::digest(&site(), &content).expect("a digest").mail;
    crate::render::wellformed::check(&mail.html);
    let links: Vec<String> = links_of_html(&mail.html)
        .into_iter()
        .map(unescaped)
        .filter(|link| link.contains("://"))
        .collect();
    assert_eq!(links, links_of_text(&mail.text));
    assert!(links.contains(&"https://one.example/?x=1&y=2".to_owned()));
    assert_eq!(mail.html.matches("one.example").count(), 1, "one link");
    assert!(mail.html.contains("<b>Advertisement</b>") && mail.text.contains("ADVERTISEMENT"));
    let preheader = email::preheader_of(&mail.html);
    assert_eq!(preheader, "Llama 1 or Mistral Small 3.1? 3 <b>");
}

#[test]
fn a_mail_is_never_so_long_that_it_is_clipped() {
    let usual = digest_of((1..=5).map(matchup));
    assert!(
        (15_000..=32_000).contains(&usual.html.len()),
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
        crate::render::wellformed::check(&mail.html);
        for line in mail.text.lines() {
            assert!(
                text::columns(line) <= 78 || line.starts_with("https://") && !line.contains(' '),
                "{line:?}"
            );
        }
    }
}

#[test]
fn the_first_comparison_is_told_in_full_and_the_others_in_brief() {
    let mail = digest_of((1..=5).map(matchup));
    let (html, text) = (&mail.html, &mail.text);
    assert!(
        text.contains("Llama 1: SHIP 2 to 1\nBuilder 82 ship, Skeptic 45 skip, Founder 72 ship\nPricing: Free / Open weights\nBest for: Small models on small machines\nCommunity: 72% of 43 readers say ship\n"),
        "{text}"
    );
    assert!(
        text.contains("\"No keys, no limits, e.g. none at all: worth a week.\"\nBuilder on Llama 1, 82 of 100: ship"),
        "{text}"
    );
    assert!(text.contains("Skeptic on Mistral Small 3.1, 30 of 100: skip"));
    let quotes = html.matches("says the").count();
    assert_eq!((quotes, html.matches("<caption").count()), (2 + 4, 1));
    assert_eq!(html.matches("class=\"go\"").count(), 2, "buttons for votes");
    let links = links_of_html(html);
    assert!(links.len() <= 20 && text.len() <= 12 * 1024, "{links:?}");
    assert_eq!(html.matches("colspan").count(), 0);
    let data = html.split_once("<caption").expect("a table of data").1;
    assert!(
        !data
            .split_once("</table>")
            .expect("its end")
            .0
            .contains("<table")
    );
}

#[test]
fn a_quote_is_a_whole_sentence_or_the_one_that_the_catalogue_sets() {
    let mut long = matchup(1);
    for side in [&mut long.left, &mut long.right] {
        for review in &mut side.tool.reviews {
            review.take = "x ".repeat(150) + ".";
        }
    }
    let mail = digest_of([long.clone(), matchup(2)]);
    assert!(
        !mail.html.contains('…') && !mail.html.contains("x x"),
        "nothing is cut"
    );
    long.left.tool.reviews[2].quote = Some("It is worth its price.".into());
    let mail = digest_of([long, matchup(2)]);
    assert!(
        mail.text
            .contains("\"It is worth its price.\"\nFounder on Llama 1, 72 of 100: ship"),
        "{}",
        mail.text
    );
}

#[test]
fn a_close_call_is_named_only_where_it_is_one() {
    let label = "The closest call";
    assert!(
        !digest_of([matchup(1)]).html.contains(label),
        "66 and 55 points"
    );
    let mut close = matchup(1);
    close.right.tool.reviews = close.left.tool.reviews.clone();
    assert!(digest_of([close.clone()]).html.contains(label));
    assert!(
        !digest_of([matchup(2), close.clone()]).html.contains(label),
        "the first one alone"
    );
    close.right.votes = crate::domain::catalogue::Votes {
        ships: 2,
        skips: 40,
    };
    assert!(
        !digest_of([close]).html.contains(label),
        "readers tell them apart"
    );
}

#[test]
fn a_subject_names_what_is_inside_and_gets_shorter_with_long_names() {
    let subject = |matchups: Vec<RatedComparison>| digest_of(matchups).subject;
    assert_eq!(
        subject((1..=5).map(matchup).collect()),
        "Ship Llama 1, too close to call on Mistral Small 3.1, and 4 more"
    );
    assert_eq!(
        subject(vec![matchup(1)]),
        "Ship Llama 1, too close to call on Mistral Small 3.1"
    );
    let mut long = matchup(1);
    long.left.tool.name = "A tool with a name as long as a short sentence about nothing".into();
    assert_eq!(
        subject(vec![long.clone(), matchup(2)]),
        "Ship A tool with a name as long as…, too close to call on Mistral Small 3.1, and 1 more"
    );
    long.right.tool.name = long.left.tool.name.clone();
    let both =
        "Ship A tool with a name as long as…, too close to call on A tool with a name as long as…";
    assert_eq!(subject(vec![long, matchup(2)]), both);
}

#[test]
fn a_setting_says_how_a_subject_is_made() {
    let subject = |pattern: &str, matchups: Vec<RatedComparison>| {
        let site = crate::render::Site {
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
        subject("{answer}. {more}", vec![matchup(1), matchup(2)]),
        "Ship Llama 1, too close to call on Mistral Small 3.1. And 1 more verdict"
    );
    assert_eq!(
        subject("{more}", vec![matchup(1)]),
        "Weekly AI Tool Verdicts, 2026-W47",
        "never an empty one"
    );
}

#[test]
fn behind_the_subject_stand_40_to_90_characters_and_few_blanks() {
    let confirmation = email::confirmation(&site(), "3 days", false).expect("a mail");
    let notices = [
        confirmation,
        email::welcome(&site(), None, None).expect("a mail"),
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
            hidden.chars().count() - words.chars().count() <= 40,
            "{hidden:?}"
        );
    }
    assert!(
        digest_of([matchup(1)])
            .html
            .contains(">Ship Llama 1 (2 to 1). Too close to call on Mistral Small 3.1 (1 to 1).")
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
            email::welcome(&site(), None, None).expect("a mail"),
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
        crate::render::wellformed::check(&mail.html);
    }
}
