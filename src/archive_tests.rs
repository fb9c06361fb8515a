use super::*;
use proptest::prelude::*;
use rawzip::{DataDescriptorOutput, ZipArchiveWriter};
use std::io::Write;

/// A stored zip of these files.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for (name, bytes) in files {
        let (mut entry, _) =
            archive.new_file(name).compression_method(CompressionMethod::STORE).start().expect("a name");
        entry.write_all(bytes).expect("memory");
        entry.finish(DataDescriptorOutput::new(7, bytes.len() as u64)).expect("memory");
    }
    archive.finish().expect("memory")
}

/// What comes of the archive, and how many bytes were fetched for it.
fn read(bytes: &[u8]) -> (Result<Vec<Entry>, Error>, u64) {
    let mut archive = Archive::new("m.zip", bytes.len() as u64);
    let mut fetched = 0;
    loop {
        match archive.step() {
            Ok(Step::Done(entries)) => return (Ok(entries), fetched),
            Ok(Step::Fetch(start, end)) => {
                let part = &bytes[start as usize..end as usize];
                fetched += part.len() as u64;
                if let Err(error) = archive.add(start, part.to_vec()) {
                    return (Err(error), fetched);
                }
            }
            Err(error) => return (Err(error), fetched),
        }
    }
}

fn refused(bytes: &[u8]) -> String {
    read(bytes).0.expect_err("it lies").to_string()
}

/// Where the central directory's row of that file begins.
fn row(zip: &[u8], name: &str) -> usize {
    zip.windows(name.len()).rposition(|part| part == name.as_bytes()).expect("it is there") - 46
}

fn put(zip: &mut [u8], at: usize, value: u32) {
    zip[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn files_are_found_where_they_lie() {
    let files: [(&str, &[u8]); 3] = [("model.json", b"{}"), ("a/w.bin", &[1; 5000]), ("empty", b"")];
    let zip = zip(&files);
    let entries = read(&zip).0.expect("a zip");
    for ((name, bytes), entry) in files.iter().zip(&entries) {
        assert_eq!((&entry.path[..], entry.size), (*name, bytes.len() as u64));
        assert_eq!(&zip[entry.start as usize..entry.end as usize], *bytes);
    }
}

#[test]
fn of_a_large_archive_only_the_structure_is_fetched() {
    let zip = zip(&[("a.bin", &vec![0; 20 << 20]), ("b.bin", &vec![0; 20 << 20])]);
    let (entries, fetched) = read(&zip);
    assert_eq!(entries.map(|entries| entries.len()), Ok(2));
    assert!(fetched < 1 << 18, "{fetched}");
}

#[test]
fn a_lie_about_a_size_is_found_before_a_byte_is_unpacked() {
    let honest = zip(&[("one", &[1; 100]), ("two", &[2; 100])]);
    let mut larger = honest.clone();
    put(&mut larger, row(&honest, "two") + 24, 101);
    assert!(refused(&larger).contains("\"two\" of 101 bytes, found 100 bytes"), "{}", refused(&larger));
    // 100 bytes, deflated, are never more than 103,200.
    for (size, is_possible) in [(103_200, true), (103_201, false), (u32::MAX - 1, false)] {
        let mut bomb = honest.clone();
        put(&mut bomb, row(&honest, "two") + 24, size);
        bomb[row(&honest, "two") + 10] = 8;
        assert_eq!(read(&bomb).0.is_ok(), is_possible, "{size}");
    }
    let mut beyond = honest.clone();
    put(&mut beyond, row(&honest, "two") + 20, 1 << 20);
    put(&mut beyond, row(&honest, "two") + 24, 1 << 20);
    assert!(refused(&beyond).contains("a damaged one"));
}

#[test]
fn two_files_never_share_bytes() {
    let mut zip = zip(&[("one", &[1; 100]), ("two", &[1; 100])]);
    let at = row(&zip, "two") + 42;
    put(&mut zip, at, 0);
    assert!(refused(&zip).contains("two that share bytes"));
}

#[test]
fn what_is_encrypted_is_not_taken_for_weights() {
    let mut zip = zip(&[("one", &[1; 100])]);
    let at = row(&zip, "one") + 8;
    zip[at] |= 1;
    assert_eq!(read(&zip).0.map_err(|error| error.code()), Err("ERR_NOT_SUPPORTED"));
}

#[test]
fn more_files_than_a_model_has_are_refused() {
    let names: Vec<String> = (0..=MOST_ENTRIES).map(|i| i.to_string()).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (&name[..], &b""[..])).collect();
    assert!(read(&zip(&files[1..])).0.is_ok());
    assert!(refused(&zip(&files)).contains("at most 20000 files"));
}

#[test]
fn a_directory_that_is_too_large_is_not_fetched() {
    let mut zip = zip(&[("one", &[1; 100])]);
    let start = row(&zip, "one");
    let more = vec![0; MOST_BYTES as usize + 1];
    zip.splice(start + 49..start + 49, more);
    let (outcome, fetched) = read(&zip);
    assert!(outcome.is_err() && fetched < MOST_BYTES, "{fetched}");
}

#[test]
fn a_file_that_became_shorter_is_no_endless_loop() {
    let mut archive = Archive::new("m.zip", 1000);
    assert!(matches!(archive.step(), Ok(Step::Fetch(..))));
    for bytes in [0, 1, 999] {
        assert!(archive.add(0, vec![0; bytes]).is_err());
    }
}

proptest! {
    #[test]
    fn a_damaged_archive_is_refused_or_keeps_within_its_bounds(at in 0_usize..1000, value in any::<u32>()) {
        let mut zip = zip(&[("one", &[1; 100]), ("two", &[2; 100])]);
        let at = at % (zip.len() - 4);
        put(&mut zip, at, value);
        for entry in read(&zip).0.unwrap_or_default() {
            prop_assert!(entry.start <= entry.end && entry.end <= zip.len() as u64);
        }
    }
}
