//! The verbs that write, with `layout: 'sharded'` where the path asks for it: so the suite runs for both layouts of `indexeddb://`.

use wasm_bindgen::JsValue;

use super::js;

/// What the paths of the suite for the sharded layout begin with.
const SHARDED: &str = "indexeddb://sharded";

fn with_layout(target: &JsValue, options: JsValue) -> JsValue {
    let is_sharded = target.as_string().is_some_and(|url| url.starts_with(SHARDED));
    if is_sharded { js("({ layout: 'sharded', ...a })", &[&options]) } else { options }
}

pub async fn save(model: JsValue, target: JsValue, options: JsValue) -> Result<JsValue, JsValue> {
    let options = with_layout(&target, options);
    tfpersist::save(model, target, options).await
}

pub async fn copy_model(source: JsValue, target: JsValue, options: JsValue) -> Result<JsValue, JsValue> {
    let options = with_layout(&target, options);
    tfpersist::copy_model(source, target, options).await
}

pub async fn move_model(source: JsValue, target: JsValue, options: JsValue) -> Result<JsValue, JsValue> {
    let options = with_layout(&target, options);
    tfpersist::move_model(source, target, options).await
}
