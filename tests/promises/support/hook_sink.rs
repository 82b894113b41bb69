//! A program that takes webhooks: answers as its script says, and keeps what came.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Answer to a request.
#[derive(Debug, Clone)]
pub enum HookAnswer {
    /// A status, with lines of the head, and a body.
    Status(u16, &'static str, String),
    /// Nothing, on a line that stays open.
    Silence,
    /// The line is reset.
    Reset,
    /// 204, once the test gives a permit.
    Held(Arc<Semaphore>),
}

/// A request that waits for its answer. It ends before the answer goes out: the next request may come at once.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// An answer without a body.
pub fn status(code: u16) -> HookAnswer {
    HookAnswer::Status(code, "", String::new())
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Hooked {
    pub head: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Hooked {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn kind(&self) -> String {
        self.json()["type"].as_str().expect("a type").to_owned()
    }
}

type HookScript = dyn Fn(usize, &Hooked) -> HookAnswer + Send + Sync;

/// The sink. Dropped, it stops.
pub struct HookSink {
    pub url: String,
    pub connections: Arc<AtomicUsize>,
    /// Requests under way at once, at most so far.
    pub at_once: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<Hooked>>>,
    script: Arc<Mutex<Arc<HookScript>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for HookSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HookSink {
    /// A sink that takes everything.
    pub async fn start() -> Self {
        Self::at("127.0.0.1").await
    }

    /// The same at another address of this machine.
    pub async fn at(ip: &str) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let received: Arc<Mutex<Vec<Hooked>>> = Arc::default();
        let everything: Arc<HookScript> = Arc::new(|_, _| status(204));
        let script = Arc::new(Mutex::new(everything));
        let (connections, at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let under_way = Arc::new(AtomicUsize::new(0));
        let kept = (
            received.clone(),
            script.clone(),
            connections.clone(),
            at_once.clone(),
        );
        let task = tokio::spawn(async move {
            let (received, script, connections, at_once) = kept;
            while let Ok((line, _)) = listener.accept().await {
                connections.fetch_add(1, SeqCst);
                let (received, script) = (received.clone(), script.clone());
                let (under_way, at_once) = (under_way.clone(), at_once.clone());
                tokio::spawn(async move {
                    at_once.fetch_max(under_way.fetch_add(1, SeqCst) + 1, SeqCst);
                    let _ = serve(line, UnderWay(under_way), &received, &script).await;
                });
            }
        });
        Self {
            url: format!("http://{ip}:{port}/hook"),
            connections,
            at_once,
            received,
            script,
            task,
        }
    }

    /// Answers as `script` says: by the number of the request, from 0, and the request.
    pub fn answer(&self, script: impl Fn(usize, &Hooked) -> HookAnswer + Send + Sync + 'static) {
        *self.script.lock().expect("no panic") = Arc::new(script);
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Hooked> {
        self.received.lock().expect("no panic").clone()
    }

    /// Forgets what came, and gives it.
    pub fn take(&self) -> Vec<Hooked> {
        std::mem::take(&mut *self.received.lock().expect("no panic"))
    }

    pub fn kinds(&self) -> Vec<String> {
        self.received().iter().map(Hooked::kind).collect()
    }
}

async fn serve(
    mut line: TcpStream,
    under_way: UnderWay,
    received: &Mutex<Vec<Hooked>>,
    script: &Mutex<Arc<HookScript>>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
        if line.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let headers: HashMap<String, String> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(0, |text| text.parse().expect("a length"));
    while bytes.len() < end + length {
        if line.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
    let hooked = Hooked {
        head,
        headers,
        body: bytes[end..end + length].to_vec(),
    };
    let script = script.lock().expect("no panic").clone();
    let answer = {
        let mut received = received.lock().expect("no panic");
        let answer = script(received.len(), &hooked);
        received.push(hooked);
        answer
    };
    let answer = match answer {
        HookAnswer::Held(gate) => {
            gate.acquire().await.expect("open").forget();
            status(204)
        }
        answer => answer,
    };
    match answer {
        HookAnswer::Held(_) => Ok(()),
        HookAnswer::Status(code, lines, body) => {
            drop(under_way);
            let head = format!(
                "HTTP/1.1 {code} X\r\ncontent-length: {}\r\nconnection: close\r\n{lines}\r\n",
                body.len()
            );
            line.write_all(head.as_bytes()).await?;
            line.write_all(body.as_bytes()).await?;
            line.shutdown().await
        }
        HookAnswer::Silence => {
            // Until the other side hangs up.
            while line.read_buf(&mut bytes).await? > 0 {}
            Ok(())
        }
        HookAnswer::Reset => {
            line.set_zero_linger()?;
            Ok(())
        }
    }
}
