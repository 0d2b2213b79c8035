//! x
/// Whether it may name an engine: `[a-z][a-z0-9-]*`, as the contract has it.
pub fn is_engine_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
