//! The negotiation, from the server's side, as a state machine: bytes in, bytes out.
//!
//! Owns the order of what may be said before the first request, and the limits of it. Must not know sockets, threads or
//! time. Every length is checked against what is there before it is used; at no moment more is kept than one option of
//! the longest length that is allowed, and the answer to it.

use std::sync::Arc;

use serving::{Device, Exports, OpenError};

use crate::terms::{Context, PAYLOAD_MAX, SmallestBlock, Terms};
use crate::wire::{self, OptionHeader, OptionReplyHeader, Reader, greeting, info, option, option_reply};

/// How much a client may ask for before it has opened anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Longest data of an option that is looked at, in bytes.
    pub option_bytes_max: u32,
    /// Longest data of an option that is passed over, in bytes; a client that announces more is left.
    pub discard_bytes_max: u32,
    /// Options of one client.
    pub option_count_max: u32,
    /// Queries of one option about contexts.
    pub query_count_max: u32,
}

impl Default for HandshakeLimits {
    fn default() -> HandshakeLimits {
        HandshakeLimits {
            option_bytes_max: 64 << 10,
            discard_bytes_max: 1 << 20,
            option_count_max: 64,
            query_count_max: 64,
        }
    }
}

/// Whether exports are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// Whoever asks is told.
    #[default]
    Open,
    /// Nobody is.
    Refused,
}

/// What is thought of encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// There is none.
    #[default]
    None,
    /// Whoever wants it gets it.
    Offered,
    /// Nothing goes without it.
    Required,
    /// This connection has it.
    Active,
}

/// How a server negotiates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manners {
    /// How much may be asked for.
    pub limits: HandshakeLimits,
    /// Whether exports are listed.
    pub listing: Listing,
    /// What is thought of encryption.
    pub encryption: Encryption,
    /// The smallest piece that may be read.
    pub smallest: SmallestBlock,
}

/// Where a negotiation stands.
pub enum Progress {
    /// It waits for more bytes.
    More,
    /// An option was answered. There may be more in what was given.
    Answered,
    /// What is to be sent is sent, whatever else has come is thrown away, and then encryption begins.
    StartTls,
    /// Requests follow. What is to be sent is sent once the device has let the client in.
    Opened(Opened),
    /// What is to be sent is sent, and the connection closed.
    Closed(&'static str),
}

/// What a client has opened.
pub struct Opened {
    /// The device.
    pub device: Arc<dyn Device>,
    /// Its name, as in the list.
    pub name: String,
    /// What was agreed on.
    pub terms: Terms,
}

/// A negotiation.
pub struct Handshake<'a> {
    exports: &'a dyn Exports,
    manners: Manners,
    is_ending: bool,
    state: State,
    options: u32,
    flags: u32,
    is_structured: bool,
    /// What SET_META_CONTEXT chose, and for which export.
    chosen: Option<(String, Vec<Context>)>,
    output: Vec<u8>,
}

/// What comes next.
enum State {
    Flags(Vec<u8>),
    Header(Vec<u8>),
    Data(OptionHeader, Vec<u8>),
    /// So many bytes are passed over, then the option is refused.
    Discard(OptionHeader, u32),
    Over,
}

/// Why an option is refused.
struct Refusal {
    kind: u32,
    text: String,
}

impl Refusal {
    fn new(kind: u32, text: impl Into<String>) -> Refusal {
        Refusal { kind, text: text.into() }
    }

    fn invalid(text: impl Into<String>) -> Refusal {
        Refusal::new(option_reply::ERR_INVALID, text)
    }
}

impl From<wire::WireError> for Refusal {
    fn from(error: wire::WireError) -> Refusal {
        Refusal::invalid(format!("the option makes no sense: {error}"))
    }
}

impl<'a> Handshake<'a> {
    /// Begins; there is something to be sent at once.
    pub fn new(exports: &'a dyn Exports, manners: Manners) -> Handshake<'a> {
        let mut output = Vec::with_capacity(256);
        output.extend(wire::GREETING.to_be_bytes());
        output.extend(wire::OPTION_MAGIC.to_be_bytes());
        output.extend((greeting::FIXED_NEWSTYLE | greeting::NO_ZEROES).to_be_bytes());
        Handshake {
            exports,
            manners,
            is_ending: false,
            state: State::Flags(Vec::with_capacity(4)),
            options: 0,
            flags: 0,
            is_structured: false,
            chosen: None,
            output,
        }
    }

    /// Takes what is to be sent.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// From now on options are refused: the server is about to end.
    pub fn end(&mut self) {
        self.is_ending = true;
    }

    /// Goes on encrypted: nothing that was agreed on before counts any more.
    pub fn secured(&mut self) {
        self.manners.encryption = Encryption::Active;
        self.is_structured = false;
        self.chosen = None;
        self.state = State::Header(Vec::with_capacity(wire::OPTION_HEADER));
    }

    /// Looks at what the client has sent, up to the end of an option at most; takes what it has used off `input`.
    pub fn advance(&mut self, input: &mut &[u8]) -> Progress {
        loop {
            match &mut self.state {
                State::Flags(bytes) => {
                    if !fill(bytes, 4, input) {
                        return Progress::More;
                    }
                    let flags = Reader::new(bytes).u32().unwrap_or(u32::MAX);
                    if flags & !u32::from(greeting::FIXED_NEWSTYLE | greeting::NO_ZEROES) != 0 {
                        return self.close("it answers the greeting with flags that nobody knows");
                    }
                    self.flags = flags;
                    self.state = State::Header(Vec::with_capacity(wire::OPTION_HEADER));
                }
                State::Header(bytes) => {
                    if !fill(bytes, wire::OPTION_HEADER, input) {
                        return Progress::More;
                    }
                    let header = bytes.first_chunk().map(OptionHeader::parse);
                    let Some(Ok(header)) = header else {
                        return self.close("it is out of step: no option where one belongs");
                    };
                    if let Err(reason) = self.begin(header) {
                        return self.close(reason);
                    }
                }
                State::Data(header, data) => {
                    if !fill(data, header.length as usize, input) {
                        return Progress::More;
                    }
                    let (header, data) = (*header, std::mem::take(data));
                    self.state = State::Header(Vec::with_capacity(wire::OPTION_HEADER));
                    return self.option(header.option, &data);
                }
                State::Discard(header, left) => {
                    let taken = input.len().min(*left as usize);
                    *input = &input[taken..];
                    *left -= taken as u32;
                    if *left > 0 {
                        return Progress::More;
                    }
                    let header = *header;
                    self.state = State::Header(Vec::with_capacity(wire::OPTION_HEADER));
                    if header.option == option::EXPORT_NAME {
                        return self.close("a name that is too long");
                    }
                    let text = format!("{} bytes are too many for an option", header.length);
                    self.reply(header.option, option_reply::ERR_TOO_BIG, text.as_bytes());
                    return Progress::Answered;
                }
                State::Over => return Progress::Closed("it is over"),
            }
        }
    }

    fn close(&mut self, reason: &'static str) -> Progress {
        self.state = State::Over;
        Progress::Closed(reason)
    }

    /// Decides what becomes of an option that is announced.
    fn begin(&mut self, header: OptionHeader) -> Result<(), &'static str> {
        let limits = self.manners.limits;
        self.options += 1;
        if self.options > limits.option_count_max {
            return Err("too many options");
        }
        if header.length > limits.discard_bytes_max {
            return Err("an option longer than anybody needs");
        }
        // Errors can only be told to those who know the fixed newstyle.
        let knows_errors = self.flags & u32::from(greeting::FIXED_NEWSTYLE) != 0;
        if !knows_errors && header.option != option::EXPORT_NAME {
            return Err("options of the fixed newstyle, without having agreed on it");
        }
        self.state = match header.length > limits.option_bytes_max {
            true => State::Discard(header, header.length),
            false => State::Data(header, Vec::new()),
        };
        Ok(())
    }

    /// Answers an option that is there as a whole.
    fn option(&mut self, number: u32, data: &[u8]) -> Progress {
        if number == option::ABORT {
            self.reply(number, option_reply::ACK, &[]);
            return self.close("it ended the negotiation");
        }
        if number == option::EXPORT_NAME {
            return self.export_name(data);
        }
        let answered = if self.is_ending {
            Err(Refusal::new(option_reply::ERR_SHUTDOWN, "the server is about to end"))
        } else if number != option::STARTTLS && self.manners.encryption == Encryption::Required {
            let text = "nothing goes without encryption: begin with STARTTLS";
            Err(Refusal::new(option_reply::ERR_TLS_REQD, text))
        } else {
            match number {
                option::LIST => self.list(data),
                option::STARTTLS => match self.start_tls(data) {
                    Ok(progress) => return progress,
                    Err(refusal) => Err(refusal),
                },
                option::INFO | option::GO => match self.info(number, data) {
                    Ok(Some(opened)) => return Progress::Opened(opened),
                    Ok(None) => Ok(()),
                    Err(refusal) => Err(refusal),
                },
                option::STRUCTURED_REPLY => self.structured_reply(data),
                option::LIST_META_CONTEXT | option::SET_META_CONTEXT => self.meta_context(number, data),
                _ => {
                    let text = format!("option {number} is not known here");
                    Err(Refusal::new(option_reply::ERR_UNSUP, text))
                }
            }
        };
        match answered {
            Ok(()) => self.reply(number, option_reply::ACK, &[]),
            Err(Refusal { kind, text }) => self.reply(number, kind, text.as_bytes()),
        }
        Progress::Answered
    }

    fn reply(&mut self, number: u32, kind: u32, data: &[u8]) {
        let header = OptionReplyHeader { option: number, kind, length: data.len() as u32 };
        self.output.extend(header.bytes());
        self.output.extend(data);
    }

    /// The old way in, which cannot tell an error.
    fn export_name(&mut self, data: &[u8]) -> Progress {
        if self.is_ending {
            return self.close("the server is about to end");
        }
        if self.manners.encryption == Encryption::Required {
            return self.close("it wants to go on without encryption");
        }
        let opened = wire::name(data).ok().and_then(|name| self.open(name).ok());
        let Some((name, device)) = opened else { return self.close("it asks for what is not there") };
        let Ok(terms) = self.terms(data, &*device) else {
            return self.close("it asks for what the protocol cannot serve");
        };
        self.output.extend(terms.size.to_be_bytes());
        self.output.extend(terms.flags.to_be_bytes());
        if self.flags & u32::from(greeting::NO_ZEROES) == 0 {
            self.output.extend([0; 124]);
        }
        self.state = State::Over;
        Progress::Opened(Opened { device, name, terms })
    }

    fn list(&mut self, data: &[u8]) -> Result<(), Refusal> {
        if !data.is_empty() {
            return Err(Refusal::invalid("LIST takes no data"));
        }
        if self.manners.listing == Listing::Refused {
            return Err(Refusal::new(option_reply::ERR_POLICY, "exports are not listed here"));
        }
        for (name, description) in self.exports.list() {
            let mut data = Vec::with_capacity(4 + name.len() + description.len());
            data.extend((name.len() as u32).to_be_bytes());
            data.extend(name.as_bytes());
            data.extend(short(&description, wire::NAME_MAX).as_bytes());
            self.reply(option::LIST, option_reply::SERVER, &data);
        }
        Ok(())
    }

    fn start_tls(&mut self, data: &[u8]) -> Result<Progress, Refusal> {
        if !data.is_empty() {
            return Err(Refusal::invalid("STARTTLS takes no data"));
        }
        match self.manners.encryption {
            Encryption::None => Err(Refusal::new(option_reply::ERR_UNSUP, "there is no encryption here")),
            Encryption::Active => Err(Refusal::invalid("everything is encrypted already")),
            Encryption::Offered | Encryption::Required => {
                self.reply(option::STARTTLS, option_reply::ACK, &[]);
                Ok(Progress::StartTls)
            }
        }
    }

    /// INFO and GO.
    fn info(&mut self, number: u32, data: &[u8]) -> Result<Option<Opened>, Refusal> {
        let mut reader = Reader::new(data);
        let asked = reader.name()?;
        let count = reader.u16()?;
        let mut wanted = Vec::new();
        for _ in 0..count {
            let kind = reader.u16()?;
            // Each is told once; of the others nothing need be kept.
            if [info::NAME, info::DESCRIPTION].contains(&kind) && !wanted.contains(&kind) {
                wanted.push(kind);
            }
        }
        reader.end()?;
        let (name, device) = self.open(asked)?;
        let facts = device.facts();
        let terms = self
            .terms(asked.as_bytes(), &*device)
            .map_err(|text| Refusal::new(option_reply::ERR_UNKNOWN, format!("{}: {text}", quoted(asked))))?;
        let mut told = Vec::with_capacity(12);
        told.extend(info::EXPORT.to_be_bytes());
        told.extend(terms.size.to_be_bytes());
        told.extend(terms.flags.to_be_bytes());
        self.reply(number, option_reply::INFO, &told);
        for (kind, text) in [(info::NAME, &name), (info::DESCRIPTION, &facts.description)] {
            if wanted.contains(&kind) {
                let mut told = kind.to_be_bytes().to_vec();
                told.extend(short(text, wire::NAME_MAX).as_bytes());
                self.reply(number, option_reply::INFO, &told);
            }
        }
        // Whether it was asked for or not: a client that passes it over loses nothing.
        let mut told = Vec::with_capacity(14);
        told.extend(info::BLOCK_SIZE.to_be_bytes());
        for size in [terms.block, terms.preferred, PAYLOAD_MAX] {
            told.extend(size.to_be_bytes());
        }
        self.reply(number, option_reply::INFO, &told);
        if number == option::INFO {
            return Ok(None);
        }
        self.reply(number, option_reply::ACK, &[]);
        self.state = State::Over;
        Ok(Some(Opened { device, name, terms }))
    }

    fn structured_reply(&mut self, data: &[u8]) -> Result<(), Refusal> {
        if !data.is_empty() {
            return Err(Refusal::invalid("STRUCTURED_REPLY takes no data"));
        }
        self.is_structured = true;
        Ok(())
    }

    /// LIST_META_CONTEXT and SET_META_CONTEXT.
    fn meta_context(&mut self, number: u32, data: &[u8]) -> Result<(), Refusal> {
        let is_set = number == option::SET_META_CONTEXT;
        if is_set {
            // Whatever becomes of this one, the earlier choice is gone.
            self.chosen = None;
            if !self.is_structured {
                return Err(Refusal::invalid("contexts need structured replies: ask for these first"));
            }
        }
        let mut reader = Reader::new(data);
        let asked = reader.name()?;
        let count = reader.u32()?;
        if count > self.manners.limits.query_count_max {
            return Err(Refusal::new(
                option_reply::ERR_TOO_BIG,
                format!("{count} queries are more than {}", self.manners.limits.query_count_max),
            ));
        }
        let mut queries = Vec::new();
        for _ in 0..count {
            queries.push(reader.name()?);
        }
        reader.end()?;
        let (_, device) = self.open(asked)?;
        let mut found = Context::offered(&device.facts());
        let matches = |context: &Context| {
            let name = context.name();
            // A namespace alone stands for all of it where things are listed, and for nothing where they are chosen.
            let is_in = |query: &&str| !is_set && query.ends_with(':') && name.starts_with(*query);
            queries.iter().any(|query| *query == name || is_in(query))
        };
        if is_set || count > 0 {
            found.retain(matches);
        }
        for context in &found {
            let id = if is_set { context.id() } else { 0 };
            let mut data = id.to_be_bytes().to_vec();
            data.extend(context.name().as_bytes());
            self.reply(number, option_reply::META_CONTEXT, &data);
        }
        if is_set {
            self.chosen = Some((asked.to_owned(), found));
        }
        Ok(())
    }

    /// Finds a device and its name in the list.
    fn open(&self, asked: &str) -> Result<(String, Arc<dyn Device>), Refusal> {
        let unknown =
            |error: OpenError| Refusal::new(option_reply::ERR_UNKNOWN, format!("{}: {error}", quoted(asked)));
        let device = self.exports.open(asked).map_err(unknown)?;
        let name = match asked.is_empty() {
            true => self.exports.list().into_iter().next().map_or(String::new(), |(name, _)| name),
            false => asked.to_owned(),
        };
        Ok((name, device))
    }

    fn terms(&self, asked: &[u8], device: &dyn Device) -> Result<Terms, String> {
        let mut terms = Terms::of(&device.facts(), self.is_structured, self.manners.smallest)?;
        if let Some((name, contexts)) = &self.chosen {
            // What was chosen for one export says nothing about another.
            if name.as_bytes() == asked {
                terms.contexts = contexts.clone();
            }
        }
        Ok(terms)
    }
}

/// Takes bytes off `input` until `bytes` has `length` of them; tells whether it has.
fn fill(bytes: &mut Vec<u8>, length: usize, input: &mut &[u8]) -> bool {
    let missing = length.saturating_sub(bytes.len());
    let (taken, rest) = input.split_at(missing.min(input.len()));
    bytes.extend(taken);
    *input = rest;
    bytes.len() == length
}

/// What a client sent, as much of it as its own error may hold.
fn quoted(text: &str) -> String {
    let start: String = text.chars().take(80).collect();
    match start.len() < text.len() {
        true => format!("{start:?}..."),
        false => format!("{start:?}"),
    }
}

/// The start of a text, of at most so many bytes.
fn short(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
