use super::*;

fn bytes(text: &str) -> Vec<u8> {
    let bytes = wat::parse_str(text).expect("a component");
    Validator::new().validate_all(&bytes).expect("valid, or this test says nothing");
    assert!(bytes.len() < 100_000, "it is small that makes it hostile: {}", bytes.len());
    bytes
}

fn counted(text: &str) -> Result<Counts, LoadError> {
    count(&bytes(text))
}

/// What there is too much of.
#[track_caller]
fn refused(text: &str) -> String {
    match super::super::component(&bytes(text)) {
        Err(LoadError::TooComplex { what, .. }) => what.into_owned(),
        other => panic!("{other:?}"),
    }
}

/// Components in components, `deep` of them, each of which is instantiated so often.
fn nested(deep: usize, often: usize, innermost: &str) -> String {
    (0..deep).fold(format!("(component $c {innermost})"), |inside, _| {
        format!("(component $c {inside} {})", "(instance (instantiate $c))".repeat(often))
    })
}

#[test]
fn instances_of_instances_are_multiplied() {
    let small = counted(&nested(3, 10, "")).expect("within the bounds");
    assert!((2_000..20_000).contains(&small.work), "{small:?}");
    assert_eq!(refused(&nested(3, 1_000, "")), WORK);
    // Saturates rather than begins anew at zero.
    assert_eq!(refused(&nested(DEEPEST - 1, 1_000, "")), WORK);
    assert!(counted(&nested(DEEPEST - 1, 1, "")).is_ok());
    assert_eq!(refused(&nested(DEEPEST, 1, "")), "components within one another");
    let with_module = nested(2, 6, "(core module $m) (core instance (instantiate $m))");
    assert_eq!(refused(&with_module), "instances of core modules");
}

#[test]
fn every_function_that_is_compiled_counts() {
    let lifts = r#"(core module $m (func (export "f"))) (core instance $i (instantiate $m))"#.to_owned()
        + &r#"(func (canon lift (core func $i "f")))"#.repeat(MOST_CROSSINGS);
    let all = counted(&format!("(component {lifts})")).expect("within the bounds");
    assert_eq!((all.crossings, all.modules), (MOST_CROSSINGS, 1));
    let one_more = format!(r#"(component {lifts} (func (canon lift (core func $i "f"))))"#);
    assert_eq!(refused(&one_more), "functions between its components and to the host");
}

#[test]
fn types_count_as_they_are_written_out() {
    let doubled: String =
        (1..18).map(|n| format!("(type $t{n} (tuple $t{before} $t{before}))", before = n - 1)).collect();
    assert_eq!(refused(&format!("(component (type $t0 (tuple u8 u8)) {doubled})")), WORK);
    // Also in the types of what is imported.
    let bundled: String = (1..19)
        .map(|n| {
            let before = n - 1;
            format!(
                r#"(type (instance (alias outer 1 {before} (type $t))
                     (export "a" (instance (type $t))) (export "b" (instance (type $t)))))"#
            )
        })
        .collect();
    let innermost = r#"(type (instance (export "t" (type (sub resource)))))"#;
    assert_eq!(refused(&format!("(component {innermost} {bundled})")), WORK);
    // A function's type is written out each time that it is lowered.
    let lowers = |count: usize| {
        let types: String =
            (1..12).map(|n| format!("(type $t{n} (tuple $t{before} $t{before}))", before = n - 1)).collect();
        format!(
            r#"(component (type $t0 (tuple u8 u8)) {types}
                (import "f" (func $f (param "x" $t11))) (core module $m (memory (export "m") 1))
                (core instance $i (instantiate $m)) {})"#,
            r#"(core func (canon lower (func $f) (memory $i "m")))"#.repeat(count)
        )
    };
    assert!(counted(&lowers(10)).is_ok());
    assert_eq!(refused(&lowers(500)), WORK);
}

/// An instance may be passed as one that has less in it, and keeps what it has.
#[test]
fn instances_count_with_what_their_types_do_not_show() {
    let twice = r#"(component $twice
        (import "i" (instance $i))
        (instance $both (export "a" (instance $i)) (export "b" (instance $i)))
        (export "x" (instance $both)))"#;
    let steps: String = (1..18)
        .map(|n| {
            let before = n - 1;
            format!(
                r#"(instance $w{n} (instantiate $twice (with "i" (instance $i{before}))))
                   (alias export $w{n} "x" (instance $i{n}))"#
            )
        })
        .collect();
    assert_eq!(refused(&format!("(component {twice} (instance $i0) {steps})")), WORK);
}

#[test]
fn components_are_not_handed_around() {
    for text in [
        r#"(component (import "c" (component)))"#,
        r#"(component (component $c) (export "c" (component $c)))"#,
        r#"(component (component $c) (instance (export "c" (component $c))))"#,
        r#"(component (component $a) (component $b (alias outer 1 $a (component $x)) (instance (instantiate $x))))"#,
        r#"(component (component $a) (component $b (import "c" (component))) (instance (instantiate $b (with "c" (component $a)))))"#,
        r#"(component (import "i" (instance $i (export "c" (component)))) (alias export $i "c" (component $x)))"#,
    ] {
        assert_eq!(refused(text), "component handed around as a value", "{text}");
    }
}

#[test]
fn the_modules_that_come_with_the_service_are_far_from_the_bounds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mappers/modules");
    // QuickJS has the most of everything.
    let bytes = std::fs::read(folder.join("seasonal-label.wasm")).expect("a module");
    let Counts { work, modules, crossings } = count(&bytes).expect("within the bounds");
    assert!(work > 10_000 && modules > 5 && crossings > 50, "what is inside is seen: {work} {modules} {crossings}");
    assert!(work * 5 < MOST_WORK && crossings * 5 < MOST_CROSSINGS, "{work} {crossings}");
}
