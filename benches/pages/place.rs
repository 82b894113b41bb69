//! The program on a database of its own.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

const PROGRAM: &str = env!("CARGO_BIN_EXE_verdicts");

/// A folder, a database, and the settings of all commands there.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub url: String,
    variables: Vec<(String, String)>,
}

impl Place {
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}/verdicts.db", dir.path().display());
        Self::new(dir, url)
    }

    pub fn postgres(url: String) -> Self {
        Self::new(tempfile::tempdir().expect("a folder"), url)
    }

    fn new(dir: tempfile::TempDir, url: String) -> Self {
        let place = Self {
            dir,
            url: url.clone(),
            variables: Vec::new(),
        };
        let place = place
            .with("VERDICTS_DATABASE__URL", &url)
            .with("VERDICTS_SITE__SECRET", "a secret for benchmarks only")
            .with("VERDICTS_LOG", "warn,verdicts=info")
            .with("VERDICTS_MAIL__FROM", "Ship or Skip <news@example.org>");
        place.run(&["migrate"]);
        place
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub fn name(&self) -> &'static str {
        if self.is_postgres() {
            "PostgreSQL"
        } else {
            "SQLite"
        }
    }

    pub fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join(name), text).expect("written");
    }

    /// Puts so many readers on the list.
    pub fn enlist(&self, readers: usize) {
        let rows: String = (0..readers)
            .map(|n| format!("reader{n}@example.org\n"))
            .collect();
        self.write("readers.csv", format!("email\n{rows}"));
        self.run(&[
            "subscribers",
            "import",
            "readers.csv",
            "--consent",
            "benchmark",
            "--confirmed",
        ]);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VERDICTS_")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) {
        let output = self
            .command(arguments)
            .stderr(Stdio::piped())
            .output()
            .expect("the program");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Runs a command to its end, with that line on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], line: &str) {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut input = child.stdin.take().expect("a pipe");
        writeln!(input, "{line}").expect("written");
        drop(input);
        assert!(child.wait().expect("its end").success(), "{arguments:?}");
    }

    /// Starts a command and waits for the first line of its log with `words` in it.
    pub fn start_until(&self, arguments: &[&str], words: &str) -> (Running, String) {
        let mut child = self
            .command(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"))
            .lines()
            .map_while(Result::ok);
        let mut said = String::new();
        let line = log.find(|line| {
            said.push_str(line);
            line.contains(words)
        });
        let line = line.unwrap_or_else(|| panic!("{arguments:?} never said {words:?}: {said}"));
        // Whatever more it says is read, so that it can go on.
        std::thread::spawn(move || log.for_each(drop));
        (Running(child), line)
    }
}

/// A program that runs; dropped, it is killed.
pub struct Running(Child);

impl Running {
    /// The most memory that it had so far, in KiB.
    pub fn peak(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
