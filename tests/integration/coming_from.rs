//! The page for those who come from elsewhere: each name that it lists is one that the search of the docs finds.

use std::fs;
use std::path::Path;

use crate::common::sources;

#[test]
fn every_name_of_the_page_is_an_alias_and_the_other_way_round() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("src/docs/coming_from.md")).unwrap();
    let files = sources(&root.join("src"));
    let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();

    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let names: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in &names {
        let ours = code.contains(&format!("pub struct {name} {{"));
        let alias = code.contains(&format!("#[doc(alias = \"{name}\")]"));
        assert!(ours || alias, "{name} is neither a name of ours nor an alias");
    }
    for alias in code.split("#[doc(alias = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(names.contains(&alias), "{alias} is not on the page");
    }
}
