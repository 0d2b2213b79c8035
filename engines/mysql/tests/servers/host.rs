//! A host for tests: it gives out a job, takes note of guarded sessions, and cancels when told to.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RSlice, RSliceMut, RVec};
use backstay_engine_api::abi::v1::{HostApi, HostApi_TO, serve};
use backstay_engine_api::job::JobContext;
use backstay_engine_api::wire::{Answer, Call, JobSpec, Request};
use backstay_engine_api::{Engine, EngineError, Manifest, ProbeJob, Server, ServerFacts};

/// What a test sees and does of its host.
#[derive(Clone, Default)]
pub(crate) struct TestHost {
    pub(crate) cancel: Arc<AtomicBool>,
    /// Sessions that were guarded, in order, and those that are no more.
    pub(crate) guarded: Arc<Mutex<Vec<String>>>,
    pub(crate) unguarded: Arc<Mutex<Vec<String>>>,
    /// Prints guarded sessions, for a test in another process.
    pub(crate) print: bool,
}

impl HostApi for TestHost {
    fn request(&self, request: RSlice<'_, u8>) -> RVec<u8> {
        match serde_json::from_slice(request.as_slice()).unwrap() {
            Request::Guard { session } => {
                if self.print {
                    println!("guarded {session}");
                }
                self.guarded.lock().unwrap().push(session);
            }
            Request::Unguard { session } => self.unguarded.lock().unwrap().push(session),
            _ => {}
        }
        serde_json::to_vec(&Answer::Ok(serde_json::Value::Null)).unwrap().into()
    }

    fn write(&self, _object: u64, _bytes: RSlice<'_, u8>) -> u32 {
        1
    }

    fn read(&self, _object: u64, _buffer: RSliceMut<'_, u8>) -> i64 {
        -1
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

type Body = Box<dyn FnOnce(&JobContext) -> Result<(), EngineError>>;

thread_local! {
    /// What the engine below is to do; an engine has no state of its own.
    static BODY: RefCell<Option<Body>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Caller;

impl Engine for Caller {
    const MANIFEST: Manifest = Manifest::new("caller", "0.0.0", backstay_engine_api::EngineKind::Logical);

    fn probe(&self, job: &ProbeJob) -> Result<ServerFacts, EngineError> {
        let body = BODY.take().expect("a body");
        body(job)?;
        Ok(ServerFacts::default())
    }
}

impl TestHost {
    /// Runs `body` with a job, through the contract, as a real host does.
    pub(crate) fn job<T: 'static>(
        &self,
        body: impl FnOnce(&JobContext) -> Result<T, EngineError> + 'static,
    ) -> Result<T, EngineError> {
        let result = std::rc::Rc::new(RefCell::new(None));
        let slot = std::rc::Rc::clone(&result);
        BODY.set(Some(Box::new(move |job| {
            slot.replace(Some(body(job)?));
            Ok(())
        })));
        let call = Call::Probe {
            job: JobSpec::default(),
            server: Server::default(),
        };
        let call = serde_json::to_vec(&call).unwrap();
        let answer = serve::<Caller>(
            RSlice::from_slice(&call),
            HostApi_TO::from_value(self.clone(), TD_Opaque),
        );
        serde_json::from_slice::<Answer>(&answer)
            .unwrap()
            .into_result::<ServerFacts>()?;
        let value = result.take();
        Ok(value.expect("the body ran"))
    }

    /// Sessions that are guarded now.
    pub(crate) fn still_guarded(&self) -> Vec<String> {
        let over = self.unguarded.lock().unwrap();
        let mut ids = self.guarded.lock().unwrap().clone();
        ids.retain(|id| !over.contains(id));
        ids
    }

    /// That every session that was guarded is so no more.
    pub(crate) fn assert_all_released(&self) {
        let sorted = |list: &Mutex<Vec<String>>| {
            let mut list = list.lock().unwrap().clone();
            list.sort();
            list
        };
        assert_eq!(sorted(&self.guarded), sorted(&self.unguarded));
        assert!(!self.guarded.lock().unwrap().is_empty(), "no session was guarded");
    }
}
