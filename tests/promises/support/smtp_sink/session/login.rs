//! AUTH PLAIN, LOGIN and CRAM-MD5.

use std::io;
use std::sync::atomic::Ordering::SeqCst;

use super::super::script::Stage;
use super::super::wire::base64;
use super::Next;
use super::Seat;
use super::Session;

impl Session {
    pub(super) async fn log_in(&mut self, rest: &str) -> io::Result<Next> {
        if self.shared.script.login.is_none() || self.may_encrypt() {
            return Ok(self.say("503 5.5.1 AUTH is not offered"));
        }
        if !self.said_hello || self.logged_in || self.envelope.is_some() {
            return Ok(self.say("503 5.5.1 not now"));
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        if !self
            .shared
            .script
            .mechanisms
            .split(' ')
            .any(|offered| offered.eq_ignore_ascii_case(mechanism))
        {
            return Ok(self.say("504 5.5.4 unknown mechanism"));
        }
        let is_right = match mechanism.to_ascii_uppercase().as_str() {
            "CRAM-MD5" => self.log_in_cram().await?,
            "PLAIN" => self.log_in_plain(initial).await?,
            "LOGIN" => self.log_in_login(initial).await?,
            _ => return Ok(self.say("504 5.5.4 unknown mechanism")),
        };
        if let Some(action) = self.shared.script.turn(Stage::Login, "*") {
            return Ok(self.act(action));
        }
        if !is_right {
            return Ok(self.say("535 5.7.8 Authentication credentials invalid"));
        }
        let seat = Seat::take(&self.shared);
        if self.shared.logins.load(SeqCst) > self.shared.script.logins_max {
            return Ok(self.say("421 4.7.0 too many logins of this user"));
        }
        self.seat = Some(seat);
        self.logged_in = true;
        Ok(self.say("235 2.7.0 welcome"))
    }

    async fn log_in_plain(&mut self, initial: &str) -> io::Result<bool> {
        let answer = self.initial_or_asked(initial, "334 ").await?;
        Ok(self
            .shared
            .script
            .login
            .as_ref()
            .is_some_and(|login| login.plain.contains(&answer)))
    }

    /// The example of RFC 2195.
    async fn log_in_cram(&mut self) -> io::Result<bool> {
        let challenge = base64(b"<1896.697170952@postoffice.reston.mci.net>");
        let answer = self
            .initial_or_asked("", &format!("334 {challenge}"))
            .await?;
        Ok(answer == base64(b"tim b913a602c7eda7a495b4e6e7334d3890"))
    }

    /// The questions are `Username:` and `Password:` in base64.
    async fn log_in_login(&mut self, initial: &str) -> io::Result<bool> {
        let user = self.initial_or_asked(initial, "334 VXNlcm5hbWU6").await?;
        let password = self.initial_or_asked("", "334 UGFzc3dvcmQ6").await?;
        Ok(self
            .shared
            .script
            .login
            .as_ref()
            .is_some_and(|login| login.user == user && login.password == password))
    }

    async fn initial_or_asked(&mut self, initial: &str, question: &str) -> io::Result<String> {
        if !initial.is_empty() {
            return Ok(initial.to_owned());
        }
        self.wire.write(question);
        self.wire.read_line().await
    }
}
