//! Where packages of a newer release come from: the mirror that this machine already uses.
//!
//! No address is written down here. apt knows which mirror the administrator chose, perhaps a local one, and that
//! mirror carries the distribution's development suite beside the release.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Context, Error, Result};
use crate::process::capture;

/// A distribution: what its development suite is called, and who signs it.
struct Distribution {
    id: &'static str,
    development_suite: &'static str,
    keyrings: &'static [&'static str],
}

const DISTRIBUTIONS: [Distribution; 2] = [
    Distribution {
        id: "ubuntu",
        development_suite: "devel",
        keyrings: &["/usr/share/keyrings/ubuntu-archive-keyring.gpg"],
    },
    Distribution {
        id: "debian",
        development_suite: "sid",
        keyrings: &[
            "/usr/share/keyrings/debian-archive-keyring.pgp",
            "/usr/share/keyrings/debian-archive-keyring.gpg",
        ],
    },
];

/// Lines for an apt sources list, one for each mirror that may carry the development suite, the likeliest first.
///
/// # Errors
/// The machine runs neither Debian nor Ubuntu nor a child of theirs, or its apt has no mirror of it.
pub(crate) fn newest_suite() -> Result<Vec<String>> {
    let path = "/etc/os-release";
    let system = os_release(&fs::read_to_string(path).context(|| format!("cannot read {path}"))?);
    let by_hand = "install MySQL 9.7 or newer by other means, so that `mysqld` and `mysqldump` are on PATH";
    let Some(distribution) = distribution(&system) else {
        let name = system.get("PRETTY_NAME").map_or("an unknown system", String::as_str);
        return Err(Error::new(format!(
            "packages of MySQL are looked for on Debian and Ubuntu only; this is {name}"
        ))
        .remedy(by_hand));
    };
    let format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
    let targets = capture(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let mirrors = mirrors(&targets, &codenames(&system));
    if mirrors.is_empty() {
        let release = codenames(&system).join(" or ");
        return Err(Error::new(format!(
            "none of this machine's apt sources is a mirror of its release ({release} main)"
        ))
        .remedy(format!(
            "add one to /etc/apt/sources.list.d and run `apt-get update`; or {by_hand}"
        )));
    }
    let signed_by = distribution.keyrings.iter().find(|keyring| Path::new(keyring).exists());
    let options = signed_by
        .map(|keyring| format!("[signed-by={keyring}] "))
        .unwrap_or_default();
    let suite = distribution.development_suite;
    Ok(mirrors
        .iter()
        .map(|mirror| format!("deb {options}{mirror} {suite} main"))
        .collect())
}

fn distribution(system: &HashMap<String, String>) -> Option<&'static Distribution> {
    let own = system.get("ID").map_or("", String::as_str);
    let parents = system.get("ID_LIKE").map_or("", String::as_str);
    [own]
        .into_iter()
        .chain(parents.split(' '))
        .find_map(|id| DISTRIBUTIONS.iter().find(|known| known.id == id))
}

fn codenames(system: &HashMap<String, String>) -> Vec<&str> {
    // A child's own mirror does not carry the parent's suites, so the parent's release is what to look for.
    let parents: Vec<&str> = ["UBUNTU_CODENAME", "DEBIAN_CODENAME"]
        .iter()
        .filter_map(|key| system.get(*key))
        .map(String::as_str)
        .collect();
    if !parents.is_empty() {
        return parents;
    }
    // Sources may name the release by its role instead.
    let own = system.get("VERSION_CODENAME").map(String::as_str);
    own.into_iter()
        .chain(["stable", "testing", "unstable", "sid"])
        .collect()
}

/// `targets`: lines of address, release and component. Those of the main component of one of the releases, in the
/// order of the releases.
fn mirrors<'a>(targets: &'a str, releases: &[&str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    for release in releases {
        for line in targets.lines() {
            if let [address, of, "main"] = line.split(' ').collect::<Vec<_>>()[..]
                && of == *release
                && !found.contains(&address)
            {
                found.push(address);
            }
        }
    }
    found
}

/// The variables of an os-release file.
fn os_release(text: &str) -> HashMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_of_the_release_is_found_among_other_sources() {
        let system =
            os_release("ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
        let targets = "https://packages.example/apt/ stable main\n\
                       http://mirror.example/debian-security/ bookworm-security main\n\
                       https://docker.example/debian/ bookworm stable\n\
                       http://mirror.example/debian/ bookworm contrib\n\
                       http://mirror.example/debian/ bookworm main\n";
        assert_eq!(distribution(&system).unwrap().development_suite, "sid");
        let expected = vec!["http://mirror.example/debian/", "https://packages.example/apt/"];
        assert_eq!(mirrors(targets, &codenames(&system)), expected);
    }

    #[test]
    fn a_child_of_ubuntu_uses_its_parents_mirror() {
        let system =
            os_release("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_CODENAME=zara\nUBUNTU_CODENAME=noble\n");
        let targets = "http://mint.example/ zara main\nhttp://ubuntu.example/ubuntu/ noble main\n";
        assert_eq!(distribution(&system).unwrap().development_suite, "devel");
        assert_eq!(
            mirrors(targets, &codenames(&system)),
            vec!["http://ubuntu.example/ubuntu/"]
        );
    }

    #[test]
    fn other_systems_are_told_apart() {
        assert!(distribution(&os_release("ID=fedora\n")).is_none());
    }
}
