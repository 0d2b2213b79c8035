//! abi_stable describes a difference between two layouts on hundreds of lines. Here it becomes one.

use std::fmt::{Debug, Display};

use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityErrors, ExpectedFound, check_layout_compatibility,
};
use abi_stable::type_layout::{TLFieldOrFunction, TypeLayout};

/// Steps that abi_stable's own types add between ours: a prefix type's and a trait object's insides.
const GLUE: [&str; 3] = ["0", "obj", "vtable"];

/// The first difference, as `layout of the contract differs: EngineModule > call > param_1 > write > return: expected u32, found
/// u64`; `None` if the layouts fit. `root` is the name of the type that is compared.
pub(super) fn difference(root: &str, expected: &'static TypeLayout, found: &'static TypeLayout) -> Option<String> {
    check_layout_compatibility(expected, found)
        .err()
        .map(|errors| describe(root, &errors))
}

fn describe(root: &str, errors: &AbiInstabilityErrors) -> String {
    // The deepest error is the cause; those above it are its consequences in the types around it.
    let deepest = errors
        .errors
        .iter()
        .filter(|error| !error.errs.is_empty())
        .max_by_key(|error| error.stack_trace.len());
    let mut path = vec![root.to_owned()];
    let mut reason = "no reason given".to_owned();
    if let Some(error) = deepest {
        path.extend(error.stack_trace.iter().map(|step| match &step.expected {
            TLFieldOrFunction::Field(field) => field.name().to_owned(),
            TLFieldOrFunction::Function(function) => function.name.as_str().to_owned(),
        }));
        if let Some(first) = error.errs.first() {
            reason = reason_of(first);
        }
    }
    // Functions appear below the field of the same name.
    path.dedup();
    path.retain(|step| !GLUE.contains(&step.as_str()));
    let path = path.join(" > ").replace("__returns", "return");
    format!("layout of the contract differs: {path}: {reason}")
}

fn reason_of(error: &AbiInstability) -> String {
    use AbiInstability as E;
    match error {
        E::Name(pair) | E::GenericParamCount(pair) => shown("", pair),
        E::Package(pair) => shown("package ", pair),
        E::PackageVersion(pair) => shown("package version ", pair),
        E::MismatchedPrimitive(pair) => debugged("", pair),
        E::Size(pair) => shown("size ", pair),
        E::Alignment(pair) => shown("alignment ", pair),
        E::FieldCountMismatch(pair) => shown("number of fields ", pair),
        E::MismatchedPrefixSize(pair) => shown("number of fixed fields ", pair),
        E::TooManyVariants(pair) => shown("number of variants ", pair),
        E::UnexpectedVariant(pair) => shown("variant ", pair),
        E::TLDataDiscriminant(pair) => debugged("kind of type ", pair),
        E::ReprAttr(pair) => debugged("representation ", pair),
        E::EnumDiscriminant(pair) => debugged("discriminant ", pair),
        E::NonZeroness(pair) => shown("never zero ", pair),
        E::UnexpectedField(pair) => {
            format!(
                "expected the field `{}`, found `{}`",
                pair.expected.name(),
                pair.found.name()
            )
        }
        // The rest does not arise from the types of this contract; its first line says enough.
        other => one_line(&format!("{other:?}")),
    }
}

fn shown<T: Display>(what: &str, pair: &ExpectedFound<T>) -> String {
    one_line(&format!("expected {what}{}, found {}", pair.expected, pair.found))
}

fn debugged<T: Debug>(what: &str, pair: &ExpectedFound<T>) -> String {
    let text = format!("expected {what}{:?}, found {:?}", pair.expected, pair.found);
    one_line(&text).to_ascii_lowercase()
}

/// At most 200 characters, without line breaks.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().take(200).collect()
}
