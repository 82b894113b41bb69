//! The doors that a crowd comes through at once.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::place::Place;

/// Who votes: each with a link of their own.
const VOTERS: usize = 1_000;

const DUEL: &str = "/comparisons/thimblewren-4b-vs-gantrymoth";

/// Votes by the links in `votes.txt`, over and over.
const VOTE: &str = r#"
local paths, n = {}, 0
for line in io.lines("votes.txt") do paths[#paths + 1] = line end
function request() n = n + 1; return wrk.format("POST", paths[n % #paths + 1]) end
"#;

/// A new address each time, whichever thread of wrk asks.
const SUBSCRIBE: &str = r#"
local threads, n = 0, 0
function setup(thread) thread:set("mine", threads); threads = threads + 1 end
function request()
  n = n + 1
  return wrk.format("POST", "/subscribe", { ["Content-Type"] = "application/json" },
    string.format('{"email":"new%d.%d@example.org"}', mine, n))
end
"#;

const GZIP: &str = r#"wrk.headers["Accept-Encoding"] = "gzip""#;

pub fn run(place: Place, seconds: usize) {
    let address = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    let site = format!("http://{address}");
    // As many as there can be: what limits one client is not what is measured.
    let most = u32::MAX.to_string();
    let place = place
        .with("VERDICTS_SITE__LISTEN", &address.to_string())
        .with("VERDICTS_SITE__BASE_URL", &site)
        .with("VERDICTS_SIGNUP__PER_CLIENT", &most)
        .with("VERDICTS_VOTES__PER_CLIENT", &most);
    place.run(&[
        "catalog",
        "import",
        concat!(env!("CARGO_MANIFEST_DIR"), "/content"),
        "--dates-to-now",
    ]);
    place.enlist(VOTERS);
    place.run(&["digest", "send"]);
    let votes = vote_links(&place.dir.path().join("data/mailbox/new"), &site);
    assert_eq!(votes.len(), VOTERS, "each reader's mail has a link to vote");
    place.write("votes.txt", votes.join("\n"));
    let (_serving, _) = place.start_until(&["serve", "--role", "web"], &address.to_string());

    let measured = |path: &str, script: &str| {
        place.write("script.lua", script);
        wrk(place.dir.path(), &format!("{site}{path}"), seconds)
    };
    let _warm = measured(DUEL, "");
    let reference = measured("/healthz", "");
    let rows = [
        ("`/healthz`", reference),
        ("a comparison's page", measured(DUEL, "")),
        ("the same, gzip", measured(DUEL, GZIP)),
        ("a reader's vote", measured("", VOTE)),
        ("`/subscribe`", measured("", SUBSCRIBE)),
    ];
    for (name, figures) in rows {
        let Figures {
            rate,
            median,
            worst,
        } = figures;
        println!(
            "| {} | {name} | {rate:.0} | {:.3} | {median:.2} | {worst:.2} |",
            place.name(),
            rate / reference.rate
        );
    }
}

/// A link to vote for the first tool out of each mail, as a path.
fn vote_links(mails: &Path, site: &str) -> Vec<String> {
    let link = |raw: Vec<u8>| {
        let mail = mail_parser::MessageParser::default().parse(&raw)?;
        let text = mail.body_text(0)?.into_owned();
        let link = text
            .split_whitespace()
            .find(|word| word.contains("/vote/"))?
            .to_owned();
        link.strip_prefix(site).map(str::to_owned)
    };
    let files = std::fs::read_dir(mails)
        .expect("the mailbox")
        .map(|file| file.expect("a mail").path());
    files
        .filter_map(|path| link(std::fs::read(path).expect("a mail")))
        .collect()
}

#[derive(Clone, Copy)]
struct Figures {
    /// Requests a second.
    rate: f64,
    /// Milliseconds.
    median: f64,
    /// Milliseconds; one in a hundred takes longer.
    worst: f64,
}

/// 16 connections. What is not answered with 2xx or 3xx is no figure.
fn wrk(folder: &Path, url: &str, seconds: usize) -> Figures {
    let mut wrk = Command::new("wrk");
    wrk.args([
        "-t",
        "2",
        "-c",
        "16",
        "-d",
        &format!("{seconds}s"),
        "--latency",
        "-s",
        "script.lua",
        url,
    ])
    .current_dir(folder);
    let output = wrk.output().expect("wrk (Debian: apt-get install wrk)");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |words: &str| {
        said.lines()
            .find_map(|line| line.trim().strip_prefix(words))
            .map(str::trim)
            .map(str::to_owned)
    };
    assert!(
        after("Non-2xx or 3xx responses").is_none() && after("Socket errors").is_none(),
        "{url}: {said}"
    );
    let time =
        |words: &str| millis(&after(words).unwrap_or_else(|| panic!("{words} is not in {said}")));
    let rate = after("Requests/sec:")
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no rate in {said}"));
    Figures {
        rate,
        median: time("50%"),
        worst: time("99%"),
    }
}

/// `2.31ms`, `850.00us`, `1.02s`.
fn millis(text: &str) -> f64 {
    let (number, factor) = match text {
        text if text.ends_with("us") => (&text[..text.len() - 2], 0.001),
        text if text.ends_with("ms") => (&text[..text.len() - 2], 1.0),
        text => (text.trim_end_matches('s'), 1_000.0),
    };
    number
        .parse::<f64>()
        .unwrap_or_else(|_| panic!("{text} is no time"))
        * factor
}
