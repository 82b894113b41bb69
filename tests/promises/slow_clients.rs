//! Clients that ask and do not read, or never finish asking: others get in all the same.

use std::time::Duration;
use std::time::Instant;

use reqwest::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;

use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;

/// Connections of one client: more than it may have.
const MANY: usize = 260;

/// Raises this process's limit on open files where it is low: both ends of all connections lie in it.
fn many_files() {
    let id = std::process::id().to_string();
    let _ = std::process::Command::new("prlimit")
        .args(["--pid", &id, "--nofile=16384:"])
        .status();
}

/// A connection from a loopback address of its own with little room for what comes.
async fn connect_from(test_app: &TestApp, local: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("set");
    socket
        .bind(format!("{local}:0").parse().expect("an address"))
        .expect("bound");
    socket
        .connect(test_app.app.settings.site.listen)
        .await
        .expect("connected")
}

/// Asks for the page that often, and reads none of the answers.
async fn ask_without_reading(test_app: &TestApp, local: &str, times: usize) -> TcpStream {
    let mut stream = connect_from(test_app, local).await;
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(times);
    stream.write_all(request.as_bytes()).await.expect("written");
    stream
}

async fn is_answered(test_app: &TestApp) {
    let answer = tokio::time::timeout(Duration::from_secs(20), test_app.get("/healthz")).await;
    assert_eq!(answer.expect("it gets in").status(), StatusCode::OK);
}

async fn test_app(test_db: TestDb) -> TestApp {
    many_files();
    let test_app = TestApp::open(test_db).await;
    test_app.stock_small().await;
    test_app
}

on_both! {
    async fn one_client_that_never_reads_shuts_out_nobody_not_even_itself(test_db) {
        let test_app = test_app(test_db).await;
        let mut open = Vec::new();
        for _ in 0..MANY {
            open.push(ask_without_reading(&test_app, "127.0.0.1", 5).await);
        }
        is_answered(&test_app).await;
        drop(open);
    }

    async fn who_sends_a_header_drop_by_drop_shuts_out_nobody(test_db) {
        let test_app = test_app(test_db).await;
        let mut open = Vec::new();
        for _ in 0..MANY {
            let mut stream = connect_from(&test_app, "127.0.0.1").await;
            stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.expect("written");
            open.push(stream);
        }
        let drip = tokio::spawn(async move {
            loop {
                for stream in &mut open {
                    // One that made room for somebody is closed.
                    let _ = stream.write_all(b"x").await;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        is_answered(&test_app).await;
        drip.abort();
    }

    async fn a_crowd_of_clients_that_take_all_places_makes_room_for_one_more(test_db) {
        let test_app = test_app(test_db).await;
        let mut open = Vec::new();
        for client in 2..9 {
            for _ in 0..150 {
                open.push(ask_without_reading(&test_app, &format!("127.0.0.{client}"), 20).await);
            }
        }
        is_answered(&test_app).await;
        drop(open);
    }

    async fn an_answer_that_nobody_takes_ends_its_connection(test_db) {
        let test_app = test_app(test_db).await;
        let mut stream = connect_from(&test_app, "127.0.0.1").await;
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(5_000);
        let began = Instant::now();
        // Written until the other side's buffers are full too; then it waits, and ends with the connection.
        let ended = tokio::time::timeout(Duration::from_secs(60), async {
            while stream.write_all(request.as_bytes()).await.is_ok() {}
        });
        assert!(ended.await.is_ok(), "still open after {:?}", began.elapsed());
        is_answered(&test_app).await;
    }
}
