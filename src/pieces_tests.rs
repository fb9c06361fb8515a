use super::*;
use proptest::prelude::*;

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    // Few hashes, so that equal pieces come often.
    let piece = (1..=3_u64, 0..4_u128).prop_map(|(bytes, hash)| Piece { bytes, hash });
    prop::collection::vec(piece, 0..40)
}

/// Lays the pieces into shards of at most `most` bytes as a save does, and gives the layout and what was written.
fn lay(layout: &mut Layout, pieces: &[Piece], most: u64, save: &str) -> Vec<(String, Vec<Piece>)> {
    let mut written: Vec<(String, Vec<Piece>)> = Vec::new();
    let (mut shard, mut bytes) = (Vec::new(), 0);
    for (index, piece) in pieces.iter().enumerate() {
        if !layout.reuse(*piece) {
            layout.write(*piece, bytes);
            shard.push(*piece);
            bytes += piece.bytes;
        }
        if bytes >= most || index + 1 == pieces.len() {
            let name = format!("{save}-{}", written.len());
            layout.know(name.clone(), &shard);
            written.push((name, core::mem::take(&mut shard)));
            bytes = 0;
        }
    }
    written
}

proptest! {
    #[test]
    fn cuts_follow_the_weights(weights in prop::collection::vec(0_u64..3 * LARGEST, 0..20)) {
        let total: u64 = weights.iter().sum();
        let mut cut = Vec::new();
        let mut cuts = cuts(Some(weights.clone()));
        while cut.iter().sum::<u64>() < total {
            cut.extend(cuts.next());
        }
        prop_assert_eq!(cut.iter().sum::<u64>(), total);
        prop_assert!(cut.iter().all(|bytes| (1..=LARGEST).contains(bytes)));
        // Each boundary of a weight is one of a piece.
        let ends = |lengths: &[u64]| lengths.iter().scan(0, |end, bytes| { *end += bytes; Some(*end) }).collect::<Vec<u64>>();
        let piece_ends = ends(&cut);
        prop_assert!(ends(&weights).iter().all(|end| *end == 0 || piece_ends.contains(end)));
    }

    #[test]
    fn what_is_encoded_is_decoded(pieces in pieces(), shards in 1_u32..5) {
        prop_assert_eq!(decode(&encode(&pieces)), Some(pieces.clone()));
        let placed: Vec<_> = pieces.iter().enumerate().map(|(index, piece)| {
            Placed { piece: *piece, shard: index as u32 % shards, offset: index as u64 }
        }).collect();
        let bytes = encode_placed(&placed);
        prop_assert_eq!(decode_placed(&bytes, shards as usize), Some(placed.clone()));
        if shards > 1 && placed.len() >= shards as usize {
            prop_assert_eq!(decode_placed(&bytes, shards as usize - 1), None);
        }
    }

    #[test]
    fn garbage_is_refused_or_in_bounds(bytes in prop::collection::vec(any::<u8>(), 0..200), shards in 0_usize..4) {
        for place in decode_placed(&bytes, shards).unwrap_or_default() {
            prop_assert!((place.shard as usize) < shards && place.offset + place.piece.bytes <= LARGEST);
        }
        for piece in decode(&bytes).unwrap_or_default() {
            prop_assert!((1..=LARGEST).contains(&piece.bytes));
        }
    }

    #[test]
    fn a_layout_gives_each_piece_its_own_bytes(first in pieces(), second in pieces(), most in 1_u64..20) {
        // What lies where, as bytes would.
        let mut stored: HashMap<String, Vec<Piece>> = HashMap::new();
        for (save, pieces) in [("a", &first), ("b", &second)] {
            let mut layout = Layout::default();
            for (name, pieces) in &stored {
                layout.know(name.clone(), pieces);
            }
            stored.extend(lay(&mut layout, pieces, most, save));
            let (names, placed) = layout.finish();
            prop_assert_eq!(placed.len(), pieces.len());
            for (place, piece) in placed.iter().zip(pieces) {
                let mut offset = 0;
                let found = stored[&names[place.shard as usize]].iter().find(|piece| {
                    offset += piece.bytes;
                    offset == place.offset + place.piece.bytes
                });
                prop_assert_eq!(found, Some(piece));
            }
            let unused = names.iter().enumerate().any(|(number, _)| placed.iter().all(|place| place.shard as usize != number));
            prop_assert!(!unused);
            let runs = runs(&placed);
            prop_assert_eq!(runs.iter().flat_map(|run| run.pieces.clone()).collect::<Vec<_>>(), pieces.clone());
            prop_assert!(runs.iter().all(|run| run.bytes == run.pieces.iter().map(|piece| piece.bytes).sum::<u64>()));
        }
    }

    #[test]
    fn nothing_is_written_twice(pieces in pieces(), most in 1_u64..20) {
        let mut layout = Layout::default();
        let written = lay(&mut layout, &pieces, most, "a");
        let mut layout = Layout::default();
        for (name, pieces) in &written {
            layout.know(name.clone(), pieces);
        }
        let again = lay(&mut layout, &pieces, most, "b");
        prop_assert!(again.iter().all(|(_, pieces)| pieces.is_empty()));
    }
}

#[test]
fn the_same_hash_of_other_lengths_is_another_piece() {
    let mut layout = Layout::default();
    layout.know("a-0".into(), &[Piece { bytes: 4, hash: 7 }]);
    assert!(!layout.reuse(Piece { bytes: 5, hash: 7 }));
    assert!(layout.reuse(Piece { bytes: 4, hash: 7 }));
}
