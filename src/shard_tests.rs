use super::*;
use proptest::prelude::*;

fn floats(count: u64) -> Vec<RawSpec> {
    vec![RawSpec { name: "w".into(), shape: vec![count as f64], dtype: "float32".into(), quantization: None }]
}

fn group(paths: &[&str], floats_in_all: u64) -> Result<Group, Error> {
    Group::new(paths.iter().map(|path| (*path).to_owned()).collect(), &floats(floats_in_all), "weightsManifest[0]")
}

#[test]
fn shards_must_be_listed_in_order() {
    assert!(group(&["group1-shard1of2.bin", "group1-shard2of2.bin"], 9).is_ok());
    assert!(group(&["b.bin", "a.bin"], 9).is_ok(), "names without numbers have no order");
    assert!(group(&["s/shard2of9", "s/shard1of9"], 9).is_ok(), "a numbering of its own");
    let wrong = group(&["group1-shard2of2.bin", "group1-shard1of2.bin"], 9);
    assert_eq!(wrong.map_err(|error| error.code()), Err("ERR_MANIFEST"));
    let names: Vec<String> =
        [1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9].iter().map(|i| format!("x-shard{i}of11.bin")).collect();
    let error = Group::new(names, &floats(1), "weightsManifest[0]").unwrap_err().to_string();
    assert!(error.contains("paths[1]") && error.contains("shard 2 of 11") && error.contains("shard10of11"), "{error}");
}

#[test]
fn weights_need_a_file_and_each_file_counts_once() {
    assert!(group(&[], 1).is_err());
    assert!(group(&[], 0).is_ok());
    let twice = [group(&["a"], 1).unwrap(), group(&["b", "a"], 1).unwrap()];
    assert!(check_paths(&twice, "model.json").unwrap_err().to_string().contains("\"a\" again"));
    assert!(check_paths(&twice[..1], "model.json").is_ok());
}

#[test]
fn the_shard_that_does_not_fit_is_named() {
    let three = group(&["a", "b", "c"], 25).unwrap(); // 100 bytes: 40 + 40 + 20
    let misfit = |first, count, expected, received| vec![Misfit { first, count, expected, received }];
    assert_eq!(three.misfits(&[40, 40, 20]), []);
    assert_eq!(three.misfits(&[40, 39, 20]), misfit(1, 1, 40, 39));
    assert_eq!(three.misfits(&[40, 40, 21]), misfit(2, 1, 20, 21));
    assert_eq!(three.misfits(&[0, 40, 20]), misfit(0, 1, 40, 0));
    assert_eq!(three.misfits(&[40, 90, 20]), misfit(0, 3, 100, 150), "who knows which");
    assert_eq!(group(&["a"], 25).unwrap().misfits(&[99]), misfit(0, 1, 100, 99));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let groups = [group(&["a"], 1).unwrap(), group(&["b", "c"], 2).unwrap(), group(&["d"], 1).unwrap()];
    let files = [Some(("A", 3)), None, Some(("C", 9)), Some(("D", 5))];
    let told: Vec<_> = problems(&groups, &files).into_iter().map(|p| (p.file, p.problem, p.sizes)).collect();
    let expected = [("A".to_owned(), "truncated", Some((4, 3))), ("D".to_owned(), "oversized", Some((4, 5)))];
    assert_eq!(told, expected);
}

#[test]
fn no_path_leaves_its_folder() {
    for path in ["weights.bin", "./weights.bin", "a/b..c/..d.bin"] {
        assert!(is_inside(path), "{path}");
    }
    for path in ["", "/etc/passwd", "../w.bin", "a/../../w.bin", "C:/w.bin", r"\\host\w.bin", r"a\..\..\w.bin"] {
        assert!(!is_inside(path), "{path}");
    }
}

#[test]
fn files_are_found_by_path_then_name_then_without_a_copy_number() {
    for (path, file, likeness_) in [
        ("./m.weights.bin", "m.weights.bin", 4),
        ("a/s.bin", "model/a/s.bin", 3),
        ("a/s.bin", "model/b/s.bin", 2),
        ("m.weights.bin", "m.weights (1).bin", 1),
        ("m.weights.bin", "m.weights(12).bin", 1),
        ("m.weights.bin", "n.weights.bin", 0),
        ("s.bin", "xs.bin", 0),
    ] {
        assert_eq!(likeness("", path, file), likeness_, "{path} {file}");
    }
    assert_eq!((likeness("m/", "s.bin", "m/s.bin"), likeness("m/", "s.bin", "n/s.bin")), (4, 3));
    assert_eq!(without_copy_number("a (b).bin"), "a (b).bin");
    assert_eq!(without_copy_number("model (3)"), "model");
}

#[test]
fn a_download_has_a_name_that_stays() {
    for (given, name) in [
        ("m", "m"),
        ("a/b:c", "a_b_c"),
        ("", "model"),
        ("..", "model"),
        ("../x", "_x"),
        ("ü ✓", "ü ✓"),
        ("two  spaces", "two spaces"),
        ("100%~", "100__"),
        ("a\u{202E}b\u{FEFF}", "a_b_"),
        ("nul.x", "_nul.x"),
        ("LPT1", "_LPT1"),
        ("console", "console"),
    ] {
        assert_eq!(safe_name(given), name);
    }
}

#[test]
fn a_long_name_of_a_device_is_not_cut_twice() {
    for name in [
        format!("nul.{}", "x".repeat(300)),
        format!("lpt1 .{}", "ü".repeat(300)),
        format!("aux.{}.. x", "x".repeat(193)),
    ] {
        let safe = safe_name(&name);
        assert!(safe.starts_with('_') && safe.len() <= LONGEST, "{safe}");
        assert_eq!(safe_name(&safe), safe);
    }
}

proptest! {
    #[test]
    fn cuts_cover_everything_once(total in 0_u64..1 << 30, shard in 1_u64..1 << 22) {
        let cuts = cut(total, shard);
        prop_assert_eq!(cuts.is_ok(), total.div_ceil(shard) <= MOST);
        let cuts = cuts.unwrap_or_else(|_| vec![(0, total)]);
        prop_assert_eq!(cuts.first().map(|c| c.0), Some(0));
        prop_assert_eq!(cuts.last().map(|c| c.1), Some(total));
        prop_assert!(cuts.windows(2).all(|pair| pair[0].1 == pair[1].0));
        prop_assert!(cuts.iter().all(|(start, end)| end - start <= shard.max(total.min(shard)) || total == *end));
    }

    #[test]
    fn sizes_fit_or_are_told(sizes in prop::collection::vec(0_u64..1000, 1..9), words in 0_u64..2000) {
        let names: Vec<String> = (0..sizes.len()).map(|i| i.to_string()).collect();
        let group = Group { paths: names, bytes: Some(words) };
        let fits = sizes.iter().sum::<u64>() == words;
        prop_assert_eq!(group.misfits(&sizes).is_empty(), fits);
    }

    #[test]
    fn nothing_panics(path in ".*", file in ".*") {
        let _ = (likeness("", &path, &file), shard_number(&path));
        let name = safe_name(&path);
        prop_assert!(!name.is_empty() && name.len() <= LONGEST);
        prop_assert_eq!(safe_name(&name), name.clone());
        let _ = in_order(&[path, file], "x");
    }
}

fn raw(paths: &[&str], name: &str, floats: f64) -> RawGroup {
    let weights = vec![RawSpec { name: name.into(), shape: vec![floats], dtype: "float32".into(), quantization: None }];
    RawGroup { paths: paths.iter().map(|path| Some((*path).to_owned())).collect(), weights }
}

#[test]
fn what_the_groups_say_together_is_checked_before_a_file_is_fetched() {
    let said = |raw: Vec<RawGroup>| groups(raw, "m").map_err(|error| error.to_string());
    assert!(said(vec![raw(&["a"], "v", 1.0), raw(&["b"], "w", 1.0)]).is_ok());
    assert!(said(vec![raw(&["a"], "w", 1.0), raw(&["b"], "w", 1.0)]).is_err_and(|why| why.contains("\"w\" again")));
    assert!(said(vec![raw(&["a"], "v", 1.0), raw(&["a"], "w", 1.0)]).is_err_and(|why| why.contains("\"a\" again")));
    let half = (MAX_SAFE_INTEGER / 8 + 1) as f64;
    assert!(said(vec![raw(&["a"], "v", half)]).is_ok());
    assert!(said(vec![raw(&["a"], "v", half), raw(&["b"], "w", half)]).is_err_and(|why| why.contains("2^53")));
    assert!(said(vec![RawGroup { paths: vec![None], ..raw(&[], "w", 1.0) }]).is_err_and(|why| why.contains("texts")));
    let names: Vec<String> = (0..=MOST).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(said(vec![raw(&names[1..], "w", 1.0)]).is_ok());
    assert!(said(vec![raw(&names, "w", 1.0)]).is_err_and(|why| why.contains("at most 10000 files, found 10001")));
}

#[test]
fn files_are_not_compared_for_ever() {
    let groups = |count: usize| [Group { paths: (0..count).map(|i| format!("{i}.bin")).collect(), bytes: None }];
    let names: Vec<String> = (0..2000).map(|i| format!("m/{i}.bin")).collect();
    let files: Vec<(&str, u64)> = names.iter().map(|name| (&name[..], 1)).collect();
    let found = find(&groups(20), "m/", &files, true).unwrap();
    assert_eq!(found, ((0..20).map(Some).collect(), vec![]));
    assert_eq!(find(&groups(10_000), "m/", &files, true).unwrap_err().code(), "ERR_MANIFEST");
}
