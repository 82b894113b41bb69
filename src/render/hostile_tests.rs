//! Whatever a catalogue holds, a digest is a mail: well-formed, never clipped, its lines short, its links ours.

use proptest::prelude::*;

use super::email;
use super::fixture;
use super::text;
use super::wellformed;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::Score;
use crate::domain::catalogue::Votes;
use crate::domain::digest::DigestContent;
use crate::domain::digest::Opening;
use crate::domain::digest::PreviousVotes;
use crate::domain::digest::PreviousVotesTool;
use crate::domain::digest::VerdictChange;
use crate::domain::issue_text::IssueField;
use crate::domain::issue_text::IssueText;
use crate::domain::issue_text::Sponsor;
use crate::domain::reader::PreferenceGroup;

/// Texts that have broken templates before, among ordinary ones, some of them ten thousand characters long.
fn words() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z ,.!?]{0,40}",
        2 => "\\PC{0,20}",
        1 => Just("<script>alert(1)</script>".to_owned()),
        1 => Just("\"><img src=x onerror=alert(1)>".to_owned()),
        1 => Just("</td></table></body></html>".to_owned()),
        1 => Just("{{ 7*7 }}{% raw %}{# x #}<!--[if mso]>-->".to_owned()),
        1 => Just("&amp; &#0; &bogus ]]>".to_owned()),
        1 => Just("שלום עולם \u{202E}مرحبا".to_owned()),
        1 => Just("👩\u{200d}🚀🏳\u{fe0f}\u{200d}🌈🦀".to_owned()),
        1 => Just("\r\nBcc: eve@example.org\r\n\r\n".to_owned()),
        1 => Just("\u{fdd0}\u{fdd1}\u{fdd2}\u{fdd3}\0\u{1b}\u{fffe}".to_owned()),
        1 => Just("x".repeat(300)),
    ];
    let text = prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat());
    prop_oneof![6 => text.clone(), 1 => text.prop_map(|text| if text.is_empty() { text } else { text.repeat(10_000 / text.len() + 1) })]
}

/// A comparison with such a text in every field, any reviews and any votes.
fn matchup() -> impl Strategy<Value = RatedComparison> {
    let texts = prop::collection::vec(words(), 24);
    (
        texts,
        0usize..20,
        prop::collection::vec(0i64..=100, 10),
        0usize..6,
        0usize..6,
        0u64..3,
    )
        .prop_map(|(texts, number, scores, left, right, votes)| {
            let mut matchup = fixture::hostile(number);
            let mut texts = texts.into_iter();
            let mut scores = scores.into_iter();
            for (side, kept) in [(&mut matchup.left, left), (&mut matchup.right, right)] {
                side.votes = Votes {
                    ships: votes,
                    skips: votes / 2,
                };
                let tool = &mut side.tool;
                tool.reviews.truncate(kept);
                for review in &mut tool.reviews {
                    review.take = texts.next().unwrap_or_default();
                    review.score = scores
                        .next()
                        .and_then(|score| Score::try_from(score).ok())
                        .unwrap_or(review.score);
                }
                for field in [
                    &mut tool.name,
                    &mut tool.category,
                    &mut tool.tagline,
                    &mut tool.description,
                    &mut tool.pricing,
                    &mut tool.entry_price,
                ] {
                    *field = texts.next().unwrap_or_default();
                }
            }
            matchup
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_catalogue_makes_a_mail(matchups in prop::collection::vec(matchup(), 0..12), lines in prop::collection::vec(words(), 0..12), has_saved: bool) {
        let told = |name: &String| PreviousVotesTool { name: name.clone(), votes: Votes { ships: 9, skips: 1_000_000 }, panel: Panel::default() };
        let turn = |name: &String| VerdictChange { tool: "x".parse().expect("a slug"), name: name.clone(), before: "Skip".into(), after: "Ship".into() };
        let decided = lines.split_first().map(|(first, rest)| PreviousVotes { tools: rest.iter().map(told).collect(), apart: Some(told(first)) });
        let opening = Opening { turns: lines.iter().take(PreferenceGroup::MOST_TURNS).map(turn).collect(), decided, has_saved, is_monthly: has_saved };
        let (mut picks, mut take) = (fixture::content(matchups), lines.iter());
        let mut line = |field: IssueField| take.next().map(|line| line.chars().take(field.length_max()).collect::<String>()).unwrap_or_default();
        picks.text = IssueText {
            introduction: line(IssueField::Introduction),
            sponsor: Some(Sponsor { text: line(IssueField::SponsorText), url: line(IssueField::SponsorUrl) }),
            question: line(IssueField::Question),
            sign_off: line(IssueField::SignOff),
            preheader: line(IssueField::Preheader),
        };
        let mail = email::digest(&fixture::site(), &DigestContent { opening, ..picks }).expect("a digest").mail;
        wellformed::check(&mail.html);
        prop_assert!(mail.html.len() <= 80_000 && mail.text.len() <= 80_000, "{} and {}", mail.html.len(), mail.text.len());
        prop_assert!((1..=90).contains(&mail.subject.chars().count()) && !mail.subject.contains('\n'), "{:?}", mail.subject);
        let links = |text: &str, start: &str, end: &[char]| -> Vec<String> {
            text.split(start).skip(1).filter_map(|rest| rest.split(end).next()).map(String::from).collect()
        };
        let html = links(&mail.html, "href=\"https://verdicts.example", &['"']);
        prop_assert_eq!(&html, &links(&mail.text, "\nhttps://verdicts.example", &['\n']));
        prop_assert_eq!(mail.html.matches("href=").count(), html.len(), "every link is ours");
        for line in mail.text.lines() {
            prop_assert!(text::columns(line) <= 78 || line.starts_with("https://verdicts.example/"), "{:?}", line);
        }
    }
}
