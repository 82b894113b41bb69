//! `health`: asks a running service for its state, for container engines and scripts.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::process::ExitCode;

use serde_json::Value;
use serde_json::json;
use url::Url;

use super::output::Output;
use crate::app::Failure;
use crate::outside::HttpClient;
use crate::outside::guard::NamedHost;

/// Arguments of `health`.
#[derive(Debug, clap::Args)]
pub struct HealthArguments {
    /// Address to ask [default: /readyz where site.listen says that this service listens]
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
}

impl HealthArguments {
    /// Asks, and fails unless the answer is that the service is ready; degraded is ready, too.
    pub(super) async fn run(self, listen: SocketAddr, output: Output) -> Result<ExitCode, Failure> {
        let url = self
            .url
            .map_or_else(|| readiness_of(listen), |url| url.to_string());
        let unavailable = |why: &dyn std::fmt::Display| {
            Failure::unavailable(format!("The service at {url} is not ready: {why}."))
        };
        let host = Url::parse(&url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned));
        let client = HttpClient::new(NamedHost(host), None).map_err(|error| unavailable(&error))?;
        let request = http_get(&url).map_err(|error| unavailable(&error))?;
        let answer = client
            .send(request)
            .await
            .map_err(|error| unavailable(&error))?;
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if !answer.status().is_success() {
            let why = body["error"].as_str().map_or_else(
                || format!("it answers {}", answer.status()),
                |why| why.trim_end_matches('.').to_owned(),
            );
            return Err(unavailable(&why));
        }
        let status = body["status"].as_str().unwrap_or("up").to_owned();
        output.print(&json!({ "status": status, "url": url }), || {
            format!("{status}\n")
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns where a service that listens there is asked on this machine.
fn readiness_of(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}/readyz", SocketAddr::new(ip, listen.port()))
}

fn http_get(url: &str) -> Result<hyper::Request<Vec<u8>>, hyper::http::Error> {
    hyper::Request::get(url).body(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_listens_everywhere_is_asked_here() {
        for (listen, url) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080/readyz"),
            ("0.0.0.0:80", "http://127.0.0.1:80/readyz"),
            ("[::]:8080", "http://[::1]:8080/readyz"),
            ("10.0.0.7:9000", "http://10.0.0.7:9000/readyz"),
        ] {
            assert_eq!(readiness_of(listen.parse().expect("an address")), url);
        }
    }
}
