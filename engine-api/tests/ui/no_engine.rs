use backstay_engine_api::export_engine;

#[derive(Default)]
struct Dump;

export_engine!(Dump);

fn main() {}
