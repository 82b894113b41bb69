//! Floor 3: the one HTTP client: keys of webhook providers, and providers with whom users of the desk sign in. No redirects, no
//! cookies, no proxies, small answers in a bounded time; and where it may ask is decided in one place ([`guard`]).

mod client;
pub mod guard;

pub use client::HttpClient;
pub use client::HttpError;
pub use client::fetch;
