//! What the README shows is what the examples do.

fn read(path: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read_to_string(format!("{root}/{path}")).unwrap()
}

/// The trainer is an example, which runs where `burn-train` is built; all other programs are tests of the documentation.
/// With a capital letter, rustdoc does not take it for one.
#[test]
fn the_trainer_is_the_example() {
    let readme = read("README.md");
    let programs: Vec<&str> = readme.split("```Rust\n").skip(1).collect();
    let [program] = programs[..] else { panic!("{} programs", programs.len()) };
    assert_eq!(program.split("```").next().unwrap(), read("examples/trainer.rs"));
}

/// Every command and every file that it names is there.
#[test]
fn its_commands_and_files_exist() {
    let readme = read("README.md");
    for example in readme.split("--example ").skip(1) {
        let name: String =
            example.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        assert!(
            root.join(&name).join("main.rs").exists() || root.join(format!("{name}.rs")).exists(),
            "{name}"
        );
    }
    for bench in readme.split("--bench ").skip(1) {
        let name: String = bench.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        assert!(!read(&format!("benches/{name}.rs")).is_empty());
    }
    for picture in readme.split("](examples/").skip(1) {
        let picture = picture.split(')').next().unwrap();
        assert!(read(&format!("examples/{picture}")).contains("</svg>"), "{picture}");
    }
}

/// Nothing is wider than a terminal of 100 columns.
#[test]
fn the_table_of_what_explodes_fits_100_columns() {
    let readme = read("README.md");
    let printed =
        readme.split("```text\nWine quality").nth(1).unwrap().split("```").next().unwrap();
    assert!(printed.lines().all(|line| line.chars().count() <= 100));
}

/// Every type that it names, in running text too, is in the code.
#[test]
fn its_types_exist() {
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let code = crate::common::sources(&src).into_iter().map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
            .map(String::from)
            .collect::<Vec<_>>()
    });
    let known: std::collections::BTreeSet<String> = code.flatten().collect();
    let readme = read("README.md");
    // Every second piece is not a block of code, and in those every second one is code.
    let text = readme.split("```").step_by(2).flat_map(|text| text.split('`').skip(1).step_by(2));
    let words = text.flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_'));
    let types = words.filter(|word| {
        word.starts_with(|c: char| c.is_uppercase()) && word.contains(|c: char| c.is_lowercase())
    });
    let unknown: Vec<&str> = types.filter(|word| !known.contains(*word)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
