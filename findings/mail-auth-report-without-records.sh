#!/usr/bin/env bash
# mail-auth 0.13.3 reads a DMARC report that has an extension as a report without records.
#
# RFC 9990 gives an aggregate report an optional `extension` element between `policy_published` and the records, whose children have a
# namespace of their own. mail-auth knows the older draft's `extensions`. Below `feedback` it goes into an element that it does not know
# and, where a child of that ends, ends the report: everything behind is dropped, and what comes back is Ok with the right domain and
# dates and no record. In a graph of "mails by source" a receiver who writes extensions is one to whom nothing was sent. An empty
# `extension` does no harm, nor does an unknown element inside a record. A report has at least one record: treat none as not read.
#
# Seen: 2 records without an extension and with an empty one, Ok and 0 records with one that has a child. Python's XML parser finds 2
# each time. Needs cargo and python3; one to two minutes. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "report"
version = "0.0.0"
edition = "2021"
[dependencies]
mail-auth = { version = "=0.13.3", default-features = false, features = ["ring", "report"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
use mail_auth::report::Report;

fn main() {
    for file in std::env::args().skip(1) {
        let name = file.rsplit('/').next().expect("a name");
        match Report::parse_xml(&std::fs::read(&file).expect("a file")) {
            Ok(report) => println!("{name}: Ok, {}, {} records", report.domain(), report.records().len()),
            Err(error) => println!("{name}: {error}"),
        }
    }
}
RUST
report() {
    cat > "$folder/$1" <<XML
<?xml version="1.0" encoding="UTF-8"?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">
  <version>1.0</version>
  <report_metadata>
    <org_name>mx.reader.example</org_name>
    <email>dmarc@mx.reader.example</email>
    <report_id>7</report_id>
    <date_range><begin>1785542400</begin><end>1785628799</end></date_range>
  </report_metadata>
  <policy_published><domain>sender.example</domain><p>none</p><discovery_method>treewalk</discovery_method></policy_published>
  $2
  $(record 192.0.2.1)
  $(record 192.0.2.2)
</feedback>
XML
}
record() {
    cat <<XML
<record>
    <row>
      <source_ip>$1</source_ip>
      <count>7</count>
      <policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated>
    </row>
    <identifiers><header_from>sender.example</header_from></identifiers>
    <auth_results>
      <dkim><domain>sender.example</domain><selector>news</selector><result>pass</result></dkim>
      <spf><domain>bounces.sender.example</domain><result>fail</result></spf>
    </auth_results>
  </record>
XML
}
report none ''
report empty '<extension/>'
report note '<extension><x:note xmlns:x="https://mx.reader.example/notes">first week</x:note></extension>'
files=("$folder/none" "$folder/empty" "$folder/note")
seen=$(cd "$folder" && cargo run --quiet -- "${files[@]}")
echo "$seen"
[ "$seen" = "none: Ok, sender.example, 2 records
empty: Ok, sender.example, 2 records
note: Ok, sender.example, 0 records" ]
python3 - "${files[@]}" <<'PY'
import sys
import xml.etree.ElementTree as tree
for file in sys.argv[1:]:
    records = tree.parse(file).getroot().findall('{urn:ietf:params:xml:ns:dmarc-2.0}record')
    print('Python,', file.rsplit('/', 1)[1] + ':', len(records), 'records')
    assert len(records) == 2
PY
echo "as described: an extension with a child costs all records behind it"
