//! Name of the process that a sender is, so that a restart on the same machine goes on at once instead of waiting for the lease.
//!
//! A process is named by the boot it runs in, its name space of process numbers (containers have their own), its number,
//! and its start: nobody else ever has that name. Where `/proc` tells nothing, the name says so, and the lease decides.

use std::fs;

/// This process's name.
pub fn name() -> String {
    let pid = std::process::id();
    match (whereabouts(), start_of(pid)) {
        (Some(place), Some(start)) => format!("{place} {pid} {start}"),
        _ => format!("unknown {pid}"),
    }
}

/// Returns whether the process with that name is surely gone: it was on this machine, in this boot, and is no more. Where this
/// process may not look at others' (`hidepid`, `ProtectProc`), nothing is sure, and the lease decides.
pub fn is_gone(name: &str) -> bool {
    let Some((place, rest)) = name.split_once(' ') else {
        return false;
    };
    let Some((pid, start)) = rest.split_once(' ') else {
        return false;
    };
    let (Ok(pid), true) = (
        pid.parse::<u32>(),
        fs::read_to_string("/proc/1/stat").is_ok(),
    ) else {
        return false;
    };
    if whereabouts().is_none_or(|here| here != place) {
        return false;
    }
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => start_in(&stat).is_none_or(|found| found != start),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn whereabouts() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), space.display()))
}

fn start_of(pid: u32) -> Option<String> {
    start_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Clock ticks from boot to its start, field 22 of `/proc/PID/stat` (proc(5)); `None` for a process that has ended and only
/// waits to be buried (a zombie sends nothing).
fn start_in(stat: &str) -> Option<String> {
    // The name in field 2 may hold spaces and brackets: count from its last bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then_some(fields.nth(18)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_one_that_ended_is_gone() {
        assert!(!is_gone(&name()) && !is_gone("unknown 1") && !is_gone("elsewhere/pid:[1] 1 1"));
        let (Some(place), Ok(mut child)) =
            (whereabouts(), std::process::Command::new("true").spawn())
        else {
            return;
        };
        let name = format!(
            "{place} {} {}",
            child.id(),
            start_of(child.id()).unwrap_or_else(|| "0".into())
        );
        assert!(child.wait().is_ok() && is_gone(&name));
    }
}
