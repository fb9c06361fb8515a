//! How weights are cut for a sharded store: pieces that follow the weights' boundaries, each known by its length and its hash, and
//! where in which shard each lies. Pure: bytes and numbers.

use std::collections::HashMap;

/// Bytes of a piece, and of a shard, at most.
pub const LARGEST: u64 = 16 << 20;
/// Bytes of new pieces that are gathered before they are written as one shard.
pub const GATHERED: u64 = 4 << 20;

/// What tells a piece from all others: how many bytes, and their hash, keyed with the origin's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    /// How many.
    pub bytes: u64,
    /// The xxh3-128 of them.
    pub hash: u128,
}

/// A piece, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Which.
    pub piece: Piece,
    /// The shard, by its number in the model's list.
    pub shard: u32,
    /// Where in the shard it begins.
    pub offset: u64,
}

/// Pieces that lie one after the other in a shard, and are read in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The shard, by its number.
    pub shard: u32,
    /// Where it begins.
    pub offset: u64,
    /// Bytes of all pieces.
    pub bytes: u64,
    /// In turn.
    pub pieces: Vec<Piece>,
}

/// Bytes of each piece, in turn: weights that are larger than [`LARGEST`] are cut. `None`: nobody knows where weights begin.
pub fn cuts(weights: Option<Vec<u64>>) -> Box<dyn Iterator<Item = u64>> {
    match weights {
        None => Box::new(core::iter::repeat(GATHERED)),
        // Past the last weight, if there are bytes that no spec describes.
        Some(weights) => Box::new(weights.into_iter().flat_map(cut).chain(core::iter::repeat(GATHERED))),
    }
}

fn cut(bytes: u64) -> impl Iterator<Item = u64> {
    (0..bytes.div_ceil(LARGEST)).map(move |index| LARGEST.min(bytes - index * LARGEST))
}

/// Pieces as 24 bytes each.
pub fn encode(pieces: &[Piece]) -> Vec<u8> {
    let bytes = |piece: &Piece| [&piece.bytes.to_le_bytes()[..], &piece.hash.to_le_bytes()].concat();
    pieces.iter().flat_map(bytes).collect()
}

/// The pieces of [`encode`]; `None` for anything else.
pub fn decode(bytes: &[u8]) -> Option<Vec<Piece>> {
    let (rows, rest) = bytes.as_chunks::<24>();
    rest.is_empty().then(|| rows.iter().map(|row| piece(row)).collect())?
}

fn piece(row: &[u8]) -> Option<Piece> {
    let (bytes, hash) = row.split_first_chunk::<8>()?;
    let piece = Piece { bytes: u64::from_le_bytes(*bytes), hash: u128::from_le_bytes(*hash.first_chunk()?) };
    (piece.bytes > 0 && piece.bytes <= LARGEST).then_some(piece)
}

/// Placed pieces as 36 bytes each.
pub fn encode_placed(placed: &[Placed]) -> Vec<u8> {
    let bytes = |place: &Placed| {
        let at = [&place.shard.to_le_bytes()[..], &place.offset.to_le_bytes()].concat();
        [encode(&[place.piece]), at].concat()
    };
    placed.iter().flat_map(bytes).collect()
}

/// The placed pieces of [`encode_placed`], in a model of so many shards; `None` for anything else.
pub fn decode_placed(bytes: &[u8], shards: usize) -> Option<Vec<Placed>> {
    let (rows, rest) = bytes.as_chunks::<36>();
    let placed = |row: &[u8; 36]| {
        let (place, offset) = row.get(24..)?.split_first_chunk::<4>()?;
        let (shard, offset) = (u32::from_le_bytes(*place), u64::from_le_bytes(*offset.first_chunk()?));
        let piece = piece(row)?;
        let fits = (shard as usize) < shards && offset.checked_add(piece.bytes)? <= LARGEST;
        fits.then_some(Placed { piece, shard, offset })
    };
    if rest.is_empty() { rows.iter().map(placed).collect() } else { None }
}

/// The pieces in as few runs as there can be.
pub fn runs(placed: &[Placed]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for Placed { piece, shard, offset } in placed.iter().copied() {
        match runs.last_mut().filter(|run| run.shard == shard && run.offset + run.bytes == offset) {
            Some(run) => {
                run.bytes += piece.bytes;
                run.pieces.push(piece);
            }
            None => runs.push(Run { shard, offset, bytes: piece.bytes, pieces: vec![piece] }),
        }
    }
    runs
}

/// Where every known piece lies, and the shards of a model that is being written.
#[derive(Default)]
pub struct Layout {
    /// All shards that are known, those of other models too, in the order in which they became so.
    names: Vec<String>,
    known: HashMap<Piece, (u32, u64)>,
    placed: Vec<Placed>,
}

impl Layout {
    /// Makes a shard known, whose pieces may be used from now on. The pieces lie in it one after the other.
    pub fn know(&mut self, name: String, pieces: &[Piece]) {
        let shard = self.names.len() as u32;
        self.names.push(name);
        let mut offset = 0;
        for piece in pieces {
            self.known.entry(*piece).or_insert((shard, offset));
            offset += piece.bytes;
        }
    }

    /// Places the next piece of the model where it lies already; `false` when it lies nowhere.
    pub fn reuse(&mut self, piece: Piece) -> bool {
        let Some((shard, offset)) = self.known.get(&piece).copied() else { return false };
        self.placed.push(Placed { piece, shard, offset });
        true
    }

    /// Places the next piece of the model in the shard that is written now, which is [known](Layout::know) afterwards.
    pub fn write(&mut self, piece: Piece, offset: u64) {
        let shard = self.names.len() as u32;
        self.known.insert(piece, (shard, offset));
        self.placed.push(Placed { piece, shard, offset });
    }

    /// The shards that the model lies in, and its pieces, numbered after them.
    pub fn finish(self) -> (Vec<String>, Vec<Placed>) {
        let mut numbers = vec![None; self.names.len()];
        let (mut used, mut placed) = (Vec::new(), self.placed);
        for place in &mut placed {
            let shard = place.shard as usize;
            let (Some(number), Some(name)) = (numbers.get_mut(shard), self.names.get(shard)) else { continue };
            place.shard = *number.get_or_insert_with(|| {
                used.push(name.clone());
                used.len() as u32 - 1
            });
        }
        (used, placed)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
#[path = "pieces_tests.rs"]
mod tests;
