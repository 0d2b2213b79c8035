use backstay_engine_api::{Engine, EngineKind, Manifest, export_engine};

struct Dump;

impl Engine for Dump {
    const MANIFEST: Manifest = Manifest::new("dump", "1.0.0", EngineKind::Logical);
}

export_engine!(Dump);

fn main() {}
