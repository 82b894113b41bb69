//! The compiled program, as its user starts it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use super::TestDb;

/// How the program is started: in a folder of its own, on a database of its own.
#[derive(Clone)]
pub struct Program {
    pub dir: PathBuf,
    variables: Vec<(String, String)>,
    /// Files of its own in the place of this machine's: which, and where it finds it.
    files: Vec<(PathBuf, &'static str)>,
}

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Program {
    pub fn in_place(test_db: &TestDb) -> Self {
        let program = Self {
            dir: test_db.dir.path().to_path_buf(),
            variables: Vec::new(),
            files: Vec::new(),
        };
        program.with("VERDICTS_DATABASE__URL", &test_db.database_url)
    }

    /// On a database that is up to date, with the secret that a `TestApp` there has too.
    pub fn set_up(test_db: &TestDb) -> Self {
        let program =
            Self::in_place(test_db).with("VERDICTS_SITE__SECRET", "a secret for tests only");
        program.run(&["migrate"]).good();
        program
    }

    /// Sets an environment variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Takes an environment variable away.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// Writes a file into its folder.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.dir.join(name), text).expect("written");
    }

    /// What it is started with.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Lets it find these lines in /etc/hosts, in a name space of mounts that is its own; `None` where that is not allowed (root is),
    /// which is said.
    pub fn knowing(self, hosts: &str) -> Option<Self> {
        self.finding("/etc/hosts", hosts)
    }

    /// Lets it ask that name server, as the system does for it; `None` as with [`Program::knowing`].
    pub fn asking(self, name_server: IpAddr) -> Option<Self> {
        self.finding("/etc/resolv.conf", &format!("nameserver {name_server}\n"))
    }

    fn finding(mut self, test_db: &'static str, text: &str) -> Option<Self> {
        if !Command::new("unshare")
            .args(["--mount", "true"])
            .output()
            .is_ok_and(|done| done.status.success())
        {
            eprintln!(
                "No name space of mounts can be made here (root can): names with several addresses are not tried."
            );
            return None;
        }
        let name = format!("own{}", test_db.replace('/', "-"));
        self.write(&name, text);
        self.files.retain(|(_, known)| *known != test_db);
        self.files.push((self.dir.join(name), test_db));
        Some(self)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_verdicts");
        let mut command = Command::new(program);
        if !self.files.is_empty() {
            // Each becomes the next: the program keeps the number of what was started.
            command = Command::new("unshare");
            let script = r#"while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit; shift 2; done; shift; exec "$@""#;
            command.args(["--mount", "sh", "-c", script, "sh"]);
            for (file, test_db) in &self.files {
                command.arg(file).arg(test_db);
            }
            command.arg("--").arg(program);
        }
        command.args(arguments).current_dir(&self.dir);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VERDICTS_")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        Said::from(
            self.command(arguments)
                .stdin(Stdio::null())
                .output()
                .expect("the program starts"),
        )
    }

    /// Runs a command with something on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Said {
        use std::io::Write as _;
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(input)
            .expect("written");
        Said::from(child.wait_with_output().expect("it ends"))
    }

    /// Starts a command and leaves it running; what it says is added to `{name}.err` and `{name}.out` in its folder.
    pub fn start(&self, name: &str, arguments: &[&str]) -> Running {
        let child = self
            .with_files(name, self.command(arguments))
            .spawn()
            .expect("the program starts");
        Running {
            id: child.id(),
            child,
            words: self.dir.join(format!("{name}.err")),
        }
    }

    /// As [`Program::start`], and what this process was told to do on SIGHUP (nohup(1) has it ignored) plays no part: `--default-signal` or
    /// `--ignore-signal` of env(1) says what the program starts with.
    pub fn start_on_hangup(&self, option: &str, name: &str, arguments: &[&str]) -> Running {
        let inside = self.command(arguments);
        let mut env = Command::new("env");
        env.arg(format!("{option}=HUP"))
            .arg(inside.get_program())
            .args(inside.get_args())
            .current_dir(&self.dir);
        for (name, value) in inside.get_envs() {
            match value {
                Some(value) => env.env(name, value),
                None => env.env_remove(name),
            };
        }
        // env becomes the program: its number stays.
        let child = self.with_files(name, env).spawn().expect("env starts");
        Running {
            id: child.id(),
            child,
            words: self.dir.join(format!("{name}.err")),
        }
    }

    /// As [`Program::start`], but in a name space of process numbers of its own, like a container or another machine: nobody
    /// can look up there whether it still lives. Where that is not allowed, as any other.
    pub fn start_apart(&self, name: &str, arguments: &[&str]) -> Running {
        let inside = self.command(arguments);
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(inside.get_program())
            .args(inside.get_args());
        for (name, value) in inside.get_envs() {
            match value {
                Some(value) => unshare.env(name, value),
                None => unshare.env_remove(name),
            };
        }
        unshare.current_dir(&self.dir);
        let mut child = self
            .with_files(name, unshare)
            .spawn()
            .expect("unshare starts");
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        while child.try_wait().expect("a state").is_none() {
            let listed = std::fs::read_to_string(&children).unwrap_or_default();
            if let Some(id) = listed
                .split_whitespace()
                .next()
                .and_then(|id| id.parse().ok())
            {
                return Running {
                    child,
                    id,
                    words: self.dir.join(format!("{name}.err")),
                };
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.start(name, arguments)
    }

    fn with_files(&self, name: &str, mut command: Command) -> Command {
        let file = |ending: &str| {
            let path = self.dir.join(format!("{name}.{ending}"));
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .expect("a file")
        };
        command
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"));
        command
    }
}

impl Said {
    /// The JSON document on stdout.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Checks that it failed with a sentence on stderr that has all of `words` in it, and printed no data; gives the sentence.
    pub fn refused(self, words: &[&str]) -> String {
        assert_eq!((self.code, self.out.as_str()), (1, ""), "{self:?}");
        assert!(
            !self.err.contains("panicked") && !self.err.contains("backtrace"),
            "{self:?}"
        );
        assert!(
            words.iter().all(|word| self.err.contains(word)),
            "{words:?} in {self:?}"
        );
        self.err
    }

    /// Checks that it went well.
    pub fn good(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A program that runs; dropped, it is killed.
pub struct Running {
    child: Child,
    /// The program's own number, where the child is only what it was started by.
    pub id: u32,
    /// Where what it says to people is kept.
    words: PathBuf,
}

impl Running {
    /// `kill -9`.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.child.wait().expect("buried");
    }

    /// SIGTERM, and its exit code once it has ended.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().expect("buried").code()
    }

    /// Any signal, by its name: `STOP`, `CONT`, `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.id.to_string()])
            .status()
            .expect("kill");
        assert!(sent.success(), "{name} was sent");
    }

    /// Its exit code, if it has ended: `Some(None)` when a signal ended it.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        self.child
            .try_wait()
            .expect("a state")
            .map(|status| status.code())
    }

    pub fn has_ended(&mut self) -> bool {
        self.ended().is_some()
    }

    /// Whether it has not said a word yet, to anybody.
    pub fn is_silent(&self) -> bool {
        std::fs::metadata(&self.words).is_ok_and(|file| file.len() == 0)
    }

    /// Its exit code once it has ended by itself.
    pub fn end(&mut self) -> Option<i32> {
        self.child.wait().expect("buried").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
