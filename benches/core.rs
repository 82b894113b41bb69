//! What the inner parts cost: `cargo bench --bench core`.

use std::collections::HashSet;

use chrono::TimeDelta;
use divan::Bencher;
use divan::black_box;
use verdicts::app::catalogue;
use verdicts::domain::Timestamp;
use verdicts::domain::address::EmailAddress;
use verdicts::domain::catalogue::Panel;
use verdicts::domain::catalogue::RatedComparison;
use verdicts::domain::catalogue::RatedTool;
use verdicts::domain::catalogue::Slug;
use verdicts::domain::catalogue::Votes;
use verdicts::domain::digest::DigestContent;
use verdicts::domain::digest::DigestItem;
use verdicts::domain::pick::Candidate;
use verdicts::domain::pick::CandidateTool;
use verdicts::domain::pick::PickerRules;
use verdicts::domain::pick::pick;
use verdicts::domain::slot::Slot;
use verdicts::domain::token::Purpose;
use verdicts::domain::token::Secrets;
use verdicts::domain::token::Token;
use verdicts::mail::Mailbox;
use verdicts::mail::MessageTemplate;
use verdicts::mail::Recipient;
use verdicts::mail::TemplateHeaders;
use verdicts::render::Site;
use verdicts::render::email;

fn main() {
    divan::main();
}

fn now() -> Timestamp {
    "2026-11-24T08:00:00Z".parse().expect("a moment")
}

fn slot() -> Slot {
    Slot::of(now(), &verdicts::domain::zone::Zone::utc())
}

fn site() -> Site {
    Site {
        base_url: "https://news.example.org".into(),
        name: "Ship or Skip".into(),
        newsletter: "Weekly AI Tool Verdicts".into(),
        subject: Default::default(),
        timezone: verdicts::domain::zone::Zone::utc(),
        postal_address: None,
        face: Default::default(),
        has_mailbox: false,
    }
}

/// Five comparisons of the sample.
fn content() -> DigestContent {
    let sample = catalogue::sample().expect("the sample");
    let side = |slug: &Slug| RatedTool {
        tool: sample
            .tools
            .iter()
            .find(|tool| tool.slug == *slug)
            .expect("a tool")
            .clone(),
        votes: Votes::default(),
        visitors: Votes::default(),
    };
    let item = |comparison: &verdicts::domain::catalogue::Comparison| DigestItem {
        matchup: RatedComparison {
            comparison: comparison.clone(),
            left: side(&comparison.left),
            right: side(&comparison.right),
        },
        score: 150.0,
        reasons: vec![verdicts::domain::pick_reason::PickReason::NewThisWeek],
    };
    DigestContent {
        slot: slot(),
        items: sample.comparisons.iter().take(5).map(item).collect(),
        opening: Default::default(),
        text: Default::default(),
        corrections: Vec::new(),
    }
}

fn secrets() -> Secrets {
    Secrets::new(&["a secret for benchmarks".into()]).expect("one secret")
}

#[divan::bench]
fn render_one_digest(bencher: Bencher) {
    let (site, content) = (site(), content());
    bencher.bench(|| email::digest(black_box(&site), black_box(&content)));
}

#[divan::bench]
fn one_readers_message_from_it(bencher: Bencher) {
    let rendered = email::digest(&site(), &content()).expect("a mail").mail;
    let from = Mailbox::parse("Ship or Skip <news@example.org>").expect("a sender");
    let letter = MessageTemplate::new(
        &rendered,
        &TemplateHeaders {
            from,
            reply_to: None,
            extra: vec![("List-Id", "News <news.example.org>".into())],
        },
    );
    let (secrets, to) = (
        secrets(),
        EmailAddress::parse("ada@example.org").expect("an address"),
    );
    let mut buffer = Vec::new();
    bencher.bench_local(|| {
        let token = secrets.sign(&Token {
            purpose: Purpose::Unsubscribe,
            subscriber: black_box(7),
            expires_at: None,
        });
        letter.fill(
            &Recipient {
                to: &to,
                token: &token,
                reader: &token,
                since: "17 November 2026",
                verp: "",
                message_id: "202648.7@example.org",
                date: now(),
            },
            &mut buffer,
        );
        black_box(buffer.len())
    });
}

#[divan::bench]
fn pick_out_of_5000_comparisons(bencher: Bencher) {
    let entrant = |n: i64, side: char| CandidateTool {
        tool: format!("tool-{}-{side}", n % 3000).parse().expect("a slug"),
        name: format!("Tool {n}"),
        category: format!("Category {}", n % 12),
        panel: Panel {
            ships: (n % 5) as u32,
            skips: (n % 3) as u32,
        },
        votes: Votes {
            ships: (n % 70) as u64,
            skips: (n % 40) as u64,
        },
    };
    let candidate = |n: i64| Candidate {
        comparison: format!("comparison-{n}").parse().expect("a slug"),
        published_at: now() - TimeDelta::minutes(8 * n),
        left: entrant(n, 'l'),
        right: entrant(n + 1, 'r'),
    };
    let candidates: Vec<Candidate> = (0..5000).map(candidate).collect();
    let (week, sent) = (
        slot().span(&verdicts::domain::zone::Zone::utc()).start,
        HashSet::new(),
    );
    let rules = PickerRules {
        max_items: 5,
        min_items: 1,
        look_back: TimeDelta::days(28),
        votes_weight: 20,
    };
    bencher.bench(|| pick(black_box(&candidates), &sent, week, now(), &rules));
}

#[divan::bench]
fn make_a_token(bencher: Bencher) {
    let secrets = secrets();
    bencher.bench(|| {
        secrets.sign(&Token {
            purpose: Purpose::Unsubscribe,
            subscriber: black_box(7),
            expires_at: None,
        })
    });
}

#[divan::bench]
fn check_a_token(bencher: Bencher) {
    let secrets = secrets();
    let text = secrets.sign(&Token {
        purpose: Purpose::Unsubscribe,
        subscriber: 7,
        expires_at: None,
    });
    bencher.bench(|| secrets.read(Purpose::Unsubscribe, black_box(&text)));
}
