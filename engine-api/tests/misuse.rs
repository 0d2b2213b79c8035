//! What the compiler tells an author who got it wrong: in the author's words, not in those of the macro.

#[test]
fn misuse_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
