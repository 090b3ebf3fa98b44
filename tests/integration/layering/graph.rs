//! Which modules of the library know which: every path in the code, resolved, however it is imported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The folder or file at the root of `src` that something belongs to.
type Room = String;

/// What each file knows of other rooms, as paths from the root of the crate.
pub struct Graph {
    pub files: BTreeMap<String, BTreeSet<(Room, Vec<String>)>>,
}

impl Graph {
    pub fn of(src: &Path, files: &[PathBuf]) -> Self {
        let paths = |file: &Path| {
            let text = fs::read_to_string(src.join(file)).unwrap();
            Paths::of(file, &text)
        };
        let names: Vec<&Path> = files.iter().map(|file| file.strip_prefix(src).unwrap()).collect();
        let rooms: BTreeSet<Room> = names.iter().map(|name| room(name)).collect();
        // What the root gives out belongs to the room that it comes from.
        let given = paths(Path::new("lib.rs")).imports.into_iter();
        let origins: BTreeMap<String, Room> = given
            .filter(|(_, path)| rooms.contains(&path[0]))
            .map(|(name, path)| (name, path[0].clone()))
            .collect();
        let known = |path: Vec<String>| {
            let first = path.strip_prefix(&["crate".to_string()])?.first();
            let first = first.map_or("lib", String::as_str);
            let room = origins.get(first).cloned().unwrap_or_else(|| first.to_string());
            Some((room, path))
        };
        let files = names.iter().map(|name| {
            let known = paths(name).found.into_iter().filter_map(known);
            let others = known.filter(|(other, _)| *other != room(name));
            (name.display().to_string(), others.collect())
        });
        Self { files: files.collect() }
    }

    /// The files of a room, with what each knows.
    pub fn inside(
        &self,
        wanted: &str,
    ) -> impl Iterator<Item = (&String, &BTreeSet<(Room, Vec<String>)>)> {
        self.files.iter().filter(move |(file, _)| room(Path::new(file)) == wanted)
    }

    /// What the files of a room know together.
    pub fn rooms(&self) -> BTreeMap<Room, BTreeSet<Room>> {
        let mut rooms: BTreeMap<Room, BTreeSet<Room>> = BTreeMap::new();
        for (file, known) in &self.files {
            let known = known.iter().map(|(room, _)| room.clone());
            rooms.entry(room(Path::new(file))).or_default().extend(known);
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
    fn of(file: &Path, text: &str) -> Self {
        let mut paths = Self { inside: modules(file), ..Self::default() };
        paths.visit_file(&syn::parse_file(text).unwrap());
        paths
    }

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

/// The paths of a text in the place of a file.
pub fn known_by(file: &str, text: &str) -> BTreeSet<Vec<String>> {
    Paths::of(Path::new(file), text).found
}
