//! A zip of any bytes, handed out in the parts that are asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tfpersist::fuzzing::archive::{Archive, MOST_BYTES, MOST_ENTRIES, MOST_INFLATED, Packing, Step};

fuzz_target!(|bytes: &[u8]| {
    let size = bytes.len() as u64;
    let mut archive = Archive::new("m.zip", size);
    let (mut fetched, mut steps) = (0_u64, 0_u64);
    let entries = loop {
        match archive.step() {
            Err(_) => return,
            Ok(Step::Done(entries)) => break entries,
            Ok(Step::Fetch(start, end)) => {
                assert!(start < end && end <= size, "{start}..{end} of {size}");
                let part = &bytes[start as usize..end as usize];
                fetched += part.len() as u64;
                steps += 1;
                archive.add(start, part.to_vec()).expect("some bytes");
            }
        }
    };
    assert!(fetched <= MOST_BYTES && entries.len() <= MOST_ENTRIES);
    assert!(steps <= size / 1024 + entries.len() as u64 + 20, "{steps} steps for {size} bytes");
    let names: usize = entries.iter().map(|entry| entry.path.len()).sum();
    assert!(names as u64 <= 3 * size, "names of {names} bytes in {size}");
    let mut places = Vec::new();
    for entry in &entries {
        assert!(entry.start <= entry.end && entry.end <= size, "{entry:?}");
        let packed = entry.end - entry.start;
        match entry.packing {
            Packing::Stored => assert_eq!(entry.size, packed),
            Packing::Deflated => assert!(entry.size <= packed * MOST_INFLATED),
            Packing::Other => panic!("{entry:?}"),
        }
        places.push((entry.start, entry.end));
    }
    let packed: u64 = places.iter().map(|(start, end)| end - start).sum();
    assert!(packed <= size, "files share bytes");
});
