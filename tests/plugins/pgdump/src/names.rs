//! Objects' names. A database may be called anything, an object may not.

use std::fmt::Write;

/// The roles.
pub(crate) const GLOBALS: &str = "globals.sql";

/// The object of a database: its name, with what no object's name may hold as `%` and two hex digits for each byte.
pub(crate) fn dump(database: &str) -> String {
    let mut name = String::new();
    for (at, c) in database.char_indices() {
        if c.is_control() || c == '/' || c == '%' || (at == 0 && c == '.') {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a string can not fail.
                let _ = write!(name, "%{byte:02X}");
            }
        } else {
            name.push(c);
        }
    }
    name + ".dump"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_the_backup() {
        for (database, object) in [
            ("shop", "shop.dump"),
            ("größe v1.0", "größe v1.0.dump"),
            ("..", "%2E..dump"),
            ("../x", "%2E.%2Fx.dump"),
            ("a\nb%", "a%0Ab%25.dump"),
            ("globals.sql", "globals.sql.dump"),
        ] {
            assert_eq!(dump(database), object);
        }
    }
}
