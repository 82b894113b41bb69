//! Publishing a digest for readers who each follow some of the categories.

use std::fmt::Write as _;

use crate::place::Place;

/// Categories of the catalogue here; a choice is some of them.
const CATEGORIES: usize = 12;
/// Comparisons in each, of two tools.
const IN_EACH: usize = 6;

/// Everybody's first, then the same list once its readers chose; each by `digest send`, which is ended when the digest is
/// published.
pub async fn run(place: Place, readers: usize, choices: usize) {
    assert!(
        choices < 1 << CATEGORIES,
        "there are {} choices at most",
        (1 << CATEGORIES) - 1
    );
    place.write("catalogue.toml", catalogue());
    place.run(&["catalog", "import", "catalogue.toml", "--dates-to-now"]);
    place.enlist(readers);
    publish(&place, "everybody's", readers);
    forget_digest(&place).await;
    choose(&place, choices).await;
    publish(&place, &format!("{choices} distinct choices"), readers);
}

fn publish(place: &Place, name: &str, readers: usize) {
    let (sending, line) = place.start_until(&["digest", "send"], "digest published");
    let peak = sending.peak();
    drop(sending);
    let field = |name: &str| {
        let rest = line
            .split(&format!("{name}="))
            .nth(1)
            .unwrap_or_else(|| panic!("no {name} in {line}"));
        rest.split_whitespace()
            .next()
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or_else(|| panic!("{name} in {line}"))
    };
    assert_eq!(field("recipients"), readers as u64, "{line}");
    println!(
        "| {} | {name} | {readers} | {} | {:.2} | {:.0} |",
        place.name(),
        field("renderings"),
        field("took_ms") as f64 / 1_000.0,
        peak as f64 / 1_024.0
    );
}

/// Takes the digest and what was sent of it away, as if the week had just begun.
async fn forget_digest(place: &Place) {
    for table in ["deliveries", "digests"] {
        execute(place, format!("delete from {table}")).await;
    }
}

/// Each reader makes one of so many choices: a number's bits say which categories are followed.
async fn choose(place: &Place, choices: usize) {
    let numbers: Vec<usize> = (0..choices).collect();
    // SQLite takes 500 parts of a union at once.
    for chunk in numbers.chunks(400) {
        let followed = |n: usize| {
            (0..CATEGORIES)
                .filter(move |bit| (n + 1) >> bit & 1 == 1)
                .map(category)
                .collect::<Vec<_>>()
        };
        let part = |n: &usize| {
            format!(
                "select {n} as number, '{}' as categories",
                serde_json::json!(followed(*n))
            )
        };
        let made = chunk
            .iter()
            .map(part)
            .collect::<Vec<_>>()
            .join(" union all ");
        let sql = format!(
            "insert into preferences (subscriber_id, categories)
             select s.id, c.categories from subscribers s join ({made}) c on c.number = s.id % {choices}"
        );
        execute(place, sql).await;
    }
}

async fn execute(place: &Place, sql: String) {
    let sql = sqlx::AssertSqlSafe(sql);
    if place.is_postgres() {
        let pool = sqlx::PgPool::connect(&place.url)
            .await
            .expect("a connection");
        sqlx::query(sql).execute(&pool).await.expect("done");
        pool.close().await;
    } else {
        let pool = sqlx::SqlitePool::connect(&place.url)
            .await
            .expect("a connection");
        sqlx::query(sql).execute(&pool).await.expect("done");
        pool.close().await;
    }
}

fn category(n: usize) -> String {
    format!("Category {}", char::from(b'A' + n as u8))
}

pub fn catalogue() -> String {
    let mut text = String::new();
    for n in 0..CATEGORIES * IN_EACH {
        let published = format!("2026-11-{:02}T{:02}:00:00Z", 18 + n % 6, n % 24);
        for side in ["l", "r"] {
            write!(
                text,
                "[[tools]]\nslug = \"t{n}-{side}\"\nname = \"Tool {n} {side}\"\ncategory = \"{}\"\ntagline = \"Does {n}\"\n\
                 description = \"It does {n} on the {side} side.\"\npricing = \"Free\"\nentry_price = \"Free\"\npublished_at = {published}\n",
                category(n % CATEGORIES)
            )
            .expect("written");
            for (reviewer, verdict) in [
                ("Builder", "ship"),
                ("Skeptic", "skip"),
                ("Founder", if n % 2 == 0 { "ship" } else { "skip" }),
            ] {
                write!(
                    text,
                    "[[tools.reviews]]\nreviewer = \"{reviewer}\"\nscore = {}\nverdict = \"{verdict}\"\ntake = \"{}\"\n",
                    40 + n % 50,
                    "It works, mostly. ".repeat(10)
                )
                .expect("written");
            }
        }
        write!(
            text,
            "[[comparisons]]\nleft = \"t{n}-l\"\nright = \"t{n}-r\"\npublished_at = {published}\n"
        )
        .expect("written");
    }
    text
}
