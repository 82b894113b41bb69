#!/usr/bin/env bash
# mail-parser 0.11.9 takes a quoted local part for the display name, and leaves "@domain" as the address.
#
# RFC 5322 3.4.1 allows `"first last"@domain`, and comments and spaces beside the local part, in any address field; addresses that old
# X.400 and Notes gateways make look like that. Without angle brackets mail-parser gives the quoted string as the name and what follows
# as the address. Nothing is reported: the field parses, it has one address, and it is not one that can be answered. With angle
# brackets the same address comes out whole, with its quotes. Python's parser, beside it, finds the address in each case.
#
# Seen: name "ann lee", address "@reader.example". Needs cargo and python3; half a minute. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "name"
version = "0.0.0"
edition = "2021"
[dependencies]
mail-parser = "=0.11.9"
TOML
cat > "$folder/src/main.rs" <<'RUST'
use mail_parser::MessageParser;

fn main() {
    for field in std::env::args().skip(1) {
        let mail = format!("From: {field}\r\nSubject: Hello\r\n\r\nHello\r\n");
        let mail = MessageParser::default().parse(mail.as_bytes()).expect("a mail");
        let from = mail.from().and_then(|from| from.first()).expect("an address");
        println!("{field}: name {:?}, address {:?}", from.name(), from.address());
    }
}
RUST
fields=('ann.lee@reader.example' '"ann lee"@reader.example' 'ann (Lee) @reader.example' '<"ann lee"@reader.example>')
seen=$(cd "$folder" && cargo run --quiet -- "${fields[@]}")
echo "$seen"
[ "$seen" = 'ann.lee@reader.example: name None, address Some("ann.lee@reader.example")
"ann lee"@reader.example: name Some("ann lee"), address Some("@reader.example")
ann (Lee) @reader.example: name Some("ann (Lee)"), address Some("@reader.example")
<"ann lee"@reader.example>: name None, address Some("\"ann lee\"@reader.example")' ]
python3 - "${fields[@]}" <<'PY'
import email.utils
import sys
for field in sys.argv[1:]:
    address = email.utils.parseaddr(field)[1]
    print("Python, " + field + ": " + address)
    assert address in ('ann.lee@reader.example', '"ann lee"@reader.example', 'ann@reader.example')
PY
echo "as described: outside angle brackets a quoted local part becomes the name"
