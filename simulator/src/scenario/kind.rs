//! Kinds of faults as scenarios name them.
//!
//! Owns the register: a kind of fault is one file in `fault/` and one line in [`KINDS`]. Must not know what they do.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

use crate::fault::{self, Fault};
use crate::media::MediaModel;
use crate::scenario::error::{Wrong, nearest};

/// All kinds of faults.
pub const KINDS: &[FaultKind] = &[
    FaultKind::of::<fault::cache_warming::CacheWarming>(),
    FaultKind::of::<fault::clusters::Clusters>(),
    FaultKind::of::<fault::controller_panic::ControllerPanic>(),
    FaultKind::of::<fault::dead_head::DeadHead>(),
    FaultKind::of::<fault::death::Death>(),
    FaultKind::of::<fault::disc_hole::DiscHole>(),
    FaultKind::of::<fault::disc_rot::DiscRot>(),
    FaultKind::of::<fault::disc_scratch::DiscScratch>(),
    FaultKind::of::<fault::fading_head::FadingHead>(),
    FaultKind::of::<fault::fast_fail::FastFail>(),
    FaultKind::of::<fault::flash_block::FlashBlock>(),
    FaultKind::of::<fault::flash_die::FlashDie>(),
    FaultKind::of::<fault::flash_errors::FlashErrors>(),
    FaultKind::of::<fault::flash_retention::FlashRetention>(),
    FaultKind::of::<fault::floppy_weak::FloppyWeak>(),
    FaultKind::of::<fault::garbage::Garbage>(),
    FaultKind::of::<fault::hang::Hang>(),
    FaultKind::of::<fault::hiccups::Hiccups>(),
    FaultKind::of::<fault::killer::Killer>(),
    FaultKind::of::<fault::map::Map>(),
    FaultKind::of::<fault::protected::Protected>(),
    FaultKind::of::<fault::reallocated::Reallocated>(),
    FaultKind::of::<fault::region::Region>(),
    FaultKind::of::<fault::scratch::Scratch>(),
    FaultKind::of::<fault::shingled::Shingled>(),
    FaultKind::of::<fault::slow_firmware::SlowFirmware>(),
    FaultKind::of::<fault::thermal::Thermal>(),
    FaultKind::of::<fault::translator::Translator>(),
    FaultKind::of::<fault::trimmed::Trimmed>(),
    FaultKind::of::<fault::vanish::Vanish>(),
    FaultKind::of::<fault::weak_head::WeakHead>(),
    FaultKind::of::<fault::wear::Wear>(),
];

/// Reads a whole file.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// What a scenario says of one fault.
pub trait FaultSpec: fmt::Debug + Send + Sync {
    /// Reads the files that the fault names, looked up from `folder`; called once, before anything else. Returns the
    /// bytes in them that make a difference. Errors: which file, and what is wrong with it.
    fn load(&mut self, _folder: &Path, _read: ReadFile<'_>) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    /// Makes the fault of a disk. Errors: what cannot be so on this disk, and what could.
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String>;

    /// Whether it may deliver wrong bytes as good ones.
    fn delivers_garbage(&self) -> bool {
        false
    }

    /// The same fault of a disk `ratio` times as large (`ratio` is below 1). What is told in shares of the disk stays.
    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec>;
}

/// One `[[fault]]` of a scenario.
#[derive(Debug)]
pub struct FaultEntry {
    /// What scenarios call its kind.
    pub kind: &'static str,
    /// Where it stands, in bytes of the scenario's text.
    pub span: Range<usize>,
    /// What the scenario says of it.
    pub spec: Box<dyn FaultSpec>,
}

impl FaultEntry {
    /// The same fault of a disk `ratio` times as large.
    pub fn scaled(&self, ratio: f64) -> FaultEntry {
        FaultEntry { kind: self.kind, span: self.span.clone(), spec: self.spec.scaled(ratio) }
    }
}

/// A fault that can be read from a scenario.
pub trait NamedFault: FaultSpec + DeserializeOwned + JsonSchema + 'static {
    /// What scenarios call it.
    const KIND: &'static str;
}

type Parse = fn(Spanned<DeValue<'_>>) -> Result<Box<dyn FaultSpec>, Wrong>;

/// A line of the register.
#[derive(Clone, Copy)]
pub struct FaultKind {
    /// What scenarios call it.
    pub name: &'static str,
    parse: Parse,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

impl FaultKind {
    const fn of<F: NamedFault>() -> FaultKind {
        FaultKind {
            name: F::KIND,
            parse: |table| Ok(Box::new(F::deserialize(ValueDeserializer::from(table))?)),
            schema: |generator| generator.subschema_for::<F>(),
        }
    }

    /// What a table of this kind may hold, without its `kind`.
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }
}

/// Reads one `[[fault]]`.
pub(super) fn parse(table: Spanned<DeValue<'_>>) -> Result<FaultEntry, Wrong> {
    let names = KINDS.iter().map(|kind| kind.name);
    let span = table.span();
    let (table, name) = tagged(table, "kind", names)?;
    match KINDS.iter().find(|kind| kind.name == name) {
        Some(kind) => Ok(FaultEntry { kind: kind.name, span, spec: (kind.parse)(table)? }),
        None => unreachable!("tagged returns one of the names"),
    }
}

/// Cuts the key that names a variant out of a table; returns the rest and the name, one of `names`.
pub(super) fn tagged<'t>(
    table: Spanned<DeValue<'t>>,
    key: &str,
    names: impl Iterator<Item = &'static str>,
) -> Result<(Spanned<DeValue<'t>>, String), Wrong> {
    let names: Vec<&str> = names.collect();
    let span = table.span();
    let at = |span, reason| Wrong { span: Some(span), reason };
    let DeValue::Table(mut fields) = table.into_inner() else {
        return Err(at(span, format!("expected a table with a {key}")));
    };
    let Some(tag) = fields.remove(key) else {
        return Err(at(span, format!("there is no {key}; it is one of {}", names.join(", "))));
    };
    let tag_span = tag.span();
    match tag.get_ref() {
        DeValue::String(name) if names.contains(&name.as_ref()) => {
            let name = name.to_string();
            Ok((Spanned::new(span, DeValue::Table(fields)), name))
        }
        DeValue::String(name) => {
            let meant =
                nearest(name, &names).map_or(String::new(), |name| format!("; did you mean {name:?}?"));
            let names = names.join(", ");
            Err(at(tag_span, format!("{key} {name:?} is not known; it is one of {names}{meant}")))
        }
        _ => Err(at(tag_span, format!("{key} must be a string, one of {}", names.join(", ")))),
    }
}
