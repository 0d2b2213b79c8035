//! The plug-in path: which engines there are, and which of two with the same name is meant.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::inspect::{Inspected, inspect};
use super::{PluginError, error};
use crate::config::suggest;

/// The environment variable with directories of engines, separated by colons.
pub const PLUGINS_ENV: &str = "BACKSTAY_PLUGINS";

/// The directories that engines are looked for in, first to last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchPath {
    /// Named by the operator; every `*.so` in them is meant to be an engine.
    named: Vec<PathBuf>,
    /// Looked into unasked; there, a library that is no engine is no mistake.
    usual: Vec<PathBuf>,
}

impl SearchPath {
    /// [`PLUGINS_ENV`], then `configured` (`[plugins] path`), then `engines` beside the running program, then where a program
    /// that is installed has its libraries (`/usr/local/bin`: `/usr/local/lib/backstay/engines`), then the program's own
    /// directory. Each is made absolute, and is there once.
    pub fn new(configured: &[PathBuf]) -> Self {
        let variable = env::var_os(PLUGINS_ENV).unwrap_or_default();
        let from_env: Vec<_> = env::split_paths(&variable)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        let program = env::current_exe()
            .ok()
            .and_then(|path| path.parent().map(Path::to_owned));
        let mut usual = Vec::new();
        if let Some(program) = program {
            usual.push(program.join("engines"));
            usual.extend(program.parent().map(|prefix| prefix.join("lib/backstay/engines")));
            usual.push(program);
        }
        Self::of(from_env.iter().chain(configured), &usual)
    }

    /// Only these directories.
    pub fn only(directories: &[PathBuf]) -> Self {
        Self::of(directories, &[])
    }

    fn of<'p>(named: impl IntoIterator<Item = &'p PathBuf>, usual: &[PathBuf]) -> Self {
        let mut seen = Vec::new();
        let mut take = |path: &PathBuf| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            (!seen.contains(&real)).then(|| {
                seen.push(real);
                path
            })
        };
        Self {
            named: named.into_iter().filter_map(&mut take).collect(),
            usual: usual.iter().filter_map(&mut take).collect(),
        }
    }

    /// All of them, in order.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.named.iter().chain(&self.usual).cloned().collect()
    }

    /// Inspects every `*.so` in the directories.
    ///
    /// # Errors
    /// [`PluginError::NoDirectory`] if directories were named, none of them exists, and no engine is in the usual places.
    pub fn discover(&self) -> Result<Discovery, PluginError> {
        let mut discovery = Discovery {
            found: Vec::new(),
            directories: self.directories(),
        };
        // Engine's name to the file that has it; the first directory wins.
        let mut owners = BTreeMap::new();
        let mut any_named = self.named.is_empty();
        for directory in &self.named {
            any_named |= directory.exists();
            discovery.add(directory, true, &mut owners);
        }
        for directory in &self.usual {
            discovery.add(directory, false, &mut owners);
        }
        if !any_named && discovery.found.is_empty() {
            return Err(PluginError::NoDirectory {
                directories: discovery.directories,
            });
        }
        Ok(discovery)
    }
}

/// A file of the plug-in path.
#[derive(Debug)]
pub struct Found {
    /// The file, absolute.
    pub path: PathBuf,
    /// The engine, or why it is none that can be used.
    pub result: Result<Inspected, PluginError>,
    /// The file that has the same name in an earlier directory, and is used instead.
    pub shadowed_by: Option<PathBuf>,
}

/// What is in the plug-in path.
#[derive(Debug)]
pub struct Discovery {
    /// In the order of the path, and by file name within a directory.
    pub found: Vec<Found>,
    /// Where was looked.
    pub directories: Vec<PathBuf>,
}

impl Discovery {
    /// The engines that can be used, each once.
    pub fn engines(&self) -> impl Iterator<Item = &Inspected> + Clone {
        let used = self.found.iter().filter(|found| found.shadowed_by.is_none());
        used.filter_map(|found| found.result.as_ref().ok())
    }

    /// An engine by its name.
    ///
    /// # Errors
    /// There is none, with the nearest name that there is; or there are two in one directory.
    pub fn find(&self, name: &str) -> Result<&Inspected, PluginError> {
        let ambiguous = self.found.iter().find_map(|found| match &found.result {
            Err(PluginError::Ambiguous {
                name: same,
                first,
                second,
            }) if same == name && found.shadowed_by.is_none() => Some(error::ambiguous(name, first, second)),
            _ => None,
        });
        if let Some(error) = ambiguous {
            return Err(error);
        }
        self.engines()
            .find(|engine| engine.manifest.name == name)
            .ok_or_else(|| {
                let names = self.engines().map(|engine| engine.manifest.name.as_str());
                let broken = self.found.iter().filter_map(|found| found.result.as_ref().err());
                PluginError::Unknown {
                    name: name.to_owned(),
                    help: suggest(name, names),
                    directories: self.directories.clone(),
                    unusable: broken.map(PluginError::to_string).collect(),
                }
            })
    }

    fn add(&mut self, directory: &Path, named: bool, owners: &mut BTreeMap<String, PathBuf>) {
        let files = match libraries(directory) {
            Ok(files) => files,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return,
            Err(source) => {
                let path = directory.to_owned();
                self.found.push(Found {
                    path: path.clone(),
                    result: Err(PluginError::Read { path, source }),
                    shadowed_by: None,
                });
                return;
            }
        };
        let start = self.found.len();
        for path in files {
            let result = inspect(&path).and_then(named_rightly);
            if !named && matches!(result, Err(PluginError::NoPlugin { .. })) {
                continue;
            }
            let name = result.as_ref().ok().map(|engine| engine.manifest.name.as_str());
            let shadowed_by = name.and_then(|name| owners.get(name)).cloned();
            self.found.push(Found {
                path,
                result,
                shadowed_by,
            });
        }
        settle(&mut self.found[start..], owners);
    }
}

/// Decides between files of one directory that are the same engine: copies of one file are one, anything else is ambiguous.
fn settle(found: &mut [Found], owners: &mut BTreeMap<String, PathBuf>) {
    let mut here: BTreeMap<String, usize> = BTreeMap::new();
    let (mut doubles, mut broken) = (Vec::new(), Vec::new());
    for at in 0..found.len() {
        let Ok(engine) = &found[at].result else { continue };
        if found[at].shadowed_by.is_some() {
            continue;
        }
        match here.get(&engine.manifest.name) {
            None => {
                here.insert(engine.manifest.name.clone(), at);
            }
            Some(&first) => {
                let digest = |at: usize| found[at].result.as_ref().ok().map(Inspected::sha256);
                match [digest(first), digest(at)] {
                    [Some(Ok(one)), Some(Ok(other))] if one == other => {
                        found[at].shadowed_by = Some(found[first].path.clone());
                    }
                    [Some(Err(error)), _] => broken.push((first, error)),
                    [_, Some(Err(error))] => broken.push((at, error)),
                    _ => doubles.push((engine.manifest.name.clone(), first, at)),
                }
            }
        }
    }
    for (name, first, second) in doubles {
        let paths = (found[first].path.clone(), found[second].path.clone());
        for at in [first, second] {
            found[at].result = Err(error::ambiguous(&name, &paths.0, &paths.1));
        }
    }
    for (at, error) in broken {
        found[at].result = Err(error);
    }
    for (name, at) in here {
        owners.insert(name, found[at].path.clone());
    }
}

/// An engine whose file is named after it: `libbackstay_mysqldump.so`, `mysqldump-1.2.so`. Operators see the file's name, and a
/// file must not be another engine than it looks like.
fn named_rightly(engine: Inspected) -> Result<Inspected, PluginError> {
    let plain = |text: &str| text.replace('_', "-").to_lowercase();
    let stem = engine
        .path
        .file_stem()
        .map(|stem| plain(&stem.to_string_lossy()))
        .unwrap_or_default();
    if stem.contains(&plain(&engine.manifest.name)) {
        return Ok(engine);
    }
    Err(PluginError::Misnamed {
        path: engine.path,
        name: engine.manifest.name,
    })
}

/// A directory's `*.so`, sorted.
fn libraries(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("so")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
