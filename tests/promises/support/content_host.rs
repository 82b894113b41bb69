//! A small HTTP server with content for sources: each path answers as the test says, and remembers what it was asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

/// Answer at a path.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn of(kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".into(), kind.into())],
            body: body.into(),
        }
    }

    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

#[derive(Debug, Default)]
struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    /// Path and fields of each request, in lower case.
    asked: Mutex<Vec<(String, String)>>,
    at_once: AtomicUsize,
    at_once_max: AtomicUsize,
}

/// The server.
#[derive(Debug, Clone)]
pub struct ContentHost {
    pub url: String,
    shared: Arc<Shared>,
}

impl ContentHost {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared::default());
        let kept = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = kept.clone();
                tokio::spawn(async move {
                    let _ = serve(stream, &shared).await;
                });
            }
        });
        Self { url, shared }
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn set(&self, path: &str, answer: Answer) {
        let mut answers = self.shared.answers.lock().expect("unharmed");
        answers.insert(path.to_owned(), answer);
    }

    /// Requests for a path, each with its fields.
    pub fn asked(&self, path: &str) -> Vec<String> {
        let asked = self.shared.asked.lock().expect("unharmed");
        asked
            .iter()
            .filter(|(known, _)| known == path)
            .map(|(_, fields)| fields.clone())
            .collect()
    }

    /// Most requests that were under way at one time.
    pub fn at_once(&self) -> usize {
        self.shared.at_once_max.load(SeqCst)
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let (mut head, mut part) = (Vec::new(), [0; 1_024]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part).await? {
            0 => return Ok(()),
            read => head.extend_from_slice(&part[..read]),
        }
    }
    let now = shared.at_once.fetch_add(1, SeqCst) + 1;
    shared.at_once_max.fetch_max(now, SeqCst);
    let text = String::from_utf8_lossy(&head).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let fields = text.to_lowercase();
    shared
        .asked
        .lock()
        .expect("unharmed")
        .push((path.clone(), fields.clone()));
    let known = shared.answers.lock().expect("unharmed").get(&path).cloned();
    let mut answer = known.unwrap_or_else(|| Answer::status(404));
    let etag = answer.headers.iter().find(|(name, _)| name == "etag");
    if etag.is_some_and(|(_, etag)| {
        fields.contains(&format!("if-none-match: {}", etag.to_lowercase()))
    }) {
        answer = Answer::status(304);
    }
    // Long enough that two requests at once would be seen.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut out = format!(
        "HTTP/1.1 {} X\r\ncontent-length: {}\r\nconnection: close\r\n",
        answer.status,
        answer.body.len()
    );
    for (name, value) in &answer.headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    stream.write_all(out.as_bytes()).await?;
    shared.at_once.fetch_sub(1, SeqCst);
    stream.write_all(&answer.body).await?;
    stream.shutdown().await
}
