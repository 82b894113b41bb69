#!/usr/bin/env bash
# npm rss-parser 3.13.0 puts the words of an Atom entry in another order.
#
# Atom (RFC 4287 3.1.1.3, 4.1.3.3) lets `content` hold XHTML as elements. rss-parser reads the document into an object by element name and
# builds the XHTML anew from it. In that object the texts of an element lie together in front and its children behind, grouped by
# name: what mixes text and elements, as every sentence with a link or an emphasis does, comes back in another order. The result is
# well-formed and looks like prose. Content of type "html", which is one text, comes through whole.
#
# Seen: "Buy <em>less</em> and <a>read</a> <em>more</em>." becomes "Buy  and  . less more read". Needs node and npm; ten seconds. Fails if
# that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund rss-parser@3.13.0 >&2
cat > read.js <<'JS'
const Parser = require('rss-parser');

const prose = '<p>Buy <em>less</em> and <a href="https://site.example/">read</a> <em>more</em>.</p>';
const feed = content => `<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:example:feed</id><title>News</title>
<updated>2026-08-01T00:00:00Z</updated><author><name>Ann</name></author><entry><id>urn:example:1</id><title>One</title>
<updated>2026-08-01T00:00:00Z</updated>${content}</entry></feed>`;
const escaped = prose.replace(/</g, '&lt;');

(async () => {
    for (const [type, content] of [
        ['html', `<content type="html">${escaped}</content>`],
        ['xhtml', `<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">${prose}</div></content>`],
    ]) {
        const { items: [item] } = await new Parser().parseString(feed(content));
        console.log(`${type}: ${item.content}`);
        console.log(`${type}, words: ${item.content.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim()}`);
    }
})();
JS
seen=$(node read.js)
echo "$seen"
grep -q '^html, words: Buy less and read more \.$' <<<"$seen"
grep -q '^xhtml, words: Buy and \. less more read$' <<<"$seen"
echo "as described: XHTML content comes back with its words in another order"
