//! Named values, and the trait of everything that has them.

use std::collections::BTreeMap;

use burn::lr_scheduler::LrSchedulerRecord;

use crate::Error;

/// Something whose state can be saved and restored.
///
/// The law: after `restore(&state())`, it behaves, bit for bit, like the one that was saved.
///
/// ```
/// use evenkeel::checkpoint::{Persist, State};
///
/// struct RowsRead(u64);
///
/// impl Persist for RowsRead {
///     fn state(&self) -> State {
///         State::new().with_count("rows", self.0)
///     }
///     fn restore(&mut self, state: &State) -> Result<(), evenkeel::Error> {
///         self.0 = state.count("rows")?;
///         Ok(())
///     }
/// }
///
/// let mut rows = RowsRead(0);
/// rows.restore(&RowsRead(640).state())?;
/// assert_eq!(rows.0, 640);
/// # Ok::<(), evenkeel::Error>(())
/// ```
pub trait Persist {
    /// Returns everything that later behavior depends on and that is not fixed at construction.
    fn state(&self) -> State;

    /// Restores a saved state, all of it or none.
    ///
    /// # Errors
    /// If the state belongs to something else or is damaged; `self` is then unchanged.
    fn restore(&mut self, state: &State) -> Result<(), Error>;
}

/// Accepts any saved state and discards it: for state that was saved alongside a keel and is no longer wanted, in
/// [`Keel::resume_with`](crate::Keel::resume_with) and [`Keel::load`](crate::Keel::load).
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::AdamConfig;
/// # use burn::tensor::Device;
/// # use evenkeel::Keel;
/// # use evenkeel::schedule::{Constant, Schedule};
/// use evenkeel::checkpoint::Discard;
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// # let model = LinearConfig::new(4, 1).init(&Device::default().autodiff());
/// # let mut keel = Keel::wrap(AdamConfig::new().init()).build(&model)?;
/// # let schedule = Constant::new(1e-3)?.start();
/// let saved = keel.checkpoint(&model)?.with("schedule", &schedule)?;
///
/// // What was saved has to be taken back, or discarded by name.
/// assert!(keel.resume(&model, &saved).unwrap_err().is_record());
/// let model = keel.resume_with(&model, &saved, &mut [("schedule", &mut Discard)])?;
/// # let _ = model;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Discard;

impl Persist for Discard {
    fn state(&self) -> State {
        State::new()
    }

    fn restore(&mut self, _: &State) -> Result<(), Error> {
        Ok(())
    }
}

/// Named counts, numbers, lists of numbers, and bytes.
///
/// ```
/// use evenkeel::checkpoint::State;
///
/// let state = State::new().with_count("seen", 3).with_list("last", vec![0.5, 0.25]);
/// assert_eq!(state.count("seen")?, 3);
/// assert_eq!(
///     state.number("mean").unwrap_err().to_string(),
///     "the saved state does not fit: there is no number `mean` in it",
/// );
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    values: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Number(f64),
    List(Vec<f64>),
    Bytes(Vec<u8>),
}

impl Value {
    /// Compares bits: NaN equals itself, and 0 differs from −0.
    fn same_bits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.to_bits() == b.to_bits(),
            (Self::List(a), Self::List(b)) => {
                let bits = |list: &[f64]| list.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                bits(a) == bits(b)
            }
            (a, b) => a == b,
        }
    }
}

/// Defines a getter for one kind of value.
macro_rules! getter {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $word:literal, |$v:ident| -> $type:ty $body:block) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// If there is no value of that name and kind.
        pub fn $name(&self, name: &str) -> Result<$type, Error> {
            match self.values.get(name) {
                Some(Value::$kind($v)) => Ok($body),
                _ => Err(Error::record(format_args!(concat!("there is no ", $word, " `{}` in it"), name))),
            }
        }
    };
}

impl State {
    /// Creates an empty state, as of something without a memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Adds a count.
    #[must_use]
    pub fn with_count(self, name: &str, value: u64) -> Self {
        self.with(name, Value::Count(value))
    }

    /// Adds a number; NaN and infinity are preserved.
    #[must_use]
    pub fn with_number(self, name: &str, value: f64) -> Self {
        self.with(name, Value::Number(value))
    }

    /// Adds a list of numbers.
    #[must_use]
    pub fn with_list(self, name: &str, values: Vec<f64>) -> Self {
        self.with(name, Value::List(values))
    }

    /// Adds a block of bytes.
    #[must_use]
    pub fn with_bytes(self, name: &str, bytes: Vec<u8>) -> Self {
        self.with(name, Value::Bytes(bytes))
    }

    /// Adds another state as a part, under `name`.
    #[must_use]
    pub fn with_part(mut self, name: &str, part: State) -> Self {
        for (key, value) in part.values {
            self.values.insert(format!("{name}.{key}"), value);
        }
        self
    }

    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.values.insert(name.to_string(), value);
        self
    }

    /// Returns the names of all values.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = (String, Value)> {
        self.values.into_iter()
    }

    getter! {
        /// Returns the count of this name.
        count, Count, "count", |v| -> u64 { *v }
    }
    getter! {
        /// Returns the number of this name.
        number, Number, "number", |v| -> f64 { *v }
    }
    getter! {
        /// Returns the list of this name.
        list, List, "list", |v| -> &[f64] { v }
    }
    getter! {
        /// Returns the bytes of this name.
        bytes, Bytes, "block of bytes", |v| -> &[u8] { v }
    }

    /// Returns the count of this name, from which counting continues.
    ///
    /// # Errors
    /// If there is none, or it is too large to have been counted.
    pub(crate) fn counter(&self, name: &str) -> Result<u64, Error> {
        match self.count(name)? {
            absurd if absurd > u64::MAX / 2 => {
                Err(Error::record(format_args!("`{name}` is {absurd}: nobody counted so far")))
            }
            count => Ok(count),
        }
    }

    /// Returns the part that was added under `name`; empty if there was none.
    #[must_use]
    pub fn part(&self, name: &str) -> State {
        let prefix = format!("{name}.");
        let values = self.values.iter().filter_map(|(key, value)| {
            key.strip_prefix(&prefix).map(|rest| (rest.to_string(), value.clone()))
        });
        State { values: values.collect() }
    }

    /// Removes the part that was added under `name`.
    pub(crate) fn without_part(mut self, name: &str) -> State {
        let prefix = format!("{name}.");
        self.values.retain(|key, _| !key.starts_with(&prefix));
        self
    }

    /// Refuses a state with names other than these.
    ///
    /// # Errors
    /// If it contains any other name. Missing names show when they are read.
    pub fn only(&self, names: &[&str]) -> Result<(), Error> {
        match self.values.keys().find(|key| !names.contains(&key.as_str())) {
            Some(foreign) => {
                Err(Error::record(format_args!("there is a foreign `{foreign}` in it")))
            }
            None => Ok(()),
        }
    }

    /// Returns the names of values that only one of the two has, or that differ in any bit.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let names = self.values.keys().chain(other.values.keys());
        let mut differ: Vec<String> = names
            .filter(|name| match (self.values.get(*name), other.values.get(*name)) {
                (Some(a), Some(b)) => !a.same_bits(b),
                _ => true,
            })
            .cloned()
            .collect();
        differ.sort();
        differ.dedup();
        differ
    }

    /// Converts to a Burn record, which holds scalars only: lists are spread out, with their length.
    pub(crate) fn to_lr_record(&self) -> LrSchedulerRecord {
        let mut record = LrSchedulerRecord::new();
        for (name, value) in &self.values {
            record = match value {
                Value::Count(x) => record.with_scalar(name, *x),
                Value::Number(x) => record.with_scalar(name, *x),
                Value::List(xs) => xs.iter().enumerate().fold(
                    record.with_scalar(&format!("{name}.len"), xs.len()),
                    |record, (i, x)| record.with_scalar(&format!("{name}.{i}"), *x),
                ),
                // No schedule keeps bytes.
                Value::Bytes(_) => record,
            };
        }
        record
    }

    /// Returns the state that a record holds under the names of `like`, because Burn's records cannot be listed.
    ///
    /// # Errors
    /// If a value is missing.
    pub(crate) fn from_lr_record(record: &LrSchedulerRecord, like: &State) -> Result<Self, Error> {
        fn get<T: TryFrom<burn_pack::Scalar>>(
            record: &LrSchedulerRecord,
            name: &str,
        ) -> Result<T, Error> {
            record
                .scalar(name)
                .ok_or_else(|| Error::record(format_args!("there is no scalar `{name}` in it")))
        }
        let mut state = State::new();
        for (name, value) in &like.values {
            state = match value {
                Value::Count(_) => state.with_count(name, get(record, name)?),
                Value::Number(_) => state.with_number(name, get(record, name)?),
                Value::List(_) => {
                    let len: usize = get(record, &format!("{name}.len"))?;
                    let list: Result<_, _> =
                        (0..len).map(|i| get(record, &format!("{name}.{i}"))).collect();
                    state.with_list(name, list?)
                }
                Value::Bytes(_) => state,
            };
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_apart() {
        let state = State::new()
            .with_count("n", 1)
            .with_part("a", State::new().with_count("n", 2))
            .with_part("ab", State::new().with_count("n", 3));
        assert_eq!(state.count("n").unwrap(), 1);
        assert_eq!(state.part("a"), State::new().with_count("n", 2));
        assert!(state.part("c").is_empty());
    }

    #[test]
    fn a_value_of_another_kind_is_missing() {
        let state = State::new().with_number("n", 1.0);
        assert!(state.count("n").unwrap_err().is_record());
    }

    #[test]
    fn foreign_names_are_refused() {
        let state = State::new().with_count("n", 1).with_count("m", 1);
        assert!(state.only(&["n", "m", "k"]).is_ok());
        assert_eq!(
            state.only(&["n"]).unwrap_err().to_string(),
            "the saved state does not fit: there is a foreign `m` in it"
        );
    }

    #[test]
    fn burn_records_carry_lists() {
        let state = State::new()
            .with_count("n", u64::MAX)
            .with_number("x", f64::MIN_POSITIVE)
            .with_list("l", vec![1.0, -0.5]);
        let bytes = state.to_lr_record().into_bytes().unwrap();
        let record = LrSchedulerRecord::from_bytes(bytes).unwrap();
        assert_eq!(State::from_lr_record(&record, &state).unwrap(), state);
        assert!(State::from_lr_record(&LrSchedulerRecord::new(), &state).unwrap_err().is_record());
    }

    /// A count from which counting goes on must have room above it.
    #[test]
    fn a_counter_is_at_most_half_of_the_range() {
        let most = u64::MAX / 2;
        assert_eq!(State::new().with_count("n", most).counter("n"), Ok(most));
        assert!(State::new().with_count("n", most + 1).counter("n").is_err());
        assert_eq!(State::new().with_count("n", most + 1).count("n"), Ok(most + 1));
    }
}
