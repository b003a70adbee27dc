//! The end of a server, with clients in every state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use block::{Clock, Nanos, WallClock};
use nbd_server::server::ServerOptions;
use nbd_server::wire::{command, error, option, option_reply};

use crate::fixture::{Bench, ToyOptions, error_of, go_data, range};

/// Ends the server in a thread; `during` runs meanwhile, and may last as long as the farewell.
fn stop(bench: &Bench, during: impl FnOnce()) -> Nanos {
    let clock = WallClock::new();
    let start = clock.now();
    std::thread::scope(|scope| {
        let stopper = scope.spawn(|| bench.server.stop());
        during();
        stopper.join().unwrap();
    });
    clock.now().since(start)
}

#[test]
fn what_hangs_is_given_up_and_what_is_soon_done_is_finished() {
    let late = [(8192, Nanos::from_millis(600)), (16384, Nanos::from_secs(3600))].into();
    let bench = Bench::new(ToyOptions { hangs: vec![range(4096, 512)], late, ..ToyOptions::default() });
    let mut raw = bench.opened();
    for (cookie, offset) in [(1, 4096), (2, 8192), (3, 16384)] {
        raw.request(command::READ, 0, cookie, offset, 512);
    }
    bench.until("the device has all three", || bench.toy.asked.lock().unwrap().len() == 3);
    let mut idle = bench.opened();
    stop(&bench, || {
        let (first, second) = (raw.chunk(), raw.chunk());
        for given_up in [&first, &second] {
            assert_eq!(error_of(given_up).0, error::ESHUTDOWN);
        }
        let mut cookies = [first.2, second.2];
        cookies.sort_unstable();
        assert_eq!(cookies, [1, 3]);
        assert_eq!(raw.chunk().2, 2, "this one comes in time");
        assert!(raw.is_closed());
        assert!(idle.is_closed());
    });
    assert_eq!((bench.toy.clients(), bench.toy.held()), (0, 0));
}

#[test]
fn whoever_asks_for_more_is_told_that_it_is_over() {
    let options = ServerOptions { farewell: Nanos::from_secs(60), ..ServerOptions::default() };
    let toy = ToyOptions { hangs: vec![range(4096, 512)], ..ToyOptions::default() };
    let bench = Bench::with(toy, options);
    let mut greeted = bench.greeted();
    let mut simple = bench.opened_simple();
    // Whoever waits learns of the end as soon as it begins.
    simple.request(command::READ, 0, 4, 4096, 512);
    bench.until("the read hangs", || bench.toy.held() == 1);
    stop(&bench, move || {
        assert_eq!(simple.simple(), (error::ESHUTDOWN, 4));
        for number in [option::LIST, option::STRUCTURED_REPLY, option::GO, 99] {
            let data = if number == option::GO { go_data("disk", &[]) } else { Vec::new() };
            assert_eq!(greeted.ask(number, &data).1, option_reply::ERR_SHUTDOWN);
        }
        simple.request(command::READ, 0, 5, 0, 512);
        assert_eq!(simple.simple(), (error::ESHUTDOWN, 5));
    });
}

#[test]
fn nobody_is_waited_for_whose_disk_never_answers_and_cannot_say_so() {
    // The device knows nothing of these: it has its requests in hand, somewhere.
    struct Deaf;
    impl serving::Device for Deaf {
        fn facts(&self) -> serving::Facts {
            serving::Facts {
                size: 4096,
                logical_sector: 512,
                physical_sector: 512,
                rotates: false,
                is_writable: false,
                has_health: false,
                description: String::new(),
            }
        }
        fn detach(&self, _: &Arc<dyn serving::Outlet>) {}
        fn submit(
            &self,
            _: serving::Request,
            _: u64,
            _: &Arc<dyn serving::Outlet>,
        ) -> Option<serving::Reply> {
            None
        }
    }
    struct One;
    impl serving::Exports for One {
        fn list(&self) -> Vec<(String, String)> {
            Vec::new()
        }
        fn open(&self, _: &str) -> Result<Arc<dyn serving::Device>, serving::OpenError> {
            Ok(Arc::new(Deaf))
        }
    }
    let grace = Nanos::from_millis(400);
    let options = nbd_server::ServerOptions { grace, ..nbd_server::ServerOptions::default() };
    let server = nbd_server::Server::new(Arc::new(One), options, Box::new(|_| {}));
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    server.welcome(nbd_server::stream::Stream::socket(theirs.into()));
    let mut raw = crate::fixture::Raw::new(ours);
    raw.greet();
    raw.go("");
    raw.request(command::READ, 0, 1, 0, 512);
    // The reply to this one tells that the first was taken.
    raw.request(command::READ, 0, 2, 4096, 512);
    assert_eq!(raw.simple(), (error::EINVAL, 2));
    server.stop();
    assert_eq!(raw.simple(), (error::ESHUTDOWN, 1));
    assert!(raw.is_closed());
}

#[test]
fn a_hundred_clients_in_every_state_do_not_keep_it() {
    // CVE-2024-7409.
    let bench = Bench::new(ToyOptions { hangs: vec![range(4096, 512)], ..ToyOptions::default() });
    let mut negotiating: Vec<_> = (0..50).map(|_| bench.greeted()).collect();
    let mut waiting: Vec<_> = (0..50).map(|_| bench.opened()).collect();
    for raw in &mut waiting {
        raw.request(command::READ, 0, 1, 4096, 512);
    }
    bench.until("all of them wait", || bench.toy.held() == 50);
    let took = stop(&bench, || {
        for raw in &mut waiting {
            assert_eq!(error_of(&raw.chunk()).0, error::ESHUTDOWN);
        }
    });
    // Five seconds of grace and some: nobody here needs them. A server that hangs would hang for ever.
    assert!(took < Nanos::from_secs(30), "{took:?}");
    assert!(negotiating.iter_mut().all(|raw| raw.is_closed()));
    assert!(waiting.iter_mut().all(|raw| raw.is_closed()));
    bench.until("nobody is left", || bench.server.client_count() == 0);
    assert_eq!(bench.toy.held(), 0);
}

#[test]
fn a_hundred_ends_under_load_are_ends() {
    // CVE-2015-0847.
    for round in 0..100 {
        let bench = Bench::new(ToyOptions::default());
        let reads = Arc::new(AtomicUsize::new(0));
        let goes_on = Arc::new(AtomicBool::new(true));
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let (mut raw, reads, goes_on) = (bench.opened(), reads.clone(), goes_on.clone());
                std::thread::spawn(move || {
                    while goes_on.load(Ordering::Relaxed) {
                        raw.request(command::READ, 0, 1, 0, 65536);
                        let (kind, _, _, _) = raw.chunk();
                        reads.fetch_add(1, Ordering::Relaxed);
                        if kind & nbd_server::wire::chunk::ERROR_BIT != 0 {
                            return;
                        }
                    }
                })
            })
            .collect();
        bench.until("there is load", || reads.load(Ordering::Relaxed) > 4 + round % 16);
        stop(&bench, || {});
        goes_on.store(false, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
        assert_eq!(bench.toy.clients(), 0, "round {round}");
    }
}
