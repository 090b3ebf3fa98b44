//! The names of an entry's numbers, which entries share.

use std::collections::HashMap;
use std::sync::Arc;

/// An ordered list of unique names.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    list: Vec<Arc<str>>,
    at: HashMap<Arc<str>, usize>,
}

impl Names {
    /// Returns the position of this name.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.at.get(name).copied()
    }

    /// Adds a name that is not in the list yet.
    pub(super) fn push(&mut self, name: &str) {
        let name: Arc<str> = name.into();
        self.at.insert(name.clone(), self.list.len());
        self.list.push(name);
    }

    /// Returns only the first `n` names.
    pub(super) fn first(&self, n: usize) -> Self {
        let list = self.list[..n].to_vec();
        let at = list.iter().cloned().zip(0..).collect();
        Self { list, at }
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.list.iter().map(|name| &**name)
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
}

// Implemented by hand, because the map follows from the list.
impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}
