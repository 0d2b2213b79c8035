//! Real dumps and forged ones, in chunks of any size.

use proptest::prelude::*;

use super::*;

const DUMPS: [&[u8]; 2] = [
    include_bytes!("../../tests/dumps/mysql-9.7.sql"),
    include_bytes!("../../tests/dumps/mariadb-10.11.sql"),
];

/// Keeps everything.
#[derive(Default, Debug, PartialEq)]
struct Kept(Vec<(Section, Vec<u8>)>);

impl Sink for Kept {
    fn begin(&mut self, section: &Section) -> Result<(), EngineError> {
        self.0.push((section.clone(), Vec::new()));
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.0.last_mut().expect("a section").1.extend_from_slice(bytes);
        Ok(())
    }
}

fn split(dump: &[u8], sizes: impl IntoIterator<Item = usize>) -> Result<Kept, EngineError> {
    let (mut splitter, mut kept, mut rest) = (Splitter::default(), Kept::default(), dump);
    for size in sizes {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        splitter.push(chunk, &mut kept)?;
        rest = after;
    }
    splitter.push(rest, &mut kept)?;
    splitter.finish(&mut kept)?;
    Ok(kept)
}

fn outline(kept: &Kept) -> String {
    kept.0
        .iter()
        .map(|(section, bytes)| format!("{section}: {} bytes\n", bytes.len()))
        .collect()
}

/// A dump with `body` as its only table.
fn forged(body: &str) -> String {
    format!(
        "-- MySQL dump\n--\n-- Host: x\n\n--\n-- Current Database: `d`\n--\n\nUSE `d`;\n\n--\n-- Table structure for table `t`\n\
         --\n\n{body}\n/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n\n-- Dump completed\n"
    )
}

#[test]
fn real_dumps_are_cut_where_they_should_be() {
    for (dump, name) in DUMPS.into_iter().zip(["mysql", "mariadb"]) {
        let kept = split(dump, []).unwrap();
        let joined: Vec<u8> = kept.0.iter().flat_map(|(_, bytes)| bytes).copied().collect();
        assert_eq!(
            String::from_utf8_lossy(&joined),
            String::from_utf8_lossy(dump),
            "every byte, in order"
        );
        insta::assert_snapshot!(format!("{name}_outline"), outline(&kept));
        for (section, bytes) in &kept.0 {
            let text = String::from_utf8_lossy(bytes);
            if matches!(section.kind, Kind::Table | Kind::View | Kind::ViewStub | Kind::Sequence) {
                assert!(text.starts_with("--\n-- "), "{section}: {text}");
                assert!(!text.contains("\nUSE "), "{section} can be put into any schema");
            }
        }
        let orders = kept.0.iter().find(|(section, _)| section.name == "orders").unwrap();
        let orders = String::from_utf8_lossy(&orders.1);
        assert!(
            orders.contains("TRIGGER") && orders.contains("INSERT INTO `orders`"),
            "{orders}"
        );
    }
}

#[test]
fn chunks_do_not_matter() {
    for dump in DUMPS {
        let whole = split(dump, []).unwrap();
        for size in (1..70).chain([127, 4096]) {
            assert_eq!(split(dump, std::iter::repeat(size)).unwrap(), whole, "chunks of {size}");
        }
    }
}

#[test]
fn a_dump_that_ends_early_is_no_dump() {
    for dump in DUMPS {
        // Without its last line break it is whole.
        for end in 1..dump.len() - "\n".len() {
            let cut = end >= dump.len() - "-- Dump completed\n".len();
            let result = split(&dump[..end], []);
            assert!(result.is_err(), "the first {end} bytes of {} ({cut})", dump.len());
        }
        split(&dump[..dump.len() - 1], []).unwrap();
    }
}

#[test]
fn what_can_not_be_split_safely_is_refused() {
    let text = |body: &str| split(forged(body).as_bytes(), []).unwrap_err().message;
    for (body, found) in [
        ("--\n-- Something new\n--\n", "found `-- Something new`"),
        ("--\n-- Dumping data for table `u`\n--\n", "found Data(\"u\")"),
        ("--\n-- Final view structure for view `v`\n--\n", "found View(\"v\")"),
        (
            "/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n--\n-- Table structure for table `u`\n--\n",
            "found Table(\"u\")",
        ),
        (
            "-- insufficient privileges to SHOW CREATE PROCEDURE `p`\n",
            "lacks something in table d.t",
        ),
    ] {
        assert!(text(body).contains(found), "{}", text(body));
    }
    let more = forged("") + "SELECT 1;\n";
    assert!(
        split(more.as_bytes(), [])
            .unwrap_err()
            .message
            .contains("bytes after the line"),
        "text after the end"
    );
    let more = forged("") + "--\n-- Table structure for table `u`\n--\n";
    assert!(split(more.as_bytes(), []).is_err(), "a section after the end");
}

#[test]
fn text_that_only_looks_like_a_comment() {
    for body in [
        "--\nSELECT 1;\n",
        "--\n--\n",
        "--\n",
        "--\nDELIMITER ;;\n-- Table structure for table `x`\nDELIMITER ;\n",
        "DELIMITER ;;\n--\n-- Table structure for table `x`\n--\n/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\nDELIMITER ;\n",
        "DELIMITER ;1\n--\n-- Dumping events for database 'd'\nDELIMITER ;\n",
        " -- Table structure for table `x`\n",
        "INSERT INTO `t` VALUES ('--\\n-- Table structure for table `x`\\n--\\n');\n",
    ] {
        let kept = split(forged(body).as_bytes(), []).unwrap();
        assert_eq!(kept.0.len(), 4, "{body}: {}", outline(&kept));
        assert!(kept.0[2].1.ends_with(format!("\n{body}\n").as_bytes()), "{body}");
    }
    let close = forged("--").replace("--\n/*!40103", "--\n--\n/*!40103");
    let kept = split(close.as_bytes(), []).unwrap();
    assert_eq!(
        kept.0[3].0.kind,
        Kind::Footer,
        "no empty line before the footer: {}",
        outline(&kept)
    );
    let long = format!("--\n-- {}\n", "x".repeat(MAX_COMMENT));
    assert!(
        split(forged(&long).as_bytes(), []).is_ok(),
        "too long for a comment of the tool's"
    );
}

proptest! {
    #[test]
    fn any_chunks_give_the_same(sizes in prop::collection::vec(1..400_usize, 0..300), which in 0..2_usize) {
        prop_assert_eq!(split(DUMPS[which], sizes).unwrap(), split(DUMPS[which], []).unwrap());
    }

    #[test]
    fn any_lines_are_kept_or_refused_alike(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "--", "-- x", "-- Table structure for table `u`", "-- Dumping data for table `t`", "DELIMITER ;;", "DELIMITER ;",
                "-- Table structure for table `a", "-- b`", "D", "-", "/", "INSERT", "", "-- Dumping events for database 'd'",
                "-- Current Database: `d`", "-- Final view structure for view `v`", "-- Dump completed",
            ]),
            0..12,
        ),
        sizes in prop::collection::vec(1..40_usize, 0..60),
    ) {
        let dump = forged(&(lines.join("\n") + "\n"));
        let whole = split(dump.as_bytes(), []);
        prop_assert_eq!(&split(dump.as_bytes(), sizes), &whole);
        if let Ok(kept) = whole {
            let joined: Vec<u8> = kept.0.iter().flat_map(|(_, bytes)| bytes).copied().collect();
            prop_assert_eq!(String::from_utf8_lossy(&joined), dump);
        }
    }
}
