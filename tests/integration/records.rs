//! Damaged records: always an error, never a panic, and whoever was asked to load is as before.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::{Batch, Net, bits, is_finite};
use burn::optim::AdamConfig;
use burn::tensor::{Bytes, DType, Device};
use burn_pack::{Reader, Scalar, Tensor, Writer};
use evenkeel::checkpoint::{Checkpoint, CheckpointDir, Discard, Persist, State};
use evenkeel::clip::GlobalNorm;
use evenkeel::guard::{Divergence, Guard, LossSpike, NormSpike, Stall};
use evenkeel::precision::LossScale;
use evenkeel::schedule::{Cosine, Ramp, Schedule, Scheduler, Then};
use evenkeel::{Error, Keel, Rewind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const HEADER: usize = 16;

/// A keel that has everything, its model, its schedule, and a loss scale of its own.
struct Whole {
    keel: Keel<Net>,
    net: Net,
    rates: Scheduler<Then<Ramp, Cosine>>,
    scale: LossScale,
}

impl Whole {
    fn new() -> Self {
        let net = Net::new(&Device::flex().autodiff());
        let keel = Keel::wrap(AdamConfig::new().init())
            .clip(GlobalNorm::at_most(1.0).unwrap())
            .guard(LossSpike::default().warmup(3).unwrap().escalating(3, 3))
            .guard(NormSpike::default().ema(0.9).unwrap())
            .guard(Divergence::above(3.0).unwrap())
            .guard(Stall::over(1000).unwrap())
            .average(evenkeel::average::Ema::new(0.9).unwrap())
            .loss_scale(LossScale::dynamic().start(64.0).unwrap())
            .rewind(Rewind::every(3).unwrap())
            .build(&net)
            .unwrap();
        let rates = Ramp::new(0.0, 0.05, 3).unwrap().then(3, Cosine::new(0.05, 0.0, 30).unwrap());
        Self { keel, net, rates: rates.start(), scale: LossScale::dynamic() }
    }

    /// After some updates, with one micro-batch waiting.
    fn used(updates: u64) -> Self {
        let mut whole = Self::new();
        (0..updates).for_each(|_| whole.update());
        whole.take_in(99);
        whole.scale.overflowed();
        whole
    }

    fn take_in(&mut self, k: u64) {
        let loss = self.net.loss(Batch::number(k, &self.net.last.weight.val().device()));
        let scaled = loss.clone().mul_scalar(self.keel.loss_scale());
        let grads = burn::optim::GradientsParams::from_grads(scaled.backward(), &self.net);
        self.keel.accumulate(&self.net, grads, &loss).unwrap();
    }

    fn update(&mut self) {
        self.take_in(self.keel.attempts());
        let stepped = self.keel.step_accumulated(self.rates.step(), self.net.clone());
        self.net = match stepped {
            Ok(stepped) => stepped.model,
            Err(halted) => halted.into_model(),
        };
    }

    fn saved(&self) -> Checkpoint {
        let own = self.keel.checkpoint(&self.net).unwrap();
        own.with("rates", &self.rates).and_then(|all| all.with("scale", &self.scale)).unwrap()
    }

    fn load(&mut self, saved: &Checkpoint) -> Result<(), Error> {
        let beside: &mut [(&str, &mut dyn Persist)] =
            &mut [("scale", &mut self.scale), ("rates", &mut self.rates)];
        self.net = self.keel.resume_with(&self.net, saved, beside)?;
        Ok(())
    }
}

/// The file's contents with this pack in it, and a checksum that is right.
pub fn sealed(pack: &[u8]) -> Vec<u8> {
    let mut bytes = b"EVENKEEL".to_vec();
    bytes.extend(2u32.to_le_bytes());
    bytes.extend(crc32fast::hash(pack).to_le_bytes());
    bytes.extend(pack);
    bytes
}

/// Tries each record on objects in use: it is refused and they are as before, or it is taken, and
/// training goes on. How many were refused, and how many were taken.
fn try_on_a_whole_one(records: impl Iterator<Item = (String, Vec<u8>)>) -> (u32, u32) {
    let mut whole = Whole::used(4);
    // Not what the records were made of: what is half loaded would not show.
    let other = whole.saved();
    let (mut refused, mut taken) = (0, 0);
    for (what, bytes) in records {
        let before = (whole.saved(), bits(&whole.net), whole.rates.clone(), whole.scale.clone());
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let saved = match Checkpoint::from_bytes(&bytes) {
                Ok(saved) => saved,
                Err(error) => return Err(error),
            };
            // One at a time: each must be as before, whatever becomes of the others.
            let scale = saved.restore("scale", &mut whole.scale);
            let rates = saved.restore("rates", &mut whole.rates);
            let keel = whole.keel.resume_with(
                &whole.net,
                &saved,
                &mut [("scale", &mut Discard), ("rates", &mut Discard)],
            );
            if scale.is_err() {
                assert_eq!(whole.scale, before.3, "{what}: a loss scale half loaded");
            }
            if rates.is_err() {
                assert_eq!(whole.rates, before.2, "{what}: a schedule half loaded");
            }
            match keel {
                Ok(net) => {
                    assert!(is_finite(&net), "{what}: a poisoned model was loaded");
                    whole.net = net;
                    whole.update();
                    assert!(is_finite(&whole.net), "{what}: the next update is poisoned");
                    rates.and(scale)
                }
                Err(error) => {
                    let now = whole.keel.checkpoint(&whole.net).unwrap();
                    let now = now.with("rates", &before.2).and_then(|c| c.with("scale", &before.3));
                    let differences = now.unwrap().differences(&before.0);
                    assert!(differences.is_empty(), "{what}: half loaded: {differences:?}");
                    assert_eq!(bits(&whole.net), before.1, "{what}: the model has moved");
                    Err(error)
                }
            }
        }));
        match outcome.unwrap_or_else(|_| panic!("{what}: panicked")) {
            Err(error) => {
                assert!(error.is_record(), "{what}: {error}");
                refused += 1;
            }
            Ok(()) => taken += 1,
        }
        whole.load(&other).unwrap();
    }
    (refused, taken)
}

#[test]
fn a_damaged_file_is_refused_at_every_cut_and_flip() {
    let bytes = Whole::used(7).saved().into_bytes().unwrap();
    let refused = |bytes: &[u8]| Checkpoint::from_bytes(bytes).is_err_and(|e| e.is_record());
    for cut in 0..bytes.len() {
        // All of them where the structure is, and one in eleven in the long run of numbers.
        if cut < 500 || bytes.len() - cut < 500 || cut % 11 == 0 {
            assert!(refused(&bytes[..cut]), "cut at {cut}");
        }
    }
    let mut rng = StdRng::seed_from_u64(1);
    let mut bad = bytes.clone();
    for at in 0..3000 {
        let at = if at < 600 { at % bytes.len() } else { rng.random_range(0..bytes.len()) };
        let flip = 1 << rng.random_range(0..8);
        bad[at] ^= flip;
        assert!(refused(&bad), "byte {at} ^ {flip}");
        bad[at] = bytes[at];
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(refused(&longer));
    assert!(Checkpoint::from_bytes(&bytes).is_ok());
}

#[test]
fn random_bytes_are_refused_with_a_right_checksum_too() {
    let mut rng = StdRng::seed_from_u64(2);
    for _ in 0..3000 {
        let len = rng.random_range(0..300);
        let noise: Vec<u8> = (0..len).map(|_| rng.random()).collect();
        assert!(Checkpoint::from_bytes(&noise).is_err());
        assert!(Checkpoint::from_bytes(&sealed(&noise)).unwrap_err().is_record());
    }
}

/// Damage that a checksum does not show: what a wrong writer, or an attacker, would make.
#[test]
fn a_pack_that_is_damaged_under_a_right_checksum_is_refused_or_sound() {
    let bytes = Whole::used(7).saved().into_bytes().unwrap();
    let pack = &bytes[HEADER..];
    let mut rng = StdRng::seed_from_u64(3);
    let damaged = (0..700).map(|k| {
        let mut bad = pack.to_vec();
        let at = |rng: &mut StdRng| match k % 2 {
            // The beginning holds the names, the kinds and the lengths.
            0 => rng.random_range(0..pack.len().min(6000)),
            _ => rng.random_range(0..pack.len()),
        };
        let what = match k % 7 {
            0..=3 => {
                let at = at(&mut rng);
                bad[at] ^= 1 << rng.random_range(0..8);
                format!("flip at {at}")
            }
            4 => {
                let at = at(&mut rng);
                bad[at..].iter_mut().take(8).for_each(|b| *b = rng.random());
                format!("noise at {at}")
            }
            5 => {
                let at = at(&mut rng);
                bad.truncate(at);
                format!("cut at {at}")
            }
            _ => {
                let (from, to) = (at(&mut rng), at(&mut rng));
                let piece: Vec<u8> = pack[from..].iter().take(64).copied().collect();
                let end = (to + piece.len()).min(bad.len());
                bad[to..end].copy_from_slice(&piece[..end - to]);
                format!("{from} copied to {to}")
            }
        };
        (what, sealed(&bad))
    });
    let (refused, taken) = try_on_a_whole_one(damaged);
    assert!(refused > 100 && refused + taken == 700, "{refused} refused, {taken} taken");
}

/// One named value of a checkpoint.
#[derive(Clone)]
enum Value {
    Scalar(Scalar),
    Block(DType, Vec<u8>),
}

fn opened(bytes: &[u8]) -> Vec<(String, Value)> {
    let reader = Reader::from_bytes(Bytes::from_bytes_vec(bytes[HEADER..].to_vec())).unwrap();
    let mut all: Vec<_> =
        reader.scalars().iter().map(|(name, x)| (name.clone(), Value::Scalar(*x))).collect();
    for tensor in reader.into_tensors().unwrap() {
        let (name, dtype, _, _, bytes) = tensor.into_parts().unwrap();
        all.push((name, Value::Block(dtype, bytes.to_vec())));
    }
    all
}

fn closed(values: Vec<(String, Value)>) -> Vec<u8> {
    let (mut tensors, mut scalars) = (Vec::new(), Vec::new());
    for (name, value) in values {
        match value {
            Value::Scalar(x) => scalars.push((name, x)),
            Value::Block(dtype, bytes) => {
                let len = bytes.len() / if dtype == DType::F64 { 8 } else { 1 };
                let bytes = Bytes::from_bytes_vec(bytes);
                tensors.push(Tensor::new(name, dtype, [len], None, bytes));
            }
        }
    }
    let all =
        scalars.into_iter().fold(Writer::new(tensors), |w, (name, x)| w.with_scalar(&name, x));
    sealed(&all.into_bytes().unwrap())
}

/// A saved keel with one named value changed, of each that it has, in each way that `change` makes of it.
fn with_one_changed(
    change: impl Fn(&Value) -> Vec<(String, Option<Value>)>,
) -> Vec<(String, Vec<u8>)> {
    let bytes = Whole::used(7).saved().into_bytes().unwrap();
    let values = opened(&bytes);
    assert!(values.len() > 40);
    let same = Checkpoint::from_bytes(&closed(values.clone())).unwrap();
    assert!(same.differences(&Checkpoint::from_bytes(&bytes).unwrap()).is_empty());
    let mut records = Vec::new();
    for (at, (name, value)) in values.iter().enumerate() {
        for (what, value) in change(value) {
            let mut all = values.clone();
            match value {
                Some(value) => all[at].1 = value,
                None => drop(all.remove(at)),
            }
            records.push((format!("`{name}`: {what}"), closed(all)));
        }
    }
    records
}

fn numbers(xs: &[f64]) -> Vec<u8> {
    xs.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[test]
fn every_number_that_is_wrong_is_refused_or_sound() {
    let counts = [0, 1, 1 << 40, u64::MAX - 1, u64::MAX];
    let reals = [0.0, -1.0, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let records = with_one_changed(|_| {
        let counts = counts.map(|x| (format!("count {x}"), Some(Value::Scalar(Scalar::UInt(x)))));
        let reals = reals.map(|x| (format!("number {x}"), Some(Value::Scalar(Scalar::Float(x)))));
        counts.into_iter().chain(reals).collect()
    });
    let (refused, taken) = try_on_a_whole_one(records.into_iter());
    assert!(refused > 350, "{refused} refused, {taken} taken");
}

/// Left out, of another kind, too short, too long, and filled with what isn't sound.
#[test]
fn every_block_that_is_wrong_is_refused_or_sound() {
    let records = with_one_changed(|value| {
        let mut all = vec![
            ("left out".to_string(), None),
            ("a list".into(), Some(Value::Block(DType::F64, numbers(&[1.0; 3])))),
            ("bytes".into(), Some(Value::Block(DType::U8, vec![7; 5]))),
        ];
        if let Value::Block(dtype, bytes) = value {
            let mut with = |what: &str, bytes: Vec<u8>| {
                all.push((what.to_string(), Some(Value::Block(*dtype, bytes))));
            };
            with("emptied", Vec::new());
            with("halved", bytes[..bytes.len() / 16 * 8].to_vec());
            with("doubled", bytes.repeat(2));
            if *dtype == DType::F64 {
                for x in [f64::NAN, f64::INFINITY, -1e300] {
                    with(&format!("all {x}"), numbers(&vec![x; bytes.len() / 8]));
                }
            }
            with("zeroed", vec![0; bytes.len()]);
            with("all ones", vec![255; bytes.len()]);
        }
        all
    });
    let (refused, taken) = try_on_a_whole_one(records.into_iter());
    assert!(refused > 150, "{refused} refused, {taken} taken");
}

/// What makes Burn's optimizers panic is an error here.
#[test]
fn a_record_that_burn_panics_at_is_refused() {
    let values = opened(&Whole::used(7).saved().into_bytes().unwrap());
    let at = values.iter().position(|(name, _)| name == "keel.optimizer.record").unwrap();
    let Value::Block(dtype, record) = values[at].1.clone() else { panic!("no block of bytes") };
    let damaged = [("no ids", true, None), ("rank 9", false, Some(9)), ("rank 0", false, Some(0))];
    let records = damaged.map(|(what, nameless, rank)| {
        let reader = Reader::from_bytes(Bytes::from_bytes_vec(record.clone())).unwrap();
        let (scalars, texts) = (reader.scalars().clone(), reader.metadata().clone());
        let mut tensors = reader.into_tensors().unwrap();
        if nameless {
            tensors.iter_mut().for_each(|tensor| tensor.param_id = None);
        }
        let mut writer = Writer::new(tensors);
        for (name, value) in scalars {
            let value = match rank {
                Some(rank) if name.ends_with("__rank") => Scalar::UInt(rank),
                _ => value,
            };
            writer = writer.with_scalar(&name, value);
        }
        for (name, text) in texts {
            writer = writer.with_metadata(&name, &text);
        }
        let mut all = values.clone();
        all[at].1 = Value::Block(dtype, writer.into_bytes().unwrap().to_vec());
        (what.to_string(), closed(all))
    });
    assert_eq!(try_on_a_whole_one(records.into_iter()), (3, 0));
}

/// State that a `Persist` is given by hand.
#[test]
fn a_scheduler_and_a_loss_scale_take_all_or_nothing() {
    let whole = Whole::used(5);
    let mut rng = StdRng::seed_from_u64(4);
    let names = ["position", "backoff.gain", "backoff.at", "curve", "value", "calm", "tolerated"];
    for _ in 0..3000 {
        let mut state = if rng.random() { whole.rates.state() } else { whole.scale.state() };
        for _ in 0..rng.random_range(1..=3) {
            let name = names[rng.random_range(0..names.len())];
            state = match rng.random_range(0..4) {
                0 => state.with_count(name, rng.random()),
                1 => state.with_number(name, f64::from_bits(rng.random())),
                2 => state
                    .with_list(name, vec![f64::from_bits(rng.random()); rng.random_range(0..20)]),
                _ => state.with_bytes(name, vec![0; rng.random_range(0..20)]),
            };
        }
        let state = if rng.random_bool(0.05) { State::new() } else { state };
        let (mut rates, mut scale) = (whole.rates.clone(), whole.scale.clone());
        match rates.restore(&state) {
            Ok(()) => assert!(rates.step().value().is_finite()),
            Err(error) => assert!(error.is_record() && rates == whole.rates),
        }
        match scale.restore(&state) {
            Ok(()) => assert!(scale.value() > 0.0 && scale.value().is_finite()),
            Err(error) => assert!(error.is_record() && scale == whole.scale),
        }
    }
}

#[test]
fn a_folder_of_rubbish_is_an_error_and_changes_nothing() {
    let path = std::env::temp_dir().join(format!("evenkeel-records-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    let bytes = Whole::used(7).saved().into_bytes().unwrap();
    let mut rng = StdRng::seed_from_u64(5);
    for name in ["00000003.keel", "00000004.keel", "18446744073709551615.keel", "7.keel"] {
        let cut = rng.random_range(0..bytes.len());
        std::fs::write(path.join(name), &bytes[..cut]).unwrap();
    }
    std::fs::create_dir(path.join("00000009.keel")).unwrap();
    let mut whole = Whole::used(4);
    let (before, rates, net) = (whole.saved(), whole.rates.clone(), bits(&whole.net));
    let folder = CheckpointDir::new(&path);
    let beside: &mut [(&str, &mut dyn Persist)] = &mut [("rates", &mut whole.rates)];
    let error = whole.keel.load(&folder, &whole.net, beside).unwrap_err();
    assert!(error.is_record(), "{error}");
    assert!(whole.saved().differences(&before).is_empty());
    assert_eq!((whole.rates.clone(), bits(&whole.net)), (rates, net));
    // And saving into it goes on.
    let kept = whole.keel.save(&folder, &whole.net, &[("rates", &whole.rates)]);
    assert!(kept.is_ok(), "{kept:?}");
    std::fs::remove_dir_all(&path).unwrap();
}

#[cfg(feature = "serde")]
#[test]
fn a_damaged_incident_is_an_error_or_another_incident() {
    let mut whole = Whole::used(2);
    let mut batch = Batch::number(0, &whole.net.last.weight.val().device());
    batch.x = crate::common::with_first(batch.x, f32::NAN);
    let (loss, grads) = whole.net.backward(batch);
    let _ = whole.keel.step(0.1, whole.net.clone(), grads, &loss).unwrap();
    let incident = whole.keel.incidents().iter().next().unwrap();
    let line = serde_json::to_vec(incident).unwrap();
    let read = |bytes: &[u8]| serde_json::from_slice::<evenkeel::Incident>(bytes);
    assert!(read(&line).is_ok());
    for cut in 0..line.len() {
        assert!(read(&line[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..line.len() {
        for bit in 0..8 {
            let mut bad = line.clone();
            bad[at] ^= 1 << bit;
            if let Ok(other) = read(&bad) {
                let _ = other.to_string();
            }
        }
    }
}
