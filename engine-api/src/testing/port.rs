//! What an engine asks of a [`MemoryHost`](super::MemoryHost).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use abi_stable::std_types::{RSlice, RSliceMut, RVec};

use super::{NEVER, Object, State, locked};
use crate::abi::v1::HostApi;
use crate::error::{EngineError, ErrorKind};
use crate::objects::{ObjectInfo, Written};
use crate::wire::{Answer, Handle, ObjectPage, Request};

/// How many objects may be open at once; the contract's limit.
const MOST_OPEN: usize = 64;
/// How many objects are listed at once: few, so that there are several pages.
const PAGE: usize = 7;

pub(super) enum Open {
    Writing { name: String, object: Object },
    Reading { source: usize, name: String, at: usize },
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writing { name, .. } => write!(f, "{name}, being written"),
            Self::Reading { name, .. } => write!(f, "{name}, being read"),
        }
    }
}

/// The host's end of the line.
pub(super) struct Port(pub(super) Arc<State>);

impl Port {
    fn answer(&self, request: Request) -> Answer {
        match request {
            Request::Create { name, attributes, .. } => {
                assert!(!locked(&self.0.written).contains_key(&name), "{name} is written twice");
                let bad = name.is_empty()
                    || name.len() > 1000
                    || name.chars().any(char::is_control)
                    || name.split('/').any(|part| matches!(part, "" | "." | ".."));
                assert!(!bad, "a bad name: {name:?}");
                let bytes = Vec::new();
                let object = Object { attributes, bytes };
                self.open(Open::Writing { name, object })
            }
            Request::Finish { object } => match locked(&self.0.open).remove(&object) {
                Some(Open::Writing { name, object }) => {
                    let size = object.bytes.len() as u64;
                    locked(&self.0.written).insert(name, object);
                    count_down(&self.0.objects_left);
                    Answer::from_result(Ok(Written { size }))
                }
                other => panic!("{other:?} can not be finished"),
            },
            Request::Drop { object } => {
                locked(&self.0.open).remove(&object);
                nothing()
            }
            Request::Objects { source, after, limit } => Answer::from_result(Ok(self.page(source, after, limit))),
            Request::Open { source, name } => {
                locked(&self.0.opened).push(name.clone());
                if !locked(&self.0.backups)[source].objects.contains_key(&name) {
                    let message = format!("there is no object {name}");
                    return Answer::Error(EngineError::new(ErrorKind::Damaged, message));
                }
                self.open(Open::Reading { source, name, at: 0 })
            }
            Request::Guard { session } => {
                locked(&self.0.guarded).push(session.clone());
                locked(&self.0.still_guarded).push(session);
                nothing()
            }
            Request::Unguard { session } => {
                let mut guarded = locked(&self.0.still_guarded);
                let at = guarded.iter().position(|guarded| *guarded == session);
                guarded.remove(at.unwrap_or_else(|| panic!("session {session} is not guarded")));
                nothing()
            }
            Request::Log { text, .. } => {
                locked(&self.0.log).push(text);
                nothing()
            }
            _ => nothing(),
        }
    }

    fn open(&self, object: Open) -> Answer {
        let mut open = locked(&self.0.open);
        assert!(open.len() < MOST_OPEN, "too many objects are open");
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        open.insert(number, object);
        self.0.most_open.fetch_max(open.len(), Ordering::Relaxed);
        Answer::from_result(Ok(Handle { object: number }))
    }

    fn page(&self, source: usize, after: Option<String>, limit: usize) -> ObjectPage {
        let backups = locked(&self.0.backups);
        let mut rest = backups[source]
            .objects
            .iter()
            .filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after));
        let objects = rest
            .by_ref()
            .take(limit.min(PAGE))
            .map(|(name, object)| ObjectInfo {
                name: name.clone(),
                attributes: object.attributes.clone(),
                size: object.bytes.len() as u64,
            })
            .collect();
        ObjectPage {
            objects,
            more: rest.next().is_some(),
        }
    }
}

impl HostApi for Port {
    fn request(&self, request: RSlice<'_, u8>) -> RVec<u8> {
        let request = serde_json::from_slice(request.as_slice()).expect("a request is JSON");
        let answer = serde_json::to_vec(&self.answer(request));
        answer.expect("an answer is JSON").into()
    }

    fn write(&self, object: u64, bytes: RSlice<'_, u8>) -> u32 {
        match locked(&self.0.open).get_mut(&object) {
            Some(Open::Writing { object, .. }) => object.bytes.extend_from_slice(bytes.as_slice()),
            other => panic!("{other:?} can not be written"),
        }
        0
    }

    fn read(&self, object: u64, mut buffer: RSliceMut<'_, u8>) -> i64 {
        count_down(&self.0.reads_left);
        let mut open = locked(&self.0.open);
        let Some(Open::Reading { source, name, at }) = open.get_mut(&object) else {
            panic!("{:?} can not be read", open.get(&object))
        };
        let backups = locked(&self.0.backups);
        let rest = &backups[*source].objects[name.as_str()].bytes[*at..];
        let count = rest.len().min(buffer.len()).min(self.0.piece.load(Ordering::Relaxed));
        buffer.as_mut_slice()[..count].copy_from_slice(&rest[..count]);
        *at += count;
        i64::try_from(count).expect("a buffer's size")
    }

    fn cancelled(&self) -> bool {
        self.0.objects_left.load(Ordering::Relaxed) == 0 || self.0.reads_left.load(Ordering::Relaxed) == 0
    }
}

fn nothing() -> Answer {
    Answer::from_result(Ok(()))
}

/// One less, unless it has run out or never does.
fn count_down(left: &AtomicUsize) {
    let less = |left: usize| (left != 0 && left != NEVER).then(|| left - 1);
    // The error says that nothing was to be counted.
    let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
}
