//! A replica that follows a server, and is promoted.

use backstay_bed::{TestServer, run, until};

use crate::archived::{covers, executed};

/// Lets a server follow another from now on, by GTID.
///
/// # Panics
/// One of them refuses.
pub fn replicate(replica: &TestServer, source: &TestServer) {
    let port = source.port();
    run(
        &mut source.session(),
        &[
            "CREATE USER r@'%' IDENTIFIED BY 'p'",
            "GRANT REPLICATION SLAVE ON *.* TO r@'%'",
        ],
    );
    let change = if replica.flavour.is_mariadb() {
        format!(
            "CHANGE MASTER TO master_host='127.0.0.1', master_port={port}, master_user='r', master_password='p', \
             master_use_gtid=slave_pos"
        )
    } else {
        format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='r', \
             SOURCE_PASSWORD='p', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1"
        )
    };
    run(&mut replica.session(), &[&change]);
    resume(replica);
}

/// Lets a replica apply what its source sends.
///
/// # Panics
/// It refuses.
pub fn resume(replica: &TestServer) {
    run(&mut replica.session(), &[&format!("START {}", word(replica))]);
}

/// Stops a replica where it is.
///
/// # Panics
/// It refuses.
pub fn pause(replica: &TestServer) {
    run(&mut replica.session(), &[&format!("STOP {}", word(replica))]);
}

/// Makes a replica a server of its own.
///
/// # Panics
/// It refuses.
pub fn promote(replica: &TestServer) {
    pause(replica);
    run(&mut replica.session(), &[&format!("RESET {} ALL", word(replica))]);
}

/// Waits until a replica has all that its source has committed by now.
///
/// # Panics
/// It has not after the time of a test's wait.
pub fn caught_up(replica: &TestServer, source: &TestServer) {
    let committed = executed(source);
    until("the replica has all", || {
        covers(replica.flavour, &executed(replica), &committed)
    });
}

fn word(replica: &TestServer) -> &'static str {
    if replica.flavour.is_mariadb() {
        "SLAVE"
    } else {
        "REPLICA"
    }
}
