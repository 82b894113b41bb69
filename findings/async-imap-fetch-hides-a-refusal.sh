#!/usr/bin/env bash
# async-imap 0.12.0: a FETCH that the server refuses ends like one that found nothing more.
#
# `fetch` and `uid_fetch` give a stream of mails that ends at the tagged answer, and nobody looks what that answer is. "NO" (the server
# could not hand out all that was asked for), "BAD" and "* BYE" with the end of the connection are no item of the stream and no
# error: after `None` the caller knows as much as after "OK". Who marks all up to the highest UID as done loses the mails that did not
# come; who reads an empty stream as an empty mailbox is told so by a server that is out of order. Other commands, SELECT among them, do
# give an error for NO. Compare the UIDs that came with those of a SEARCH, and take no end of a stream for a success.
#
# Seen: two mails and the end of the stream, without an error, for OK, NO, BAD and BYE alike; SELECT answered by NO is an error.
# Needs cargo; half a minute to a minute. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "refusal"
version = "0.0.0"
edition = "2021"
[dependencies]
async-imap = { version = "=0.12.0", default-features = false, features = ["runtime-tokio"] }
futures-util = { version = "=0.3.34", default-features = false, features = ["std"] }
tokio = { version = "=1.54.1", features = ["rt-multi-thread", "macros", "net"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use futures_util::StreamExt;

/// An IMAP server that answers one command, `UID FETCH` or `SELECT`, by `last` in place of OK.
fn server(command: &'static str, last: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let lines = BufReader::new(stream.try_clone().expect("a clone")).lines();
        stream.write_all(b"* OK IMAP4rev1\r\n").expect("sent");
        for line in lines.map_while(Result::ok) {
            let (tag, asked) = line.split_once(' ').expect("a tag");
            if asked.starts_with("UID FETCH") {
                stream.write_all(b"* 1 FETCH (UID 1 FLAGS ())\r\n* 2 FETCH (UID 2 FLAGS ())\r\n").expect("sent");
            }
            let answer = if asked.starts_with(command) { last } else { "TAG OK done" };
            stream.write_all((answer.replace("TAG", tag) + "\r\n").as_bytes()).expect("sent");
            if answer.starts_with("* BYE") {
                return;
            }
        }
    });
    address
}

async fn session(address: SocketAddr) -> async_imap::Session<tokio::net::TcpStream> {
    let mut client = async_imap::Client::new(tokio::net::TcpStream::connect(address).await.expect("connected"));
    client.read_response().await.expect("a greeting");
    client.login("news", "password").await.map_err(|(error, _)| error).expect("signed in")
}

#[tokio::main]
async fn main() {
    for last in ["TAG OK done", "TAG NO some mails could not be read", "TAG BAD not now", "* BYE shutting down"] {
        let mut session = session(server("UID FETCH", last)).await;
        session.select("INBOX").await.expect("selected");
        let mails: Vec<_> = session.uid_fetch("1:*", "(UID FLAGS)").await.expect("asked").collect().await;
        let errors = mails.iter().filter(|mail| mail.is_err()).count();
        println!("UID FETCH, {last}: {} mails, {errors} errors", mails.len() - errors);
    }
    let selected = session(server("SELECT", "TAG NO not now")).await.select("INBOX").await;
    println!("SELECT, TAG NO not now: {}", if selected.is_err() { "an error" } else { "no error" });
}
RUST
seen=$(cd "$folder" && cargo run --quiet)
echo "$seen"
[ "$seen" = "UID FETCH, TAG OK done: 2 mails, 0 errors
UID FETCH, TAG NO some mails could not be read: 2 mails, 0 errors
UID FETCH, TAG BAD not now: 2 mails, 0 errors
UID FETCH, * BYE shutting down: 2 mails, 0 errors
SELECT, TAG NO not now: an error" ]
echo "as described: the end of the mails does not say how the FETCH ended"
