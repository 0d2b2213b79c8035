//! An engine's options against the JSON Schema in its manifest.

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Inspected;

/// Checks options before a job starts.
pub(super) fn check(plugin: &Inspected, options: &Value) -> Result<()> {
    let Err(problems) = plugin.check_options(options) else {
        return Ok(());
    };
    let name = &plugin.manifest.name;
    let mut error = Error::new(ErrorKind::Usage, format!("options for engine `{name}` are wrong")).advise(format!(
        "`backstay engines inspect {name}` shows the options that it has"
    ));
    for problem in problems {
        error = error.detail(problem);
    }
    Err(error)
}
