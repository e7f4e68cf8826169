use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
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
        let counts = |seen: &&Sighting| !cfg!(debug_assertions) || seen.region != "[stack]";
        Self {
            all: self.all.iter().filter(counts).cloned().collect(),
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

/// Looks for each of these canaries in all of this process's memory that can be read.
///
/// # Errors
///
/// When the kernel does not let the process read its own memory, as after hardening.
pub fn scan(canaries: &[&[Masked]], mask: u8) -> io::Result<Vec<Sightings>> {
    let needles = Needles::new(canaries);
    let memory = File::open("/proc/self/mem")?;
    let regions = regions()?;
    let mut buffer = Zeroizing::new(vec![0_u8; CHUNK + PART - 1]);
    let own = buffer.as_ptr().addr()..buffer.as_ptr().addr() + buffer.len();
    let mut seen = vec![Sightings::default(); canaries.len()];
    for region in &regions {
        let mut hits = Vec::new();
        for (from, to) in without(&region.range, &own) {
            read_range(&memory, from, to, &mut buffer, |at, bytes| {
                needles.look(at, bytes, mask, &mut hits);
            });
        }
        needles.gather(&hits, &region.name, &mut seen);
    }
    Ok(seen)
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

struct Region {
    range: Range<usize>,
    name: String,
}

/// What `/proc/self/maps` lists as readable.
fn regions() -> io::Result<Vec<Region>> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let region = |line: &str| {
        let mut words = line.split_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let readable = words.next()?.starts_with('r');
        // Offset, device and inode come before the name.
        let name = words.nth(3).unwrap_or_default().to_owned();
        let region = Region {
            range: usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?,
            name,
        };
        // The kernel's own pages hold no data of the process, and cannot be read this way.
        (readable && !region.name.starts_with("[v")).then_some(region)
    };
    Ok(maps.lines().filter_map(region).collect())
}

/// The parts to look for.
struct Needles {
    /// Which form a part belongs to, and where in it.
    parts: HashMap<u64, (usize, usize)>,
    /// Whether any part begins with these two bytes: nearly all of memory ends here.
    begins: Vec<bool>,
    /// The canary, the form and the length of each form.
    forms: Vec<(usize, Form, usize)>,
}

impl Needles {
    fn new(canaries: &[&[Masked]]) -> Self {
        let mut needles = Self {
            parts: HashMap::new(),
            begins: vec![false; 1 << 16],
            forms: Vec::new(),
        };
        for (canary, masked) in canaries.iter().enumerate() {
            for form in *masked {
                let index = needles.forms.len();
                needles.forms.push((canary, form.form, form.bytes.len()));
                for (offset, part) in form.bytes.windows(PART).enumerate() {
                    needles.begins[begin(part)] = true;
                    needles.parts.insert(word(part), (index, offset));
                }
            }
        }
        needles
    }

    /// Notes where parts begin, in these bytes that stand at this address.
    fn look(&self, at: usize, bytes: &[u8], mask: u8, hits: &mut Vec<Hit>) {
        let masks = u64::from_le_bytes([mask; PART]);
        let pair = usize::from(u16::from_le_bytes([mask; 2]));
        for (offset, part) in bytes.windows(PART).enumerate() {
            if self.begins[begin(part) ^ pair] {
                if let Some(&(form, begin)) = self.parts.get(&(word(part) ^ masks)) {
                    hits.push(Hit {
                        at: at + offset,
                        form,
                        begin,
                    });
                }
            }
        }
    }

    /// Joins parts that follow each other to one sighting.
    fn gather(&self, hits: &[Hit], region: &str, seen: &mut [Sightings]) {
        let follows = |a: &Hit, b: &Hit| a.form == b.form && a.at + 1 == b.at && a.begin + 1 == b.begin;
        for run in hits.chunk_by(follows) {
            let (canary, form, all) = self.forms[run[0].form];
            let len = run.len() - 1 + PART;
            seen[canary].all.push(Sighting {
                form,
                begin: run[0].begin,
                len,
                whole: len == all,
                region: region.to_owned(),
            });
        }
    }
}

/// A part that was found.
struct Hit {
    at: usize,
    form: usize,
    begin: usize,
}

fn begin(part: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([part[0], part[1]]))
}

fn word(part: &[u8]) -> u64 {
    let mut word = [0; PART];
    word.copy_from_slice(&part[..PART]);
    u64::from_le_bytes(word)
}
