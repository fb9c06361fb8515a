//! Files that a person chose, dropped or unpacked: the model JSON is found by its content, the weights by their names.

use std::collections::HashSet;

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::JsValue;

use super::zip::{self, Packed};
use crate::artifacts::Model;
use crate::context::{Context, Taken};
use crate::error::{Error, FileProblem};
use crate::host::{self, Host};
use crate::js::{self, Failure, Result};
use crate::model_json::{self, MOST_JSON, ModelJson};
use crate::parallel;
use crate::shard::{self, Group, base_name};
use crate::weights::{Chunks, LARGE_SLICE, SLICE, Weights};

/// Files that are looked at together.
const HEADS: usize = 64;

/// A file, or an entry of a zip.
pub struct Picked {
    /// Its path below the folder or in the zip, or just its name.
    pub path: String,
    /// The Blob of its bytes as they lie there.
    pub blob: JsValue,
    /// How an entry of a zip is packed.
    pub packed: Option<Packed>,
}

impl Picked {
    /// A File, or `{ path, blob }`.
    fn of(value: &JsValue) -> Result<Self> {
        let blob = js::get_some(value, "blob").unwrap_or_else(|| value.clone());
        if js::method(&blob, "arrayBuffer").is_none() || js::method(&blob, "slice").is_none() {
            return Err(Error::argument("files", "they must be Files or Blobs").into());
        }
        let name = ["path", "webkitRelativePath", "name"].iter().filter_map(|key| js::text(&js::get(value, key)));
        Ok(Self { path: name.into_iter().find(|name| !name.is_empty()).unwrap_or_default(), blob, packed: None })
    }

    /// Bytes of it, unpacked.
    fn size(&self) -> u64 {
        self.packed.as_ref().map_or_else(|| host::size(&self.blob), |packed| packed.size)
    }

    /// Its bytes, unpacked and checked.
    async fn bytes(&self, cx: &Context) -> Result<Uint8Array> {
        match &self.packed {
            Some(packed) => packed.bytes(&self.path, &self.blob, cx).await,
            None => read(&self.blob, &self.path, cx).await,
        }
    }

    /// Begins to read how it begins; of an entry of a zip that does not matter.
    fn head(&self) -> Host<JsValue> {
        if self.packed.is_some() {
            return Ok(JsValue::UNDEFINED);
        }
        let head = host::call(&self.blob, "slice", &[&0.into(), &64.into()])?;
        host::call(&head, "arrayBuffer", &[])
    }

    /// The model JSON in it, if there is one. The text of anything else is only looked at when it begins like one.
    async fn model_json(&self, head: &JsValue, is_loose: bool, cx: &Context) -> Result<Option<ModelJson>> {
        if self.packed.is_none() {
            if js::get(head, "status") == "rejected" {
                return Err(js::storage(&self.path, 0)(js::get(head, "reason")));
            }
            let head = js::bytes(&js::get(head, "value")).unwrap_or_default();
            let head = host::decode(&head).map_err(js::thrown)?;
            if !head.trim().starts_with("{", 0) {
                return Ok(None);
            }
        } else if !self.path.ends_with(".json") {
            return Ok(None);
        }
        if self.size() > MOST_JSON {
            return Ok(None); // no engine could read it
        }
        let text = model_json::decode(&self.bytes(cx).await?, &self.path)?;
        match js::parse_json(&text) {
            Ok(json) if ModelJson::is_one(&json) => ModelJson::read(json, &self.path).map(Some),
            Err(_) if self.path.ends_with(".json") && !is_loose => ModelJson::parse(&text, &self.path).map(Some),
            _ => Ok(None),
        }
    }
}

/// The files of a load's source, and whether they were not chosen one by one: `{ files, loose }` as the entry makes it,
/// File[], FileList, or one Blob.
pub fn picked(source: &JsValue) -> Option<(Array, bool)> {
    let is_blob = |value: &JsValue| js::method(value, "arrayBuffer").is_some() && js::method(value, "slice").is_some();
    if is_blob(source) {
        return Some((Array::of1(source), false));
    }
    let listed = js::get_some(source, "files").filter(js::is_array);
    let is_loose = listed.is_some() && js::get(source, "loose").is_truthy();
    let is_list = js::is_array(source) || js::method(source, "item").is_some();
    let files: Array = js::items(&listed.or_else(|| is_list.then(|| source.clone()))?).into_iter().collect();
    let is_file = |file: &JsValue| is_blob(file) || is_blob(&js::get(file, "blob"));
    files.iter().all(|file| is_file(&file)).then_some((files, is_loose))
}

/// The bytes of a Blob.
///
/// # Errors
/// [`Error::Storage`] when it cannot be read, for example because it has changed since it was chosen.
pub async fn read(blob: &JsValue, path: &str, cx: &Context) -> Result<Uint8Array> {
    match cx.settled(host::call(blob, "arrayBuffer", &[])).await {
        Ok(buffer) => Ok(js::bytes(&buffer).unwrap_or_default()),
        Err(Failure::Thrown(cause)) => {
            cx.check()?;
            Err(js::storage(path, 0)(cause))
        }
        Err(failure) => Err(failure),
    }
}

/// Loads the model that these files are. `is_loose`: they were not chosen one by one, so there may be others among them.
///
/// # Errors
/// [`Error::Manifest`] without exactly one model JSON; [`Error::Files`] with all that is wrong; the signal's reason.
pub async fn open(files: &Array, mut is_loose: bool, cx: &Context) -> Result<Model> {
    let picked: Result<Vec<Picked>> = files.iter().map(|file| Picked::of(&file)).collect();
    let mut picked = picked?;
    if let [file] = &picked[..]
        && let Some(entries) = zip::entries(&file.blob, &file.path, cx).await?
    {
        (picked, is_loose) = (entries, true);
    }
    let (json, path, others) = find_json(picked, is_loose, cx).await?;
    let names_some = json.groups().iter().any(|group| !group.paths.is_empty());
    if others.is_empty() && !(names_some && (is_loose || cx.needs_weights.get())) {
        return json.with(json.groups().is_empty().then_some(Weights::None).filter(|_| json.groups.is_some()));
    }
    let shards =
        find_shards(json.groups(), path.strip_suffix(base_name(&path)).unwrap_or_default(), &others, is_loose)?;
    cx.expect(Some(shards.iter().fold(0, |sum, shard| sum.saturating_add(shard.size()))));
    let is_packed = shards.iter().any(|shard| shard.packed.is_some());
    let weights = if is_packed { unpacked(&shards, cx).await? } else { unread(&shards, cx)? };
    let mut model = json.with(json.groups.as_ref().map(|_| weights))?;
    model.is_counted = true;
    Ok(model)
}

/// Files as they lie on the disk: they are read when somebody asks for their bytes.
fn unread(shards: &[&Picked], cx: &Context) -> Result<Weights> {
    let in_turn = cx.flag("stream")? || cx.taken.get() != Taken::Whole;
    let slice = if in_turn { SLICE } else { LARGE_SLICE };
    let mut chunks = Chunks { list: Vec::new(), of: "files".into(), guard: None, spent: None };
    shards.iter().try_for_each(|shard| chunks.add(&shard.blob, Some(&shard.path), slice))?;
    Ok(Weights::Chunks(chunks))
}

/// Entries of a zip, read and checked.
async fn unpacked(shards: &[&Picked], cx: &Context) -> Result<Weights> {
    let read = async |_: usize, shard: &&Picked| {
        let bytes = shard.bytes(cx).await?;
        cx.advance_whole(&shard.path, u64::from(bytes.length()), "read");
        Ok::<_, Failure>(bytes)
    };
    parallel::map(shards, cx.lanes()?, read).await.map(Weights::Parts)
}

/// How each file begins: what became of [`Picked::head`], many at once.
async fn heads(picked: &[Picked], cx: &Context) -> Result<Vec<JsValue>> {
    let mut heads = Vec::new();
    for some in picked.chunks(HEADS) {
        let asked = some.iter().map(|file| file.head().unwrap_or_else(|cause| Promise::reject(&cause).into()));
        let settled = Promise::all_settled(&asked.collect::<Array>());
        heads.extend(js::items(&cx.settled(Ok(settled.into())).await?));
    }
    Ok(heads)
}

/// The model JSONs among files, each with its path.
type Found = Vec<(ModelJson, String)>;

/// Looks into each of these files, and sorts it to where it belongs.
async fn sort(
    files: Vec<Picked>,
    found: &mut Found,
    others: &mut Vec<Picked>,
    is_loose: bool,
    cx: &Context,
) -> Result<()> {
    let heads = heads(&files, cx).await?;
    for (file, head) in files.into_iter().zip(heads) {
        match file.model_json(&head, is_loose, cx).await? {
            Some(json) => found.push((json, file.path)),
            None => others.push(file),
        }
    }
    Ok(())
}

/// The one model JSON, its path, and all other files.
async fn find_json(picked: Vec<Picked>, is_loose: bool, cx: &Context) -> Result<(ModelJson, String, Vec<Picked>)> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    let (likely, rest) = picked.into_iter().partition(|file| file.path.ends_with(".json"));
    sort(likely, &mut found, &mut others, is_loose, cx).await?;
    // What a model names as its weights need not be looked at: there may be many, and it takes as long as a second reading.
    let paths = found.iter().flat_map(|(json, _)| json.groups()).flat_map(|group| &group.paths);
    let named: HashSet<&str> = paths.map(|path| base_name(path)).collect();
    let (weights, rest): (Vec<_>, _) =
        rest.into_iter().partition(|file: &Picked| named.contains(base_name(&file.path)));
    others.extend(weights);
    sort(rest, &mut found, &mut others, is_loose, cx).await?;
    match found.len() {
        1 => {
            let (json, path) = found.remove(0);
            Ok((json, path, others))
        }
        0 => {
            let names: Vec<String> = others.into_iter().map(|file| file.path).collect();
            let received = if names.is_empty() { "no file".to_owned() } else { names.join(", ") };
            Err(Error::manifest("files", "a model JSON among them", received).into())
        }
        _ => {
            let twice = |(_, path): (ModelJson, String)| FileProblem { file: path, problem: "duplicate", sizes: None };
            Err(Error::Files { problems: found.into_iter().map(twice).collect() }.into())
        }
    }
}

/// The file of each path, in the manifest's order.
fn find_shards<'a>(groups: &[Group], folder: &str, files: &'a [Picked], is_loose: bool) -> Result<Vec<&'a Picked>> {
    let sizes: Vec<(&str, u64)> = files.iter().map(|file| (&file.path[..], file.size())).collect();
    let (shards, problems) = shard::find(groups, folder, &sizes, is_loose)?;
    if !problems.is_empty() {
        return Err(Error::Files { problems }.into());
    }
    Ok(shards.into_iter().filter_map(|shard| files.get(shard?)).collect())
}
