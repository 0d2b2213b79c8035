//! `[workflow.<name>]`: which engine takes which backups of which cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};

use super::repository::{BUNDLE, COMPRESSION, read_level};
use super::section::Section;
use super::value;
use crate::pipeline::{Bundling, Compression};

/// A way in which backups are taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    /// Its name.
    pub name: String,
    /// The cluster, one of the file's.
    pub cluster: String,
    /// The engine's name. Whether there is one of that name is known when plug-ins have been looked for.
    pub engine: String,
    /// The engine's options; checked against its schema when the engine is known.
    pub options: Map<String, Value>,
    /// A job that takes longer is cancelled.
    pub deadline: Option<Duration>,
    /// How many threads the engine may keep busy; the number of processors if it is not set.
    pub threads: Option<usize>,
    /// Instead of the repository's.
    pub compression: Option<Compression>,
    /// Instead of the repository's.
    pub level: Option<i32>,
    /// Instead of the repository's.
    pub bundle: Option<Bundling>,
    /// For an archive, instead of that of `[archive]`, in bytes.
    pub segment_size: Option<u64>,
    /// For an archive, instead of that of `[archive]`.
    pub segment_age: Option<Duration>,
}

/// `clusters`: the names of all clusters in the file, also of those that are wrong in some other way.
pub(super) fn read(root: &mut Section<'_>, clusters: &BTreeSet<String>) -> BTreeMap<String, Workflow> {
    let mut all = BTreeMap::new();
    for (name, mut section) in root.named("workflow") {
        let example = clusters
            .first()
            .map_or("\"NAME\"".to_owned(), |name| format!("\"{name}\""));
        let cluster = section.required("cluster", &example);
        if let Some((cluster, span)) = cluster.clone()
            && !clusters.contains(cluster)
        {
            let help = value::suggest(cluster, clusters.iter().map(String::as_str));
            section.problem(
                span,
                format!("there is no cluster \"{}\"", cluster.escape_debug()),
                Some(&help),
            );
        }
        let engine = section.required("engine", "\"mysqldump\"");
        if let Some((engine, span)) = engine.clone()
            && !crate::plugin::is_engine_name(engine)
        {
            let message = format!(
                "`engine` must be an engine's name: a-z, 0-9 and `-`, starting with a letter; it is \"{}\"",
                engine.escape_debug()
            );
            section.problem(span, message, Some("`backstay engines list` has them"));
        }
        let text = |given: Option<(&str, _)>| given.map(|(text, _)| text.to_owned()).unwrap_or_default();
        let workflow = Workflow {
            name: name.clone(),
            cluster: text(cluster),
            engine: text(engine),
            options: section.json("options").unwrap_or_default(),
            deadline: section.duration("deadline"),
            threads: section
                .integer("threads", 1..=1024)
                .and_then(|count| usize::try_from(count).ok()),
            compression: section.choice("compression", COMPRESSION),
            level: read_level(&mut section),
            bundle: section.choice("bundle", BUNDLE),
            segment_size: section.size("segment_size"),
            segment_age: section.duration("segment_age"),
        };
        section.finish();
        all.insert(name, workflow);
    }
    all
}
