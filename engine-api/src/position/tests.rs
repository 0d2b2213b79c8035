use proptest::prelude::*;

use super::*;

const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

fn mysql(intervals: &str) -> Position {
    Position::new(PositionKind::MYSQL_GTID, format!("{UUID}:{intervals}"))
}

#[test]
fn json_has_kind_value_and_time() {
    let position = Position::innodb_lsn(26_043_904).at("2026-11-22T10:15:30.5+02:00".parse().unwrap());
    let json = r#"{"kind":"innodb-lsn","value":"26043904","time":"2026-11-22T10:15:30.5+02:00"}"#;
    assert_eq!(serde_json::to_string(&position).unwrap(), json);
    assert_eq!(serde_json::from_str::<Position>(json).unwrap(), position);
    assert_eq!(
        position.point_in_time().unwrap().unwrap().unix_microseconds(),
        1_795_335_330_500_000
    );

    let json = r#"{"kind":"acme-scn","value":"x"}"#;
    let position: Position = serde_json::from_str(json).unwrap();
    assert_eq!(position.typed().unwrap(), TypedPosition::Other);
    assert_eq!(position.point_in_time().unwrap(), None);
    assert_eq!(serde_json::to_string(&position).unwrap(), json);
}

#[test]
fn constructors_and_typed_agree() {
    let set: mysql::GtidSet = format!("{UUID}:1-20:tag:1").parse().unwrap();
    assert_eq!(
        Position::mysql_gtid(&set).typed().unwrap(),
        TypedPosition::MysqlGtid(set)
    );
    let position: mariadb::GtidPosition = "0-1-270,7-3-15".parse().unwrap();
    assert_eq!(
        Position::mariadb_gtid(&position).typed().unwrap(),
        TypedPosition::MariadbGtid(position)
    );
    let place: BinlogFile = "binlog.000042:157".parse().unwrap();
    assert_eq!(
        Position::binlog_file(&place).typed().unwrap(),
        TypedPosition::BinlogFile(place)
    );
    assert_eq!(
        Position::innodb_lsn(u64::MAX).typed().unwrap(),
        TypedPosition::InnodbLsn(u64::MAX)
    );
}

#[test]
fn compare_compares_what_is_meant() {
    assert_eq!(mysql("1-5").compare(&mysql("3-5:1-2")).unwrap(), Order::Equal);
    assert_eq!(mysql("1-5").compare(&mysql("1-6")).unwrap(), Order::Before);
    assert_eq!(mysql("1-5:tag:1").compare(&mysql("1-5")).unwrap(), Order::After);
    assert_eq!(mysql("1-5:tag:1").compare(&mysql("1-6")).unwrap(), Order::Diverged);

    let mariadb = |value| Position::new(PositionKind::MARIADB_GTID, value);
    assert_eq!(mariadb("0-1-5").compare(&mariadb("0-2-6")).unwrap(), Order::Before);
    let place = |value| Position::new(PositionKind::BINLOG_FILE, value);
    assert_eq!(
        place("binlog.000002:4").compare(&place("binlog.000001:157")).unwrap(),
        Order::After
    );
    assert_eq!(
        Position::innodb_lsn(9).compare(&Position::innodb_lsn(10)).unwrap(),
        Order::Before
    );

    let other = |value| Position::new(PositionKind::new("acme-scn"), value);
    assert_eq!(other("1").compare(&other("1")).unwrap(), Order::Equal);
    assert_eq!(other("1").compare(&other("2")).unwrap(), Order::Incomparable);
}

#[test]
fn what_cannot_be_compared_is_named() {
    assert_eq!(
        Position::innodb_lsn(9).compare(&mysql("1-5")).unwrap_err().to_string(),
        "expected two positions of one kind to compare, found innodb-lsn and mysql-gtid; compare positions of backups of the same \
         server that were taken with the same GTID settings, or take a full backup to start a new chain"
    );
    assert_eq!(
        Position::new(PositionKind::INNODB_LSN, "12x")
            .typed()
            .unwrap_err()
            .to_string(),
        "InnoDB LSN: expected nothing more at byte 2, found \"x\"; write the decimal number that the backup or SHOW ENGINE \
         INNODB STATUS gives"
    );
    assert_eq!(
        Position::new(PositionKind::INNODB_LSN, "18446744073709551616")
            .typed()
            .unwrap_err()
            .to_string(),
        "InnoDB LSN: expected a number of bytes from 0 to 18446744073709551615 at byte 0, found \
         \"18446744073709551616\"; write the decimal number that the backup or SHOW ENGINE INNODB STATUS gives"
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), near in "[-0-9:. TZ+a-c/é\n]{0,40}") {
        for text in [&text, &near] {
            if let Ok(place) = text.parse::<BinlogFile>() {
                prop_assert_eq!(place.to_string().parse::<BinlogFile>().unwrap(), place);
            }
            let _ = (text.parse::<PointInTime>(), text.parse::<GtidTarget>(), text.parse::<Transaction>());
            for kind in [PositionKind::MYSQL_GTID, PositionKind::MARIADB_GTID, PositionKind::BINLOG_FILE, PositionKind::INNODB_LSN] {
                let position = Position::new(kind, text.as_str());
                prop_assert_eq!(position.compare(&position).ok(), position.typed().ok().map(|_| Order::Equal));
            }
        }
    }

    #[test]
    fn times_keep_moment_and_offset(
        microseconds in -62_135_596_800_000_000_i64..253_402_000_000_000_000, hours in -23_i32..=23, minutes in 0_u8..60
    ) {
        let utc = PointInTime::from_unix_microseconds(microseconds).unwrap();
        prop_assert_eq!(utc.to_string().parse::<PointInTime>().unwrap(), utc);
        // The same digits with an offset are that much earlier.
        let text = utc.to_string().replace('Z', &format!("{hours:+03}:{minutes:02}"));
        if let Ok(time) = text.parse::<PointInTime>() {
            let offset = i64::from(hours.abs() * 60 + i32::from(minutes)) * 60_000_000 * i64::from(hours.signum() | 1);
            prop_assert_eq!(time.unix_microseconds(), microseconds - offset);
            prop_assert_eq!(time.to_string().parse::<PointInTime>().unwrap(), time);
        }
    }

    #[test]
    fn binlog_places_order_as_number_and_offset(a in (0_u64..3_000_000, 0_u64..9), b in (0_u64..3_000_000, 0_u64..9)) {
        let place = |(number, offset): (u64, u64)| BinlogFile::new(format!("binlog.{number:06}"), offset).unwrap();
        prop_assert_eq!(place(a).compare(&place(b)), Order::from(a.cmp(&b)));
        prop_assert_eq!(place(a).to_string().parse::<BinlogFile>().unwrap(), place(a));
    }
}
