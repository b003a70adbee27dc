//! Answers that are not due yet.
//!
//! Owns one thread and a heap. Must not know what is answered. A thousand delayed answers are a thousand entries.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use block::{Clock, Nanos, WallClock};

use crate::device::{Outlet, Reply};

/// Delivers answers when they are due, those due at one time in the order in which they were handed in.
pub struct Timer {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<WallClock>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    entries: BinaryHeap<Reverse<Entry>>,
    /// Numbers entries.
    next: u64,
    is_running: bool,
    is_closed: bool,
}

struct Entry {
    due: Nanos,
    number: u64,
    ticket: u64,
    reply: Reply,
    outlet: Arc<dyn Outlet>,
}

impl Timer {
    /// Makes a timer that looks at `clock`. Its thread begins with the first answer.
    pub fn new(clock: Arc<WallClock>) -> Timer {
        let shared = Shared { clock, queue: Mutex::default(), changed: Condvar::new() };
        Timer { shared: Arc::new(shared) }
    }

    /// Keeps an answer until the real time `due`.
    pub fn add(&self, due: Nanos, outlet: Arc<dyn Outlet>, ticket: u64, reply: Reply) {
        let mut queue = self.shared.lock();
        let number = queue.next;
        queue.next += 1;
        queue.entries.push(Reverse(Entry { due, number, ticket, reply, outlet }));
        if !queue.is_running {
            queue.is_running = true;
            let shared = Arc::downgrade(&self.shared);
            std::thread::spawn(move || run(&shared));
        }
        if queue.entries.peek().is_some_and(|first| first.0.number == number) {
            self.shared.changed.notify_one();
        }
    }

    /// Forgets what is kept for an outlet.
    pub fn forget(&self, outlet: &Arc<dyn Outlet>) {
        let forgotten: BinaryHeap<Reverse<Entry>> = {
            let mut queue = self.shared.lock();
            let entries = std::mem::take(&mut queue.entries).into_iter();
            let (gone, kept) = entries.partition(|entry| Arc::ptr_eq(&entry.0.outlet, outlet));
            queue.entries = kept;
            gone
        };
        // Whatever outlets do when they end, they do without the lock.
        drop(forgotten);
    }

    /// Forgets what is kept for an outlet until later than `due`; returns its tickets, in no order.
    pub fn take_after(&self, outlet: &Arc<dyn Outlet>, due: Nanos) -> Vec<u64> {
        let taken: BinaryHeap<Reverse<Entry>> = {
            let mut queue = self.shared.lock();
            let entries = std::mem::take(&mut queue.entries).into_iter();
            let (taken, kept) =
                entries.partition(|entry| entry.0.due > due && Arc::ptr_eq(&entry.0.outlet, outlet));
            queue.entries = kept;
            taken
        };
        taken.into_iter().map(|entry| entry.0.ticket).collect()
    }

    /// Number of answers that are kept.
    pub fn len(&self) -> usize {
        self.shared.lock().entries.len()
    }

    /// Whether no answer is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Whatever panicked did so outside: the queue is whole at every moment.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Delivers until the timer ends.
fn run(shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        let mut queue = shared.lock();
        if queue.is_closed {
            return;
        }
        let wait = match queue.entries.peek() {
            Some(Reverse(first)) => first.due.since(shared.clock.now()),
            None => Nanos::from_secs(3600),
        };
        if wait == Nanos::ZERO {
            let Some(Reverse(entry)) = queue.entries.pop() else { continue };
            drop(queue);
            entry.outlet.deliver(entry.ticket, entry.reply);
            continue;
        }
        let wait = Duration::from_nanos(wait.nanoseconds());
        drop(shared.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner));
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    struct Wire(Mutex<Sender<u64>>);

    impl Outlet for Wire {
        fn deliver(&self, ticket: u64, _: Reply) {
            let _ = self.0.lock().unwrap().send(ticket);
        }
    }

    fn wire() -> (Arc<dyn Outlet>, Receiver<u64>) {
        let (sender, receiver) = channel();
        (Arc::new(Wire(Mutex::new(sender))), receiver)
    }

    #[test]
    fn answers_leave_in_the_order_in_which_they_are_due_and_not_before() {
        let clock = Arc::new(WallClock::new());
        let timer = Timer::new(clock.clone());
        let (outlet, receiver) = wire();
        let start = clock.now();
        let ms = Nanos::from_millis;
        for (ticket, due) in [(3, ms(30)), (1, ms(10)), (2, ms(10)), (4, ms(30))] {
            timer.add(start + due, outlet.clone(), ticket, Reply::Drop);
        }
        let order: Vec<u64> = (0..4).map(|_| receiver.recv().unwrap()).collect();
        assert_eq!(order, [1, 2, 3, 4]);
        assert!(clock.now().since(start) >= ms(30));
    }

    #[test]
    fn whoever_has_gone_gets_nothing_and_keeps_nothing() {
        let clock = Arc::new(WallClock::new());
        let timer = Timer::new(clock.clone());
        let ((gone, silent), (here, receiver)) = (wire(), wire());
        let due = clock.now() + Nanos::from_millis(20);
        timer.add(due, gone.clone(), 1, Reply::Drop);
        timer.add(due, here.clone(), 2, Reply::Drop);
        timer.forget(&gone);
        assert_eq!(timer.len(), 1);
        assert_eq!(receiver.recv(), Ok(2));
        drop(gone);
        assert!(silent.recv().is_err(), "nothing was sent, and nobody holds the outlet");
    }

    #[test]
    fn what_is_too_late_is_taken_back() {
        let clock = Arc::new(WallClock::new());
        let timer = Timer::new(clock.clone());
        let ((outlet, receiver), (other, _silent)) = (wire(), wire());
        let start = clock.now();
        let secs = Nanos::from_secs;
        for (ticket, due, outlet) in
            [(1, start, &outlet), (2, start + secs(60), &outlet), (3, start + secs(60), &other)]
        {
            timer.add(due, outlet.clone(), ticket, Reply::Drop);
        }
        assert_eq!(timer.take_after(&outlet, start + secs(30)), [2]);
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(timer.len(), 1, "the other one still waits");
    }

    #[test]
    fn nothing_is_delivered_after_the_end() {
        let clock = Arc::new(WallClock::new());
        let timer = Timer::new(clock.clone());
        let (outlet, receiver) = wire();
        timer.add(clock.now() + Nanos::from_millis(50), outlet, 1, Reply::Drop);
        drop(timer);
        assert!(receiver.recv().is_err());
    }
}
