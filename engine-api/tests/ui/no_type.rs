backstay_engine_api::export_engine!();

fn main() {}
