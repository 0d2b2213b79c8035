//! PostgreSQL: a test builds a small engine for it, out of tree, to see that the contract holds for a database that it
//! was not made for.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Piece, apt};
use crate::error::Result;
use crate::process::{find, is_executable};

/// Debian keeps the programs of each version here, outside PATH.
const VERSIONS: &str = "/usr/lib/postgresql";

pub(crate) struct PostgreSql;

impl Piece for PostgreSql {
    fn name(&self) -> &str {
        "PostgreSQL"
    }

    fn why(&self) -> &str {
        "an engine outside this repository is tested with; no cluster is created, tests start private ones"
    }

    fn is_present(&self) -> bool {
        let server = fs::read_dir(VERSIONS)
            .into_iter()
            .flatten()
            .flatten()
            .any(|version| is_executable(&version.path().join("bin/initdb")));
        (server || find("initdb").is_some()) && find("pg_dump").is_some() && find("pg_restore").is_some()
    }

    /// The package would create a cluster that starts with the machine from then on. That is configured in a file of
    /// `postgresql-common`, which is therefore installed first; the file is put back as it was, whatever happens.
    fn install(&self) -> Result<()> {
        apt::install(&["postgresql-common"])?;
        let install = crate::process::show(&apt::apt_get_install(&["postgresql"]));
        let mut command = Command::new("sh");
        command.arg("-c").arg(without_main_cluster(
            Path::new("/etc/postgresql-common/createcluster.conf"),
            &install,
        ));
        apt::run(command)
    }
}

fn without_main_cluster(configuration: &Path, install: &str) -> String {
    let file = configuration.display();
    format!(
        "set -e; f={file}; kept=$(mktemp); if [ -e $f ]; then cp -p $f $kept; else rm $kept; fi; \
         trap 'if [ -e $kept ]; then cp -p $kept $f; rm $kept; else rm -f $f; fi' EXIT; trap 'exit 130' INT TERM; \
         echo 'create_main_cluster = false' >>$f; {install}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::capture;

    #[test]
    fn the_configuration_is_put_back_even_if_the_installation_fails() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("createcluster.conf");
        fs::write(&file, "ssl = on\n").unwrap();
        let seen = folder.path().join("seen");
        let script = without_main_cluster(&file, &format!("cp {} {}; false", file.display(), seen.display()));
        capture(Command::new("sh").arg("-c").arg(script)).unwrap_err();
        assert_eq!(
            fs::read_to_string(&seen).unwrap(),
            "ssl = on\ncreate_main_cluster = false\n"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "ssl = on\n");
    }

    #[test]
    fn a_configuration_that_was_not_there_is_not_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("createcluster.conf");
        capture(Command::new("sh").arg("-c").arg(without_main_cluster(&file, "true"))).unwrap();
        assert!(!file.exists());
    }
}
