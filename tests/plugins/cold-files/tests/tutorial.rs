//! What the tutorial tells authors to write is what is built here.

/// Without what rustfmt sets by itself.
fn bare(code: &str) -> String {
    code.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, ',' | '{' | '}'))
        .collect()
}

#[test]
fn the_engine_is_the_one_of_the_tutorial() {
    let tutorial = include_str!("../../../../engine-api/README.md");
    let (_, code) = tutorial.split_once("src/lib.rs`:\n\n```\n").expect("the engine's code");
    let (code, _) = code.split_once("```").expect("the code's end");
    let code: String = code.lines().filter(|line| !line.starts_with("# ")).collect();
    let ours: String = include_str!("../src/lib.rs")
        .lines()
        .filter(|line| !line.starts_with("//!"))
        .collect();
    assert_eq!(bare(&ours), bare(&code));
}
