//! `keys`: what signs mails.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::output::Output;
use super::output::say;
use crate::app::App;
use crate::app::Clock;
use crate::app::Failure;
use crate::app::keys::MadeKey;
use crate::app::keys::make_dkim_key;
use crate::config::Settings;
use crate::domain::actor::Actor;
use crate::mail::Algorithm;

#[derive(Debug, clap::Subcommand)]
pub enum KeysCommand {
    /// Make a DKIM key and print its DNS record
    Dkim {
        /// The file for the private key; it must not be there yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Make an Ed25519 key instead of RSA-2048; use it in addition to an RSA key, since not every server supports it
        #[arg(long)]
        ed25519: bool,
        /// The domain that vouches for the mails [default: that of mail.from]
        #[arg(long, value_name = "DOMAIN")]
        domain: Option<String>,
        /// The key's name in DNS [default: the kind and this month, like rsa202611]
        #[arg(long, value_name = "NAME")]
        selector: Option<String>,
    },
    /// Make a new site secret for a database whose secret is lost
    Secret {
        /// Accept that links in mails already sent stop working and that erased addresses can be imported again
        #[arg(long, required = true)]
        accept_loss: bool,
    },
}

impl KeysCommand {
    pub(super) async fn run(
        self,
        settings: &Settings,
        clock: &Clock,
        output: Output,
    ) -> Result<ExitCode, Failure> {
        let Self::Dkim {
            out,
            ed25519,
            domain,
            selector,
        } = self
        else {
            return replace_secret(settings, clock, output).await;
        };
        let now = clock.now();
        let (algorithm, kind) = if ed25519 {
            (Algorithm::Ed25519, "ed")
        } else {
            (Algorithm::Rsa, "rsa")
        };
        let domain = match domain {
            Some(domain) => domain,
            None => App::sender_domain(settings)?,
        };
        let selector = selector.unwrap_or_else(|| format!("{kind}{}", now.format("%Y%m")));
        let database = App::database_file(settings);
        let MadeKey {
            record,
            belongs_to_root,
        } = make_dkim_key(algorithm, &domain, &selector, &out, database.as_deref())?;
        let file = std::path::absolute(&out).unwrap_or(out);
        let json = json!({
            "algorithm": record.algorithm,
            "domain": record.domain,
            "selector": selector,
            "key_file": file,
            "name": record.name,
            "type": "TXT",
            "value": record.value,
            "strings": record.strings(),
        });
        if belongs_to_root {
            say(format_args!(
                "The key file belongs to root and nobody else can read it: if the service runs as another account, give it the file \
                 (chown ACCOUNT {}).",
                file.display()
            ));
        }
        output.print(&json, || {
            let strings: Vec<_> = record.strings().into_iter().map(|piece| format!("\"{piece}\"")).collect();
            format!(
                "The private key is in {}; keep it in your backups, and to yourself.\n\n\
                 Publish this record in the DNS of {domain}:\n\n\
                 name   {}\ntype   TXT\nvalue  {}\n\n\
                 In a zone file, which takes at most 255 bytes in a piece:\n\n{}. IN TXT ({})\n\n\
                 Once `dig TXT {} +short` shows it, add the key to the settings, and look at `verdicts doctor`:\n\n\
                 [[mail.dkim]]\ndomain = \"{domain}\"\nselector = \"{selector}\"\nkey_file = \"{}\"\n",
                file.display(),
                record.name,
                record.value,
                record.name,
                strings.join(" "),
                record.name,
                file.display(),
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn replace_secret(
    settings: &Settings,
    clock: &Clock,
    output: Output,
) -> Result<ExitCode, Failure> {
    App::replace_lost_secret(&Actor::cli(), settings, clock).await?;
    output.print(&json!({ "status": "replaced" }), || {
        "The database has a secret again. Links in mails that were sent before do not work, mail that comes back for them is not understood, \
         and addresses that were erased before can be imported again: look through a list before you import it.\n"
            .into()
    })?;
    Ok(ExitCode::SUCCESS)
}
