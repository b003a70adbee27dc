//! Disks that are served, by name.
//!
//! Owns which disk a client gets for a name, and that it is the same one each time. Must not know how it is served.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use block::WallClock;
use serving::{AccessLog, Device, Exports, OpenError, SimDevice};
use simulator::Scenario;
use simulator::scenario::address::{Address, Named, PREFIX};
use simulator::scenario::library;

use super::Failure;
use super::control;
use super::disk::{self, DiskOptions};
use super::disk_argument::{self, DiskArgument};

/// Disks with a seed of the client's choice that are kept open, beside those that were named on the command line.
const CHOSEN_MAX: usize = 64;

/// How disks are served.
#[derive(Clone, Default)]
pub struct ServedOptions {
    /// How they behave.
    pub disk: DiskOptions,
    /// What of an image can be read, as a map.
    pub map: Option<PathBuf>,
    /// Where it is written down what simulated disks are asked.
    pub log: Option<Arc<AccessLog>>,
}

/// Which disks are served.
#[derive(Clone, Debug)]
pub enum Choice {
    /// Every scenario of the library.
    All,
    /// These, as on a command line.
    Words(Vec<OsString>),
}

/// Disks, by name.
pub struct Served {
    choice: Choice,
    options: ServedOptions,
    clock: Arc<WallClock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In their order.
    listed: Vec<Listed>,
    /// Disks with seeds that somebody asked for, the oldest first.
    chosen: Vec<(String, Slot)>,
}

/// A device, once somebody has asked for it.
type Slot = Arc<OnceLock<Result<Arc<dyn Device>, OpenError>>>;

/// A disk in the list.
#[derive(Clone)]
struct Listed {
    name: String,
    description: String,
    origin: Origin,
    slot: Slot,
}

/// Where a disk comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Simulated(Address),
    Path(PathBuf),
}

impl Served {
    /// Finds all disks, and opens those that were named.
    ///
    /// Errors: one of them cannot be served; two have one name.
    pub fn open(choice: Choice, options: ServedOptions, clock: Arc<WallClock>) -> Result<Served, Failure> {
        let served = Served { choice, options, clock, state: Mutex::default() };
        let listed = served.find(&[])?;
        served.lock().listed = listed;
        Ok(served)
    }

    /// Reads the scenarios again: whoever comes from now on gets a new disk. Images and drives stay as they are.
    ///
    /// Errors: one of them cannot be used; then all stays as it was.
    pub fn reload(&self) -> Result<(), Failure> {
        let old = self.lock().listed.clone();
        let listed = self.find(&old)?;
        *self.lock() = State { listed, chosen: Vec::new() };
        Ok(())
    }

    /// Disks that are open, and their names.
    pub fn opened(&self) -> Vec<(String, Arc<dyn Device>)> {
        let open = |listed: &Listed| match listed.slot.get() {
            Some(Ok(device)) => Some((listed.name.clone(), device.clone())),
            _ => None,
        };
        self.lock().listed.iter().filter_map(open).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, old: &[Listed]) -> Result<Vec<Listed>, Failure> {
        let words = match &self.choice {
            Choice::All => return all(),
            Choice::Words(words) => words,
        };
        let mut listed: Vec<Listed> = Vec::new();
        for word in words {
            let found = self.listed(word, old)?;
            if listed.iter().any(|other| other.name == found.name) {
                let text = format!("two disks are called {:?}: clients could not choose", found.name);
                return Err(Failure::Usage(text));
            }
            listed.push(found);
        }
        Ok(listed)
    }

    fn listed(&self, word: &OsStr, old: &[Listed]) -> Result<Listed, Failure> {
        let argument = DiskArgument::read(word)?;
        let (name, origin, device): (_, _, Arc<dyn Device>) = match argument {
            DiskArgument::Simulated(address) => {
                let (scenario, seed) = disk_argument::open(&address)?;
                let name = match address.seed {
                    Some(seed) => format!("{}@{seed}", scenario.name),
                    None => scenario.name.clone(),
                };
                if self.options.map.is_some() {
                    return Err(disk::no_image());
                }
                let device = self.simulated(scenario, seed, &address, &name)?;
                (name, Origin::Simulated(address), Arc::new(device))
            }
            DiskArgument::Path(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
                let origin = Origin::Path(path.clone());
                if let Some(open) = old.iter().find(|listed| listed.origin == origin) {
                    return Ok(open.clone());
                }
                let argument = DiskArgument::Path(path);
                let map = self.options.map.as_deref();
                let device = disk::open(&argument, map, self.options.disk, self.clock.clone(), None)?;
                (name, origin, device)
            }
        };
        let description = device.facts().description;
        Ok(Listed { name, description, origin, slot: Arc::new(OnceLock::from(Ok(device))) })
    }

    fn simulated(
        &self,
        scenario: Scenario,
        seed: u64,
        address: &Address,
        name: &str,
    ) -> Result<SimDevice, Failure> {
        let mut options = self.options.disk.simulated;
        options.access = address.access.or(options.access);
        let logging = control::logging(self.options.log.clone(), name, address);
        Ok(SimDevice::open(scenario, seed, options, self.clock.clone(), logging)?)
    }

    /// The address of a name that is not in the list: a disk of the list with a seed.
    fn address(&self, name: &str, listed: &[Listed]) -> Option<Address> {
        let known =
            |name: &str| listed.iter().find(|listed| listed.name == name).map(|listed| &listed.origin);
        if let Some((base, digits)) = name.rsplit_once('@')
            && let Some(Origin::Simulated(address)) = known(base)
        {
            let seeded = Address::parse(&format!("{PREFIX}x@{digits}"))?.ok()?;
            return Some(Address { seed: seeded.seed, ..address.clone() });
        }
        match self.choice {
            // Other names of the same scenarios; never a file: clients have no business with these.
            Choice::All => {
                let address = Address::parse(&format!("{PREFIX}{name}"))?.ok()?;
                matches!(address.scenario, Named::Library(_)).then_some(address)
            }
            Choice::Words(_) => None,
        }
    }

    /// Opens a simulated disk that was not opened at the start.
    fn open_late(&self, address: &Address, name: &str) -> Result<Arc<dyn Device>, OpenError> {
        let scenario = match address.scenario() {
            Ok(scenario) => scenario,
            Err(_) if matches!(self.choice, Choice::All) => return Err(OpenError::Unknown),
            Err(error) => return Err(OpenError::Failed(one_line(&error.to_string()))),
        };
        let seed = address.seed.unwrap_or(scenario.seed());
        match self.simulated(scenario, seed, address, name) {
            Ok(device) => Ok(Arc::new(device)),
            Err(error) => Err(OpenError::Failed(one_line(&error.to_string()))),
        }
    }
}

impl Exports for Served {
    fn list(&self) -> Vec<(String, String)> {
        let state = self.lock();
        state.listed.iter().map(|listed| (listed.name.clone(), listed.description.clone())).collect()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Device>, OpenError> {
        let (slot, address) = {
            let mut state = self.lock();
            let listed = match name.is_empty() {
                true => state.listed.first(),
                false => state.listed.iter().find(|listed| listed.name == name),
            };
            match listed {
                Some(Listed { slot, origin: Origin::Simulated(address), .. }) => {
                    (slot.clone(), Some(address.clone()))
                }
                // Opened at the start.
                Some(Listed { slot, .. }) => (slot.clone(), None),
                None => {
                    let address = self.address(name, &state.listed).ok_or(OpenError::Unknown)?;
                    (state.chosen(name)?, Some(address))
                }
            }
        };
        let open =
            || address.as_ref().map_or(Err(OpenError::Unknown), |address| self.open_late(address, name));
        slot.get_or_init(open).clone()
    }
}

impl State {
    /// The place of a disk with a seed of somebody's choice.
    fn chosen(&mut self, name: &str) -> Result<Slot, OpenError> {
        if let Some((_, slot)) = self.chosen.iter().find(|(other, _)| other == name) {
            return Ok(slot.clone());
        }
        if self.chosen.len() >= CHOSEN_MAX {
            let is_unused = |(_, slot): &(String, Slot)| match slot.get() {
                Some(Ok(device)) => Arc::strong_count(slot) == 1 && Arc::strong_count(device) == 1,
                Some(Err(_)) => true,
                None => false,
            };
            let unused = self.chosen.iter().position(is_unused).ok_or_else(|| {
                OpenError::Failed(format!("{CHOSEN_MAX} disks with other seeds are in use already"))
            })?;
            self.chosen.remove(unused);
        }
        let slot = Slot::default();
        self.chosen.push((name.to_owned(), slot.clone()));
        Ok(slot)
    }
}

/// Every scenario that comes with the program, and its twin.
fn all() -> Result<Vec<Listed>, Failure> {
    let listed = library::all()?.into_iter().map(|scenario| {
        let named = Named::Library(scenario.name.clone());
        Listed {
            description: scenario.head.description.lines().next().unwrap_or_default().to_owned(),
            origin: Origin::Simulated(Address { scenario: named, seed: None, access: None }),
            name: scenario.name,
            slot: Slot::default(),
        }
    });
    Ok(listed.collect())
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}
