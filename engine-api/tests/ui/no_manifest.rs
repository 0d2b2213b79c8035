use backstay_engine_api::{Engine, export_engine};

#[derive(Default)]
struct Dump;

impl Engine for Dump {}

export_engine!(Dump);

fn main() {}
