#!/usr/bin/env bash
# lettre 0.11.23 takes an SMTP reply with one byte that is not UTF-8 for a broken connection, whatever its code says.
#
# RFC 5321 4.2 gives the text of a reply to people and its code to programs. Servers whose texts were translated, or that quote what a
# client sent, write Latin-1. lettre reads a reply by `read_line` into a String, so the code in front of such a text is lost: a mail
# that the server has just taken (250 after the final dot) is a network error with no status, neither permanent nor transient, and
# whoever tries again delivers it twice; a recipient who does not exist (550) is tried for ever.
#
# Seen: lettre 0.11.23, "stream did not contain valid UTF-8" for both. Needs cargo. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "reply"
version = "0.0.0"
edition = "2021"
[dependencies]
lettre = { version = "=0.11.23", default-features = false, features = ["smtp-transport", "builder"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use lettre::{SmtpTransport, Transport};

/// An SMTP server that takes mail and ends with the reply `last`.
fn server(last: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut lines = BufReader::new(stream.try_clone().expect("a clone")).lines();
        let mut is_text = false;
        stream.write_all(b"220 mx.example\r\n").expect("sent");
        while let Some(Ok(line)) = lines.next() {
            let reply: &[u8] = match () {
                () if is_text && line != "." => continue,
                () if is_text => {
                    is_text = false;
                    last
                }
                () if line == "DATA" => {
                    is_text = true;
                    b"354 go on\r\n"
                }
                () => b"250 ok\r\n",
            };
            if stream.write_all(reply).is_err() {
                return;
            }
        }
    });
    port
}

fn send(last: &'static [u8]) -> String {
    let mail = lettre::Message::builder()
        .from("a@sender.example".parse().expect("an address"))
        .to("b@reader.example".parse().expect("an address"))
        .body("Hello".to_owned())
        .expect("a mail");
    let transport = SmtpTransport::builder_dangerous("127.0.0.1").port(server(last)).build();
    match transport.send(&mail) {
        Ok(response) => format!("taken, code {}", response.code()),
        Err(error) => format!("error, status {:?}, permanent {}, transient {}, response {}: {error:?}",
            error.status().map(|code| code.to_string()), error.is_permanent(), error.is_transient(), error.is_response()),
    }
}

fn main() {
    println!("ASCII: {}", send(b"250 2.0.0 queued\r\n"));
    println!("Latin-1: {}", send(b"250 2.0.0 eingereiht f\xfcr Zustellung\r\n"));
    println!("Latin-1, refused: {}", send(b"550 5.1.1 unbekannter Empf\xe4nger\r\n"));
}
RUST
seen=$(cd "$folder" && cargo run --quiet)
echo "$seen"
grep -q '^ASCII: taken, code 250$' <<<"$seen"
for case in "Latin-1" "Latin-1, refused"; do
    grep -q "^$case: error, status None, permanent false, transient false, response false:.*valid UTF-8" <<<"$seen"
done
echo "as described: a reply in Latin-1 loses its code"
