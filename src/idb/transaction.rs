//! Transactions. A write resolves on `complete` and never earlier, and a failed one is aborted and awaited.

#[cfg(feature = "sharded")]
use std::cell::Cell;

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Event, IdbObjectStore, IdbRequest, IdbTransaction};

use super::{Host, close_kept};
use crate::context::Context;
use crate::error::Error;
use crate::js::{self, Failure, Result};

/// How many requests a transaction is held open with: some 10 ms.
#[cfg(feature = "sharded")]
const HELD_FOR: u32 = 30;

/// The result of a request. The handlers are there when this returns, not when it is first awaited, so no answer is missed;
/// and they are a promise's own functions, so nothing of ours can be dropped before it.
pub(super) fn answer(request: &IdbRequest) -> impl Future<Output = Host<JsValue>> + use<> {
    let request = request.clone();
    let settled = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    // Who asked may have failed for another reason and not wait for it: then nobody shall be told of an unhandled rejection.
    let _ = Promise::all_settled(&Array::of1(&settled));
    async move {
        match JsFuture::from(settled).await {
            Ok(_) => request.result(),
            Err(event) => Err(request.error().ok().flatten().map_or(event, JsValue::from)),
        }
    }
}

/// A transaction.
pub struct Transaction {
    transaction: IdbTransaction,
    url: String,
    /// Resolves with the `complete` or the `abort` event. It never rejects, so nobody has to catch it.
    ended: Promise,
}

impl Transaction {
    pub(super) fn new(transaction: IdbTransaction, url: &str) -> Self {
        let ended = Promise::new(&mut |resolve, _| {
            transaction.set_oncomplete(Some(&resolve));
            transaction.set_onabort(Some(&resolve));
        });
        Self { transaction, url: url.to_owned(), ended }
    }

    /// Sends a request to an object store, at once, and gives its answer when awaited.
    /// `needed` is how many bytes a quota failure names.
    pub fn ask(
        &self,
        store: &str,
        needed: u64,
        request: impl FnOnce(&IdbObjectStore) -> Host<IdbRequest>,
    ) -> impl Future<Output = Result<JsValue>> {
        let sent = self.transaction.object_store(store).and_then(|store| request(&store));
        self.answered(sent, needed)
    }

    /// Not part of `ask`, so that it exists once and not for each question.
    fn answered(&self, sent: Host<IdbRequest>, needed: u64) -> impl Future<Output = Result<JsValue>> {
        let asked = sent.map(|sent| answer(&sent));
        async move {
            let answered = match asked {
                Ok(answer) => answer.await,
                Err(refused) => Err(refused),
            };
            answered.inspect_err(|_| close_kept()).map_err(js::storage(&self.url, needed))
        }
    }

    /// Sends a writing request, whose outcome [`Transaction::settle`] tells.
    ///
    /// # Errors
    /// What the request throws at once: [`Error::InvalidArgument`] for what cannot be stored, [`Error::Storage`].
    pub fn send(
        &self,
        store: &str,
        needed: u64,
        request: impl FnOnce(&IdbObjectStore) -> Host<IdbRequest>,
    ) -> Result<()> {
        let sent = self.transaction.object_store(store).and_then(|store| request(&store));
        sent.map(|_| ()).map_err(js::storage(&self.url, needed))
    }

    /// Waits for an answer from elsewhere, though not for long: with nothing to do the transaction would end, so it is asked meanwhile
    /// for what nobody needs.
    ///
    /// # Errors
    /// [`Error::Storage`].
    #[cfg(feature = "sharded")]
    pub async fn held_for<T: Copy>(&self, store: &str, answer: &Cell<Option<T>>) -> Result<Option<T>> {
        let store = self.transaction.object_store(store).map_err(js::storage(&self.url, 0))?;
        let mut asked = 0;
        while answer.get().is_none() && asked < HELD_FOR {
            self.answered(store.get_key(&JsValue::from(0)), 0).await?;
            asked += 1;
        }
        Ok(answer.get())
    }

    /// Ends the transaction: commits when all went well, else rolls back; either way it waits until that is done.
    /// `needed` is how many bytes a quota failure names.
    ///
    /// # Errors
    /// The `outcome`'s own; [`Error::QuotaExceeded`], [`Error::Storage`]; the signal's reason.
    pub async fn settle<T>(self, outcome: Result<T>, needed: u64, cx: &Context) -> Result<T> {
        let (value, failure) = match outcome {
            Ok(value) => (Some(value), None),
            Err(failure) => (None, Some(failure)),
        };
        self.end(failure, needed, cx).await?;
        value.ok_or(Failure::Thrown(JsValue::UNDEFINED)) // which cannot be: a failure does not end well
    }

    async fn end(self, failure: Option<Failure>, needed: u64, cx: &Context) -> Result<()> {
        // Never commit(), though it would save half a millisecond: after it, Firefox commits also what a failed request is missing from.
        if failure.is_some() {
            abort(&self.transaction);
        }
        let stop = {
            let transaction = self.transaction.clone();
            cx.on_abort(move |_| abort(&transaction))
        };
        let ended = JsFuture::from(self.ended.clone()).await;
        drop(stop);
        let committed = ended.is_ok_and(|event| event.unchecked_into::<Event>().type_() == "complete");
        if failure.is_none() && committed {
            return Ok(());
        }
        close_kept(); // Firefox refuses to write through one that has met the quota
        let aborted = || {
            cx.check().err().unwrap_or_else(|| {
                js::storage(&self.url, needed)(self.transaction.error().map_or(JsValue::UNDEFINED, JsValue::from))
            })
        };
        Err(with_estimate(failure.unwrap_or_else(aborted)).await)
    }
}

/// Rolls it back, if it is not over.
pub(super) fn abort(transaction: &IdbTransaction) {
    // It throws when the transaction is over already, which is as good.
    let _ = transaction.abort();
}

/// Adds to a quota failure what the engine says of usage and quota, where it says anything.
pub async fn with_estimate(failure: Failure) -> Failure {
    let Failure::Known(mut known) = failure else { return failure };
    if let Error::QuotaExceeded { usage, quota, .. } = &mut known.error {
        (*usage, *quota) = js::estimate().await;
    }
    Failure::Known(known)
}
