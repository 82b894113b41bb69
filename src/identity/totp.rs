//! Codes of an authenticator app (RFC 6238): SHA-1, six digits, 30 seconds, the only form that all apps read.

use qrcode::EcLevel;
use qrcode::QrCode;
use qrcode::render::svg;
use totp_rs::Builder;
use totp_rs::Secret;
use totp_rs::Totp;

use crate::domain::Timestamp;

/// Bytes of a key (RFC 4226, 4: 160 bits are recommended).
pub const KEY: usize = 20;

/// The key that an app and this service share.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpKey([u8; KEY]);

impl TotpKey {
    /// Takes the key's bytes.
    pub const fn new(bytes: [u8; KEY]) -> Self {
        Self(bytes)
    }

    /// The step of a code, if it is right now, or one step earlier or later. Spaces in it do not count, for apps show two groups.
    ///
    /// The caller keeps the step, and refuses it and those before it from then on (RFC 6238, 5.2).
    pub fn step_of(&self, typed: &str, now: Timestamp) -> Option<i64> {
        let code: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
        if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let now = u64::try_from(now.timestamp()).ok()?;
        let step = self.totp()?.check(&code, now)?;
        i64::try_from(step).ok()
    }

    fn totp(&self) -> Option<Totp> {
        Builder::new()
            .with_secret(Secret::new_stack(self.0))
            .with_skew(1)
            .build()
            .ok()
    }

    /// The key for typing it into an app: base32 in groups of four.
    pub fn in_groups(&self) -> String {
        let text = self.base32();
        let groups: Vec<&str> = text
            .as_bytes()
            .chunks(4)
            .filter_map(|group| std::str::from_utf8(group).ok())
            .collect();
        groups.join(" ")
    }

    fn base32(&self) -> String {
        data_encoding::BASE32_NOPAD.encode(&self.0)
    }

    /// The address that an app reads from the picture. Apps take `:` for the end of the issuer, and a `+` for itself, so that neither
    /// stands in a name.
    pub fn url(&self, issuer: &str, account: &str) -> String {
        let plain = |text: &str| encoded(&text.replace(':', " "));
        let (issuer, account) = (plain(issuer), plain(account));
        format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
            self.base32()
        )
    }

    /// The picture of that address, dark on light whatever the page's colours are, for many apps read no other. `None` where the
    /// address is too long for one.
    pub fn qr_svg(&self, issuer: &str, account: &str) -> Option<String> {
        let code =
            QrCode::with_error_correction_level(self.url(issuer, account).as_bytes(), EcLevel::M)
                .ok()?;
        let image = code
            .render()
            .min_dimensions(220, 220)
            .dark_color(svg::Color("#000"))
            .light_color(svg::Color("#fff"))
            .build();
        // It stands inside a page, where an XML declaration has no place.
        let start = image.find("<svg")?;
        Some(image[start..].replacen(
            "<svg ",
            "<svg role=\"img\" aria-label=\"QR code for your authenticator app\" class=\"qr\" ",
            1,
        ))
    }
}

/// Shows nothing of the key, for debug output ends up in logs.
impl std::fmt::Debug for TotpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpKey")
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        crate::domain::from_millis(seconds * 1000)
    }

    /// RFC 6238, appendix B, with its six last digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let key = TotpKey::new(*b"12345678901234567890");
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(key.step_of(code, at(seconds)), Some(seconds / 30), "{code}");
            let spaced = format!(" {} {} ", &code[..3], &code[3..]);
            assert_eq!(key.step_of(&spaced, at(seconds)), Some(seconds / 30));
            assert_eq!(key.step_of(code, at(seconds + 30)), Some(seconds / 30));
            assert_eq!(key.step_of(code, at(seconds + 90)), None, "too late");
        }
        for not in ["", "28708", "2870822", "28708a", "２８７０８２", "-87082"] {
            assert_eq!(key.step_of(not, at(59)), None, "{not:?}");
        }
    }

    #[test]
    fn the_address_for_apps_has_no_plus_and_one_colon() {
        let key = TotpKey::new([7; KEY]);
        let url = key.url("Ship: or Skip", "ada+desk@example.org");
        let label = url
            .strip_prefix("otpauth://totp/")
            .and_then(|rest| rest.split('?').next())
            .expect("a label");
        assert_eq!(label, "Ship%20%20or%20Skip:ada%2Bdesk%40example%2Eorg");
        assert!(!url.contains('+'), "{url}");
        let svg = key
            .qr_svg("Ship or Skip", "ada@example.org")
            .expect("a picture");
        assert!(
            svg.starts_with("<svg ") && svg.contains("fill=\"#fff\"") && !svg.contains("style=")
        );
    }
}
