//! Shards: the files that hold the weights of a group. How they are named, cut, found among other files, and checked.

use std::collections::HashSet;

use crate::error::{Error, FileProblem};
use crate::manifest::{self, MAX_SAFE_INTEGER, RawSpec};

mod names;
pub use names::{base_name, likeness, safe_name, without_copy_number};

/// What TF.js's converter cuts a group into, in bytes.
pub const DEFAULT_SHARD: u64 = 4 << 20;
/// More shards than that are a mistake.
pub const MOST: u64 = 10_000;
/// Files are not compared with paths more often than that, which takes some seconds.
const MOST_COMPARED: usize = 1 << 24;

/// A group as it came, before anything is known to be true of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawGroup {
    /// `paths`; `None` for one that is no text.
    pub paths: Vec<Option<String>>,
    /// `weights`.
    pub weights: Vec<RawSpec>,
}

/// Checks all groups of a manifest: each by itself, no file and no weight twice, and how many there are in all.
///
/// # Errors
/// [`Error::Manifest`] that names the group and the field.
pub fn groups(raw: Vec<RawGroup>, file: &str) -> Result<Vec<Group>, Error> {
    let shards = raw.iter().fold(0, |sum, group| sum + group.paths.len() as u64);
    if shards > MOST {
        return Err(Error::manifest(
            format!("{file}: weightsManifest"),
            format!("at most {MOST} files"),
            shards.to_string(),
        ));
    }
    let mut groups = Vec::with_capacity(raw.len());
    let mut total = Some(0_u64);
    let mut names = HashSet::new();
    for (index, group) in raw.iter().enumerate() {
        let place = format!("{file}: weightsManifest[{index}]");
        let paths: Option<Vec<String>> = group.paths.iter().cloned().collect();
        let paths = paths.ok_or_else(|| Error::manifest(format!("{place}.paths"), "texts", "something else"))?;
        let checked = Group::new(paths, &group.weights, &place)?;
        if let Some(twice) = group.weights.iter().find(|spec| !names.insert(spec.name.as_str())) {
            let received = format!("\"{}\" again", twice.name);
            return Err(Error::manifest(format!("{place}.weights"), "names that no other group has", received));
        }
        total = total.and_then(|total| total.checked_add(checked.bytes.unwrap_or(0)));
        groups.push(checked);
    }
    if names.len() > manifest::MOST_WEIGHTS || total.is_none_or(|total| total > MAX_SAFE_INTEGER) {
        let expected = format!("at most {} weights and 2^53 - 1 bytes in all", manifest::MOST_WEIGHTS);
        return Err(Error::manifest(format!("{file}: weightsManifest"), expected, "more"));
    }
    check_paths(&groups, file)?;
    Ok(groups)
}

/// A group of a WeightsManifest: its weights lie one after the other in its files, in the order of `paths`.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The files, as the manifest names them.
    pub paths: Vec<String>,
    /// Bytes of all of them; `None` when only the bytes can tell (strings).
    pub bytes: Option<u64>,
}

/// Shards of a group that are together larger or smaller than they should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// Which of the group's files: the first of them, and how many.
    pub first: usize,
    /// How many files in a row are meant.
    pub count: usize,
    /// Bytes that they should have.
    pub expected: u64,
    /// Bytes that they have.
    pub received: u64,
}

impl Group {
    /// Checks a group. `file` says where it stands, for example `weightsManifest[0]`.
    ///
    /// # Errors
    /// [`Error::Manifest`] for bad specs, for weights without a file, and for shards that are not in order.
    pub fn new(paths: Vec<String>, specs: &[RawSpec], file: &str) -> Result<Self, Error> {
        let specs = manifest::validate(specs, &format!("{file}.weights"))?;
        let bytes = manifest::byte_length(&specs);
        if paths.is_empty() && bytes != Some(0) {
            return Err(Error::manifest(format!("{file}.paths"), "a file for its weights", "none"));
        }
        in_order(&paths, file)?;
        Ok(Self { paths, bytes })
    }

    /// Which files are too large or too small, given the bytes of each.
    pub fn misfits(&self, sizes: &[u64]) -> Vec<Misfit> {
        let received = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
        let Some(expected) = self.bytes.filter(|bytes| *bytes != received) else { return Vec::new() };
        // Converters cut all shards but the last to one length: then we can tell which one does not fit.
        let count = sizes.len();
        let cut = sizes.iter().take(count.saturating_sub(1)).copied().max().unwrap_or(expected);
        let last = expected.checked_sub(cut.saturating_mul(count.saturating_sub(1) as u64));
        let wanted = |index| if index + 1 == count { last } else { Some(cut) };
        let misfit = |first, count, expected, received| Misfit { first, count, expected, received };
        if last.is_some_and(|last| last > 0 && last <= cut) {
            let each = sizes.iter().enumerate().filter_map(|(index, size)| Some((index, wanted(index)?, *size)));
            return each
                .filter(|(_, want, size)| want != size)
                .map(|(i, want, size)| misfit(i, 1, want, size))
                .collect();
        }
        vec![misfit(0, count, expected, received)]
    }
}

/// What is wrong with the sizes of the files of all groups. `files` are in the manifest's order, each with the name that
/// errors show and its bytes; `None` is a file that is missing, of whose group nothing can be said.
pub fn problems(groups: &[Group], files: &[Option<(&str, u64)>]) -> Vec<FileProblem> {
    let mut problems = Vec::new();
    let mut rest = files.iter();
    for group in groups {
        // All of the group's first: an early end would leave the rest of it to the next one.
        let files: Vec<Option<(&str, u64)>> = rest.by_ref().take(group.paths.len()).copied().collect();
        let files: Option<Vec<(&str, u64)>> = files.into_iter().collect();
        let Some(files) = files else { continue };
        let sizes: Vec<u64> = files.iter().map(|(_, size)| *size).collect();
        for misfit in group.misfits(&sizes) {
            let names: Vec<&str> = files.iter().skip(misfit.first).take(misfit.count).map(|(name, _)| *name).collect();
            problems.push(FileProblem::size(names.join(" and "), misfit.expected, misfit.received));
        }
    }
    problems
}

/// Whether a path of a manifest stays below the folder of its model JSON.
pub fn is_inside(path: &str) -> bool {
    let is_name = |part: &str| part != ".." && !part.contains(':');
    !path.is_empty() && !path.starts_with(['/', '\\']) && path.split(['/', '\\']).all(is_name)
}

/// That no file is named twice: its bytes cannot be those of two shards.
///
/// # Errors
/// [`Error::Manifest`] that names the file.
pub fn check_paths(groups: &[Group], file: &str) -> Result<(), Error> {
    let mut seen = HashSet::new();
    match groups.iter().flat_map(|group| &group.paths).find(|path| !seen.insert(path.as_str())) {
        None => Ok(()),
        Some(twice) => Err(Error::manifest(file, "each path once", format!("\"{twice}\" again"))),
    }
}

/// `...shard{i}of{n}...` must be listed as 1, 2, ... n: a list that was sorted as text (1, 10, 2) gives wrong weights.
fn in_order(paths: &[String], file: &str) -> Result<(), Error> {
    let numbers: Option<Vec<(u64, u64)>> = paths.iter().map(|path| shard_number(path)).collect();
    let Some(numbers) = numbers else { return Ok(()) };
    let count = paths.len() as u64;
    if numbers.iter().any(|(_, of)| *of != count) {
        return Ok(()); // a numbering of its own
    }
    let wrong = numbers.iter().zip(1..).position(|((number, _), place)| *number != place);
    match wrong.and_then(|index| Some((index, paths.get(index)?))) {
        None => Ok(()),
        Some((index, path)) => {
            let expected = format!("shard {} of {count}", index + 1);
            Err(Error::manifest(format!("{file}.paths[{index}]"), expected, format!("\"{path}\"")))
        }
    }
}

/// `(i, n)` of `...shard{i}of{n}...`.
fn shard_number(path: &str) -> Option<(u64, u64)> {
    const MARK: &str = "shard";
    let name = base_name(path);
    let at = name.as_bytes().windows(MARK.len()).rposition(|piece| piece == MARK.as_bytes())?;
    let (number, rest) = leading_number(name.get(at + MARK.len()..)?)?;
    let (count, _) = leading_number(rest.strip_prefix("of")?)?;
    Some((number, count))
}

/// The number that a text begins with, and what follows.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// Where to cut that many bytes: the first and the last (exclusive) byte of each shard. No bytes are one empty shard.
///
/// # Errors
/// [`Error::InvalidArgument`] when there would be more than 10,000.
pub fn cut(total: u64, shard: u64) -> Result<Vec<(u64, u64)>, Error> {
    let shard = shard.max(1);
    let count = total.div_ceil(shard).max(1);
    if count > MOST {
        return Err(Error::argument("options.shardBytes", format!("{count} shards are too many")));
    }
    Ok((0..count).map(|index| (index * shard, total.min((index + 1).saturating_mul(shard)))).collect())
}

/// The file of each path, in the manifest's order, by its place among `files`, which have paths and sizes of their own; and all that is
/// wrong with them. `folder` is that of the model JSON. `is_loose`: there may be others among them.
///
/// # Errors
/// [`Error::Manifest`] for so many that they could only keep us busy.
pub fn find(
    groups: &[Group],
    folder: &str,
    files: &[(&str, u64)],
    is_loose: bool,
) -> Result<(Vec<Option<usize>>, Vec<FileProblem>), Error> {
    let paths = || groups.iter().flat_map(|group| &group.paths);
    if paths().count().saturating_mul(files.len()) > MOST_COMPARED {
        return Err(Error::manifest("files", "fewer of them, or of their paths", files.len().to_string()));
    }
    let mut is_taken = vec![false; files.len()];
    let mut fits_as_well = vec![false; files.len()];
    let mut shards = Vec::new();
    for path in paths() {
        let alike: Vec<u32> = files.iter().map(|(file, _)| likeness(folder, path, file)).collect();
        let best = alike.iter().copied().max().filter(|best| *best > 0);
        let mut fits = (0..files.len()).filter(|index| alike.get(*index).copied() == best);
        // One file is not two shards.
        let first = fits.next().filter(|first| is_taken.get(*first) == Some(&false));
        if let Some(taken) = first.and_then(|first| is_taken.get_mut(first)) {
            *taken = true;
            fits.for_each(|other| fits_as_well.iter_mut().skip(other).take(1).for_each(|fits| *fits = true));
        }
        shards.push(first);
    }
    let told = |file: &str, problem| FileProblem { file: file.to_owned(), problem, sizes: None };
    let missing = paths().zip(&shards).filter(|(_, shard)| shard.is_none());
    let mut problems: Vec<_> = missing.map(|(path, _)| told(path, "missing")).collect();
    let wanted: HashSet<&str> = paths().map(|path| base_name(path)).collect();
    for (index, (file, _)) in files.iter().enumerate().filter(|(index, _)| is_taken.get(*index) == Some(&false)) {
        let name = base_name(file);
        let is_wanted = wanted.contains(name) || wanted.contains(&without_copy_number(name)[..]);
        if fits_as_well.get(index) == Some(&true) || (!is_loose && is_wanted) {
            problems.push(told(file, "duplicate"));
        } else if !is_loose {
            problems.push(told(file, "superfluous"));
        }
    }
    let sizes: Vec<_> = shards.iter().map(|shard| files.get((*shard)?).copied()).collect();
    problems.extend(self::problems(groups, &sizes));
    Ok((shards, problems))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
#[path = "shard_tests.rs"]
mod tests;
