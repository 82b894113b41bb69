#!/usr/bin/env bash
# feed-rs 3.0.0 writes each line break of an Atom entry in XHTML so that HTML shows two.
#
# It reads `content type="xhtml"` element by element and writes every element anew with a start and an end, empty ones too: `<br/>` comes
# out as `<br></br>`. In XML that is the same. HTML, which is what `content.body` ends up in (a page, the HTML part of a mail), has no end
# tag for it, and its standard says that a lone `</br>` stands for one more `<br>`. Addresses, poems and lists that were broken by hand
# are spread with empty lines. Other empty elements lose nothing: a stray `</hr>` or `</img>` is left out. Content of type "html" is
# one text and comes through as it is.
#
# Seen: "one<br/>two" is "one<br></br>two", and html5lib 1.1 (PyPI) makes two `br` of it; of `<br>` in type "html" it makes one. Needs
# cargo, python3 and pip; half a minute to a minute. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "breaks"
version = "0.0.0"
edition = "2021"
[dependencies]
feed-rs = "=3.0.0"
TOML
cat > "$folder/src/main.rs" <<'RUST'
fn main() {
    for content in [
        "<content type=\"html\">&lt;p>one&lt;br>two&lt;hr>three&lt;/p></content>",
        "<content type=\"xhtml\"><div xmlns=\"http://www.w3.org/1999/xhtml\"><p>one<br/>two</p><hr/><p>three</p></div></content>",
    ] {
        let feed = format!(
            "<feed xmlns=\"http://www.w3.org/2005/Atom\"><id>urn:example:feed</id><title>News</title>\
             <updated>2026-08-01T00:00:00Z</updated><author><name>Ann</name></author><entry><id>urn:example:1</id><title>One</title>\
             <updated>2026-08-01T00:00:00Z</updated>{content}</entry></feed>"
        );
        let feed = feed_rs::parser::parse(feed.as_bytes()).expect("a feed");
        println!("{}", feed.entries[0].content.as_ref().and_then(|content| content.body.as_deref()).expect("a body"));
    }
}
RUST
pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$folder/python" \
    html5lib==1.1 six==1.17.0 webencodings==0.5.1
seen=$(cd "$folder" && cargo run --quiet | PYTHONPATH="$folder/python" python3 -c '
import sys
import html5lib
for line in sys.stdin:
    body = html5lib.parse(line, namespaceHTMLElements=False)
    print(line.strip() + ":", len(body.findall(".//br")), "br,", len(body.findall(".//hr")), "hr")
')
echo "$seen"
[ "$seen" = "<p>one<br>two<hr>three</p>: 1 br, 1 hr
<p>one<br></br>two</p><hr></hr><p>three</p>: 2 br, 1 hr" ]
echo "as described: one line break in XHTML becomes two in HTML"
