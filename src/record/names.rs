//! The names of an entry's numbers, which entries have in common.

use std::collections::HashMap;
use std::sync::Arc;

/// Names in order, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    list: Vec<Arc<str>>,
    at: HashMap<Arc<str>, usize>,
}

impl Names {
    /// Where this name is.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.at.get(name).copied()
    }

    /// Adds a name that is not there yet.
    pub(super) fn push(&mut self, name: &str) {
        let name: Arc<str> = name.into();
        self.at.insert(name.clone(), self.list.len());
        self.list.push(name);
    }

    /// Only the first ones.
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

// By hand, because what is in the map follows from the list.
impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}
