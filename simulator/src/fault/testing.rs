//! Small disks with faults, for the tests of faults.

use std::fmt::Write;

use block::Nanos;

use crate::disk::{Answer, Command, Reply, SimDisk};
use crate::scenario::Scenario;

/// A scenario of 64 MiB under four heads, bands of 1 MiB, with these faults, each as the lines behind `[[fault]]`.
pub(crate) fn parse(faults: &[&str]) -> Result<Scenario, String> {
    let mut text = String::from(
        "description = \"t\"\n[disk]\nmedium = \"hard-disk\"\nprofile = \"d35_1t\"\nsize = \"64 MiB\"\nheads = 4\n\
         sectors-per-track = [256, 128]\nband = \"1 MiB\"\n",
    );
    for fault in faults {
        write!(text, "[[fault]]\n{fault}\n").map_err(|error| error.to_string())?;
    }
    Scenario::parse("test", "test.toml", &text).map_err(|error| error.to_string())
}

/// The disk of such a scenario.
pub(super) fn disk(faults: &[&str], seed: u64) -> SimDisk {
    parse(faults)
        .and_then(|scenario| scenario.disk(seed).map_err(|e| e.to_string()))
        .unwrap_or_else(|e| panic!("{e}"))
}

/// What is told of a fault that cannot be.
pub(super) fn refusal(fault: &str) -> String {
    parse(&[fault]).expect_err(fault)
}

/// Reads from `at` on, `reads` times `count` sectors, each when the one before is done.
pub(super) fn read_on(
    disk: &mut SimDisk,
    at: u64,
    count: u64,
    reads: u64,
    mut now: Nanos,
) -> (Vec<Reply>, Nanos) {
    let mut replies = Vec::new();
    for index in 0..reads {
        let reply = disk.serve(&Command { at: at + index * count, count }, now);
        now = if reply.done == Nanos::NEVER { now } else { reply.done };
        replies.push(reply);
    }
    (replies, now)
}

/// How many of these went well.
pub(super) fn good(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| reply.answer == Answer::Done).count()
}
