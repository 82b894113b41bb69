//! Floor 3: the one HTTP client: keys of webhook providers, providers with whom users of the desk sign in, and webhook endpoints, whose
//! requests are signed here ([`standard_webhooks`]). No redirects, no cookies, no proxies, small answers in a bounded time; and where it
//! may ask is decided in one place ([`guard`]).

mod client;
pub mod guard;
pub mod standard_webhooks;

pub use client::ClientLimits;
pub use client::HttpClient;
pub use client::HttpError;
pub use client::fetch;
