//! The state of all parameters, in one block of bytes.

use std::collections::BTreeMap;

use burn::module::ParamId;
use burn::tensor::{Bytes, TensorData};
use burn_pack::{Reader, Scalar, Tensor as Packed, Writer};

use super::super::record::Leaves;
use super::ParamGroups;
use super::entries::{self, Entries, Entry, Slots};
use crate::Error;
use crate::checkpoint::State;

/// Saves the state. Each value is named by its parameter's id, a dot, and what it is.
pub(super) fn state(groups: &ParamGroups) -> Result<State, Error> {
    let failed = |cause: String| Error::io("writing the optimizer's state", cause);
    let (mut tensors, mut scalars, mut texts) = (Vec::new(), BTreeMap::new(), Vec::new());
    for entry in groups.entries.iter().filter(|entry| entry.memory.time > 0) {
        let id = entry.id.val();
        let rule = &groups.rules[entry.group].1.0;
        let Leaves { scalars: names, tensors: leaves, .. } = rule.leaves();
        scalars.insert(format!("{id}.time"), Scalar::UInt(entry.memory.time));
        for ((name, _), value) in names.iter().zip(entry.memory.scalars) {
            scalars.insert(format!("{id}.{name}"), Scalar::Float(value));
        }
        texts.push((format!("{id}.path"), entry.path.clone()));
        texts.push((format!("{id}.rule"), rule.name().to_string()));
        let slots = entry.slots.data().map_err(|cause| failed(cause.to_string()))?;
        for (name, data) in leaves.iter().zip(slots) {
            let (bytes, shape, dtype) = data.into_parts();
            let shape: Vec<usize> = shape.iter().copied().collect();
            tensors.push(Packed::new(format!("{id}.{name}"), dtype, shape, Some(id), bytes));
        }
    }
    // Sorted by name, because the order of the entries is not part of the state.
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let mut writer = Writer::new(tensors);
    for (name, value) in scalars {
        writer = writer.with_scalar(&name, value);
    }
    for (name, text) in texts {
        writer = writer.with_metadata(&name, &text);
    }
    let bytes = writer.into_bytes().map_err(|cause| failed(cause.to_string()))?.to_vec();
    Ok(State::new().with_number("longest", groups.longest).with_bytes("groups", bytes))
}

/// Returns the groups with a saved state.
pub(super) fn restored(groups: &ParamGroups, state: &State) -> Result<ParamGroups, Error> {
    state.only(&["longest", "groups"])?;
    let longest = state.number("longest")?;
    if longest.is_nan() || longest < 0.0 {
        return Err(Error::record(format_args!("the length of the longest gradient is {longest}")));
    }
    let damaged = |cause| Error::record(format_args!("the optimizer's state is damaged: {cause}"));
    let reader = Reader::from_bytes(Bytes::from_bytes_vec(state.bytes("groups")?.to_vec()))
        .map_err(damaged)?;
    let (scalars, texts) = (reader.scalars().clone(), reader.metadata().clone());
    let mut data = BTreeMap::new();
    for tensor in reader.into_tensors().map_err(damaged)? {
        let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(damaged)?;
        data.insert(name, TensorData::from_bytes(bytes, shape, dtype));
    }

    let mut entries = Entries::default();
    for (name, time) in &scalars {
        let Some(id) = name.strip_suffix(".time") else { continue };
        let missing = |what: &str| Error::record(format_args!("there is no `{id}.{what}` in it"));
        let text = |what: &str| texts.get(&format!("{id}.{what}")).ok_or_else(|| missing(what));
        let (path, rule) = (text("path")?.clone(), text("rule")?);
        let number: u64 = id.parse().map_err(|_| missing("number"))?;

        let at = entries::group(&groups.rules, ParamId::from(number), &path);
        let own = &groups.rules[at].1.0;
        if own.name() != rule {
            return Err(Error::record(format_args!(
                "`{path}` was trained by {rule}, and here it is {}'s",
                own.name()
            )));
        }
        let leaves = own.leaves();
        let mut memory = leaves.begin();
        memory.time = u64::try_from(*time).map_err(|_| missing("time"))?;
        for (scalar, (name, _)) in memory.scalars.iter_mut().zip(leaves.scalars) {
            let saved = scalars.get(&format!("{id}.{name}")).ok_or_else(|| missing(name))?;
            *scalar = f64::try_from(*saved).map_err(|_| missing(name))?;
        }
        let mut tensor =
            |name: &&str| data.remove(&format!("{id}.{name}")).ok_or_else(|| missing(name));
        let slots =
            leaves.tensors.iter().take(own.slots()).map(&mut tensor).collect::<Result<_, _>>()?;
        let slots = Slots::Saved(slots);
        let id = ParamId::from(number);
        entries.push(Entry { id, path, group: at, memory, slots, turn: 0, unsure: None });
    }
    match data.keys().next() {
        Some(foreign) => Err(Error::record(format_args!(
            "this optimizer has no use for the `{foreign}` in it: it is set differently"
        ))),
        None => Ok(ParamGroups { entries, longest, ..groups.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Sgd;

    #[test]
    fn a_length_that_is_none_is_refused() {
        let groups = ParamGroups::new(Sgd::new());
        let good = state(&groups).unwrap();
        assert!(restored(&groups, &good).is_ok());
        for bad in [-1.0, f64::NAN] {
            assert!(restored(&groups, &good.clone().with_number("longest", bad)).is_err(), "{bad}");
        }
    }
}
