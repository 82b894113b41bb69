//! DNS: SPF, DKIM and DMARC of a sender, judged as receivers judge them.

pub(super) mod dmarc;
pub(super) mod dmarc_record;
pub(super) mod resolver;
pub(super) mod sender_auth;
pub(super) mod spf;
pub(super) mod spf_macro;
pub(super) mod spf_record;
