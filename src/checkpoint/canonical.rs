//! Burn's records: equal bytes for equal states, and a check of their numbers.

use burn::tensor::{Bytes, TensorData};
use burn_pack::{Error, Reader, Scalar, Writer};

/// Returns whether every number in a Burn record is finite.
pub(crate) fn all_finite(record: Bytes) -> Result<bool, Error> {
    let reader = Reader::from_bytes(record)?;
    let scalars = reader.scalars().values().all(|scalar| match scalar {
        Scalar::Float(x) => x.is_finite(),
        _ => true,
    });
    let mut tensors = reader.into_tensors()?.into_iter();
    Ok(scalars
        && tensors.try_fold(true, |finite, tensor| {
            let (_, dtype, shape, _, bytes) = tensor.into_parts()?;
            let data = TensorData::from_bytes(bytes, shape, dtype);
            Ok::<_, Error>(finite && (!dtype.is_float() || data.iter::<f64>().all(f64::is_finite)))
        })?)
}

/// Returns a Burn record with its tensors sorted by name, and without the ids of those that are `nameless`.
///
/// Burn writes an optimizer's tensors in the order of a hash map, which differs every time, and gives running
/// statistics a new id in every process, which nothing reads.
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
