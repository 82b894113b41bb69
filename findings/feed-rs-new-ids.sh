#!/usr/bin/env bash
# feed-rs 3.0.0: an RSS item without guid has another id after a corrected title, and without a link at each reading.
#
# RSS 2.0 requires of an item a title or a description, no guid and no link. For an item without guid feed-rs makes the id from link AND
# title, so an editor who mends a typing error makes a new entry of the same page; without a link it is a random UUID, and each fetch of
# the unchanged document is full of news. A newsletter that remembers ids sends such items again, every week. The field `id` looks
# the same in all cases; only a guid can be trusted (or keys of one's own from the link).
#
# Seen: link and title, an id that stays until the title changes; no link, two ids from two readings of the same bytes. Needs cargo; half
# a minute. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "ids"
version = "0.0.0"
edition = "2021"
[dependencies]
feed-rs = "=3.0.0"
TOML
cat > "$folder/src/main.rs" <<'RUST'
/// The id that feed-rs gives the only item of a feed.
fn id(item: &str) -> String {
    let feed = format!(
        "<rss version=\"2.0\"><channel><title>News</title><link>https://site.example/</link><description>News</description>\
         <item>{item}</item></channel></rss>"
    );
    feed_rs::parser::parse(feed.as_bytes()).expect("a feed").entries[0].id.clone()
}

fn main() {
    let (guid, link, text) = ("<guid>7</guid>", "<link>https://site.example/7</link>", "<description>All of it</description>");
    let (wrong, right) = ("<title>Teh news</title>", "<title>The news</title>");
    for (name, first, second) in [
        ("guid, title mended", [guid, wrong], [guid, right]),
        ("link, unchanged", [link, right], [link, right]),
        ("link, title mended", [link, wrong], [link, right]),
        ("no link, unchanged", [text, right], [text, right]),
    ] {
        let (first, second) = (first.concat(), second.concat());
        println!("{name}: {}", if id(&first) == id(&second) { "the same id" } else { "another id" });
    }
}
RUST
seen=$(cd "$folder" && cargo run --quiet)
echo "$seen"
[ "$seen" = "guid, title mended: the same id
link, unchanged: the same id
link, title mended: another id
no link, unchanged: another id" ]
echo "as described: without a guid an item does not keep its id"
