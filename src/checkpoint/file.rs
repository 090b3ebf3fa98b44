//! A checkpoint in one file, whole or absent.

use std::io::Write;
use std::path::Path;

use burn::tensor::{Bytes, DType};
use burn_pack::{AtomicFile, Reader, Scalar, Tensor, Writer};

use super::state::{Persist, State, Value};
use crate::Error;

/// Everything a run needs to continue: see [`Keel::checkpoint`](crate::Keel::checkpoint).
///
/// It is held in memory until it is [saved](Self::save). The file is written under a temporary name, synced and renamed
/// over its destination, so that a reader finds the old file or the new one; a checksum of its contents tells a damaged
/// file from a whole one.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::AdamConfig;
/// # use burn::tensor::Device;
/// # use evenkeel::Keel;
/// use evenkeel::checkpoint::Checkpoint;
/// use evenkeel::schedule::{Constant, Schedule};
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// # let model = LinearConfig::new(4, 1).init(&Device::default().autodiff());
/// # let mut keel = Keel::wrap(AdamConfig::new().init()).build(&model)?;
/// let mut schedule = Constant::new(1e-3)?.start();
/// let bytes = keel.checkpoint(&model)?.with("schedule", &schedule)?.into_bytes()?;
///
/// let saved = Checkpoint::from_bytes(&bytes)?;
/// assert_eq!(saved.names(), ["schedule"]);
/// let model = keel.resume_with(&model, &saved, &mut [("schedule", &mut schedule)])?;
///
/// // A damaged one is never loaded.
/// assert!(Checkpoint::from_bytes(&bytes[..bytes.len() - 1]).unwrap_err().is_record());
/// # let _ = model;
/// # Ok(())
/// # }
/// ```
///
/// # Format
/// `EVENKEEL`, a format version and the CRC-32 of what follows (both `u32`, little-endian), then a
/// [burnpack](https://docs.rs/burn-pack) in which lists and bytes are tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    state: State,
}

const MAGIC: &[u8; 8] = b"EVENKEEL";
const VERSION: u32 = 2;
const HEADER: usize = 16;

/// Prefix of the mark of a name. Values of an added state are named by its name, a dot, and their own name, so none
/// starts with it.
const MARK: &str = ".";

fn mark(name: &str) -> String {
    format!("{MARK}{name}")
}

impl Checkpoint {
    pub(crate) fn new(state: State) -> Self {
        Self { state }
    }

    /// Adds the state of `thing` under `name`; usually that of a schedule.
    ///
    /// # Errors
    /// If the name is empty, contains a dot, or is taken.
    pub fn with(self, name: &str, thing: &(impl Persist + ?Sized)) -> Result<Self, Error> {
        if name.is_empty() || name.contains('.') {
            let must = "a name without dots";
            return Err(Error::parameter(
                "Checkpoint::with",
                "name",
                must,
                format_args!("{name:?}"),
            ));
        }
        // Marked, so that a thing without any state is remembered too.
        let mark = mark(name);
        if self.state.count(&mark).is_ok() || !self.state.part(name).is_empty() {
            let must = "a new name";
            return Err(Error::parameter(
                "Checkpoint::with",
                "name",
                must,
                format_args!("{name:?}"),
            ));
        }
        Ok(Self { state: self.state.with_part(name, thing.state()).with_count(&mark, 1) })
    }

    /// Restores `thing` from the state that was saved under `name`.
    ///
    /// # Errors
    /// If nothing was saved under that name, or it does not fit; `thing` is then unchanged.
    pub fn restore(&self, name: &str, thing: &mut (impl Persist + ?Sized)) -> Result<(), Error> {
        if self.state.count(&mark(name)).is_err() {
            return Err(Error::record(format_args!("nothing was saved under {name:?}")));
        }
        thing.restore(&self.state.part(name))
    }

    /// Returns the names of the added states, in alphabetical order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.state.names().filter_map(|key| key.strip_prefix(MARK)).collect()
    }

    /// Refuses names that leave out an added state: a run that continues without its schedule is another run.
    pub(crate) fn all_taken(&self, names: &[&str]) -> Result<(), Error> {
        match self.names().into_iter().find(|name| !names.contains(name)) {
            None => Ok(()),
            Some(left) => Err(Error::record(format_args!(
                "there is a {left:?} in it that nothing takes back: name it in `resume_with` or `load`, \
                 with `Discard` for it if it is not wanted"
            ))),
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Returns the names of values that differ between two checkpoints, bit by bit; empty if they have the same state.
    ///
    /// After a rejected step, a checkpoint differs from that of a run that never saw the batch only in its counts of
    /// `attempts`.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        self.state.differences(&other.state)
    }

    /// Returns the contents of the file.
    ///
    /// # Errors
    /// If the state is too large for the format.
    pub fn into_bytes(self) -> Result<Vec<u8>, Error> {
        let failed = |cause| Error::io("writing a checkpoint", cause);
        let (mut tensors, mut scalars) = (Vec::new(), Vec::new());
        for (name, value) in self.state.into_values() {
            let tensor = |dtype, len, bytes| {
                Tensor::new(name.clone(), dtype, [len], None, Bytes::from_bytes_vec(bytes))
            };
            match value {
                Value::Count(x) => scalars.push((name, Scalar::UInt(x))),
                Value::Number(x) => scalars.push((name, Scalar::Float(x))),
                Value::List(xs) => {
                    let bytes = xs.iter().flat_map(|x| x.to_le_bytes()).collect();
                    tensors.push(tensor(DType::F64, xs.len(), bytes));
                }
                Value::Bytes(bytes) => tensors.push(tensor(DType::U8, bytes.len(), bytes)),
            }
        }
        let pack = scalars
            .into_iter()
            .fold(Writer::new(tensors), |writer, (name, x)| writer.with_scalar(&name, x));
        let pack = pack.into_bytes().map_err(failed)?;

        let mut bytes = Vec::with_capacity(HEADER + pack.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&pack).to_le_bytes());
        bytes.extend_from_slice(&pack);
        Ok(bytes)
    }

    /// Creates a checkpoint from the contents of a file.
    ///
    /// # Errors
    /// If they are not a checkpoint, are damaged, or have another format version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let word = |at: usize| {
            bytes.get(at..at + 4).and_then(|w| w.try_into().ok()).map(u32::from_le_bytes)
        };
        if bytes.get(..8) != Some(MAGIC.as_slice()) {
            return Err(Error::record("this is not a checkpoint of evenkeel"));
        }
        match word(8) {
            Some(VERSION) => {}
            Some(other) => {
                return Err(Error::record(format_args!(
                    "it has format {other}, and this version reads format {VERSION}"
                )));
            }
            None => return Err(Error::record("the checkpoint is cut short")),
        }
        let pack = bytes.get(HEADER..).unwrap_or_default();
        if word(12) != Some(crc32fast::hash(pack)) {
            return Err(Error::record("the checkpoint is damaged: its checksum does not match"));
        }
        let damaged = |cause| Error::record(format_args!("the checkpoint is damaged: {cause}"));
        let reader = Reader::from_bytes(Bytes::from_bytes_vec(pack.to_vec())).map_err(damaged)?;
        let mut state = State::new();
        for (name, scalar) in reader.scalars() {
            state = match *scalar {
                Scalar::UInt(x) => state.with_count(name, x),
                Scalar::Float(x) => state.with_number(name, x),
                _ => return Err(Error::record(format_args!("`{name}` has an unknown kind"))),
            };
        }
        for tensor in reader.into_tensors().map_err(damaged)? {
            let (name, dtype, _, _, bytes) = tensor.into_parts().map_err(damaged)?;
            state = match dtype {
                DType::U8 => state.with_bytes(&name, bytes.to_vec()),
                DType::F64 => {
                    let number = |b: &[u8]| b.try_into().map_or(f64::NAN, f64::from_le_bytes);
                    state.with_list(&name, bytes.chunks_exact(8).map(number).collect())
                }
                _ => return Err(Error::record(format_args!("`{name}` has an unknown kind"))),
            };
        }
        Ok(Self { state })
    }

    /// Writes the file: to a temporary one next to it, which is synced and then renamed.
    ///
    /// # Errors
    /// If the file cannot be written; what was at `path` before is then still there.
    pub fn save(self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let failed = |cause: String| Error::io(format_args!("saving {}", path.display()), cause);
        let bytes = self.into_bytes()?;
        let (scratch, mut file) = AtomicFile::create(path).map_err(|e| failed(e.to_string()))?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(|e| failed(e.to_string()))?;
        drop(file);
        scratch.commit().map_err(|e| failed(e.to_string()))
    }

    /// Reads a file written by [`save`](Self::save).
    ///
    /// # Errors
    /// If it cannot be read, is not a checkpoint, or is damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|cause| Error::io(format_args!("loading {}", path.display()), cause))?;
        Self::from_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Checkpoint {
        Checkpoint::new(
            State::new()
                .with_count("n", u64::MAX)
                .with_number("x", 0.1 + 0.2)
                .with_list("l", vec![f64::MIN_POSITIVE, -0.0, 1e300])
                .with_list("none", vec![])
                .with_bytes("b", vec![1, 2, 3]),
        )
    }

    #[test]
    fn bytes_round_trip_exactly() {
        let bytes = sample().into_bytes().unwrap();
        assert_eq!(Checkpoint::from_bytes(&bytes).unwrap(), sample());
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_an_error() {
        let bytes = sample().into_bytes().unwrap();
        for at in 0..bytes.len() {
            assert!(Checkpoint::from_bytes(&bytes[..at]).unwrap_err().is_record());
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                assert!(Checkpoint::from_bytes(&bad).is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    struct Nothing;
    impl Persist for Nothing {
        fn state(&self) -> State {
            State::new()
        }
        fn restore(&mut self, state: &State) -> Result<(), Error> {
            state.only(&[])
        }
    }

    #[test]
    fn names_are_strict() {
        let kept = sample().with("idle", &Nothing).unwrap();
        assert!(kept.restore("idle", &mut Nothing).is_ok());
        assert!(kept.restore("other", &mut Nothing).unwrap_err().is_record());
        assert!(kept.clone().with("idle", &Nothing).unwrap_err().is_parameter());
        assert!(kept.with("a.b", &Nothing).unwrap_err().is_parameter());
    }
}
