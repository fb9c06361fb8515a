//! Models to test with, and how to compare them.

use js_sys::{Array, ArrayBuffer, JSON, JsString, Object, Uint8Array};
use wasm_bindgen::prelude::*;

use super::{get, js, object, set};

/// A model with every dtype, an optimizer weight, a quantised weight and all metadata. Different seeds differ in every part.
pub fn full(seed: u8) -> JsValue {
    let specs = format!(
        r#"[{{"name":"k{seed}","shape":[2,3],"dtype":"float32"}},
            {{"name":"i","shape":[],"dtype":"int32","group":"optimizer"}},
            {{"name":"b","shape":[5],"dtype":"bool"}},
            {{"name":"c","shape":[1],"dtype":"complex64"}},
            {{"name":"q","shape":[7],"dtype":"float32","quantization":{{"dtype":"uint8","min":-0.5,"scale":0.25,"original_dtype":"float32"}}}},
            {{"name":"empty","shape":[0,4],"dtype":"float32"}},
            {{"name":"s","shape":[2],"dtype":"string"}}]"#
    );
    let topology = format!(r#"{{"z":{{"ünï":"✓ {seed}"}},"a":[1.5,1e-7,-0.25,null,true],"10":"ten","2":"two"}}"#);
    object([
        ("modelTopology", JSON::parse(&topology).unwrap()),
        ("format", "layers-model".into()),
        ("generatedBy", format!("test {seed}").into()),
        ("convertedBy", JsValue::NULL),
        (
            "trainingConfig",
            JSON::parse(r#"{"loss":"mse","optimizer_config":{"class_name":"Adam","config":{"beta1":0.9}}}"#).unwrap(),
        ),
        ("userDefinedMetadata", JSON::parse(&format!(r#"{{"note":"ünï","n":{seed}}}"#)).unwrap()),
        ("weightData", data(seed)),
        ("weightSpecs", JSON::parse(&specs).unwrap()),
    ])
}

/// 24 + 4 + 5 + 8 + 7 bytes, and the strings "hé" and "".
fn data(seed: u8) -> JsValue {
    let mut bytes: Vec<u8> = (0..48_u8).map(|byte| byte.wrapping_mul(31).wrapping_add(seed)).collect();
    bytes.extend([3, 0, 0, 0, b'h', 0xC3, 0xA9, 0, 0, 0, 0]);
    Uint8Array::from(bytes.as_slice()).buffer().into()
}

/// A float32 model of that many bytes, none of them zero.
pub fn sized(bytes: u32, seed: u8) -> JsValue {
    let data = Uint8Array::new_with_length(bytes);
    data.fill(seed, 0, bytes);
    let specs = format!(r#"[{{"name":"w","shape":[{}],"dtype":"float32"}}]"#, bytes / 4);
    object([
        ("modelTopology", JSON::parse(&format!(r#"{{"seed":{seed}}}"#)).unwrap()),
        ("weightSpecs", JSON::parse(&specs).unwrap()),
        ("weightData", data.buffer().into()),
        ("format", "layers-model".into()),
    ])
}

/// All bytes of `weightData`.
pub fn bytes(artifacts: &JsValue) -> Vec<u8> {
    let data = get(artifacts, "weightData");
    let parts = if Array::is_array(&data) { Array::from(&data) } else { Array::of1(&data) };
    parts.iter().flat_map(|part| Uint8Array::new(&part).to_vec()).collect()
}

/// Everything but the weights as JSON, keys sorted on the top level only: inside, their order counts.
pub fn header(artifacts: &JsValue) -> String {
    let copy = Object::assign(&Object::new(), artifacts.unchecked_ref());
    for key in ["weightData", "getWeightStream"] {
        js("delete a[b]", &[&copy, &key.into()]);
    }
    let sorted = js("Object.fromEntries(Object.entries(a).filter((e) => e[1] !== undefined).sort())", &[&copy]);
    String::from(JSON::stringify(&sorted).unwrap())
}

/// Both are the same model.
#[track_caller]
pub fn assert_same(left: &JsValue, right: &JsValue) {
    assert_eq!(header(left), header(right));
    assert_eq!(bytes(left), bytes(right));
}

/// The same model with its weights in three pieces, one of them a view into a larger buffer.
pub fn in_pieces(artifacts: &JsValue) -> JsValue {
    let copy: JsValue = Object::assign(&Object::new(), artifacts.unchecked_ref()).into();
    let buffer: ArrayBuffer = get(artifacts, "weightData").unchecked_into();
    let (cut, end) = (10, buffer.byte_length());
    let view = Uint8Array::new_with_byte_offset_and_length(&buffer, cut, 7);
    set(&copy, "weightData", Array::of3(&buffer.slice_with_end(0, cut), &view, &buffer.slice_with_end(cut + 7, end)));
    copy
}

/// The same model with `getWeightStream` instead of `weightData`; `chunks` is a JavaScript expression of the buffer `a`.
pub fn streamed(artifacts: &JsValue, chunks: &str) -> JsValue {
    let copy: JsValue = Object::assign(&Object::new(), artifacts.unchecked_ref()).into();
    let expression =
        format!("() => new ReadableStream({{ start(c) {{ for (const p of {chunks}) c.enqueue(p); c.close(); }} }})");
    set(&copy, "getWeightStream", js(&expression, &[&get(artifacts, "weightData")]));
    js("delete a.weightData", &[&copy]);
    copy
}

/// The text of a JSON value, to compare.
pub fn json(value: &JsValue) -> String {
    JSON::stringify(value).map(|text: JsString| String::from(text)).unwrap()
}
