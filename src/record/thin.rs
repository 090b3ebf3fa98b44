//! Thinning: keeps fewer steps that still show the course of the run.

use super::Entry;
use crate::Verdict;

/// An entry, and the number of entries pushed before it.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) entry: Entry,
}

/// Thinned entries, earlier than the latest ones.
#[derive(Debug, Clone)]
pub(super) struct Thinned {
    /// The largest number of entries of applied steps, and of other steps.
    applied_at_most: usize,
    incidents_at_most: usize,
    first: Option<Numbered>,
    /// The number of applied steps in a stretch.
    length: u64,
    stretches: Vec<Stretch>,
    /// The number of entries in the stretches.
    applied: usize,
    incidents: Vec<Numbered>,
}

/// The entries kept for consecutive steps.
#[derive(Debug, Clone, Default)]
struct Stretch {
    /// The number of steps it represents.
    steps: u64,
    /// The kept entries, in order. Which extremes they represent is determined again when others join.
    kept: Vec<Numbered>,
}

/// The quantities whose extremes are kept.
const WATCHED: [&str; 2] = ["loss", "grad_norm"];

impl Thinned {
    pub(super) fn new(applied_at_most: usize, incidents_at_most: usize) -> Self {
        Self {
            applied_at_most,
            incidents_at_most,
            first: None,
            length: 1,
            stretches: Vec::new(),
            applied: 0,
            incidents: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, one: Numbered) {
        match (one.number, one.entry.verdict) {
            (0, _) => self.first = Some(one),
            (_, Verdict::Apply) if one.entry.why.is_none() => self.push_applied(one),
            _ => self.push_incident(one),
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.applied + self.incidents.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Numbered> {
        let stretches = self.stretches.iter().flat_map(|stretch| &stretch.kept);
        self.first.iter().chain(stretches).chain(&self.incidents)
    }

    fn push_applied(&mut self, one: Numbered) {
        let stretch = Stretch { steps: 1, kept: vec![one] };
        self.applied += 1;
        match self.stretches.last_mut() {
            Some(last) if last.steps < self.length => self.applied -= last.join(stretch),
            _ => self.stretches.push(stretch),
        }
        // One place is reserved for the first step.
        while self.applied >= self.applied_at_most {
            self.length *= 2;
            let mut stretches = std::mem::take(&mut self.stretches).into_iter();
            while let Some(mut stretch) = stretches.next() {
                if let Some(next) = stretches.next() {
                    self.applied -= stretch.join(next);
                }
                self.stretches.push(stretch);
            }
        }
    }

    /// Adds an incident. If there are too many, one of the least severe is dropped, where they are closest
    /// together.
    fn push_incident(&mut self, one: Numbered) {
        self.incidents.push(one);
        if self.incidents.len() <= self.incidents_at_most {
            return;
        }
        // A notice of a policy on an applied step occurs once, and is worth more than one skip of many.
        let severity = |at: usize| match self.incidents[at].entry.verdict {
            Verdict::Apply => Verdict::Rewind,
            verdict => verdict,
        };
        let room = |at: usize| self.incidents[at + 1].number - self.incidents[at - 1].number;
        // The first and the last are kept: each has a neighbor on one side only.
        let least = (1..self.incidents.len() - 1).min_by_key(|at| (severity(*at), room(*at)));
        if let Some(least) = least {
            self.incidents.remove(least);
        }
    }
}

impl Stretch {
    /// Joins the following stretch to this one, and returns how many entries are dropped.
    fn join(&mut self, next: Stretch) -> usize {
        self.steps += next.steps;
        self.kept.extend(next.kept);
        let before = self.kept.len();
        let mut needed = Vec::with_capacity(1 + 2 * WATCHED.len());
        // `max_by` returns the last of equal elements, so on the reversed iterator it returns the first.
        let richest = self.kept.iter().rev().max_by_key(|one| one.entry.len());
        needed.extend(richest.map(|one| one.number));
        for name in WATCHED {
            let finite = |one: &Numbered| one.entry.get(name).filter(|x| x.is_finite());
            let known =
                || self.kept.iter().filter_map(|one| finite(one).map(|value| (value, one.number)));
            let least = known().min_by(|a, b| a.0.total_cmp(&b.0));
            let most = known().rev().max_by(|a, b| a.0.total_cmp(&b.0));
            needed.extend(least.into_iter().chain(most).map(|(_, number)| number));
        }
        self.kept.retain(|one| needed.contains(&one.number));
        before - self.kept.len()
    }
}
