use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use zeroize::Zeroizing;

use crate::canary::{Form, Masked};

/// The shortest part that counts. Random bytes make eight of a kind once in 2⁶⁴.
const PART: usize = 8;

/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// The smallest page there is.
const PAGE: usize = 4096;

/// One place in memory where a canary, or a part of it, stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sighting {
    /// In which form.
    pub form: Form,
    /// Where in that form it begins.
    pub begin: usize,
    /// How many bytes of that form, at least eight.
    pub len: usize,
    /// Whether that is all of it.
    pub whole: bool,
    /// The kind of memory, as the kernel calls it: `[heap]`, `[stack]`, a file, or nothing for other allocations.
    pub region: String,
}

/// Everything that was seen of one canary.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Sightings {
    /// Each place.
    pub all: Vec<Sighting>,
}

impl Sightings {
    /// How many whole copies, in any form.
    pub fn copies(&self) -> usize {
        self.all.iter().filter(|seen| seen.whole).count()
    }

    /// How many parts that belong to no whole copy.
    pub fn fragments(&self) -> usize {
        self.all.len() - self.copies()
    }

    /// Those that are held against a promise: all of them in an optimised build. Unoptimised code keeps on the stack what it
    /// works on, such as the last bytes that were searched for an escape, and does not ship.
    #[must_use]
    pub fn that_count(&self) -> Self {
        self.only(|seen| !cfg!(debug_assertions) || seen.region != "[stack]")
    }

    pub(crate) fn only(&self, counts: impl Fn(&Sighting) -> bool) -> Self {
        Self {
            all: self.all.iter().filter(|seen| counts(seen)).cloned().collect(),
        }
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl fmt::Display for Sightings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} copies and {} fragments", self.copies(), self.fragments())?;
        for seen in &self.all {
            let region = if seen.region.is_empty() {
                "anonymous"
            } else {
                &seen.region
            };
            write!(
                f,
                "; {:?}, {} bytes from {}, {region}",
                seen.form, seen.len, seen.begin
            )?;
        }
        Ok(())
    }
}

/// Looks for canaries in all of this process's memory that can be read. What it needs for that it has from the beginning:
/// what it allocated while looking would lie over what has been freed, and hide it.
pub struct Scanner {
    needles: Needles,
    canaries: usize,
    mask: u8,
    maps: String,
    buffer: Zeroizing<Vec<u8>>,
    runs: Vec<Run>,
}

impl Scanner {
    /// Prepares to look for each of these canaries, which are masked with this byte.
    pub fn new(canaries: &[&[Masked]], mask: u8) -> Self {
        Self {
            needles: Needles::new(canaries),
            canaries: canaries.len(),
            mask,
            maps: String::with_capacity(1 << 18),
            buffer: Zeroizing::new(vec![0; CHUNK + PART - 1]),
            runs: Vec::with_capacity(1 << 12),
        }
    }

    /// What is there of each canary now.
    ///
    /// # Errors
    ///
    /// When the kernel does not let the process read its own memory, as after hardening.
    pub fn scan(&mut self) -> io::Result<Vec<Sightings>> {
        let memory = File::open("/proc/self/mem")?;
        self.maps.clear();
        File::open("/proc/self/maps")?.read_to_string(&mut self.maps)?;
        let own = self.buffer.as_ptr().addr()..self.buffer.as_ptr().addr() + self.buffer.len();
        let mut seen = vec![Sightings::default(); self.canaries];
        for (range, name) in regions(&self.maps) {
            self.runs.clear();
            for (from, to) in without(&range, &own) {
                read_range(&memory, from, to, &mut self.buffer, |at, bytes| {
                    self.needles.look(at, bytes, self.mask, &mut self.runs);
                });
            }
            self.needles.gather(&self.runs, name, &mut seen);
        }
        self.buffer.fill(0);
        Ok(seen)
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("canaries", &self.canaries)
            .finish_non_exhaustive()
    }
}

/// Hands over the range in chunks, each with the first bytes of the next one.
fn read_range(memory: &File, from: usize, to: usize, buffer: &mut [u8], mut found: impl FnMut(usize, &[u8])) {
    let mut at = from;
    while at + PART <= to {
        let wanted = (to - at).min(buffer.len());
        match memory.read_at(&mut buffer[..wanted], at as u64) {
            // What overlaps is no longer than a part less one byte, so no part is seen twice.
            Ok(read) if read >= PART => {
                found(at, &buffer[..read]);
                at += read - (PART - 1);
            }
            // A device's memory, or what has been unmapped since: the next page may be readable.
            _ => at = (at / PAGE + 1) * PAGE,
        }
    }
}

/// The range without the other one.
fn without(range: &Range<usize>, cut: &Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    let before = (range.start, range.end.min(cut.start));
    let after = (range.start.max(cut.end), range.end);
    [before, after].into_iter().filter(|(from, to)| from < to)
}

/// What `/proc/self/maps` lists as readable, and what it is called; without what is a file's and has never been writable.
fn regions(maps: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    maps.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let (access, inode) = (words.next()?, words.nth(2)?);
        let looked_at = access.starts_with("rw") || (access.starts_with('r') && inode == "0");
        let name = words.next().unwrap_or_default();
        let range = usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?;
        // The kernel's own pages hold no data of the process, and cannot be read this way.
        (looked_at && !name.starts_with("[v")).then_some((range, name))
    })
}

/// The parts to look for.
struct Needles {
    /// The last place of each part.
    parts: HashMap<u64, usize>,
    places: Vec<Place>,
    /// Whether any part begins with these two bytes: nearly all of memory ends here.
    begins: Vec<bool>,
    /// The canary, the form and the length of each form.
    forms: Vec<(usize, Form, usize)>,
}

impl Needles {
    fn new(canaries: &[&[Masked]]) -> Self {
        let mut needles = Self {
            parts: HashMap::new(),
            places: Vec::new(),
            begins: vec![false; 1 << 16],
            forms: Vec::new(),
        };
        for (canary, masked) in canaries.iter().enumerate() {
            for form in *masked {
                let index = needles.forms.len();
                needles.forms.push((canary, form.form, form.bytes.len()));
                for (offset, part) in form.bytes.windows(PART).enumerate() {
                    needles.begins[begin(part)] = true;
                    let before = needles.parts.insert(word(part), needles.places.len());
                    needles.places.push(Place {
                        form: index,
                        offset,
                        before,
                    });
                }
            }
        }
        needles
    }

    /// Looks at every place in memory that was read from this address on.
    fn look(&self, at: usize, bytes: &[u8], mask: u8, runs: &mut Vec<Run>) {
        let masks = u64::from_le_bytes([mask; PART]);
        let pair = usize::from(u16::from_le_bytes([mask; 2]));
        for (offset, part) in bytes.windows(PART).enumerate() {
            if self.begins[begin(part) ^ pair] {
                let mut place = self.parts.get(&(word(part) ^ masks)).copied();
                while let Some(found) = place.map(|place| &self.places[place]) {
                    Run::note(runs, at + offset, found);
                    place = found.before;
                }
            }
        }
    }

    fn gather(&self, runs: &[Run], region: &str, seen: &mut [Sightings]) {
        for (index, run) in runs.iter().enumerate() {
            // What is within a longer one is only alike.
            let near = &runs[index.saturating_sub(NEAR)..(index + NEAR).min(runs.len())];
            if near.iter().any(|other| other.holds(run)) {
                continue;
            }
            let (canary, form, all) = self.forms[run.form];
            seen[canary].all.push(Sighting {
                form,
                begin: run.begin,
                len: run.len(),
                whole: run.len() == all,
                region: region.to_owned(),
            });
        }
    }
}

/// Where in a form a part stands, and where else it does: a long canary has some twice.
struct Place {
    form: usize,
    offset: usize,
    before: Option<usize>,
}

/// How many runs may lie at one place.
const NEAR: usize = 64;

/// Parts that follow each other, in memory as in the form.
struct Run {
    form: usize,
    at: usize,
    begin: usize,
    parts: usize,
}

impl Run {
    /// A part of a form was found at an address that is none lower than those before.
    fn note(runs: &mut Vec<Self>, at: usize, place: &Place) {
        let (form, begin) = (place.form, place.offset);
        let recent = runs.iter_mut().rev().take(NEAR);
        let mut follows = recent
            .filter(|run| run.form == form && run.at + run.parts == at && run.begin + run.parts == begin);
        match follows.next() {
            Some(run) => run.parts += 1,
            None => runs.push(Self {
                form,
                at,
                begin,
                parts: 1,
            }),
        }
    }

    fn len(&self) -> usize {
        self.parts - 1 + PART
    }

    fn holds(&self, other: &Self) -> bool {
        self.parts > other.parts && self.at <= other.at && other.at + other.parts <= self.at + self.parts
    }
}

fn begin(part: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([part[0], part[1]]))
}

fn word(part: &[u8]) -> u64 {
    let mut word = [0; PART];
    word.copy_from_slice(&part[..PART]);
    u64::from_le_bytes(word)
}
