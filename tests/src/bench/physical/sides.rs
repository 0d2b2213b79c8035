//! Full backups and restores of them, beside the programs that people use for it.

use std::error::Error;
use std::fs;
use std::path::Path;

use super::{Bed, LEVEL, RUNS, Side, TABLES, table, verdict};

// Each a ratio of medians of the sides' times, or of their bytes.
const XTRABACKUP_TIME: f64 = 1.05;
const XTRABACKUP_BYTES: f64 = 1.02;
const SNAPSHOT_TIME: f64 = 1.0;
const SNAPSHOT_TO_TAR: f64 = 1.05;
const RESTORE_TIME: f64 = 0.7;

/// Backups and restores, in turn.
pub(super) fn run(bed: &Bed) -> Result<String, Box<dyn Error>> {
    let login = format!(
        "--no-defaults --user=root --socket={}",
        bed.server.server.socket().display()
    );
    let data = bed.server.server.data_dir().display().to_string();
    let (stream, tar) = (bed.file("stream.zst"), bed.file("tar.zst"));
    let (copy, moved) = (bed.volume.point().join("copy"), bed.volume.point().join("moved"));
    let show = |path: &Path| path.display().to_string();
    let zstd = |file: &Path| format!("zstd -T0 -{LEVEL} -q -f -o {0} && sync {0}", file.display());
    let size = |file: &Path| -> Result<f64, Box<dyn Error>> { Ok(fs::metadata(file)?.len() as f64) };
    let mut all: [Side; 7] = Default::default();
    let [
        peer,
        tarred,
        xtrabackup,
        snapshot,
        peer_back,
        xtrabackup_back,
        snapshot_back,
    ] = &mut all;
    for round in 0..=RUNS {
        eprintln!("  round {round} of {RUNS}");
        // In turn, each in every place: what one has done may make the next slower.
        for place in 0..4 {
            match (round + place) % 4 {
                0 => {
                    let usage = bed.shell(&format!(
                        "mariadb-backup {login} --backup --stream=xbstream --datadir={data} --target-dir={} | {}",
                        show(&bed.file("target")),
                        zstd(&stream)
                    ))?;
                    peer.add(round, usage, size(&stream)?);
                    bed.shell(&format!("rm -rf {0} {1} && mkdir {0}", show(&copy), show(&moved)))?;
                    let usage = bed.shell(&format!(
                        "zstd -dcq {2} | mbstream -x -C {0} && mariadb-backup --no-defaults --prepare --target-dir={0} && \
                         mariadb-backup --no-defaults --move-back --target-dir={0} --datadir={1} && sync -f {1}",
                        show(&copy),
                        show(&moved),
                        show(&stream)
                    ))?;
                    peer_back.add(round, usage, 0.0);
                    bed.shell(&format!("rm -rf {} {}", show(&copy), show(&moved)))?;
                }
                1 => {
                    let (usage, bytes) = bed.full("xtrabackup")?;
                    xtrabackup.add(round, usage, bytes);
                    xtrabackup_back.add(round, bed.restore()?, 0.0);
                }
                2 => {
                    // The same files as the engine's, which are those of one instant too.
                    bed.shell(&format!(
                        "cp -a --reflink=always {data} {0} && rm -f {0}/binlog.* {0}/ibtmp1",
                        show(&copy)
                    ))?;
                    let usage = bed.shell(&format!("tar -C {} -cf - . | {}", show(&copy), zstd(&tar)))?;
                    tarred.add(round, usage, size(&tar)?);
                    bed.shell(&format!("rm -rf {}", show(&copy)))?;
                }
                _ => {
                    let (usage, bytes) = bed.full("snapshot")?;
                    snapshot.add(round, usage, bytes);
                    snapshot_back.add(round, bed.restore()?, 0.0);
                }
            }
        }
    }
    let none = String::new;
    let rows = [
        vec![
            "mariadb-backup \\| zstd -T0".into(),
            peer.time(),
            none(),
            none(),
            peer.megabytes(),
            none(),
        ],
        vec![
            "tar \\| zstd -T0".into(),
            tarred.time(),
            none(),
            none(),
            tarred.megabytes(),
            none(),
        ],
        vec![
            "engine xtrabackup".into(),
            xtrabackup.time(),
            verdict(xtrabackup.to(peer), XTRABACKUP_TIME),
            none(),
            format!(
                "{}, {}",
                xtrabackup.megabytes(),
                verdict(xtrabackup.bytes / peer.bytes, XTRABACKUP_BYTES)
            ),
            xtrabackup.memory(),
        ],
        vec![
            "engine snapshot, by reflink".into(),
            snapshot.time(),
            verdict(snapshot.to(peer), SNAPSHOT_TIME),
            verdict(snapshot.to(tarred), SNAPSHOT_TO_TAR),
            snapshot.megabytes(),
            snapshot.memory(),
        ],
    ];
    let restores = [
        vec![
            "zstd -d \\| mbstream -x, --prepare, --move-back".into(),
            peer_back.time(),
            none(),
            none(),
        ],
        vec![
            "engine xtrabackup".into(),
            xtrabackup_back.time(),
            verdict(xtrabackup_back.to(peer_back), RESTORE_TIME),
            xtrabackup_back.memory(),
        ],
        vec![
            "engine snapshot".into(),
            snapshot_back.time(),
            verdict(snapshot_back.to(peer_back), RESTORE_TIME),
            snapshot_back.memory(),
        ],
    ];
    Ok(format!(
        "### Full backups of sysbench's {TABLES} x {} rows\n\n{}\n### Restores of them\n\n{}\n",
        bed.rows,
        table(
            &[
                "what",
                "median",
                "to mariadb-backup \\| zstd (bar)",
                "to tar \\| zstd (bar)",
                "bytes (bar)",
                "worker's peak memory (bar)"
            ],
            &rows
        ),
        table(
            &["what", "median", "ratio (bar)", "worker's peak memory (bar)"],
            &restores
        )
    ))
}
