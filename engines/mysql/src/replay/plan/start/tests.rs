use super::*;

fn place(text: &str) -> BinlogFile {
    text.parse().unwrap()
}

/// Logs by where they begin and end, and where their transactions do: file's number, start and end.
type Log<'a> = (&'a str, &'a str, &'a [(u32, u64, u64)]);

/// Which transactions are replayed onto a target that stands at `from`.
fn replayed(from: &str, logs: &[Log<'_>]) -> Result<Vec<(u32, u64)>, String> {
    let positions = |text: &str| match text {
        "" => Vec::new(),
        text => vec![Position::binlog_file(&place(text))],
    };
    let segments: Vec<Segment> = logs
        .iter()
        .enumerate()
        .map(|(number, (from, to, _))| Segment {
            name: format!("log {number}"),
            from: positions(from),
            to: positions(to),
            ..Segment::default()
        })
        .collect();
    let (mut files, mut transactions, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for (log, (_, _, inside)) in logs.iter().enumerate() {
        for (number, start, end) in *inside {
            let name = format!("binlog.{number:06}");
            let known = files
                .iter()
                .position(|file: &File| file.log == log && file.name == name);
            let file = known.unwrap_or_else(|| {
                files.push(File {
                    log,
                    object: name.clone(),
                    name: name.clone(),
                });
                numbers.push(*number);
                files.len() - 1
            });
            transactions.push(Transaction {
                name: Name::Anonymous,
                file,
                offset: *start,
                length: end - start,
                time: 0,
                place: Some((*start, *end)),
            });
        }
    }
    after(&positions(from), &segments, &files, transactions)
        .map(|(start, after)| {
            assert_eq!(start, Start::Place(place(from)));
            let shown = |transaction: Transaction| (numbers[transaction.file], transaction.place.unwrap().0);
            after.into_iter().map(shown).collect()
        })
        .map_err(|error| error.to_string())
}

#[test]
fn files_without_a_transaction_are_no_gap() {
    // Within a log, between two, and at the end of one.
    let within: &[Log<'_>] = &[(
        "binlog.000001:500",
        "binlog.000006:300",
        &[(1, 500, 600), (4, 157, 300), (4, 300, 400), (6, 157, 300)],
    )];
    let expected = vec![(1, 500), (4, 157), (4, 300), (6, 157)];
    assert_eq!(replayed("binlog.000001:500", within), Ok(expected.clone()));
    let between: &[Log<'_>] = &[
        ("binlog.000001:500", "binlog.000001:600", &[(1, 500, 600)]),
        (
            "binlog.000001:600",
            "binlog.000005:157",
            &[(4, 157, 300), (4, 300, 400)],
        ),
        ("binlog.000005:157", "binlog.000006:300", &[(6, 157, 300)]),
    ];
    assert_eq!(replayed("binlog.000001:500", between), Ok(expected));
    // The target stands at the end of a file, and in an empty one.
    assert_eq!(replayed("binlog.000001:600", between).unwrap().len(), 3);
    assert_eq!(replayed("binlog.000003:157", &between[1..]).unwrap().len(), 3);
    assert_eq!(replayed("binlog.000005:157", between), Ok(vec![(6, 157)]));
    assert_eq!(replayed("binlog.000006:300", between), Ok(vec![]));
}

#[test]
fn what_is_before_a_file_s_first_transaction_is_no_gap() {
    let log: &[Log<'_>] = &[("binlog.000002:4", "binlog.000002:300", &[(2, 197, 300)])];
    assert_eq!(replayed("binlog.000002:4", log), Ok(vec![(2, 197)]));
    // As much as that may be: an archive's first segment need not say where it begins.
    let unsaid: &[Log<'_>] = &[("", "binlog.000002:300", &[(2, 197, 300)])];
    assert_eq!(replayed("binlog.000002:126", unsaid), Ok(vec![(2, 197)]));
}

#[test]
fn what_is_there_already_is_passed_over() {
    let log: &[Log<'_>] = &[
        (
            "binlog.000001:157",
            "binlog.000001:400",
            &[(1, 157, 300), (1, 300, 400)],
        ),
        (
            "binlog.000001:157",
            "binlog.000002:300",
            &[(1, 157, 300), (1, 300, 400), (2, 157, 300)],
        ),
    ];
    assert_eq!(replayed("binlog.000001:300", log), Ok(vec![(1, 300), (2, 157)]));
}

#[test]
fn gaps_are_found() {
    let gap = |from: &str, logs: &[Log<'_>], says: &str| {
        let error = replayed(from, logs).unwrap_err();
        assert!(error.starts_with("the log has a gap before"), "{error}");
        assert!(error.contains(says), "{error}");
    };
    // A log that begins later.
    let later: &[Log<'_>] = &[("binlog.000001:600", "binlog.000003:300", &[(3, 157, 300)])];
    gap(
        "binlog.000001:500",
        later,
        "log 0: the target would lack what is between binlog.000001:500 and binlog.000001:600",
    );
    let second: &[Log<'_>] = &[
        ("binlog.000001:157", "binlog.000001:300", &[(1, 157, 300)]),
        ("binlog.000002:157", "binlog.000002:300", &[(2, 157, 300)]),
    ];
    gap(
        "binlog.000001:157",
        second,
        "log 1: the target would lack what is between binlog.000001:300 and binlog.000002:157",
    );
    // Transactions that do not follow on each other.
    let hole: &[Log<'_>] = &[(
        "binlog.000001:157",
        "binlog.000001:600",
        &[(1, 157, 300), (1, 400, 600)],
    )];
    gap("binlog.000001:157", hole, "between binlog.000001:300 and it");
    let not_the_first: &[Log<'_>] = &[(
        "binlog.000001:157",
        "binlog.000002:9000",
        &[(1, 157, 300), (2, 5000, 9000)],
    )];
    gap("binlog.000001:157", not_the_first, "between binlog.000001:300 and it");
}

#[test]
fn other_servers_logs_do_not_follow() {
    let log: &[Log<'_>] = &[("", "", &[(1, 157, 300)])];
    let error = replayed("mysql-bin.000001:157", log).unwrap_err();
    assert!(error.contains("no log follows on another server's"), "{error}");
}
