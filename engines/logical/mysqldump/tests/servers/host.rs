//! A host for tests: it keeps objects in memory, takes note of guarded sessions, and calls the engine through the contract.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RSlice, RSliceMut, RVec};
use backstay_engine_api::abi::v1::{HostApi, HostApi_TO, serve};
use backstay_engine_api::job::Target;
use backstay_engine_api::wire::{Answer, Call, Handle, JobSpec, ObjectPage, Request};
use backstay_engine_api::{
    Attributes, BackupKind, BackupRecord, EngineError, EngineRef, ErrorKind, ObjectInfo, Outcome, Restored, Selection,
    Server, Usable, Written,
};
use backstay_mysqldump::MysqlDump;
use serde::Serialize;
use serde_json::{Value, json};

/// An object that was finished.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object {
    pub(crate) attributes: Attributes,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) enum Open {
    Writing { name: String, object: Object },
    Reading { bytes: Vec<u8>, at: usize },
}

/// What a test sees and does of its host.
#[derive(Clone, Default)]
pub(crate) struct TestHost {
    pub(crate) objects: Arc<Mutex<BTreeMap<String, Object>>>,
    pub(crate) open: Arc<Mutex<HashMap<u64, Open>>>,
    pub(crate) next: Arc<AtomicU64>,
    pub(crate) cancel: Arc<AtomicBool>,
    /// Cancels when this many objects are finished.
    pub(crate) cancel_after: Option<usize>,
    pub(crate) guarded: Arc<Mutex<Vec<String>>>,
    pub(crate) unguarded: Arc<Mutex<Vec<String>>>,
    /// Names of objects that were opened to be read.
    pub(crate) opened: Arc<Mutex<Vec<String>>>,
}

impl TestHost {
    fn answer(&self, request: Request) -> Result<Value, EngineError> {
        match request {
            Request::Create { name, attributes, .. } => {
                assert!(self.open.lock().unwrap().len() < 64, "too many objects are open");
                assert!(!self.objects.lock().unwrap().contains_key(&name), "{name} twice");
                let bad = name.is_empty()
                    || name.len() > 1000
                    || name.chars().any(char::is_control)
                    || name.split('/').any(|part| matches!(part, "" | "." | ".."));
                assert!(!bad, "a bad name: {name:?}");
                let object = Object {
                    attributes,
                    bytes: Vec::new(),
                };
                value(&self.add(Open::Writing { name, object }))
            }
            Request::Finish { object } => match self.open.lock().unwrap().remove(&object) {
                Some(Open::Writing { name, object }) => {
                    let size = object.bytes.len() as u64;
                    let mut objects = self.objects.lock().unwrap();
                    objects.insert(name, object);
                    if self.cancel_after == Some(objects.len()) {
                        self.cancel.store(true, Ordering::Relaxed);
                    }
                    value(&Written { size })
                }
                other => panic!("{other:?} can not be finished"),
            },
            Request::Drop { object } => {
                self.open.lock().unwrap().remove(&object);
                Ok(Value::Null)
            }
            Request::Objects { after, limit, .. } => {
                let all = self.objects.lock().unwrap();
                let rest: Vec<ObjectInfo> = all
                    .iter()
                    .filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after))
                    .map(|(name, object)| ObjectInfo {
                        name: name.clone(),
                        attributes: object.attributes.clone(),
                        size: object.bytes.len() as u64,
                    })
                    .collect();
                // Small pages, so that there are several.
                let page = rest.len().min(limit).min(7);
                value(&ObjectPage {
                    more: page < rest.len(),
                    objects: rest[..page].to_vec(),
                })
            }
            Request::Open { name, .. } => {
                self.opened.lock().unwrap().push(name.clone());
                let bytes = self
                    .objects
                    .lock()
                    .unwrap()
                    .get(&name)
                    .map(|object| object.bytes.clone());
                let bytes =
                    bytes.ok_or_else(|| EngineError::new(ErrorKind::Damaged, format!("there is no object {name}")))?;
                value(&self.add(Open::Reading { bytes, at: 0 }))
            }
            Request::Guard { session } => {
                self.guarded.lock().unwrap().push(session);
                Ok(Value::Null)
            }
            Request::Unguard { session } => {
                self.unguarded.lock().unwrap().push(session);
                Ok(Value::Null)
            }
            _ => Ok(Value::Null),
        }
    }

    fn add(&self, open: Open) -> Handle {
        let object = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().unwrap().insert(object, open);
        Handle { object }
    }

    fn call<T: for<'de> serde::Deserialize<'de>>(&self, call: &Call) -> Result<T, EngineError> {
        let call = serde_json::to_vec(call).unwrap();
        let answer = serve::<MysqlDump>(
            RSlice::from_slice(&call),
            HostApi_TO::from_value(self.clone(), TD_Opaque),
        );
        let result = serde_json::from_slice::<Answer>(&answer).unwrap().into_result();
        self.open.lock().unwrap().clear();
        let sorted = |list: &Mutex<Vec<String>>| {
            let mut list = list.lock().unwrap().clone();
            list.sort();
            list
        };
        assert_eq!(sorted(&self.guarded), sorted(&self.unguarded), "every guard ends");
        result
    }

    /// Takes a backup, and makes its record as a host would.
    pub(crate) fn backup(&self, server: Server, options: Value) -> Result<(BackupRecord, Usable), EngineError> {
        let outcome = self.call(&Call::FullBackup {
            job: spec(options),
            server,
        })?;
        let Outcome::Usable(usable) = outcome else {
            panic!("{outcome:?}")
        };
        let record = json!({
            "id": "20261122T101530Z-full-mysqldump-7f3a", "cluster": "c",
            "engine": EngineRef { name: "mysqldump".into(), ..EngineRef::default() }, "kind": BackupKind::Full,
            "server": usable.server, "positions": usable.positions, "started": "", "finished": "", "objects": 0, "bytes": 0,
            "stored_bytes": 0, "state": usable.state,
        });
        Ok((serde_json::from_value(record).unwrap(), usable))
    }

    /// Restores it.
    pub(crate) fn restore(
        &self,
        record: &BackupRecord,
        server: Server,
        overwrite: bool,
        selection: Selection,
        options: Value,
    ) -> Result<Restored, EngineError> {
        self.opened.lock().unwrap().clear();
        self.call(&Call::Restore {
            job: spec(options),
            target: Target::Server(server),
            overwrite,
            selection,
            chain: vec![record.clone()],
        })
    }

    /// An object's text.
    pub(crate) fn text(&self, name: &str) -> String {
        let objects = self.objects.lock().unwrap();
        let object = objects.get(name).unwrap_or_else(|| panic!("no object {name}"));
        String::from_utf8_lossy(&object.bytes).into_owned()
    }
}

fn spec(options: Value) -> JobSpec {
    JobSpec {
        id: "20261122T101530Z-full-mysqldump-7f3a".into(),
        options,
        threads: 2,
        ..JobSpec::default()
    }
}

fn value(value: &impl Serialize) -> Result<Value, EngineError> {
    Ok(serde_json::to_value(value).unwrap())
}

impl HostApi for TestHost {
    fn request(&self, request: RSlice<'_, u8>) -> RVec<u8> {
        let answer = self.answer(serde_json::from_slice(request.as_slice()).unwrap());
        serde_json::to_vec(&Answer::from_result(answer)).unwrap().into()
    }

    fn write(&self, object: u64, bytes: RSlice<'_, u8>) -> u32 {
        match self.open.lock().unwrap().get_mut(&object) {
            Some(Open::Writing { object, .. }) => {
                object.bytes.extend_from_slice(bytes.as_slice());
                0
            }
            other => panic!("{other:?} can not be written"),
        }
    }

    fn read(&self, object: u64, mut buffer: RSliceMut<'_, u8>) -> i64 {
        match self.open.lock().unwrap().get_mut(&object) {
            Some(Open::Reading { bytes, at }) => {
                let count = buffer.len().min(bytes.len() - *at);
                buffer.as_mut_slice()[..count].copy_from_slice(&bytes[*at..*at + count]);
                *at += count;
                i64::try_from(count).unwrap()
            }
            other => panic!("{other:?} can not be read"),
        }
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}
