//! Signing: threads of its own, so that a connection never waits for RSA while it could talk.
//!
//! A signature takes a millisecond of a core (docs/performance.md); on the threads that serve connections, every tenth one
//! would stand still. As many threads as cores: more would only take turns.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;

use tokio::sync::oneshot;

use crate::config::MailSettings;
use crate::domain::Timestamp;
use crate::mail::Signers;

/// Signers of each mail.
pub struct Signing {
    signers: Signers,
    /// Without keys there are no threads.
    work: Option<mpsc::Sender<SigningTask>>,
}

struct SigningTask {
    text: Vec<u8>,
    now: Timestamp,
    answer: oneshot::Sender<Vec<u8>>,
}

impl Signing {
    /// Opens the keys of `mail.dkim`, and starts the threads that sign with them.
    ///
    /// # Errors
    /// A key that cannot be read, or threads that cannot be started, in words.
    pub fn open(mail: &MailSettings) -> Result<Self, String> {
        let keys = mail.dkim.iter().map(|key| {
            (
                key.domain.as_str(),
                key.selector.as_str(),
                key.key_file.as_path(),
            )
        });
        let signers = Signers::open(keys).map_err(|error| format!("{error}."))?;
        Self::new(signers).map_err(|error| format!("no threads to sign with: {error}."))
    }

    /// Starts the threads, if there is anything to sign with. They end with it.
    pub fn new(signers: Signers) -> std::io::Result<Self> {
        if signers.is_empty() {
            return Ok(Self {
                signers,
                work: None,
            });
        }
        let (work, tasks) = mpsc::channel();
        let tasks = Arc::new(Mutex::new(tasks));
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let (signers, tasks) = (signers.clone(), tasks.clone());
            std::thread::Builder::new()
                .name("signing".into())
                .spawn(move || sign_all(&signers, &tasks))?;
        }
        Ok(Self {
            signers,
            work: Some(work),
        })
    }

    /// The keys.
    pub fn signers(&self) -> &Signers {
        &self.signers
    }

    /// Puts the signatures before a mail.
    pub async fn seal(&self, text: Vec<u8>, now: Timestamp) -> Vec<u8> {
        let Some(work) = &self.work else { return text };
        let (answer, sealed) = oneshot::channel();
        let _ = work.send(SigningTask { text, now, answer });
        // The threads live as long as their sender: an answer can only be missing where one panicked, and then the mail, which
        // has nothing in it, is refused.
        sealed.await.unwrap_or_default()
    }
}

fn sign_all(signers: &Signers, tasks: &Mutex<mpsc::Receiver<SigningTask>>) {
    loop {
        let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(SigningTask {
            mut text,
            now,
            answer,
        }) = next
        else {
            return;
        };
        signers.seal(&mut text, now);
        // Nobody waits any more where the run was given up.
        let _ = answer.send(text);
    }
}
