#!/usr/bin/env bash
# sqlx 0.9.0, PostgreSQL: a `begin()` that is dropped before its answer leaves the pooled connection inside a transaction.
#
# A request that its client gives up, a `select!` or a `timeout` drops a future at any await. `Pool::begin` counts its transaction only
# when the answer to BEGIN has come; dropped before that, it sends no ROLLBACK, and the connection goes back into the pool as a good one.
# Whoever takes it next is inside the transaction without knowing: `execute` says "1 row", the row can be read back on that connection, and
# it is gone when the connection closes. Run `begin` to its end on a task of its own, or let the pool check each connection.
#
# Seen: an `insert` through the pool answers 1 row, another connection counts 0 rows, before and after the pool is closed; the server names
# the connection "idle in transaction". Needs cargo and PostgreSQL's server programs (15 here); one to two minutes. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); server=()
stop() {
    "${server[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
bin=$(find /usr/lib/postgresql/*/bin -name initdb -printf '%h\n' 2>/dev/null | sort -V | tail -1)
[ -n "$bin" ] || { echo "skipped: no server programs of PostgreSQL"; exit 0; }
trap stop EXIT
# The server refuses to run as root.
if [ "$(id -u)" = 0 ]; then server=(setpriv --reuid=nobody --regid=nogroup --clear-groups); chown nobody "$folder"; fi
mkdir -p "$folder/src" "$folder/run"
[ "$(id -u)" != 0 ] || chown nobody "$folder/run"
(
    cd "$folder"
    "${server[@]}" "$bin/initdb" -D "$folder/data" -U reader -A trust -N >/dev/null
    "${server[@]}" "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/run/log" \
        -o "-c listen_addresses= -c unix_socket_directories=$folder/run" start >/dev/null
)
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "begin"
version = "0.0.0"
edition = "2021"
[dependencies]
sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "postgres"] }
tokio = { version = "=1.54.1", features = ["rt", "macros", "time"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::future::{poll_fn, Future};
use std::task::Poll;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

async fn pool(socket: &str) -> PgPool {
    let options = PgConnectOptions::new_without_pgpass().socket(socket).username("reader").database("postgres");
    PgPoolOptions::new().max_connections(1).connect_with(options).await.expect("a pool")
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a number")
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let socket = std::env::args().nth(1).expect("a socket");
    let (dropped, other) = (pool(&socket).await, pool(&socket).await);
    sqlx::query("create table mails (id bigint)").execute(&other).await.expect("a table");
    let count = "select count(*) from mails";
    let open = "select count(*) from pg_stat_activity where state = 'idle in transaction'";

    // Dropped after one to six steps, until it was dropped between the BEGIN and its answer.
    let mut is_open = false;
    for attempt in 0..600 {
        let mut begin = Box::pin(dropped.begin());
        for _ in 0..=attempt % 6 {
            if poll_fn(|context| Poll::Ready(begin.as_mut().poll(context).is_ready())).await {
                break;
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        drop(begin);
        // By its own next query the connection is back in the pool, and the server has done all that it was sent.
        is_open = number(&dropped, "select 1::bigint").await == number(&other, open).await;
        if is_open {
            break;
        }
    }
    assert!(is_open, "600 times not dropped in between, or closed");
    let insert = sqlx::query("insert into mails values (1)").execute(&dropped).await.expect("inserted");
    println!("insert: {} row, own count {}", insert.rows_affected(), number(&dropped, count).await);
    println!("idle in transaction: {}, another connection counts {}", number(&other, open).await, number(&other, count).await);
    dropped.close().await;
    println!("after the pool is closed: {}", number(&other, count).await);
}
RUST
seen=$(cd "$folder" && cargo run --quiet -- "$folder/run")
echo "$seen"
[ "$seen" = "insert: 1 row, own count 1
idle in transaction: 1, another connection counts 0
after the pool is closed: 0" ]
echo "as described: the connection stayed inside the transaction that nobody holds"
