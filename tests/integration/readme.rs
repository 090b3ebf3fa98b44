//! What the README shows is what the examples do.

fn read(path: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read_to_string(format!("{root}/{path}")).unwrap()
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// The loop of the first screen is, line by line, in an example that compiles and runs.
#[test]
fn the_loop_is_the_quickstarts() {
    let readme = read("README.md");
    let code = readme.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let quickstart = read("examples/quickstart.rs");
    let example = lines(&quickstart);
    let mut from = 0;
    for line in lines(code).into_iter().filter(|line| *line != "}") {
        let found = example[from..].iter().position(|other| *other == line);
        from += found.unwrap_or_else(|| panic!("not in examples/quickstart.rs: {line}")) + 1;
    }
}

/// The schedule of the README, line by line: this is where it compiles and runs.
#[test]
fn the_schedule_is_the_one_below() -> Result<(), Box<dyn std::error::Error>> {
    use evenkeel::schedule::{Cosine, Plateau, Ramp, Schedule};

    let plateau = Plateau::minimizing().factor(0.5)?.patience(3);
    let decay = Cosine::new(1e-3, 0.0, 9_500)?.times(plateau.clone());
    let mut schedule = Ramp::new(0.0, 1e-3, 500)?.then(500, decay).start();
    println!("{}", schedule.curve().preview(0..10_000));
    let rate = schedule.step(); // goes into `keel.step` or into Burn's own `optimizer.step`
    assert_eq!(rate, 0.0);

    let readme = read("README.md");
    let code = readme.split("```rust\n").nth(2).unwrap().split("```").next().unwrap();
    let here = include_str!("readme.rs");
    for line in lines(code) {
        assert!(here.lines().any(|other| other.trim() == line), "not here: {line}");
    }
    Ok(())
}

/// The lines of this block of the README are, in their order, in the example.
fn is_in(block: usize, example: &str) {
    let readme = read("README.md");
    let code = readme.split("```rust\n").nth(block).unwrap().split("```").next().unwrap();
    let text = read(example);
    let mut lines_there = lines(&text).into_iter();
    for line in lines(code) {
        assert!(lines_there.any(|other| other == line), "not in {example}: {line}");
    }
}

#[test]
fn the_watch_is_the_examples() {
    is_in(3, "examples/watch/main.rs");
}

/// And the trainer's in the one that uses it.
#[test]
fn the_trainer_is_the_examples() {
    is_in(4, "examples/learner.rs");
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
