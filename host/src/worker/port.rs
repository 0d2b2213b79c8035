//! The host as an engine sees it: the implementation of the contract's [`HostApi`].

use std::collections::{BTreeSet, HashMap};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc};
use std::time::{Duration, Instant};

use abi_stable::std_types::{RSlice, RSliceMut, RVec};
use backstay_engine_api::abi::v1::HostApi;
use backstay_engine_api::job::Segment;
use backstay_engine_api::wire::{Answer, Handle, Request};
use backstay_engine_api::{EngineError, ErrorKind};

use super::frame;
use super::pieces::Pieces;
use super::protocol::{Piece, Progress, Question, Report};
use super::sources::Sources;
use crate::pipeline::BackupSink;

/// How often progress is reported.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Objects that are read have handles from here on; those that are written, below.
const READ_HANDLES: u64 = 1 << 62;

/// What a worker's threads share.
pub(super) struct Shared {
    out: Mutex<UnixStream>,
    stage: Mutex<Stage>,
    cancelled: AtomicBool,
    orphaned: AtomicBool,
    questions: Mutex<Questions>,
    guarded: Mutex<BTreeSet<String>>,
    progress: Mutex<(Progress, Instant)>,
    sink: RwLock<Option<BackupSink>>,
    /// For an archive: what makes a sink for each segment.
    pieces: Option<Mutex<Pieces>>,
    sources: Sources,
    failures: Mutex<HashMap<u64, EngineError>>,
    /// The first thing that went wrong with an object that is written.
    fault: Mutex<Option<EngineError>>,
    next_reader: AtomicU64,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The engine has not been called: what it will read is being verified.
    Preparing,
    /// The engine works.
    Working,
}

#[derive(Default)]
struct Questions {
    asked: u64,
    waiting: HashMap<u64, mpsc::Sender<Answer>>,
}

/// The engine's end of [`Shared`].
pub(super) struct Port(pub(super) Arc<Shared>);

impl Shared {
    pub(super) fn new(out: UnixStream, sink: Option<BackupSink>, pieces: Option<Pieces>, sources: Sources) -> Self {
        Self {
            out: Mutex::new(out),
            stage: Mutex::new(Stage::Preparing),
            cancelled: AtomicBool::new(false),
            orphaned: AtomicBool::new(false),
            questions: Mutex::default(),
            guarded: Mutex::default(),
            progress: Mutex::new((Progress::default(), Instant::now())),
            sink: RwLock::new(sink),
            pieces: pieces.map(Mutex::new),
            sources,
            failures: Mutex::default(),
            fault: Mutex::default(),
            next_reader: AtomicU64::new(READ_HANDLES),
        }
    }

    /// Sends a report. A supervisor that is gone is noticed by the thread that listens to it, not here.
    pub(super) fn report(&self, report: &Report) {
        let _ = frame::write(&mut *locked(&self.out), report);
    }

    /// Asks the engine to stop; answers whether it has begun.
    pub(super) fn cancel(&self) -> Stage {
        let stage = locked(&self.stage);
        self.cancelled.store(true, Ordering::Relaxed);
        *stage
    }

    /// The engine begins now; false if the job was cancelled before.
    pub(super) fn start(&self) -> bool {
        let mut stage = locked(&self.stage);
        if self.cancelled.load(Ordering::Relaxed) {
            return false;
        }
        *stage = Stage::Working;
        true
    }

    /// The sessions that are guarded now.
    pub(super) fn guarded(&self) -> Vec<String> {
        locked(&self.guarded).iter().cloned().collect()
    }

    /// Hands the supervisor's answer to whoever waits for it.
    pub(super) fn reply(&self, question: u64, answer: Answer) {
        if let Some(waiting) = locked(&self.questions).waiting.remove(&question) {
            let _ = waiting.send(answer);
        }
    }

    /// Takes the sink out, to be closed. What the engine writes from then on is refused.
    pub(super) fn take_sink(&self) -> Option<BackupSink> {
        self.sink.write().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Says how far the job is, now and then; `now` says it in any case.
    pub(super) fn progress(&self, now: bool, change: impl FnOnce(&mut Progress)) {
        let report = {
            let mut guard = locked(&self.progress);
            let (progress, last) = &mut *guard;
            change(progress);
            if !now && last.elapsed() < PROGRESS_EVERY {
                return;
            }
            *last = Instant::now();
            progress.clone()
        };
        self.report(&Report::Progress(report));
    }

    /// Puts something on the supervisor's record, and waits until it is there.
    fn ask(&self, what: Question) -> Result<(), EngineError> {
        let gone = || EngineError::other("the supervisor is gone");
        let (sender, receiver) = mpsc::channel();
        let question = {
            let mut questions = locked(&self.questions);
            // Looked at under the lock: what is asked later than the hanging up would wait for ever.
            if self.orphaned() {
                return Err(gone());
            }
            questions.asked += 1;
            let number = questions.asked;
            questions.waiting.insert(number, sender);
            number
        };
        self.report(&Report::Ask { question, what });
        match receiver.recv() {
            Ok(answer) => answer.into_result(),
            Err(_) => Err(gone()),
        }
    }

    /// Answers nobody any more: the supervisor is gone.
    pub(super) fn hang_up(&self) {
        self.orphaned.store(true, Ordering::SeqCst);
        locked(&self.questions).waiting.clear();
    }

    /// Whether the supervisor is gone.
    pub(super) fn orphaned(&self) -> bool {
        self.orphaned.load(Ordering::SeqCst)
    }

    fn handle(&self, request: Request) -> Answer {
        match request {
            Request::Create {
                name,
                attributes,
                storage,
            } => {
                let created = self
                    .open_piece()
                    .and_then(|()| self.with_sink(|sink| sink.create(&name, attributes, storage)));
                Answer::from_result(self.noted(created).map(|object| Handle { object }))
            }
            Request::Finish { object } => {
                let written = self.noted(self.with_sink(|sink| sink.finish(object)));
                self.count(0);
                Answer::from_result(written)
            }
            Request::Drop { object } if object >= READ_HANDLES => {
                self.sources.close(object);
                locked(&self.failures).remove(&object);
                Answer::from_result(Ok(()))
            }
            Request::Drop { object } => {
                locked(&self.failures).remove(&object);
                Answer::from_result(self.with_sink(|sink| sink.discard(object)))
            }
            Request::Failure { object } => Answer::Error(self.failure(object)),
            Request::Objects { source, after, limit } => {
                Answer::from_result(self.sources.page(source, after.as_deref(), limit))
            }
            Request::Open { source, name } => {
                let object = self.next_reader.fetch_add(1, Ordering::Relaxed);
                Answer::from_result(self.sources.open(object, source, &name).map(|()| Handle { object }))
            }
            Request::Guard { session } => {
                locked(&self.guarded).insert(session.clone());
                Answer::from_result(self.ask(Question::Guard { session }))
            }
            Request::Unguard { session } => {
                locked(&self.guarded).remove(&session);
                Answer::from_result(self.ask(Question::Unguard { session }))
            }
            Request::Log { level, text } => {
                self.report(&Report::Log { level, text });
                Answer::from_result(Ok(()))
            }
            Request::Progress {
                doing,
                total_bytes,
                total_objects,
            } => {
                if let Some(total) = total_objects {
                    // Without a sink there is nothing to prepare.
                    let _ = self.with_sink(|sink| {
                        sink.expect(total);
                        Ok(())
                    });
                }
                self.progress(true, |progress| {
                    progress.doing = doing.or(progress.doing.take());
                    progress.total_bytes = total_bytes.or(progress.total_bytes);
                    progress.total_objects = total_objects.or(progress.total_objects);
                });
                Answer::from_result(Ok(()))
            }
            Request::Begin { from, missing } => Answer::from_result(self.ask(Question::Begin { from, missing })),
            Request::Publish { segment } => Answer::from_result(self.publish(segment)),
            Request::Status { status } => {
                self.report(&Report::Status(status));
                Answer::from_result(Ok(()))
            }
            Request::Serving { server } => Answer::from_result(self.ask(Question::Serving { server })),
            _ => Answer::Error(EngineError::unsupported(
                "this request; the engine is newer than this host",
            )),
        }
    }

    /// Makes the sink of an archive's next segment, if it has none.
    fn open_piece(&self) -> Result<(), EngineError> {
        let Some(pieces) = &self.pieces else { return Ok(()) };
        let mut sink = self.sink.write().unwrap_or_else(PoisonError::into_inner);
        if sink.is_none() {
            *sink = Some(locked(pieces).next()?);
        }
        Ok(())
    }

    /// Closes what was written of a segment, and has the supervisor make it part of the log.
    fn publish(&self, segment: Box<Segment>) -> Result<(), EngineError> {
        let Some(pieces) = &self.pieces else {
            return Err(EngineError::unsupported("publishing log segments in this operation"));
        };
        let Some(sink) = self.take_sink() else {
            return Err(EngineError::other("a segment without objects can not be published")
                .advise("this is a fault of the engine's; report it to its vendor"));
        };
        let index = self.noted(sink.close())?;
        let number = locked(pieces).last();
        self.ask(Question::Publish {
            segment,
            piece: Piece { number, index },
        })
    }

    /// Whether this is the job of an archive: what it has not published is nothing.
    pub(super) fn is_archive(&self) -> bool {
        self.pieces.is_some()
    }

    fn with_sink<T>(&self, run: impl FnOnce(&BackupSink) -> Result<T, EngineError>) -> Result<T, EngineError> {
        match &*self.sink.read().unwrap_or_else(PoisonError::into_inner) {
            Some(sink) => run(sink),
            None => Err(EngineError::unsupported(
                "writing objects in this operation, or after its end",
            )),
        }
    }

    /// Remembers the first error of an object that is written: an engine that goes on in spite of it has no backup.
    fn noted<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        if let Err(error) = &result {
            locked(&self.fault).get_or_insert_with(|| error.clone());
        }
        result
    }

    /// What went wrong with an object that was written, if anything did.
    pub(super) fn fault(&self) -> Option<EngineError> {
        locked(&self.fault).clone()
    }

    fn failure(&self, object: u64) -> EngineError {
        let known = locked(&self.failures).get(&object).cloned();
        known.unwrap_or_else(|| EngineError::other("there is no such object, or it has not failed"))
    }

    /// Brings the counters of the progress up to date.
    fn count(&self, read: u64) {
        let written = self.with_sink(|sink| Ok(sink.counters())).ok();
        self.progress(false, |progress| {
            progress.bytes += read;
            if let Some(counters) = written {
                progress.bytes = counters.plain_bytes;
                progress.objects = counters.objects;
            }
        });
    }
}

/// No panic may cross the boundary: it would end the process without a word.
fn guarded<T>(otherwise: T, run: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or(otherwise)
}

impl HostApi for Port {
    fn request(&self, request: RSlice<'_, u8>) -> RVec<u8> {
        let answer = guarded(
            Answer::Error(EngineError::new(
                ErrorKind::Panic,
                "the host panicked: a fault of Backstay's",
            )),
            || match serde_json::from_slice(request.as_slice()) {
                Ok(request) => self.0.handle(request),
                Err(error) => Answer::Error(
                    EngineError::unsupported("this request; the engine is newer than this host")
                        .detail(error.to_string()),
                ),
            },
        );
        serde_json::to_vec(&answer).unwrap_or_default().into()
    }

    fn write(&self, object: u64, bytes: RSlice<'_, u8>) -> u32 {
        guarded(1, || {
            match self.0.with_sink(|sink| sink.write(object, bytes.as_slice())) {
                Ok(()) => {
                    self.0.count(0);
                    0
                }
                Err(error) => {
                    let _ = self.0.noted::<()>(Err(error.clone()));
                    locked(&self.0.failures).insert(object, error);
                    1
                }
            }
        })
    }

    fn read(&self, object: u64, mut buffer: RSliceMut<'_, u8>) -> i64 {
        guarded(-1, || match self.0.sources.read(object, buffer.as_mut_slice()) {
            Ok(count) => {
                self.0.count(count as u64);
                count as i64
            }
            Err(error) => {
                locked(&self.0.failures).insert(object, error);
                -1
            }
        })
    }

    fn cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }
}

/// A lock that a panic poisoned is taken all the same: each critical section leaves its data whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
