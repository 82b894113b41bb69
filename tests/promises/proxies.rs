//! Clients behind proxies: a real nginx, one that writes ports, and one that the settings do not trust.

use std::net::SocketAddr;
use std::process::Command;
use std::process::Stdio;

use reqwest::Client;
use reqwest::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::until;

async fn app_behind_loopback(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, |settings| {
        settings.signup.per_client = 1;
        settings.site.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    })
    .await
}

/// Signs up at `url` as a client with an address of its own, with more headers.
async fn sign_up_as(local: &str, url: &str, email: &str, headers: &[(&str, &str)]) -> StatusCode {
    let http = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .local_address(Some(local.parse().expect("an address")));
    let mut request = http
        .build()
        .expect("a client")
        .post(format!("{url}/subscribe"))
        .form(&[("email", email)]);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer").status()
}

/// A port that is free now.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port()
}

/// nginx as docs/operating.md sets it up; dropped, it is killed.
struct Nginx {
    child: std::process::Child,
    url: String,
    _dir: tempfile::TempDir,
}

impl Nginx {
    /// `None` where there is no nginx, which is said.
    async fn start(upstream: SocketAddr) -> Option<Self> {
        if Command::new("nginx")
            .arg("-v")
            .stderr(Stdio::null())
            .status()
            .is_err()
        {
            eprintln!("There is no nginx here: what it writes is not tried.");
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let port = free_port().await;
        let path = dir.path().display();
        let docs =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operating.md"))
                .expect("the page");
        let lines = crate::joining::between(&docs, "```nginx\n", "```")
            .replace("127.0.0.1:8080", &upstream.to_string());
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {path}/{name};\n"))
            .concat();
        let conf = format!(
            "daemon off;\nmaster_process off;\nerror_log stderr crit;\npid {path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temp}\
             server {{\nlisten 127.0.0.1:{port};\n{lines}\n}}\n}}\n"
        );
        std::fs::write(dir.path().join("nginx.conf"), conf).expect("written");
        let child = Command::new("nginx")
            .arg("-p")
            .arg(dir.path())
            .arg("-c")
            .arg(dir.path().join("nginx.conf"))
            .spawn()
            .expect("it starts");
        let nginx = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            _dir: dir,
        };
        until("nginx listens", async || {
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A proxy that names its client with the port, as load balancers do, in the header of that name; gives its address.
async fn proxy_that_writes_ports(upstream: SocketAddr, header: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut client, peer)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.contains(&b'\n') && client.read_buf(&mut request).await.unwrap_or(0) > 0
            {
            }
            let end = request
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(request.len(), |at| at + 1);
            let named = if header == "Forwarded" {
                format!("for=\"{peer}\";proto=https")
            } else {
                peer.to_string()
            };
            let line = format!("{header}: {named}\r\n");
            request.splice(end..end, line.into_bytes());
            let mut server = TcpStream::connect(upstream).await.expect("connected");
            server.write_all(&request).await.expect("written");
            tokio::spawn(
                async move { tokio::io::copy_bidirectional(&mut client, &mut server).await },
            );
        }
    });
    url
}

on_both! {
    async fn clients_behind_nginx_are_told_apart_and_cannot_make_others_up(test_db) {
        let test_app = app_behind_loopback(test_db).await;
        let Some(nginx) = Nginx::start(test_app.app.settings.site.listen).await else { return };
        assert_eq!(sign_up_as("127.0.0.2", &nginx.url, "ada@example.org", &[]).await, StatusCode::SEE_OTHER);
        assert_eq!(sign_up_as("127.0.0.3", &nginx.url, "bob@example.org", &[]).await, StatusCode::SEE_OTHER);
        for headers in [[("x-forwarded-for", "203.0.113.9")], [("x-forwarded-for", "203.0.113.9, 127.0.0.1")]] {
            assert_eq!(sign_up_as("127.0.0.2", &nginx.url, "eve@example.org", &headers).await, StatusCode::TOO_MANY_REQUESTS);
        }
        // nginx passes Forwarded on as its client wrote it: whoever does that shares the proxy's own allowance.
        let made_up = |n: u8| format!("for=198.51.100.{n}");
        assert_eq!(sign_up_as("127.0.0.2", &nginx.url, "eve@example.org", &[("forwarded", &made_up(1))]).await, StatusCode::SEE_OTHER);
        for n in 2..5 {
            let status = sign_up_as("127.0.0.2", &nginx.url, "eve@example.org", &[("forwarded", &made_up(n))]).await;
            assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{n}");
        }
    }

    async fn a_port_beside_the_address_makes_no_other_client(test_db) {
        let test_app = app_behind_loopback(test_db).await;
        for (n, header) in ["X-Forwarded-For", "Forwarded"].into_iter().enumerate() {
            let url = proxy_that_writes_ports(test_app.app.settings.site.listen, header).await;
            for client in 0..3 {
                let local = format!("127.0.{}.{}", n + 1, client + 2);
                let email = format!("reader{n}{client}@example.org");
                assert_eq!(sign_up_as(&local, &url, &email, &[]).await, StatusCode::SEE_OTHER, "{header} {local}");
                assert_eq!(sign_up_as(&local, &url, "eve@example.org", &[]).await, StatusCode::TOO_MANY_REQUESTS, "{header} {local}");
            }
        }
    }

    async fn a_proxy_that_the_settings_do_not_name_is_said_in_the_log_and_by_doctor(test_db) {
        let port = free_port().await;
        let program = Program::set_up(&test_db).with("VERDICTS_SITE__LISTEN", &format!("127.0.0.1:{port}"));
        let doctor = |program: &Program| {
            let said = program.run(&["--json", "doctor"]).json();
            let findings = said["findings"].as_array().expect("findings").clone();
            findings.into_iter().find(|finding| finding["what"] == "proxy").map(|finding| finding.to_string())
        };
        assert_eq!(doctor(&program), None, "nobody stands in front");
        let told = doctor(&program.clone().with("VERDICTS_SITE__BASE_URL", "https://news.example"));
        assert!(told.is_some_and(|words| words.contains("trusted_proxies")), "https without a proxy that is named");

        let url = format!("http://127.0.0.1:{port}");
        let serve = program.start("serve", &["serve", "--role", "web"]);
        until("it listens", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        for n in 0..4 {
            let forwarded = format!("203.0.113.{n}:4711");
            sign_up_as("127.0.0.1", &url, &format!("ada{n}@example.org"), &[("x-forwarded-for", &forwarded)]).await;
        }
        until("doctor says it", async || doctor(&program).is_some_and(|words| words.contains("127.0.0.1") && words.contains("advice"))).await;
        let log = std::fs::read_to_string(program.dir.join("serve.err")).expect("a log");
        assert_eq!(log.matches("requests come forwarded").count(), 1, "{log}");
        drop(serve);
        let mended = doctor(&program.clone().with("VERDICTS_SITE__TRUSTED_PROXIES", "127.0.0.1/32"));
        assert!(mended.is_some_and(|words| words.contains("good")), "once it is named");
    }
}
