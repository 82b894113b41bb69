#!/usr/bin/env bash
# lettre 0.11.23: `PoolConfig::max_size(2)` does not stop twelve threads from holding twelve connections.
#
# The documentation calls it the "maximum number of pooled connections". It limits the connections that wait in the pool for their next
# mail; one that is in use is not in the pool, and where none waits a new one is opened. A relay that allows two or ten connections of a
# client refuses the rest (421, or no greeting at all), and what is over comes back as an error of each mail. Whoever needs a limit has to
# hold a semaphore around `send`.
#
# Seen: 12 threads, 12 connections open at once with max_size 2. Needs cargo; ten seconds. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "pool"
version = "0.0.0"
edition = "2021"
[dependencies]
lettre = { version = "=0.11.23", default-features = false, features = ["smtp-transport", "builder", "pool"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use lettre::transport::smtp::PoolConfig;
use lettre::{Message, SmtpTransport, Transport};

const THREADS: usize = 12;

/// How many connections were opened, and a bell for each.
type Opened = Arc<(Mutex<usize>, Condvar)>;

/// Takes a mail; answers its last line only when all threads have a connection, or after three seconds in which one had to wait.
fn serve(mut stream: TcpStream, opened: Opened) -> std::io::Result<()> {
    *opened.0.lock().expect("unharmed") += 1;
    opened.1.notify_all();
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut is_text = false;
    stream.write_all(b"220 mx.example\r\n")?;
    while let Some(Ok(line)) = lines.next() {
        let reply: &[u8] = match () {
            () if is_text && line != "." => continue,
            () if is_text => {
                is_text = false;
                let count = opened.0.lock().expect("unharmed");
                drop(opened.1.wait_timeout_while(count, Duration::from_secs(3), |count| *count < THREADS));
                b"250 taken\r\n"
            }
            () if line == "DATA" => {
                is_text = true;
                b"354 go on\r\n"
            }
            () => b"250 ok\r\n",
        };
        stream.write_all(reply)?;
    }
    Ok(())
}

fn main() {
    let opened = Opened::default();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let counted = opened.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, counted) = (stream.expect("a client"), counted.clone());
            std::thread::spawn(move || serve(stream, counted));
        }
    });
    let mail = Message::builder()
        .from("a@sender.example".parse().expect("an address"))
        .to("b@reader.example".parse().expect("an address"))
        .body("Hello".to_owned())
        .expect("a mail");
    let pool = PoolConfig::new().max_size(2);
    let transport = SmtpTransport::builder_dangerous("127.0.0.1").port(port).pool_config(pool).build();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| transport.send(&mail).expect("taken"));
        }
    });
    println!("max_size 2, {THREADS} threads: {} connections", opened.0.lock().expect("unharmed"));
}
RUST
seen=$(cd "$folder" && cargo run --quiet)
echo "$seen"
[ "$seen" = "max_size 2, 12 threads: 12 connections" ]
echo "as described: the pool's size limits only the connections that wait"
