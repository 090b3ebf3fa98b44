//! The same state, the same bytes.

use burn::tensor::Bytes;
use burn_pack::{Error, Reader, Writer};

/// A record of Burn's with its tensors by name, and without the ids of those that are `nameless`.
///
/// Burn writes an optimizer's tensors in the order of a hash map, which is another one every time,
/// and gives running statistics a new id in every process, which nothing reads.
pub(crate) fn canonical(record: Bytes, nameless: impl Fn(&str) -> bool) -> Result<Vec<u8>, Error> {
    let reader = Reader::from_bytes(record)?;
    let (scalars, texts) = (reader.scalars().clone(), reader.metadata().clone());
    let mut tensors = reader.into_tensors()?;
    for tensor in &mut tensors {
        if nameless(&tensor.name) {
            tensor.param_id = None;
        }
    }
    let mut writer = Writer::new(tensors);
    for (name, value) in scalars {
        writer = writer.with_scalar(&name, value);
    }
    for (name, text) in texts {
        writer = writer.with_metadata(&name, &text);
    }
    Ok(writer.into_bytes()?.to_vec())
}
