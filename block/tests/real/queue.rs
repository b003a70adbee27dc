//! Reads in flight.

use std::collections::BTreeMap;

use block::source::{FileOptions, FileSource};
use block::{
    BlockSource, Completion, Errno, Nanos, Offset, ReadQueue, ReadReply, ReadRequest, Recovery, SourceError,
    Ticket, buffer,
};
use rig::{BadRange, LoopDevice};

use crate::{direct, failing_at, open};

fn submit(queue: &mut dyn ReadQueue, at: u64, length: usize) -> Ticket {
    queue.submit(ReadRequest { at: Offset::new(at), length, buffer: buffer::zeroed(length) })
}

/// Waits for a reply, but not for ever.
fn complete(queue: &mut dyn ReadQueue) -> Completion {
    queue.complete(Some(Nanos::from_secs(20))).expect("no read finished within 20 s")
}

#[test]
fn every_read_is_answered_once_whatever_the_order() {
    let disk = failing_at(&[5120..5632]);
    let device = LoopDevice::over(&disk.path());
    let mut source = open(&device);
    let queue = source.queue().unwrap();
    let mut open = BTreeMap::new();
    for sector in 0..64 {
        open.insert(submit(queue, sector * 512, 512), sector * 512);
    }
    assert_eq!(queue.in_flight(), 64);
    while !open.is_empty() {
        let done = complete(queue);
        let at = open.remove(&done.ticket).expect("a ticket was answered twice");
        match done.result.unwrap() {
            ReadReply { damage: Some(damage), .. } => assert_eq!((at, damage.errno), (5120, Errno::ENODATA)),
            _ => assert_eq!(done.buffer[..], disk.content().bytes(at, 512)),
        }
    }
    assert_eq!(queue.in_flight(), 0);
    assert!(queue.complete(None).is_none());
}

#[test]
fn a_read_that_hangs_does_not_hold_up_the_others() {
    let disk = failing_at(&[]);
    let device = LoopDevice::over(&disk.path());
    let mut source = open(&device);
    disk.hold(0..512);
    let queue = source.queue().unwrap();
    let hung = submit(queue, 0, 512);
    rig::wait_until("the read does not arrive", || disk.held() == 1);
    for sector in 1..16 {
        let ticket = submit(queue, sector * 512, 512);
        let done = complete(queue);
        assert_eq!(done.ticket, ticket);
        assert_eq!(done.buffer[..], disk.content().bytes(sector * 512, 512));
    }
    // Waiting for it ends when it should.
    assert!(queue.complete(Some(Nanos::from_millis(20))).is_none());
    assert_eq!(queue.in_flight(), 1);
    disk.release();
    let done = complete(queue);
    assert_eq!((done.ticket, done.result), (hung, Ok(ReadReply::all())));
}

#[test]
fn a_read_that_hangs_does_not_hold_up_a_source_that_was_opened_again() {
    let disk = failing_at(&[]);
    // Through the page cache one thread does all reads.
    let mut source = FileSource::open(&disk.path(), FileOptions::default()).unwrap();
    disk.hold(0..512);
    let hung = submit(source.queue().unwrap(), 0, 512);
    let behind = submit(source.queue().unwrap(), 512, 512);
    rig::wait_until("the read does not arrive", || disk.held() == 1);
    source.recover(Recovery::Reopen).unwrap();
    let queue = source.queue().unwrap();
    let fresh = submit(queue, 1024, 512);
    assert_eq!(complete(queue).ticket, fresh);
    disk.release();
    let mut rest = [complete(queue).ticket, complete(queue).ticket];
    rest.sort();
    assert_eq!(rest, [hung, behind]);
}

#[test]
fn a_queue_can_be_dropped_while_its_reads_hang() {
    let disk = failing_at(&[]);
    let device = LoopDevice::over(&disk.path());
    let mut source = open(&device);
    disk.hold(0..4096);
    for sector in 0..8 {
        submit(source.queue().unwrap(), sector * 512, 512);
    }
    rig::wait_until("the reads do not arrive", || disk.held() > 0);
    drop(source);
    // Dropped from the top: the device waits until the last reader has let it go.
    disk.release();
}

#[test]
fn a_device_that_dies_answers_the_reads_in_flight_too() {
    let disk = failing_at(&[]);
    let mut source = FileSource::open(&disk.path(), direct()).unwrap();
    disk.hold(0..1024);
    let queue = source.queue().unwrap();
    submit(queue, 0, 512);
    submit(queue, 512, 512);
    rig::wait_until("the reads do not arrive", || disk.held() == 2);
    disk.die(Errno::ENODEV.0);
    for _ in 0..2 {
        assert!(matches!(complete(queue).result, Err(SourceError::Gone { .. })));
    }
}

#[test]
fn reads_in_flight_keep_the_file_they_were_started_on() {
    let disk = failing_at(&[]);
    let mut source = FileSource::open(&disk.path(), direct()).unwrap();
    disk.hold(0..512);
    submit(source.queue().unwrap(), 0, 512);
    rig::wait_until("the read does not arrive", || disk.held() == 1);
    source.recover(Recovery::Reopen).unwrap();
    disk.set_bad(vec![BadRange::new(0..512, Errno::EIO.0)]);
    disk.release();
    let reply = complete(source.queue().unwrap()).result.unwrap();
    assert_eq!(reply.damage.unwrap().errno, Errno::EIO);
}

#[test]
#[should_panic(expected = "a read longer than its buffer")]
fn a_read_that_does_not_fit_its_buffer_is_a_mistake_of_the_caller() {
    let disk = failing_at(&[]);
    let mut source = FileSource::open(&disk.path(), direct()).unwrap();
    let request = ReadRequest { at: Offset::ZERO, length: 513, buffer: buffer::zeroed(512) };
    source.queue().unwrap().submit(request);
}
