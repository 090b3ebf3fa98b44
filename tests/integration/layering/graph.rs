//! Which modules of the library know which: every path in the code, resolved, however it is imported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

/// The folder or file at the root of `src` that something belongs to.
type Room = String;

/// Rooms and other crates that each file knows.
pub struct Graph {
    pub files: BTreeMap<String, BTreeSet<Room>>,
}

impl Graph {
    pub fn of(src: &Path, files: &[std::path::PathBuf]) -> Self {
        let parsed = |path: &Path| syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
        let rooms: BTreeSet<Room> =
            files.iter().map(|file| room(file.strip_prefix(src).unwrap())).collect();
        // What the root gives out belongs to the room that it comes from.
        let mut roots = Paths::default();
        roots.visit_file(&parsed(&src.join("lib.rs")));
        let origins: BTreeMap<String, Room> = roots
            .imports
            .into_iter()
            .filter(|(_, path)| rooms.contains(&path[0]))
            .map(|(name, path)| (name, path[0].clone()))
            .collect();

        let files = files.iter().map(|file| {
            let name = file.strip_prefix(src).unwrap();
            let mut paths = Paths { inside: modules(name), ..Paths::default() };
            paths.visit_file(&parsed(file));
            let known = paths.found.iter().filter_map(|path| {
                let (crate_root, first) = match path.split_first()? {
                    (first, rest) if first == "crate" => {
                        (true, rest.first().map_or("lib", String::as_str))
                    }
                    (first, _) => (false, first.as_str()),
                };
                match crate_root {
                    true => Some(origins.get(first).cloned().unwrap_or_else(|| first.to_string())),
                    // A crate is in lower case, and no room of ours that a file of the root names.
                    false => first.starts_with("burn").then(|| first.to_string()),
                }
            });
            let own = room(name);
            (name.display().to_string(), known.filter(|known| *known != own).collect())
        });
        Self { files: files.collect() }
    }

    /// What the files of a room know together.
    pub fn rooms(&self) -> BTreeMap<Room, BTreeSet<Room>> {
        let mut rooms: BTreeMap<Room, BTreeSet<Room>> = BTreeMap::new();
        for (file, known) in &self.files {
            rooms.entry(room(Path::new(file))).or_default().extend(known.iter().cloned());
        }
        rooms
    }

    /// The rooms of a circle, if there is one: each knows the next, and the last the first.
    pub fn circle(&self) -> Option<Vec<Room>> {
        let mut rooms = self.rooms();
        // The root gives everything out, and may be known for what is defined there, which is nothing.
        rooms.remove("lib");
        // Rooms that know none of those that are left are in no circle.
        loop {
            let left: BTreeSet<Room> = rooms.keys().cloned().collect();
            rooms.retain(|_, known| known.iter().any(|one| left.contains(one)));
            if rooms.len() == left.len() {
                break;
            }
        }
        let mut way = vec![rooms.keys().next()?.clone()];
        loop {
            let next = rooms[way.last()?].iter().find(|one| rooms.contains_key(*one))?.clone();
            if let Some(at) = way.iter().position(|one| *one == next) {
                return Some(way.split_off(at));
            }
            way.push(next);
        }
    }
}

fn room(file: &Path) -> Room {
    let first = file.iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_string()
}

/// The modules that a file is in: `a::b` for `a/b.rs` and for `a/b/mod.rs`.
fn modules(file: &Path) -> Vec<String> {
    let file = file.with_extension("");
    let mut path: Vec<String> =
        file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| last == "mod" || last == "lib") {
        path.pop();
    }
    path
}

/// The paths of a file, from the root of the crate or by the name of another one.
#[derive(Default)]
struct Paths {
    inside: Vec<String>,
    found: BTreeSet<Vec<String>>,
    /// What a name stands for that was imported.
    imports: BTreeMap<String, Vec<String>>,
}

impl Paths {
    fn found(&mut self, path: &[String]) {
        let mut path = path.to_vec();
        if path[0] == "self" || path[0] == "super" {
            let mut inside = self.inside.clone();
            while path.first().is_some_and(|first| first == "super" || first == "self") {
                if path.remove(0) == "super" {
                    inside.pop();
                }
            }
            path = ["crate".to_string()].into_iter().chain(inside).chain(path).collect();
        }
        self.found.insert(path);
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(tree, before));
            }
            syn::UseTree::Name(name) => {
                self.imports.insert(name.ident.to_string(), with(&name.ident));
                self.found(&with(&name.ident));
            }
            syn::UseTree::Rename(name) => {
                assert!(name.ident != "crate", "the root has another name");
                self.imports.insert(name.rename.to_string(), with(&name.ident));
                self.found(&with(&name.ident));
            }
            syn::UseTree::Glob(_) => self.found(before),
        }
    }
}

/// Whether what these are attributes of exists in tests alone.
fn is_of_tests(attributes: &[syn::Attribute]) -> bool {
    let text = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string(),
        _ => String::new(),
    };
    attributes.iter().map(text).any(|text| text == "test" || text.starts_with("all (test"))
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if is_of_tests(&module.attrs) {
            return;
        }
        self.inside.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.inside.pop();
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        if !is_of_tests(&import.attrs) {
            self.tree(&import.tree, &[]);
        }
    }

    /// `pub(crate)` knows nothing.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    /// A macro's tokens aren't parsed; those that name the root are found all the same.
    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        let text = invoked.tokens.to_string();
        for after in text.split("crate :: ").skip(1) {
            let name: String =
                after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            self.found(&["crate".to_string(), name]);
        }
        visit::visit_macro(self, invoked);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> =
            path.segments.iter().map(|part| part.ident.to_string()).collect();
        if segments.len() > 1 || segments[0] == "crate" {
            self.found(&segments);
        }
        visit::visit_path(self, path);
    }
}

/// What a text in the place of a file knows.
pub fn known_by(file: &str, text: &str) -> Vec<Vec<String>> {
    let mut paths = Paths { inside: modules(Path::new(file)), ..Paths::default() };
    paths.visit_file(&syn::parse_file(text).unwrap());
    paths.found.into_iter().collect()
}
