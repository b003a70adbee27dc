//! Media as scenarios name them.
//!
//! Owns the register: a medium is one file in `media/` and one line in [`MEDIA`]. Must not know how they work.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

use crate::law::Conditions;
use crate::media::{MediaModel, flash, floppy, optical, rotating, uniform};
use crate::scenario::error::Wrong;
use crate::system::SystemOptions;

/// All media.
pub const MEDIA: &[MediumKind] = &[
    MediumKind::of::<rotating::HardDisk>(),
    MediumKind::of::<flash::FlashDrive>(),
    MediumKind::of::<optical::OpticalDisc>(),
    MediumKind::of::<floppy::FloppyDisk>(),
    MediumKind::of::<uniform::Uniform>(),
];

/// A healthy drive.
pub struct Healthy {
    /// Its mechanics.
    pub medium: Box<dyn MediaModel>,
    /// How it behaves at errors.
    pub conditions: Conditions,
}

/// What a scenario says of its disk.
pub trait MediumSpec: fmt::Debug + Send + Sync {
    /// Whether there can be such a disk. Errors: what cannot be, and what could.
    fn check(&self) -> Result<(), String>;

    /// Makes the drive; the disk has been checked.
    fn build(&self, seed: u64) -> Healthy;

    /// How a system usually treats such a drive.
    fn system(&self) -> SystemOptions {
        SystemOptions::default()
    }

    /// Bytes in all.
    fn bytes(&self) -> u64;

    /// The same drive with at most `bytes`: fewer and shorter tracks, as many heads.
    fn shrunk(&self, bytes: u64) -> Box<dyn MediumSpec>;
}

/// A medium that can be read from a scenario.
pub trait NamedMedium: MediumSpec + DeserializeOwned + JsonSchema + 'static {
    /// What scenarios call it.
    const MEDIUM: &'static str;
}

type Parse = fn(Spanned<DeValue<'_>>) -> Result<Box<dyn MediumSpec>, Wrong>;

/// A line of the register.
#[derive(Clone, Copy)]
pub struct MediumKind {
    /// What scenarios call it.
    pub name: &'static str,
    parse: Parse,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

impl MediumKind {
    const fn of<M: NamedMedium>() -> MediumKind {
        MediumKind {
            name: M::MEDIUM,
            parse: |table| Ok(Box::new(M::deserialize(ValueDeserializer::from(table))?)),
            schema: |generator| generator.subschema_for::<M>(),
        }
    }

    /// What `[disk]` may hold, without its `medium`.
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }
}

/// Reads `[disk]`; returns what scenarios call the medium, too.
pub(super) fn parse(table: Spanned<DeValue<'_>>) -> Result<(&'static str, Box<dyn MediumSpec>), Wrong> {
    let (table, name) = super::kind::tagged(table, "medium", MEDIA.iter().map(|medium| medium.name))?;
    match MEDIA.iter().find(|medium| medium.name == name) {
        Some(medium) => Ok((medium.name, (medium.parse)(table)?)),
        None => unreachable!("tagged returns one of the names"),
    }
}
