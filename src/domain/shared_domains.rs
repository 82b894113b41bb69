//! Domains at which anybody gets a mailbox.

/// The table: one name a line.
const DOMAINS: &str = include_str!("shared_domains.txt");

/// Returns whether anybody gets a mailbox at a domain: two addresses there have nothing to do with each other.
pub fn is_shared(domain: &str) -> bool {
    let domain = domain.to_ascii_lowercase();
    let names = DOMAINS
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    names
        .into_iter()
        .any(|name| domain == name || name.ends_with('.') && domain.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::is_shared;

    #[test]
    fn webmail_providers_are_shared_and_companies_are_not() {
        for domain in [
            "gmail.com",
            "GMX.de",
            "yahoo.co.uk",
            "outlook.com",
            "icloud.com",
        ] {
            assert!(is_shared(domain), "{domain}");
        }
        for domain in [
            "potters.example",
            "notgmail.com",
            "gmail.com.potters.example",
            "",
            "#",
        ] {
            assert!(!is_shared(domain), "{domain}");
        }
    }
}
