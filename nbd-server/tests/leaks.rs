//! What connections leave behind, and what they cost while nothing happens. One test: it counts what the process has.

#[path = "server/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests beside this one")]
mod fixture;

use block::Nanos;
use fixture::{Bench, ToyOptions, range, wait_until};
use nbd_server::server::ServerOptions;
use nbd_server::wire::command;

fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// A client that leaves in the middle of something, in one of several ways.
fn abrupt(bench: &Bench, round: usize) {
    let mut raw = match round % 3 {
        0 => bench.opened(),
        1 => bench.opened_simple(),
        _ => bench.greeted(),
    };
    if round % 3 < 2 {
        for (cookie, offset) in [(1, 0), (2, 4096), (3, 8192), (4, 65536)] {
            raw.request(command::READ, 0, cookie, offset, 4096);
        }
        raw.request(command::READ, 0, 5, 1 << 20, 8 << 20);
        raw.take(100);
    }
}

#[test]
fn connections_cost_little_and_leave_nothing_behind() {
    let late = [(8192, Nanos::from_millis(5)), (65536, Nanos::from_secs(3600))].into();
    let toy = ToyOptions { size: 64 << 20, hangs: vec![range(4096, 512)], late, ..ToyOptions::default() };
    let options = ServerOptions { connection_count_max: 2000, ..ServerOptions::default() };
    let bench = Bench::with(toy, options);
    // Both ends of each connection are in this process.
    nbd_server::server::raise_descriptor_limit();
    let state = || [count("/proc/self/fd"), count("/proc/self/task")];
    let is_within = |most: [usize; 2]| {
        let now = state();
        now[0] <= most[0] && now[1] <= most[1]
    };
    // What is made once, such as the timer's thread and buffers, is made here.
    (0..30).for_each(|round| abrupt(&bench, round));
    wait_until("everybody has left", || bench.server.client_count() == 0);
    let before = {
        let usual = state();
        wait_until("threads have ended", || is_within(usual));
        bench.serves();
        wait_until("it has left", || bench.server.client_count() == 0);
        wait_until("its thread has ended", || is_within(usual));
        state()
    };
    // How many buffers are in use at a time depends on how busy the machine is, and the allocator keeps them: what leaks
    // grows with every round, what is kept does not.
    let mut growths = Vec::new();
    while growths.last().is_none_or(|grown| *grown >= 16 << 20) {
        let memory = resident();
        (0..200).for_each(|round| abrupt(&bench, round));
        wait_until("everybody has left", || bench.server.client_count() == 0);
        wait_until("nothing is left", || is_within(before));
        assert_eq!((bench.toy.held(), bench.toy.clients()), (0, 0));
        growths.push(resident().saturating_sub(memory));
        assert!(growths.len() < 6, "each 200 abrupt disconnects cost memory: {growths:?} bytes");
    }

    let memory = resident();
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(bench.opened());
    }
    let grown = resident().saturating_sub(memory);
    assert!(grown < 64 << 20, "1000 idle connections take {grown} bytes");
    println!("1000 idle connections take {} KiB", grown >> 10);
    idle.iter_mut().for_each(|raw| drop(raw.read_whole(0, 512)));
    drop(idle);
    wait_until("everybody has left", || bench.server.client_count() == 0);
    wait_until("nothing is left", || is_within(before));
}
