//! The mails: the weekly digest and the confirmation.

use super::RenderError;
use super::Site;
use crate::domain::digest::Content;
use crate::domain::letter::Rendered;
use crate::domain::letter::TOKEN_HOLE;

/// The weekly digest, with holes where each reader's unsubscribe link ends.
pub fn digest(site: &Site, content: &Content) -> Result<Rendered, RenderError> {
    let link = format!("{}/unsubscribe/{TOKEN_HOLE}", site.base_url);
    Ok(Rendered { subject: content.slot.to_string(), html: link.clone(), text: link })
}

/// The mail that asks whether an address wants the newsletter. `confirm_within` is a length of time in words.
pub fn confirmation(site: &Site, confirm_within: &str) -> Result<Rendered, RenderError> {
    let link = format!("{}/confirm/{TOKEN_HOLE}", site.base_url);
    Ok(Rendered { subject: "Confirm".into(), html: link.clone(), text: confirm_within.into() })
}
