//! A host in memory: all that an engine asks of one.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RSlice, RSliceMut, RVec};
use backstay_engine_api::abi::v1::{HostApi, HostApi_TO, serve};
use backstay_engine_api::wire::{Answer, Call, Handle, ObjectPage, Request};
use backstay_engine_api::{BackupKind, BackupRecord, EngineError, EngineRef, ObjectInfo, ServerFacts, Written};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::PgDump;

/// A directory for a job; they lie below the test's own, which the system clears.
pub(super) fn scratch() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("pgdump-scratch-{}-{number}", process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// A backup that is being written or read, and the host that does it.
#[derive(Clone, Default)]
pub(super) struct Backup(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, (ObjectInfo, Vec<u8>)>,
    writing: HashMap<u64, (ObjectInfo, Vec<u8>)>,
    reading: HashMap<u64, (String, usize)>,
    next: u64,
    guarded: Vec<String>,
    cancelled: bool,
    server: ServerFacts,
}

impl Backup {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Calls the engine as a host does, and removes the job's scratch directory.
    pub(super) fn call<T: for<'de> Deserialize<'de>>(&self, call: &Call) -> Result<T, EngineError> {
        let call = serde_json::to_vec(call).unwrap();
        let answer = serve::<PgDump>(
            RSlice::from_slice(&call),
            HostApi_TO::from_value(self.clone(), TD_Opaque),
        );
        let call: Value = serde_json::from_slice(&call).unwrap();
        fs::remove_dir_all(call["job"]["scratch"].as_str().unwrap()).unwrap();
        let result = serde_json::from_slice::<Answer>(&answer).unwrap().into_result();
        if result.is_ok() {
            assert!(self.0.lock().unwrap().writing.is_empty(), "objects are left open");
        }
        result
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Sessions as they were guarded (`+`) and let go (`-`).
    pub(super) fn guarded(&self) -> Vec<String> {
        self.0.lock().unwrap().guarded.clone()
    }

    pub(super) fn cancel(&self) {
        self.0.lock().unwrap().cancelled = true;
    }

    pub(super) fn set_server(&self, server: ServerFacts) {
        self.0.lock().unwrap().server = server;
    }

    pub(super) fn record(&self) -> BackupRecord {
        let state = self.0.lock().unwrap();
        BackupRecord {
            id: "test".to_owned(),
            cluster: "orders".to_owned(),
            workflow: None,
            engine: EngineRef::default(),
            kind: BackupKind::Full,
            parent: None,
            server: state.server.clone(),
            positions: Vec::new(),
            from: Vec::new(),
            started: "2026-11-22T10:15:30Z".to_owned(),
            finished: "2026-11-22T10:15:31Z".to_owned(),
            objects: state.objects.len() as u64,
            bytes: 0,
            stored_bytes: 0,
            partial: false,
            notices: Vec::new(),
            log: None,
            state: Value::Null,
            other: Map::new(),
        }
    }
}

impl State {
    fn handle(&mut self, request: Request) -> Answer {
        self.next += 1;
        let object = self.next;
        match request {
            Request::Create { name, attributes, .. } => {
                assert!(!self.objects.contains_key(&name), "{name} is written twice");
                let info = ObjectInfo {
                    name,
                    attributes,
                    size: 0,
                };
                self.writing.insert(object, (info, Vec::new()));
                Answer::from_result(Ok(Handle { object }))
            }
            Request::Finish { object } => {
                let (mut info, bytes) = self.writing.remove(&object).unwrap();
                info.size = bytes.len() as u64;
                let written = Written { size: info.size };
                self.objects.insert(info.name.clone(), (info, bytes));
                Answer::from_result(Ok(written))
            }
            Request::Drop { object } => {
                self.writing.remove(&object);
                self.reading.remove(&object);
                Answer::from_result(Ok(()))
            }
            Request::Objects { after, .. } => {
                let rest = self.objects.values().map(|(info, _)| info.clone());
                let objects = rest
                    .filter(|info| after.as_ref().is_none_or(|after| info.name > *after))
                    .collect();
                Answer::from_result(Ok(ObjectPage { objects, more: false }))
            }
            Request::Open { name, .. } => {
                assert!(self.objects.contains_key(&name));
                self.reading.insert(object, (name, 0));
                Answer::from_result(Ok(Handle { object }))
            }
            Request::Guard { session } => {
                self.guarded.push(format!("+{session}"));
                Answer::from_result(Ok(()))
            }
            Request::Unguard { .. } => {
                self.guarded.push("-".to_owned());
                Answer::from_result(Ok(()))
            }
            _ => Answer::from_result(Ok(())),
        }
    }
}

impl HostApi for Backup {
    fn request(&self, request: RSlice<'_, u8>) -> RVec<u8> {
        let request = serde_json::from_slice(request.as_slice()).unwrap();
        serde_json::to_vec(&self.0.lock().unwrap().handle(request))
            .unwrap()
            .into()
    }

    fn write(&self, object: u64, bytes: RSlice<'_, u8>) -> u32 {
        self.0
            .lock()
            .unwrap()
            .writing
            .get_mut(&object)
            .unwrap()
            .1
            .extend_from_slice(&bytes);
        0
    }

    fn read(&self, object: u64, mut buffer: RSliceMut<'_, u8>) -> i64 {
        let mut state = self.0.lock().unwrap();
        let State { objects, reading, .. } = &mut *state;
        let (name, at) = reading.get_mut(&object).unwrap();
        let rest = &objects[name].1[*at..];
        let count = rest.len().min(buffer.len());
        buffer.as_mut_slice()[..count].copy_from_slice(&rest[..count]);
        *at += count;
        count as i64
    }

    fn cancelled(&self) -> bool {
        self.0.lock().unwrap().cancelled
    }
}
