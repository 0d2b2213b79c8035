use backstay_engine_api::{Engine, EngineKind, Manifest, export_engine};

#[derive(Default)]
struct Dump;

impl Engine for Dump {
    const MANIFEST: Manifest = Manifest::new("My Dump", "1.0.0", EngineKind::Logical);
}

export_engine!(Dump);

fn main() {}
