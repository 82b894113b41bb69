#!/usr/bin/env bash
# npm mailparser 3.14.2 gives a mail whose time zone it does not know the date of today.
#
# RFC 5322 4.3 has a reader accept a zone that is any row of letters ("CEST", "MESZ") and treat an unknown one as "-0000". mailparser
# hands the field to JavaScript's Date; where that fails, `mail.date` is the moment of parsing. It is a valid Date, nothing marks
# it as invented, and each reading of the same bytes gives another. Who sorts reports by date, or skips what is older than a week,
# takes an old mail for the newest. A mail without the field has no date at all, so the two cases cannot be told apart by type either.
# `mail.headers.get('date')` is the same invented date; the line as it was sent is only in `mail.headerLines`.
#
# Seen: a mail of 2019 with "GMT" and "+0200" is of 2019, with "CEST" of this minute. Needs node, npm; ten seconds. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund mailparser@3.14.2 >&2
cat > read.js <<'JS'
const { simpleParser } = require('mailparser');

(async () => {
    for (const date of ['Thu, 1 Aug 2019 10:00:00 GMT', 'Thu, 1 Aug 2019 12:00:00 +0200', 'Thu, 1 Aug 2019 12:00:00 CEST', null]) {
        const mail = await simpleParser((date ? `Date: ${date}\r\n` : '') + 'From: news@sender.example\r\n\r\nHello\r\n');
        const header = mail.headers.get('date');
        const age = mail.date && Date.now() - mail.date;
        console.log(`${date}: ${!mail.date ? 'no date' : age < 60000 ? 'this minute' : mail.date.toISOString()}, ` +
            `header ${!header ? 'none' : Date.now() - header < 60000 ? 'this minute' : header.toISOString()}`);
    }
})();
JS
seen=$(node read.js)
echo "$seen"
[ "$seen" = "Thu, 1 Aug 2019 10:00:00 GMT: 2019-08-01T10:00:00.000Z, header 2019-08-01T10:00:00.000Z
Thu, 1 Aug 2019 12:00:00 +0200: 2019-08-01T10:00:00.000Z, header 2019-08-01T10:00:00.000Z
Thu, 1 Aug 2019 12:00:00 CEST: this minute, header this minute
null: no date, header none" ]
echo "as described: an unknown zone makes it a mail of today"
