//! A model JSON of any bytes, from its weightsManifest to the groups that are fetched. What JavaScript reads of it in the product,
//! serde_json reads here; all that is checked is the product's own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::collections::HashSet;
use tfpersist::fuzzing::manifest::{MAX_SAFE_INTEGER, MOST_WEIGHTS, RawQuantization, RawSpec};
use tfpersist::fuzzing::shard::{MOST, RawGroup, find, groups, is_inside};

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = serde_json::from_str::<Value>(&String::from_utf8_lossy(bytes)) else { return };
    let Some(raw) = json.get("weightsManifest").and_then(Value::as_array) else { return };
    let Some(raw) = raw.iter().map(group).collect::<Option<Vec<RawGroup>>>() else { return };
    let Ok(groups) = groups(raw.clone(), "m.json") else { return };

    assert_eq!(groups.len(), raw.len());
    let paths: Vec<&String> = groups.iter().flat_map(|group| &group.paths).collect();
    let unique: HashSet<&String> = paths.iter().copied().collect();
    assert!(paths.len() as u64 <= MOST && unique.len() == paths.len());
    let names: Vec<&String> = raw.iter().flat_map(|group| &group.weights).map(|spec| &spec.name).collect();
    let unique: HashSet<&String> = names.iter().copied().collect();
    assert!(names.len() <= MOST_WEIGHTS && unique.len() == names.len());
    let sum = groups.iter().try_fold(0_u128, |sum, group| Some(sum + u128::from(group.bytes?)));
    assert!(sum.is_none_or(|sum| sum <= u128::from(MAX_SAFE_INTEGER)));

    // The files as they should be, in a folder, make the model; without one, they do not.
    let sizes: Vec<u64> = groups.iter().flat_map(sizes).collect();
    let named: Vec<String> = paths.iter().map(|path| format!("folder/{path}")).collect();
    let files: Vec<(&str, u64)> = named.iter().map(String::as_str).zip(sizes).collect();
    let plain = paths.iter().all(|path| is_inside(path) && !path.contains("./") && !path.ends_with('/'));
    let Ok((found, problems)) = find(&groups, "folder/", &files, true) else { return };
    if plain {
        assert!(problems.is_empty(), "{problems:?}");
        assert!(found.iter().enumerate().all(|(index, place)| *place == Some(index)));
        let lacking = files.get(1..).unwrap_or_default();
        assert!(files.is_empty() || !find(&groups, "folder/", lacking, true).expect("fewer").1.is_empty());
    }
});

/// Bytes of each file of a group: all in the first.
fn sizes(group: &tfpersist::fuzzing::shard::Group) -> Vec<u64> {
    let count = group.paths.len();
    (0..count).map(|index| if index == 0 { group.bytes.unwrap_or(0) } else { 0 }).collect()
}

fn group(value: &Value) -> Option<RawGroup> {
    let list = |key: &str| value.get(key).and_then(Value::as_array);
    Some(RawGroup {
        paths: list("paths")?.iter().map(|path| path.as_str().map(str::to_owned)).collect(),
        weights: list("weights")?.iter().map(spec).collect::<Option<_>>()?,
    })
}

fn spec(value: &Value) -> Option<RawSpec> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let quantization = value.get("quantization").filter(|value| !value.is_null()).map(|value| RawQuantization {
        dtype: text(value, "dtype").unwrap_or_default(),
        min: value.get("min").and_then(Value::as_f64),
        scale: value.get("scale").and_then(Value::as_f64),
    });
    let shape = value.get("shape")?.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
    Some(RawSpec { name: text(value, "name")?, shape, dtype: text(value, "dtype")?, quantization })
}
