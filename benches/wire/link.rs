//! One connection over a link with 20 ms delay, ledger on.
//!
//! The link is a pair of network devices, the far one in a name space of its own. The delay is `tc netem`'s where the
//! kernel has it. Where it has not, the pair is two TUN devices and this process carries the packets from one to the other,
//! those to the far end 20 ms late: the kernels' TCP at both ends is the same.

use std::fs::File;
use std::io::Read as _;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use crate::median;
use crate::peers::Sink;
use crate::peers::smtp_source;
use crate::stock::Database;
use crate::stock::Stock;
use crate::wanted::Wanted;

const READERS: usize = 400;
const DELAY: Duration = Duration::from_millis(20);

const NAMESPACE: &str = "verdicts-wire";
const NEAR: &str = "10.213.77.1";
const FAR: &str = "10.213.77.2";
const PORT: u16 = 2525;

pub fn run(wanted: &Wanted, stock: &mut Stock) {
    let readers = wanted.readers.unwrap_or(READERS).min(READERS);
    println!("## One connection over a link with 20 ms delay\n");
    let link = match Link::make() {
        Ok(link) => link,
        Err(why) => {
            return println!(
                "Not measured: the link cannot be made here ({why}). It needs iproute2 and root.\n"
            );
        }
    };
    println!(
        "{}; {readers} readers, SQLite; median of {} rounds.\n",
        link.kind, wanted.rounds
    );
    println!("| bytes | mails/s | smtp-source | ratio |\n| ---: | ---: | ---: | ---: |");
    for &wish in &wanted.bytes {
        let (mut sent, mut source, mut bytes) = (Vec::new(), Vec::new(), 0);
        for _ in 0..wanted.rounds {
            let sink = Sink::start_in(NAMESPACE, FAR, PORT);
            let test_db = stock
                .test_db(Database::SqliteFull, readers)
                .with_relay(FAR, sink.port, 1);
            bytes = test_db.bring_digest_of(wish);
            sent.push(readers as f64 / test_db.send(readers).took.as_secs_f64());
            stock.clear(test_db);
            source.push(
                readers as f64 / smtp_source(FAR, sink.port, 1, readers, bytes).as_secs_f64(),
            );
        }
        let (sent, source) = (median(sent), median(source));
        println!(
            "| {bytes} | {sent:.1} | {source:.1} | **{:.2}** |",
            sent / source
        );
    }
    println!();
}

/// The link; dropped, it is taken away.
struct Link {
    kind: &'static str,
}

impl Link {
    fn make() -> Result<Self, String> {
        let _ = ip(&format!("netns del {NAMESPACE}"));
        ip(&format!("netns add {NAMESPACE}"))?;
        // From here on what was made is taken away also when the rest fails.
        let mut link = Self {
            kind: "tc netem on a veth pair",
        };
        ip("link add wire0 type veth peer name wire1")?;
        if run_quietly(
            "tc",
            &format!(
                "qdisc add dev wire0 root netem delay {}ms",
                DELAY.as_millis()
            ),
        )
        .is_ok()
        {
            put_up("wire0", "wire1")?;
            return Ok(link);
        }
        ip("link del wire0")?;
        link.kind = "This kernel has no netem: two TUN devices, packets carried by the benchmark";
        let (near, far) = (tun("wire0")?, tun("wire1")?);
        put_up("wire0", "wire1")?;
        carry(near, far).map_err(|error| error.to_string())?;
        Ok(link)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = ip("link del wire0");
        let _ = ip(&format!("netns del {NAMESPACE}"));
    }
}

fn put_up(near: &str, far: &str) -> Result<(), String> {
    ip(&format!("link set {far} netns {NAMESPACE}"))?;
    ip(&format!("addr add {NEAR} peer {FAR} dev {near}"))?;
    ip(&format!("link set {near} up"))?;
    ip(&format!(
        "-n {NAMESPACE} addr add {FAR} peer {NEAR} dev {far}"
    ))?;
    ip(&format!("-n {NAMESPACE} link set {far} up"))?;
    ip(&format!("-n {NAMESPACE} link set lo up"))
}

fn ip(arguments: &str) -> Result<(), String> {
    run_quietly("ip", arguments)
}

fn run_quietly(program: &str, arguments: &str) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments.split(' '))
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{program} {arguments}: {}", said.trim()))
    }
}

#[allow(
    unsafe_code,
    reason = "no crate of the tree has TUNSETIFF, and its own (tun, tun-rs) build an interface around it"
)]
/// A network device whose packets this process reads and writes (tun(4) of Linux: `Documentation/networking/tuntap.rst`).
fn tun(name: &str) -> Result<File, String> {
    const IFF_TUN_NO_PI: libc::c_short = 0x1001;
    let file = File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .map_err(|error| format!("/dev/net/tun: {error}"))?;
    // SAFETY: an all-zero ifreq is one, and lives until the call has returned.
    let made = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = IFF_TUN_NO_PI;
        libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &mut request)
    };
    if made < 0 {
        Err(format!("{name}: {}", std::io::Error::last_os_error()))
    } else {
        Ok(file)
    }
}

/// Carries packets both ways until the devices are gone: to the far end late, back at once.
fn carry(near: File, far: File) -> std::io::Result<()> {
    let (mut near_in, mut near_out, mut far_in, mut far_out) =
        (near.try_clone()?, near, far.try_clone()?, far);
    let (late, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut packet = vec![0; 65_536];
        while let Ok(n) = near_in.read(&mut packet) {
            if late
                .send((Instant::now() + DELAY, packet[..n].to_vec()))
                .is_err()
            {
                break;
            }
        }
    });
    std::thread::spawn(move || {
        for (at, packet) in due {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            // A packet that finds no room is lost, as on any link.
            let _ = far_out.write(&packet);
        }
    });
    std::thread::spawn(move || {
        let mut packet = vec![0; 65_536];
        while let Ok(n) = far_in.read(&mut packet) {
            let _ = near_out.write(&packet[..n]);
        }
    });
    Ok(())
}
