//! Which member of a cluster a backup is taken from.

use std::time::Duration;

use backstay_engine_api::wire::Call;
use backstay_engine_api::{Operation, Role, Server, ServerFacts};
use serde_json::Value;

use super::{Host, job_spec, plugin_file, scratch};
use crate::config::{Cluster, Member, Prefer};
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Inspected;
use crate::worker::protocol::Assignment;
use crate::worker::supervisor::NoWatcher;

/// How long a member may take to answer who it is.
const PROBE_DEADLINE: Duration = Duration::from_secs(30);

impl Host {
    /// The member to back up from: the one that was named, the only one, or the one that suits best of those that answer.
    pub(super) fn choose_member<'a>(
        &self,
        cluster: &'a Cluster,
        plugin: &Inspected,
        named: Option<&str>,
        options: &Value,
    ) -> Result<(&'a Member, Server)> {
        let resolve = |member: &'a Member| Ok((member, self.config.member_server(member)?));
        if let Some(name) = named {
            let found = cluster.members.iter().find(|member| member.name == name);
            return found.map(resolve).unwrap_or_else(|| {
                let names: Vec<&str> = cluster.members.iter().map(|member| member.name.as_str()).collect();
                Err(Error::new(
                    ErrorKind::Usage,
                    format!(
                        "cluster `{}` has no member `{name}`; it has {}",
                        cluster.name,
                        names.join(", ")
                    ),
                ))
            });
        }
        if let [only] = cluster.members.as_slice() {
            return resolve(only);
        }
        if !plugin.manifest.has(Operation::Probe) {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "cluster `{}` has {} members, and engine `{}` can not tell which is which",
                    cluster.name,
                    cluster.members.len(),
                    plugin.manifest.name
                ),
            )
            .advise("name one with `--member`"));
        }
        let mut candidates = Vec::new();
        for member in &cluster.members {
            let facts = self
                .config
                .member_server(member)
                .map_err(Error::from)
                .and_then(|server| self.probe(&cluster.name, plugin, server, options));
            if let Err(error) = &facts
                && error.kind == ErrorKind::Cancelled
            {
                return Err(error.clone());
            }
            candidates.push((member.name.as_str(), facts));
        }
        let chosen = choose(cluster.prefer, cluster.max_lag, &candidates).map_err(|reasons| {
            let mut error = Error::refused(format!(
                "no member of cluster `{}` can be backed up from now",
                cluster.name
            ))
            .advise("mend what is said of them, raise `max_lag`, or name a member with `--member`");
            for reason in reasons {
                error = error.detail(reason);
            }
            error
        })?;
        tracing::info!("backing up from {}", candidates[chosen].0);
        resolve(&cluster.members[chosen])
    }

    /// Asks a server who it is.
    pub(super) fn probe(
        &self,
        cluster: &str,
        plugin: &Inspected,
        server: Server,
        options: &Value,
    ) -> Result<ServerFacts> {
        let scratch = scratch("probe")?;
        let assignment = Assignment {
            plugin: plugin_file(plugin)?,
            call: Call::Probe {
                job: job_spec("probe", cluster, options.clone(), scratch.path(), 1),
                server,
            },
            repository: None,
            sink: None,
            pieces: None,
            sources: Vec::new(),
            threads: 1,
        };
        let ended = self
            .workers
            .run_worker(assignment, Some(PROBE_DEADLINE), &mut NoWatcher)?;
        serde_json::from_value(ended.result?)
            .map_err(|error| Error::other("the engine's facts of the server have an unexpected shape").because(&error))
    }
}

/// The index of the best candidate, or why each is none.
fn choose(
    prefer: Prefer,
    max_lag: Option<Duration>,
    candidates: &[(&str, Result<ServerFacts>)],
) -> Result<usize, Vec<String>> {
    let mut best: Option<(u8, usize)> = None;
    let mut reasons = Vec::new();
    for (index, (name, facts)) in candidates.iter().enumerate() {
        match facts
            .as_ref()
            .map_err(ToString::to_string)
            .and_then(|facts| rank(prefer, max_lag, facts))
        {
            Ok(rank) if best.is_none_or(|(other, _)| rank < other) => best = Some((rank, index)),
            Ok(_) => {}
            Err(reason) => reasons.push(format!("{name}: {reason}")),
        }
    }
    best.map(|(_, index)| index).ok_or(reasons)
}

/// How good a server is (0 is best), or why it will not do.
fn rank(prefer: Prefer, max_lag: Option<Duration>, facts: &ServerFacts) -> Result<u8, String> {
    let replica = facts.role == Some(Role::Replica);
    if replica && let Some(max) = max_lag {
        match facts.lag {
            Some(lag) if lag <= max.as_secs_f64() => {}
            Some(lag) => return Err(format!("it is {lag} s behind, and at most {max:?} is allowed")),
            None => return Err("it is a replica, and how far behind is unknown: does it replicate?".to_owned()),
        }
    }
    match prefer {
        Prefer::Any => Ok(0),
        Prefer::Replica => Ok(u8::from(!replica)),
        Prefer::Primary if replica => Err("it is a replica, and the cluster prefers the primary".to_owned()),
        Prefer::Primary => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(role: Role, lag: Option<f64>) -> Result<ServerFacts> {
        Ok(ServerFacts {
            role: Some(role),
            lag,
            ..ServerFacts::default()
        })
    }

    #[test]
    fn picks_by_role_and_lag() {
        let all = || {
            vec![
                ("p", server(Role::Primary, None)),
                ("late", server(Role::Replica, Some(90.0))),
                ("stopped", server(Role::Replica, None)),
                ("good", server(Role::Replica, Some(1.0))),
                ("gone", Err(Error::other("refused"))),
            ]
        };
        let lag = Some(Duration::from_secs(30));
        assert_eq!(choose(Prefer::Replica, lag, &all()), Ok(3));
        assert_eq!(choose(Prefer::Primary, lag, &all()), Ok(0));
        assert_eq!(choose(Prefer::Any, lag, &all()), Ok(0));
        // Without a limit, the first replica will do.
        assert_eq!(choose(Prefer::Replica, None, &all()), Ok(1));
        // Without a good replica, the primary.
        assert_eq!(choose(Prefer::Replica, lag, &all()[..3]), Ok(0));
    }

    #[test]
    fn says_why_each_is_none() {
        let none = [
            ("late", server(Role::Replica, Some(90.0))),
            ("stopped", server(Role::Replica, None)),
            ("gone", Err(Error::other("refused"))),
        ];
        assert_eq!(
            choose(Prefer::Replica, Some(Duration::from_secs(30)), &none),
            Err(vec![
                "late: it is 90 s behind, and at most 30s is allowed".to_owned(),
                "stopped: it is a replica, and how far behind is unknown: does it replicate?".to_owned(),
                "gone: refused".to_owned(),
            ])
        );
    }
}
