//! A disk with exactly the trouble that a test wants, and a client that says exactly what a test wants.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use block::{ByteRange, Clock, Errno, Extent, ExtentKind, Nanos, Offset, WallClock};
use nbd_server::server::{Server, ServerOptions};
use nbd_server::stream::Stream;
use nbd_server::wire::{
    self, ChunkHeader, OptionHeader, OptionReplyHeader, Reader, RequestHeader, SimpleHeader,
};
use nbd_server::wire::{option, option_reply};
use serving::timer::Timer;
use serving::{
    Answer, AttachError, Device, Exports, Facts, Health, Moment, OpenError, Outlet, Reply, Request, Trouble,
    Work,
};

/// Longer than anything takes on a machine that is busy.
pub const LONG: Duration = Duration::from_secs(60);

/// What a disk of these tests does.
#[derive(Clone)]
pub struct ToyOptions {
    pub size: u64,
    /// Reads and writes of these fail at the first byte in them.
    pub bad: Vec<ByteRange>,
    /// Requests that touch these are never answered.
    pub hangs: Vec<ByteRange>,
    /// Requests that touch these are answered so late.
    pub late: BTreeMap<u64, Nanos>,
    /// Requests that touch these get this instead of an answer.
    pub leaves: BTreeMap<u64, fn() -> Reply>,
    /// Holes.
    pub holes: Vec<ByteRange>,
    pub is_writable: bool,
    pub reads_on: bool,
    pub has_health: bool,
    pub is_absent: bool,
    pub sector: u32,
}

impl Default for ToyOptions {
    fn default() -> ToyOptions {
        ToyOptions {
            size: 1 << 20,
            bad: Vec::new(),
            hangs: Vec::new(),
            late: BTreeMap::new(),
            leaves: BTreeMap::new(),
            holes: Vec::new(),
            is_writable: false,
            reads_on: false,
            has_health: false,
            is_absent: false,
            sector: 512,
        }
    }
}

/// A disk. Its bytes tell their place.
pub struct Toy {
    pub options: ToyOptions,
    clock: Arc<WallClock>,
    timer: Timer,
    held: Mutex<Vec<(u64, Arc<dyn Outlet>)>>,
    /// All of it, once something was written.
    written: Mutex<Option<Vec<u8>>>,
    pub asked: Mutex<Vec<(Work, ByteRange)>>,
    pub attached: AtomicUsize,
    pub detached: AtomicUsize,
}

pub fn range(start: u64, length: u64) -> ByteRange {
    ByteRange::new(Offset::new(start), length)
}

/// The bytes of the disk at a place: never zeros for a whole sector.
pub fn bytes_at(range: ByteRange) -> Vec<u8> {
    (range.start().bytes()..range.end().bytes()).map(|at| (at / 512 * 7 + at % 251 + 1) as u8).collect()
}

fn inside(range: ByteRange) -> std::ops::Range<usize> {
    range.start().bytes() as usize..range.end().bytes() as usize
}

impl Toy {
    pub fn new(options: ToyOptions) -> Arc<Toy> {
        let clock = Arc::new(WallClock::new());
        Arc::new(Toy {
            options,
            timer: Timer::new(clock.clone()),
            clock,
            held: Mutex::default(),
            written: Mutex::default(),
            asked: Mutex::default(),
            attached: AtomicUsize::new(0),
            detached: AtomicUsize::new(0),
        })
    }

    /// Requests that nobody answers.
    pub fn held(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    pub fn clients(&self) -> usize {
        self.attached.load(Ordering::SeqCst) - self.detached.load(Ordering::SeqCst)
    }

    /// What was there before anything was written.
    pub fn original(&self, range: ByteRange) -> Vec<u8> {
        let mut bytes = bytes_at(range);
        let holes = self.options.holes.iter().map(|hole| hole.overlap(range));
        for hole in holes.filter(|hole| !hole.is_empty()) {
            let start = hole.start() - range.start();
            bytes[start as usize..(start + hole.length()) as usize].fill(0);
        }
        bytes
    }

    fn reply(&self, request: Request) -> Reply {
        let Request { work, range, mut buffer, .. } = request;
        let meets = |bad: &&ByteRange| !bad.overlap(range).is_empty();
        let mut troubles = Vec::new();
        for bad in self.options.bad.iter().filter(meets) {
            let bad = bad.overlap(range);
            let end = if self.options.reads_on { bad.end() } else { range.end() };
            let range = ByteRange::between(bad.start(), end);
            let text = format!("media: bad at {}", bad.start());
            troubles.push(Trouble { range, at: Some(bad.start()), errno: Errno::EIO, text });
            if !self.options.reads_on {
                break;
            }
        }
        match work {
            Work::Read => {
                buffer.clear();
                match &*self.written.lock().unwrap() {
                    Some(written) => buffer.extend(&written[inside(range)]),
                    None => buffer.extend(self.original(range)),
                }
                Reply::Answer(Answer { bytes: buffer, troubles })
            }
            Work::Write(_) | Work::Zero { .. } => {
                let bytes = match work {
                    Work::Write(bytes) => bytes,
                    _ => vec![0; range.length() as usize],
                };
                let end = troubles.first().map_or(range.end(), |first: &Trouble| first.range.start());
                let good = ByteRange::between(range.start(), end);
                let mut written = self.written.lock().unwrap();
                let all = written.get_or_insert_with(|| self.original(self::range(0, self.options.size)));
                all[inside(good)].copy_from_slice(&bytes[..good.length() as usize]);
                Reply::Answer(Answer { bytes: Vec::new(), troubles })
            }
            Work::Cache | Work::Trim | Work::Flush => Reply::Answer(Answer { bytes: Vec::new(), troubles }),
        }
    }
}

impl Device for Toy {
    fn facts(&self) -> Facts {
        Facts {
            size: self.options.size,
            logical_sector: self.options.sector,
            physical_sector: 4096,
            rotates: false,
            is_writable: self.options.is_writable,
            has_health: self.options.has_health,
            description: "a toy".into(),
        }
    }

    fn attach(&self) -> Result<(), AttachError> {
        if self.options.is_absent {
            return Err(AttachError::Gone);
        }
        self.attached.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn detach(&self, outlet: &Arc<dyn Outlet>) {
        self.held.lock().unwrap().retain(|(_, other)| !Arc::ptr_eq(other, outlet));
        self.timer.forget(outlet);
        self.detached.fetch_add(1, Ordering::SeqCst);
    }

    fn give_up(&self, outlet: &Arc<dyn Outlet>, patience: Nanos) -> Vec<u64> {
        let mut held = self.held.lock().unwrap();
        let given: Vec<_> = held.extract_if(.., |(_, other)| Arc::ptr_eq(other, outlet)).collect();
        let mut tickets: Vec<u64> = given.iter().map(|(ticket, _)| *ticket).collect();
        tickets.extend(self.timer.take_after(outlet, self.clock.now() + patience));
        tickets
    }

    fn submit(&self, request: Request, ticket: u64, outlet: &Arc<dyn Outlet>) -> Option<Reply> {
        let range = request.range;
        assert!(range.end().bytes() <= self.options.size, "the server asks for {range}");
        let sector = u64::from(self.options.sector);
        let is_whole = range.start().is_multiple_of(sector) && range.end().is_multiple_of(sector);
        assert!(is_whole, "the server asks for {range}, in sectors of {sector}");
        let kept = match &request.work {
            Work::Write(bytes) => {
                assert_eq!(bytes.len() as u64, range.length());
                Work::Write(Vec::new())
            }
            other => other.clone(),
        };
        self.asked.lock().unwrap().push((kept, range));
        let here = |at: &&u64| range.contains(Offset::new(**at));
        if self.options.hangs.iter().any(|hang| !hang.overlap(range).is_empty()) {
            self.held.lock().unwrap().push((ticket, outlet.clone()));
            return None;
        }
        let reply = match self.options.leaves.keys().find(here) {
            Some(at) => self.options.leaves[at](),
            None => self.reply(request),
        };
        match self.options.late.keys().find(here) {
            Some(at) => {
                self.timer.add(self.clock.now() + self.options.late[at], outlet.clone(), ticket, reply);
                None
            }
            None => Some(reply),
        }
    }

    fn extents(&self, range: ByteRange) -> Vec<Extent> {
        let holes: block::RangeSet = self.options.holes.iter().copied().collect();
        let mut extents = Vec::new();
        let mut at = range.start();
        for hole in holes.ranges() {
            let hole = hole.overlap(range);
            if hole.is_empty() {
                continue;
            }
            if hole.start() > at {
                extents.push(Extent { range: ByteRange::between(at, hole.start()), kind: ExtentKind::Data });
            }
            extents.push(Extent { range: hole, kind: ExtentKind::Hole });
            at = hole.end();
        }
        if at < range.end() {
            extents.push(Extent { range: ByteRange::between(at, range.end()), kind: ExtentKind::Data });
        }
        extents
    }

    fn health(&self, range: ByteRange, moment: Moment) -> Option<Vec<(ByteRange, Health)>> {
        // All good at the start; one sector after the other differs now, and it is told in small helpings.
        let end = range.end().min(range.start() + 2048);
        let mut told = Vec::new();
        let mut at = range.start();
        while at < end {
            let next = Offset::new((at.bytes() / 512 + 1) * 512).min(end);
            let bits = match moment {
                Moment::Start => 0,
                Moment::Now => (at.bytes() / 512 % 2) as u32,
            };
            told.push((ByteRange::between(at, next), Health(bits)));
            at = next;
        }
        self.options.has_health.then_some(told)
    }
}

/// Disks by name.
pub struct Toys(pub Vec<(String, Arc<Toy>)>);

impl Exports for Toys {
    fn list(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(name, _)| (name.clone(), format!("about {name}"))).collect()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Device>, OpenError> {
        let found = match name.is_empty() {
            true => self.0.first(),
            false => self.0.iter().find(|(other, _)| other == name),
        };
        found.map(|(_, toy)| toy.clone() as Arc<dyn Device>).ok_or(OpenError::Unknown)
    }
}

/// A server with a disk called `disk`, and a healthy one called `other`.
pub struct Bench {
    pub server: Server,
    pub toy: Arc<Toy>,
    pub said: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    pub fn new(toy: ToyOptions) -> Bench {
        Bench::with(toy, ServerOptions::default())
    }

    pub fn with(toy: ToyOptions, options: ServerOptions) -> Bench {
        let toy = Toy::new(toy);
        let other = Toy::new(ToyOptions { size: 8192, ..ToyOptions::default() });
        let toys = Toys(vec![("disk".into(), toy.clone()), ("other".into(), other)]);
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let diary = said.clone();
        let tell = Box::new(move |line: &str| diary.lock().unwrap().push(line.to_owned()));
        Bench { server: Server::new(Arc::new(toys), options, tell), toy, said }
    }

    /// A connection on which nothing was said.
    pub fn connect(&self) -> Raw {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.server.welcome(Stream::socket(theirs.into()));
        Raw::new(ours)
    }

    /// A connection that waits for options.
    pub fn greeted(&self) -> Raw {
        let mut raw = self.connect();
        raw.greet();
        raw
    }

    /// A connection that waits for requests, with structured replies.
    pub fn opened(&self) -> Raw {
        let mut raw = self.greeted();
        assert_eq!(raw.ask(option::STRUCTURED_REPLY, &[]).1, option_reply::ACK);
        raw.go("disk");
        raw
    }

    /// The same without structured replies.
    pub fn opened_simple(&self) -> Raw {
        let mut raw = self.greeted();
        raw.go("disk");
        raw
    }

    /// Makes sure that somebody new is served.
    pub fn serves(&self) {
        let mut raw = self.opened();
        assert_eq!(raw.read_whole(0, 4096), bytes_at(range(0, 4096)));
    }

    /// Waits until something is so.
    pub fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        wait_until(what, is_so);
    }
}

pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let clock = WallClock::new();
    let start = clock.now();
    while !is_so() {
        assert!(clock.now().since(start) < Nanos::from_secs(60), "it never happens that {what}");
        clock.sleep(Nanos::from_millis(2));
    }
}

/// A client that says what it is told to.
pub struct Raw {
    pub socket: UnixStream,
}

/// A chunk: kind, flags, cookie, payload.
pub type Chunk = (u16, u16, u64, Vec<u8>);

impl Raw {
    pub fn new(socket: UnixStream) -> Raw {
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.set_write_timeout(Some(LONG)).unwrap();
        Raw { socket }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.socket.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Whether the server has closed, with nothing more to read. Breaking off counts as well.
    pub fn is_closed(&mut self) -> bool {
        match self.socket.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "nothing comes");
                true
            }
        }
    }

    pub fn greet(&mut self) {
        self.greeting();
        self.send(&3u32.to_be_bytes());
    }

    pub fn greeting(&mut self) {
        let greeting = self.take(18);
        assert_eq!(greeting, [&b"NBDMAGICIHAVEOPT"[..], &[0, 3]].concat());
    }

    pub fn option(&mut self, number: u32, data: &[u8]) {
        self.send(&option_bytes(number, data));
    }

    pub fn reply(&mut self) -> (u32, u32, Vec<u8>) {
        let head = self.take(wire::OPTION_REPLY_HEADER);
        let header = OptionReplyHeader::parse(head.first_chunk().unwrap()).unwrap();
        let data = self.take(header.length as usize);
        if header.kind & option_reply::ERROR != 0 {
            assert!(data.len() <= 4096, "errors are short");
            let text = String::from_utf8(data.clone()).expect("errors can be read");
            assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
        }
        (header.option, header.kind, data)
    }

    /// Sends an option, and takes the answers up to the last one, which is returned with those before it.
    pub fn ask(&mut self, number: u32, data: &[u8]) -> (Vec<(u32, Vec<u8>)>, u32) {
        self.option(number, data);
        let mut before = Vec::new();
        loop {
            let (about, kind, data) = self.reply();
            assert_eq!(about, number);
            if kind == option_reply::ACK || kind & option_reply::ERROR != 0 {
                return (before, kind);
            }
            before.push((kind, data));
        }
    }

    /// Opens an export; returns its size and flags.
    pub fn go(&mut self, name: &str) -> (u64, u16) {
        let (told, last) = self.ask(option::GO, &go_data(name, &[]));
        assert_eq!(last, option_reply::ACK, "{name}");
        let (_, export) = &told[0];
        let mut reader = Reader::new(export);
        assert_eq!(reader.u16(), Ok(wire::info::EXPORT));
        (reader.u64().unwrap(), reader.u16().unwrap())
    }

    pub fn request(&mut self, kind: u16, flags: u16, cookie: u64, offset: u64, length: u32) {
        self.send(&RequestHeader { flags, kind, cookie, offset, length }.bytes());
    }

    pub fn chunk(&mut self) -> Chunk {
        let head = self.take(wire::CHUNK_HEADER);
        let mut reader = Reader::new(&head);
        assert_eq!(reader.u32(), Ok(wire::CHUNK_MAGIC), "the stream is in step");
        let header = ChunkHeader::parse_rest(&mut reader).unwrap();
        (header.kind, header.flags, header.cookie, self.take(header.length as usize))
    }

    /// All chunks of one reply.
    pub fn chunks(&mut self) -> Vec<Chunk> {
        let mut chunks = vec![self.chunk()];
        while chunks.last().unwrap().1 & wire::chunk::FLAG_DONE == 0 {
            let next = self.chunk();
            assert_eq!(next.2, chunks[0].2, "replies are not mixed here");
            chunks.push(next);
        }
        chunks
    }

    /// A simple reply: error and cookie.
    pub fn simple(&mut self) -> (u32, u64) {
        let head = self.take(wire::SIMPLE_HEADER);
        let mut reader = Reader::new(&head);
        assert_eq!(reader.u32(), Ok(wire::SIMPLE_MAGIC), "the stream is in step");
        let header = SimpleHeader::parse_rest(&mut reader).unwrap();
        (header.error, header.cookie)
    }

    /// Reads something that is whole.
    pub fn read_whole(&mut self, offset: u64, length: u32) -> Vec<u8> {
        self.request(wire::command::READ, 0, 0x1234, offset, length);
        let chunks = self.chunks();
        assert_eq!(chunks.len(), 1);
        let (kind, flags, cookie, payload) = &chunks[0];
        assert_eq!((*kind, *flags, *cookie), (wire::chunk::OFFSET_DATA, 1, 0x1234));
        assert_eq!(payload[..8], offset.to_be_bytes());
        payload[8..].to_vec()
    }

    /// The error of a reply that is nothing else: number, place, text.
    pub fn error(&mut self) -> (u32, Option<u64>, String) {
        let chunks = self.chunks();
        assert_eq!(chunks.len(), 1, "{chunks:?}");
        error_of(&chunks[0])
    }
}

/// What an error chunk says.
pub fn error_of((kind, _, _, payload): &Chunk) -> (u32, Option<u64>, String) {
    let mut reader = Reader::new(payload);
    let number = reader.u32().unwrap();
    let length = reader.u16().unwrap();
    let text = String::from_utf8(reader.bytes(length as usize).unwrap().to_vec()).unwrap();
    let at = match *kind {
        wire::chunk::ERROR_OFFSET => Some(reader.u64().unwrap()),
        wire::chunk::ERROR => None,
        other => panic!("{other:#x} is no error"),
    };
    reader.end().unwrap();
    assert_ne!(number, 0);
    (number, at, text)
}

pub fn option_bytes(number: u32, data: &[u8]) -> Vec<u8> {
    [&OptionHeader { option: number, length: data.len() as u32 }.bytes()[..], data].concat()
}

pub fn go_data(name: &str, wanted: &[u16]) -> Vec<u8> {
    let mut data = (name.len() as u32).to_be_bytes().to_vec();
    data.extend(name.as_bytes());
    data.extend((wanted.len() as u16).to_be_bytes());
    data.extend(wanted.iter().flat_map(|kind| kind.to_be_bytes()));
    data
}

pub fn meta_data(name: &str, queries: &[&str]) -> Vec<u8> {
    let mut data = (name.len() as u32).to_be_bytes().to_vec();
    data.extend(name.as_bytes());
    data.extend((queries.len() as u32).to_be_bytes());
    for query in queries {
        data.extend((query.len() as u32).to_be_bytes());
        data.extend(query.as_bytes());
    }
    data
}
