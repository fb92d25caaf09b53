//! A disk in memory whose power can be cut at any call, and which can be full or broken from any call on.
//!
//! What it does to what was not synced follows SQLite's crash tests, with any file system in mind:
//! * each append is kept, dropped or torn at borders of 512 or 4,096 bytes, in any order; dropped blocks read as zeros or
//!   as garbage; the length is that of what was kept, of everything, or anything in between;
//! * each change of a name happened or not: all up to some one, or any of them; of a rename both names may be there;
//! * what a sync reported as failed may be lost, whatever a later sync says.
//!
//! It assumes, as SQLite does, that writing into a block leaves its other bytes as they are, and that a rename never
//! loses both names. Everything follows from the calls and a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use praxis_bundle::scan::Bytes;
use praxis_bundle::storage::{Storage, StorageFile};

use crate::kills::Random;

/// What a call fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No space left on the device: calls that need room.
    Full,
    /// Input/output error: any call.
    Broken,
}

impl Fault {
    fn error(self) -> io::Error {
        let code = match self {
            Self::Full => rustix::io::Errno::NOSPC,
            Self::Broken => rustix::io::Errno::IO,
        };
        code.into()
    }
}

/// Which calls fail.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// How.
    pub fault: Fault,
    /// The first call that fails, counted from 0.
    pub from_call: usize,
    /// All later ones, too.
    pub is_forever: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unsynced,
    Durable,
    /// A sync that had to make it durable has failed.
    Doomed,
}

#[derive(Debug, Clone)]
enum Name {
    Given(PathBuf, usize),
    Taken(PathBuf),
    Renamed(PathBuf, PathBuf, usize),
}

#[derive(Debug, Clone)]
enum Event {
    Appended(usize, Range<usize>),
    /// Everything that was appended to a file before the event of that number is durable.
    Synced(usize, usize),
    SyncFailed(usize),
    Named(Name),
    FolderSynced(PathBuf),
}

#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    allocated: usize,
    is_locked: bool,
}

#[derive(Default)]
struct Inner {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    /// Files and names that were durable from the beginning; nothing is appended to those.
    first: Vec<(PathBuf, usize)>,
    events: Vec<Event>,
    num_calls: usize,
    faults: Option<Faults>,
    /// Bytes of the whole disk.
    capacity: Option<usize>,
    /// Bytes that other programs have.
    others: usize,
    /// If set, appends write only a part, chosen by this.
    short: Option<Random>,
}

impl Inner {
    fn used(&self) -> usize {
        let named: BTreeSet<usize> = self.names.values().copied().collect();
        let bytes_of = |inode: &Inode| inode.bytes.len().max(inode.allocated);
        self.others + named.into_iter().map(|number| bytes_of(&self.inodes[number])).sum::<usize>()
    }

    fn room(&self) -> usize {
        self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(self.used()))
    }

    /// Counts a call and says whether it fails.
    fn call(&mut self, needs_room: bool) -> io::Result<()> {
        let call = self.num_calls;
        self.num_calls += 1;
        match self.faults {
            Some(Faults { fault, from_call, is_forever })
                if (call == from_call || is_forever && call > from_call)
                    && (needs_room || fault == Fault::Broken) =>
            {
                Err(fault.error())
            }
            _ => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn name(&mut self, name: Name) {
        apply(&mut self.names, &name, true);
        self.events.push(Event::Named(name));
    }
}

/// Changes names; a rename only gives the new one if it is not `whole`.
fn apply(names: &mut BTreeMap<PathBuf, usize>, name: &Name, whole: bool) {
    match name {
        Name::Given(path, inode) => drop(names.insert(path.clone(), *inode)),
        Name::Taken(path) => drop(names.remove(path)),
        Name::Renamed(from, to, inode) => {
            names.insert(to.clone(), *inode);
            if whole {
                names.remove(from);
            }
        }
    }
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<Inner>>);

impl SimDisk {
    /// A disk with durable files.
    #[must_use]
    pub fn with_files(files: impl IntoIterator<Item = (PathBuf, Vec<u8>)>) -> Self {
        let disk = Self::default();
        let mut inner = disk.lock();
        for (path, bytes) in files {
            let number = inner.inodes.len();
            inner.inodes.push(Inode { bytes, ..Inode::default() });
            inner.names.insert(path.clone(), number);
            inner.first.push((path, number));
        }
        drop(inner);
        disk
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which calls fail from now on; `None` for a disk that is sound again. Calls are counted anew.
    pub fn set_faults(&self, faults: Option<Faults>) {
        let mut inner = self.lock();
        (inner.faults, inner.num_calls) = (faults, 0);
    }

    /// From now on appends write only a part.
    pub fn write_short(&self, seed: u64) {
        self.lock().short = Some(Random(seed));
    }

    /// Its size, and how much of it other programs have.
    pub fn set_size(&self, bytes: usize, others: usize) {
        let mut inner = self.lock();
        (inner.capacity, inner.others) = (Some(bytes), others);
    }

    /// Other programs take all that is free. Returns how much that was.
    pub fn fill_up(&self) -> usize {
        let mut inner = self.lock();
        let room = inner.room();
        inner.others += room;
        room
    }

    /// Other programs remove some of their bytes.
    pub fn make_room(&self, bytes: usize) {
        let mut inner = self.lock();
        inner.others = inner.others.saturating_sub(bytes);
    }

    /// Calls since the beginning, or since the faults were set.
    #[must_use]
    pub fn num_calls(&self) -> usize {
        self.lock().num_calls
    }

    /// Changes so far: the power can be cut before and after each.
    #[must_use]
    pub fn num_events(&self) -> usize {
        self.lock().events.len()
    }

    /// Blocks that a file has after its end.
    #[must_use]
    pub fn bytes_kept_for(&self, path: &Path) -> usize {
        let inner = self.lock();
        let inode = inner.names.get(path).map(|number| &inner.inodes[*number]);
        inode.map_or(0, |inode| inode.allocated.saturating_sub(inode.bytes.len()))
    }

    /// The files as programs see them.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let inner = self.lock();
        inner.names.iter().map(|(path, number)| (path.clone(), inner.inodes[*number].bytes.clone())).collect()
    }

    /// A sync that was begun at that event, and is done now. For those who let things happen meanwhile.
    pub fn finish_sync(&self, path: &Path, begun_at: usize) {
        let mut inner = self.lock();
        if let Some(number) = inner.names.get(path).copied() {
            inner.events.push(Event::Synced(number, begun_at));
        }
    }

    /// What may be left if the power went after so many events.
    #[must_use]
    pub fn after_power_cut(&self, num_events: usize, random: &mut Random) -> Self {
        let inner = self.lock();
        let events = &inner.events[..num_events.min(inner.events.len())];
        let mut durable: BTreeMap<PathBuf, usize> = inner.first.iter().cloned().collect();
        let mut unsynced: Vec<&Name> = Vec::new();
        let mut appended: BTreeMap<usize, Vec<(usize, Range<usize>, Fate)>> = BTreeMap::new();
        for (n, event) in events.iter().enumerate() {
            match event {
                Event::Appended(inode, range) => {
                    appended.entry(*inode).or_default().push((n, range.clone(), Fate::Unsynced));
                }
                Event::Synced(inode, before) => settle(appended.get_mut(inode), *before, Fate::Durable),
                Event::SyncFailed(inode) => settle(appended.get_mut(inode), n, Fate::Doomed),
                Event::Named(name) => unsynced.push(name),
                Event::FolderSynced(folder) => unsynced.retain(|name| {
                    let is_here = path_of(name).parent() == Some(folder);
                    if is_here {
                        apply(&mut durable, name, true);
                    }
                    !is_here
                }),
            }
        }
        // A journal keeps the order of names; without one, any of them.
        let first_lost = random.below(unsynced.len() as u64 + 1) as usize;
        let is_ordered = random.below(2) == 0;
        for (n, name) in unsynced.into_iter().enumerate() {
            match random.below(3) {
                _ if is_ordered && n < first_lost => apply(&mut durable, name, true),
                _ if is_ordered => break,
                0 => {}
                1 => apply(&mut durable, name, true),
                _ => apply(&mut durable, name, false),
            }
        }
        // Two names of one file are so still.
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        let mut left = Inner::default();
        for (path, number) in durable {
            let new = *numbers.entry(number).or_insert_with(|| {
                let whole = &inner.inodes[number].bytes;
                let appends = appended.get(&number).map(Vec::as_slice).unwrap_or_default();
                let was_there = inner.first.iter().any(|(_, first)| *first == number);
                let begin = if was_there && appends.is_empty() { whole.len() } else { 0 };
                left.inodes.push(Inode { bytes: torn(whole, begin, appends, random), ..Inode::default() });
                left.inodes.len() - 1
            });
            left.names.insert(path.clone(), new);
            left.first.push((path, new));
        }
        Self(Arc::new(Mutex::new(left)))
    }
}

fn path_of(name: &Name) -> &Path {
    match name {
        Name::Given(path, _) | Name::Taken(path) | Name::Renamed(_, path, _) => path,
    }
}

fn settle(appends: Option<&mut Vec<(usize, Range<usize>, Fate)>>, before: usize, fate: Fate) {
    for (n, _, has) in appends.into_iter().flatten() {
        if *n < before && *has == Fate::Unsynced {
            *has = fate;
        }
    }
}

/// The content of a file of which some appends were not durable when the power went.
fn torn(whole: &[u8], begin: usize, appends: &[(usize, Range<usize>, Fate)], random: &mut Random) -> Vec<u8> {
    let block = if random.below(2) == 0 { 512 } else { 4096 };
    let garbage = random.below(4) == 0;
    let end = appends.last().map_or(begin, |(_, range, _)| range.end);
    let (mut bytes, mut kept_bytes) = (whole[..end].to_vec(), begin);
    for (_, range, fate) in appends {
        let choice = match fate {
            Fate::Durable => 0,
            _ => random.below(3),
        };
        let mut at = range.start;
        while at < range.end {
            let next = ((at / block + 1) * block).min(range.end);
            let is_kept = choice == 0 || choice == 2 && random.below(2) == 0;
            match is_kept {
                true => kept_bytes = next,
                false if garbage => bytes[at..next].fill_with(|| random.below(256) as u8),
                false => bytes[at..next].fill_with(|| 0),
            }
            at = next;
        }
    }
    // Everything durable lies before the last byte that was kept.
    let length = match random.below(3) {
        0 => kept_bytes,
        1 => end,
        _ => kept_bytes + random.below((end - kept_bytes) as u64 + 1) as usize,
    };
    bytes.truncate(length);
    bytes
}

impl Storage for SimDisk {
    fn create_folder_of(&self, _: &Path) -> io::Result<()> {
        self.lock().call(true)
    }
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let mut inner = self.lock();
        inner.call(true)?;
        if inner.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let number = inner.inodes.len();
        inner.inodes.push(Inode::default());
        inner.name(Name::Given(path.to_owned(), number));
        Ok(Box::new(SimFile { disk: self.clone(), number, has_lock: Mutex::new(false) }))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let mut inner = self.lock();
        inner.call(false)?;
        let number = inner.find(path)?;
        Ok(Box::new(SimFile { disk: self.clone(), number, has_lock: Mutex::new(false) }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(true)?;
        let number = inner.find(from)?;
        inner.name(Name::Renamed(from.to_owned(), to.to_owned(), number));
        Ok(())
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(true)?;
        let number = inner.find(from)?;
        if inner.names.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        inner.name(Name::Given(to.to_owned(), number));
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(false)?;
        inner.find(path)?;
        inner.name(Name::Taken(path.to_owned()));
        Ok(())
    }
    fn sync_folder_of(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(true)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        inner.events.push(Event::FolderSynced(folder));
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    number: usize,
    has_lock: Mutex<bool>,
}

impl Bytes for SimFile {
    fn num_bytes(&self) -> io::Result<u64> {
        let mut inner = self.disk.lock();
        inner.call(false)?;
        Ok(inner.inodes[self.number].bytes.len() as u64)
    }
    fn fill(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let mut inner = self.disk.lock();
        inner.call(false)?;
        inner.inodes[self.number].bytes[..].fill(offset, into)
    }
}

impl StorageFile for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.disk.lock();
        inner.call(true)?;
        let (start, allocated) = {
            let inode = &inner.inodes[self.number];
            (inode.bytes.len(), inode.allocated)
        };
        let mut count = bytes.len().min(inner.room().saturating_add(allocated.saturating_sub(start)));
        if count == 0 && !bytes.is_empty() {
            return Err(Fault::Full.error());
        }
        if let Some(short) = &mut inner.short {
            count = 1 + short.below(count as u64) as usize;
        }
        inner.inodes[self.number].bytes.extend_from_slice(&bytes[..count]);
        inner.events.push(Event::Appended(self.number, start..start + count));
        Ok(count)
    }
    fn sync(&self) -> io::Result<()> {
        let mut inner = self.disk.lock();
        let result = inner.call(true);
        let now = inner.events.len();
        inner.events.push(match &result {
            Ok(()) => Event::Synced(self.number, now),
            Err(_) => Event::SyncFailed(self.number),
        });
        result
    }
    fn allocate(&self, range: Range<u64>) -> io::Result<()> {
        let mut inner = self.disk.lock();
        inner.call(true)?;
        let inode = &inner.inodes[self.number];
        let (has, wanted) = (inode.allocated.max(inode.bytes.len()), range.end as usize);
        if wanted.saturating_sub(has) > inner.room() {
            return Err(Fault::Full.error());
        }
        inner.inodes[self.number].allocated = has.max(wanted);
        Ok(())
    }
    fn give_back(&self) -> io::Result<()> {
        let mut inner = self.disk.lock();
        inner.call(false)?;
        inner.inodes[self.number].allocated = 0;
        Ok(())
    }
    fn free_bytes(&self) -> io::Result<u64> {
        let mut inner = self.disk.lock();
        inner.call(false)?;
        Ok(inner.room() as u64)
    }
    fn try_lock(&self) -> io::Result<()> {
        let mut inner = self.disk.lock();
        inner.call(false)?;
        let mut has_lock = self.has_lock.lock().unwrap_or_else(PoisonError::into_inner);
        if *has_lock {
            return Ok(());
        }
        if inner.inodes[self.number].is_locked {
            return Err(ErrorKind::WouldBlock.into());
        }
        (inner.inodes[self.number].is_locked, *has_lock) = (true, true);
        Ok(())
    }
    fn is_at(&self, path: &Path) -> bool {
        self.disk.lock().names.get(path) == Some(&self.number)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if *self.has_lock.lock().unwrap_or_else(PoisonError::into_inner) {
            self.disk.lock().inodes[self.number].is_locked = false;
        }
    }
}
