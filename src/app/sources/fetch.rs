//! One request for a source: with what is known of the last answer, through redirects, within bounds.

use std::time::Duration;

use chrono::DateTime;
use chrono::TimeDelta;
use hyper::HeaderMap;
use hyper::Request;
use url::Url;

use crate::domain::Timestamp;
use crate::outside::ClientLimits;
use crate::outside::HttpClient;
use crate::outside::guard::Guard;
use crate::outside::guard::PrivateHosts;

/// Largest answer that is read.
const ANSWER_MAX: usize = 8 << 20;
const TIMEOUT: Duration = Duration::from_secs(20);
/// Redirects that are followed, each asked for by the same rules.
const REDIRECTS_MAX: usize = 3;
/// Characters of a server's answer that a reason quotes.
const QUOTED_MAX: usize = 120;

/// Validators of the last answer (RFC 9110, 8.8).
#[derive(Debug, Clone, Default)]
pub(super) struct Validators {
    pub(super) etag: Option<String>,
    pub(super) modified: Option<String>,
}

/// An answer with something in it.
#[derive(Debug)]
pub(super) struct FetchedSource {
    /// Address that answered.
    pub(super) url: Url,
    /// Address that the source has for good now.
    pub(super) moved: Option<Url>,
    /// Type, in lower case, with its parameters.
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
    pub(super) validators: Validators,
}

#[derive(Debug)]
pub(super) enum SourceAnswer {
    /// As it was (304).
    Unchanged,
    Read(Box<FetchedSource>),
}

/// Reason why there is nothing to read.
#[derive(Debug)]
pub(super) struct LookFault {
    pub(super) said: String,
    /// Time for which the server does not want to be asked.
    pub(super) retry_after: Option<TimeDelta>,
}

impl From<String> for LookFault {
    fn from(said: String) -> Self {
        Self {
            said,
            retry_after: None,
        }
    }
}

/// A client that may ask public hosts by https, and those that the settings list.
pub(super) fn client(allow_private: &[String]) -> Result<HttpClient, String> {
    let hosts = PrivateHosts::parse(allow_private).map_err(|text| {
        format!("sources.allow_private: {text:?} is no host, address or network")
    })?;
    let limits = ClientLimits {
        timeout: TIMEOUT,
        answer_max: ANSWER_MAX,
        is_cut: false,
    };
    HttpClient::with(Guard::Listed(hosts), None, limits, "verdicts")
}

/// Asks for an address.
pub(super) async fn fetch(
    client: &HttpClient,
    url: &Url,
    known: &Validators,
    accept: &str,
    now: Timestamp,
) -> Result<SourceAnswer, LookFault> {
    let (mut at, mut moved, mut is_permanent) = (url.clone(), None, true);
    for _ in 0..=REDIRECTS_MAX {
        let mut request = Request::get(at.as_str())
            .header("accept", accept)
            .header("accept-encoding", "identity");
        if let Some(etag) = &known.etag {
            request = request.header("if-none-match", etag);
        }
        if let Some(modified) = &known.modified {
            request = request.header("if-modified-since", modified);
        }
        let request = request
            .body(Vec::new())
            .map_err(|error| format!("The address cannot be asked for: {error}."))?;
        let answer = client
            .send(request)
            .await
            .map_err(|error| unreachable(&at, &error.0))?;
        let (parts, body) = answer.into_parts();
        match parts.status.as_u16() {
            200 => {
                let encoding = header(&parts.headers, "content-encoding");
                if !matches!(encoding.as_str(), "" | "identity") {
                    return Err(format!(
                        "The answer is compressed ({encoding}), which was not asked for."
                    )
                    .into());
                }
                let validators = Validators {
                    etag: Some(header(&parts.headers, "etag")).filter(|it| !it.is_empty()),
                    modified: Some(header(&parts.headers, "last-modified"))
                        .filter(|it| !it.is_empty()),
                };
                return Ok(SourceAnswer::Read(Box::new(FetchedSource {
                    url: at,
                    moved,
                    content_type: header(&parts.headers, "content-type").to_ascii_lowercase(),
                    body,
                    validators,
                })));
            }
            304 => return Ok(SourceAnswer::Unchanged),
            status @ (301 | 302 | 303 | 307 | 308) => {
                let place = header(&parts.headers, "location");
                let next = at.join(&place).ok().filter(|_| !place.is_empty());
                let next = next
                    .ok_or_else(|| format!("The answer is {status}, without a place to go to."))?;
                is_permanent &= matches!(status, 301 | 308);
                at = next;
                moved = is_permanent.then(|| at.clone()).or(moved);
            }
            _ => return Err(refused(parts.status, &parts.headers, &body, now)),
        }
    }
    Err(format!(
        "More than {REDIRECTS_MAX} redirects; the last leads to {}.",
        shown(&at)
    )
    .into())
}

fn unreachable(url: &Url, error: &str) -> LookFault {
    let said = match error {
        error if error.contains("length limit") => {
            format!("The answer is larger than {} MiB.", ANSWER_MAX >> 20)
        }
        error if error.contains("private address") => format!(
            "{} is at a private address. Name it in sources.allow_private if that is meant.",
            shown(url)
        ),
        error if error.contains("only https") || error.contains("by https alone") => {
            format!("{} is asked by https alone.", shown(url))
        }
        error => format!("{} cannot be reached: {error}.", shown(url)),
    };
    said.into()
}

/// An address without what may be secret in it.
fn shown(url: &Url) -> String {
    format!("{}{}", url.host_str().unwrap_or_default(), url.path())
}

fn refused(
    status: hyper::StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> LookFault {
    let text = String::from_utf8_lossy(&body[..body.len().min(4_096)]);
    let words = crate::content::plain::line(&text);
    let words: String = words.chars().take(QUOTED_MAX).collect();
    let said = match words.as_str() {
        "" => format!("The answer is {status}."),
        words => format!("The answer is {status}: \"{words}\"."),
    };
    LookFault {
        said,
        retry_after: retry_after(&header(headers, "retry-after"), now),
    }
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<TimeDelta> {
    let text = text.trim();
    let date = || {
        let at = DateTime::parse_from_rfc2822(text).ok()?;
        Some(at.to_utc() - now)
    };
    let asked = text
        .parse::<u32>()
        .map(|seconds| TimeDelta::seconds(seconds.into()))
        .ok()
        .or_else(date)?;
    (asked > TimeDelta::zero()).then_some(asked)
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim().to_owned()
}

impl FetchedSource {
    /// The type without its parameters.
    pub(super) fn mime(&self) -> &str {
        self.content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
    }

    /// The body as text, by the charset that the server, a byte order mark or the page names.
    pub(super) fn text(&self) -> String {
        let of_header = self.content_type.split_once("charset=").map(|(_, rest)| {
            rest.trim_matches(['"', ' '])
                .split(';')
                .next()
                .unwrap_or_default()
        });
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(1_024)]);
        let of_page = start.split_once("charset=").map(|(_, rest)| {
            let rest = rest.trim_start_matches(['"', '\'']);
            rest.split(['"', '\'', '>', '/', ' ', ';'])
                .next()
                .unwrap_or_default()
        });
        let label = of_header.or(of_page).unwrap_or("utf-8");
        let encoding =
            encoding_rs::Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::UTF_8);
        encoding.decode(&self.body).0.into_owned()
    }
}
