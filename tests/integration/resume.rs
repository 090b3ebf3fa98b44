//! Stop anywhere, save, load into things built anew, go on: bit by bit the same run.

use std::collections::BTreeMap;

use crate::common::{Batch, Net, bits, on_every_device, with_first};
use crate::records::sealed;
use burn::module::{Module, ParamGroup};
use burn::nn::{Linear, LinearConfig, LinearLayout};
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Bytes, Device};
use burn_pack::{Reader, Scalar, Tensor as Packed, Writer};
use evenkeel::checkpoint::{Checkpoint, Discard, Persist, State};
use evenkeel::clip::GlobalNorm;
use evenkeel::guard::LossSpike;
use evenkeel::optim::Adam;
use evenkeel::schedule::{Cosine, Ramp, Schedule, Scheduler, Step, Then};
use evenkeel::{Builder, Error, Keel, Rewind, Verdict};

type Rates = Scheduler<Then<Ramp, Cosine>>;

fn rates() -> Rates {
    Ramp::new(0.0, 0.05, 3).unwrap().then(3, Cosine::new(0.05, 0.01, 20).unwrap()).start()
}

fn optimizer() -> ModuleOptimizer {
    let base: ModuleOptimizer = AdamWConfig::new().init();
    base.with_group(ParamGroup::from_predicate("last"), AdamConfig::new().build(), None)
}

fn keel(net: &Net) -> Keel<Net> {
    Keel::wrap(optimizer())
        .clip(GlobalNorm::at_most(0.5).unwrap())
        .guard(LossSpike::default().warmup(4).unwrap())
        .skips_at_most(1)
        .rewind(Rewind::every(3).unwrap().keep(2).unwrap().at_most(50).unwrap().recent(2).unwrap())
        .build(net)
        .unwrap()
}

/// Update `k` of a run with skips, and with rewinds that go back past the place where it stopped.
fn advance(k: u64, device: &Device, net: Net, keel: &mut Keel<Net>, rates: &mut Rates) -> Net {
    let mut batch = Batch::number(k, device);
    match k {
        4 | 11 => batch.x = with_first(batch.x, f32::NAN),
        // Two in a row: the second rewinds.
        7 | 8 | 13 | 14 => batch.y = batch.y.mul_scalar(f64::NAN),
        9 => batch.y = batch.y + 1000.0,
        _ => {}
    }
    let (loss, grads) = net.backward(batch);
    keel.step(rates.step(), net, grads, &loss).unwrap().model
}

/// A `Linear` in this layout transposes its weight as Burn saves it, and does not load what has then another shape.
#[test]
fn layers_that_change_what_is_saved_are_saved_as_they_are() {
    let device = Device::flex().autodiff();
    let layer = || LinearConfig::new(3, 2).with_layout(LinearLayout::Col).init(&device);
    let model: Vec<Linear> = vec![layer(), LinearConfig::new(2, 1).init(&device)];
    let build = |model: &Vec<Linear>| {
        Keel::wrap(Adam::new()).rewind(Rewind::every(2).unwrap()).build(model).unwrap()
    };
    let step = |keel: &mut Keel<Vec<Linear>>, model: Vec<Linear>| {
        let x = Batch::number(keel.attempts(), &device).x;
        let loss = model[1].forward(model[0].forward(x)).powi_scalar(2).mean();
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        keel.step(0.05, model, grads, &loss).unwrap().model
    };
    let (mut keel, mut model) = (build(&model), model);
    for _ in 0..3 {
        model = step(&mut keel, model);
    }
    let bytes = keel.checkpoint(&model).unwrap().into_bytes().unwrap();
    let saved = Checkpoint::from_bytes(&bytes).unwrap();
    let fresh: Vec<Linear> = vec![layer(), LinearConfig::new(2, 1).init(&device)];
    let mut again = build(&fresh);
    let mut resumed = again.resume(&fresh, &saved).unwrap();
    assert_eq!(bits(&resumed), bits(&model));
    for _ in 0..3 {
        (model, resumed) = (step(&mut keel, model), step(&mut again, resumed));
        assert_eq!(bits(&resumed), bits(&model));
    }
    // It is still of that layout: what Burn saves of it is transposed.
    let shape = |model: &Vec<Linear>| model[0].weight.transform_for_save().val().dims();
    assert_eq!((shape(&resumed), resumed[0].weight.val().dims()), ([2, 3], [3, 2]));
}

#[test]
fn a_run_that_stops_after_any_step_goes_on_bit_identically() {
    on_every_device(|device| {
        const STEPS: u64 = 18;
        let (mut net, mut schedule) = (Net::new(device), rates());
        let mut guarded = keel(&net);
        let mut saved = Vec::new();
        let mut seen = Vec::new();
        for k in 0..STEPS {
            let checkpoint = guarded.checkpoint(&net).unwrap();
            let bytes = checkpoint.with("schedule", &schedule).unwrap().into_bytes().unwrap();
            saved.push(bytes);
            net = advance(k, device, net, &mut guarded, &mut schedule);
            seen.push(bits(&net));
        }
        let end = guarded.checkpoint(&net).unwrap().with("schedule", &schedule).unwrap();

        for (stop, bytes) in saved.iter().enumerate() {
            // Everything built anew, as a new process would: other ids, other weights, and the
            // model already used once.
            let fresh = Net::new(device);
            let _ = fresh.forward(Batch::number(77, device).x);
            let mut schedule = rates();
            let mut guarded = keel(&fresh);
            let checkpoint = Checkpoint::from_bytes(bytes).unwrap();
            let beside: &mut [(&str, &mut dyn Persist)] = &mut [("schedule", &mut schedule)];
            let mut net = guarded.resume_with(&fresh, &checkpoint, beside).unwrap();
            for k in stop as u64..STEPS {
                net = advance(k, device, net, &mut guarded, &mut schedule);
                assert_eq!(bits(&net), seen[k as usize], "stopped at {stop}, update {k}");
            }
            let now = guarded.checkpoint(&net).unwrap().with("schedule", &schedule).unwrap();
            assert!(now.differences(&end).is_empty(), "{:?}", now.differences(&end));
        }
    });
}

/// The same state is the same bytes, and saving does not disturb the run.
#[test]
fn saving_is_reproducible_and_changes_nothing() {
    let device = Device::flex().autodiff();
    let (mut net, mut schedule) = (Net::new(&device), rates());
    let mut guarded = keel(&net);
    for k in 0..3 {
        net = advance(k, &device, net, &mut guarded, &mut schedule);
    }
    let before = bits(&net);
    let bytes = || guarded.checkpoint(&net).unwrap().into_bytes().unwrap();
    assert_eq!(bytes(), bytes());
    assert_eq!(bits(&net), before);
}

#[test]
fn files_are_whole_or_absent() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let guarded = keel(&net);
    let folder = std::env::temp_dir().join(format!("evenkeel-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("run.keel");

    guarded.checkpoint(&net).unwrap().save(&path).unwrap();
    let loaded = Checkpoint::load(&path).unwrap();
    assert!(loaded.differences(&guarded.checkpoint(&net).unwrap()).is_empty());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "a temporary file was left");

    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = Checkpoint::load(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the saved state does not fit: the checkpoint is damaged: its checksum does not match"
    );
    let missing = Checkpoint::load(folder.join("none")).unwrap_err();
    assert!(missing.is_io(), "{missing}");
    let nowhere = guarded.checkpoint(&net).unwrap().save(folder.join("no/such/folder"));
    assert!(nowhere.unwrap_err().is_io());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_changed() {
    let device = Device::flex().autodiff();
    let (mut net, mut schedule) = (Net::new(&device), rates());
    let mut guarded = keel(&net);
    for k in 0..3 {
        net = advance(k, &device, net, &mut guarded, &mut schedule);
    }
    let saved = guarded.checkpoint(&net).unwrap().with("schedule", &schedule).unwrap();

    // Another optimizer.
    let fresh = Net::new(&device);
    let _ = fresh.forward(Batch::number(5, &device).x);
    let before = bits(&fresh);
    let with = |optimizer: ModuleOptimizer| {
        Keel::wrap(optimizer)
            .clip(GlobalNorm::at_most(0.5).unwrap())
            .guard(LossSpike::default())
            .rewind(Rewind::every(3).unwrap())
            .build(&fresh)
            .unwrap()
    };
    let mut other = with(SgdConfig::new().init());
    let state = other.checkpoint(&fresh).unwrap();
    let error = other.resume_with(&fresh, &saved, &mut [("schedule", &mut Discard)]).unwrap_err();
    assert!(error.is_record());
    assert_eq!(
        error.to_string(),
        "the saved state does not fit: of the 12 tensors of the optimizer's state, this optimizer \
         has a use for 0: it is another one, or its groups are"
    );
    assert_eq!(bits(&fresh), before);
    assert!(other.checkpoint(&fresh).unwrap().differences(&state).is_empty());

    // Other policies.
    let mut bare = Keel::wrap(optimizer()).build(&fresh).unwrap();
    assert_eq!(
        bare.resume_with(&fresh, &saved, &mut [("schedule", &mut Discard)])
            .unwrap_err()
            .to_string(),
        "the saved state does not fit: it was saved with guards NonFinite, LossSpike and clips \
         GlobalNorm, and this keel has guards NonFinite and clips none; if that is meant, call \
             `allow_other_policies` first"
    );

    // Another model.
    let linear = LinearConfig::new(2, 2).init(&device);
    let mut small = Keel::wrap(optimizer())
        .clip(GlobalNorm::at_most(0.5).unwrap())
        .guard(LossSpike::default())
        .build(&linear)
        .unwrap();
    let error = small.resume_with(&linear, &saved, &mut [("schedule", &mut Discard)]).unwrap_err();
    assert!(
        error.is_record() && error.to_string().contains("the model in it is not this one"),
        "{error}"
    );
    assert_eq!(bits(&fresh), before);

    // Another schedule, and no schedule at all.
    let mut steps = Step::new(0.05, 0.5, 10).unwrap().start();
    let error = saved.restore("schedule", &mut steps).unwrap_err();
    assert!(
        error.to_string().contains("at update 0 that one gave 0, this one gives 0.05"),
        "{error}"
    );
    assert_eq!(steps.position(), 0);
    let error = saved.restore("momentum", &mut rates()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the saved state does not fit: nothing was saved under \"momentum\""
    );

    // And one that fits, for comparison.
    let mut right = with(optimizer());
    assert_eq!(
        bits(&right.resume_with(&fresh, &saved, &mut [("schedule", &mut Discard)]).unwrap()),
        bits(&net)
    );
}

/// A run is made longer by taking the position alone.
#[test]
fn a_longer_schedule_takes_the_position_alone() {
    let mut short = Cosine::new(0.1, 0.0, 10).unwrap().start();
    for _ in 0..5 {
        let _ = short.step();
    }
    let mut long = Cosine::new(0.1, 0.0, 20).unwrap().start();
    assert!(long.restore(&short.state()).unwrap_err().is_record());
    long.seek(short.position());
    assert_eq!(long.step(), Cosine::new(0.1, 0.0, 20).unwrap().at(5));
}

/// Burn's own record of a model lacks BatchNorm's last update, unless the module is settled first.
/// After a step of a keel it is.
#[test]
fn after_a_step_burns_own_record_has_the_last_statistics() {
    on_every_device(|device| {
        let net = Net::new(device);
        let mut guarded = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
        let (loss, grads) = net.backward(Batch::number(0, device));
        let stepped = guarded.step(0.1, net, grads, &loss).unwrap();
        assert_eq!(stepped.report.verdict, Verdict::Apply);
        let record = stepped.model.clone().into_record();
        let loaded = Net::new(device).load_record(record);
        assert_eq!(bits(&loaded), bits(&stepped.model));
    });
}

/// A file whose checksum is right, with something in it that no run has saved.
#[test]
fn a_state_that_is_not_of_this_model_is_refused() {
    let device = Device::flex().autodiff();
    type Make = fn() -> Builder<Net>;
    let ours: Make = || Keel::wrap(Adam::new());
    let burns: Make = || Keel::wrap(AdamConfig::new().init());
    for make in [ours, burns] {
        let net = Net::new(&device);
        let mut keel = make().build(&net).unwrap();
        let (loss, grads) = net.backward(Batch::number(0, &device));
        let net = keel.step(0.1, net, grads, &loss).unwrap().model;
        let saved = keel.checkpoint(&net).unwrap();
        let model = bits(&net);

        let spoil = |kind: Spoil| spoilt(&saved, kind);
        let refused = |kind: Spoil, why: &str| {
            let mut fresh = make().build(&net).unwrap();
            let before = fresh.checkpoint(&net).unwrap();
            let said = fresh.resume(&net, &spoil(kind)).unwrap_err().to_string();
            assert!(said.contains(why), "{kind:?}: {said}");
            assert!(fresh.checkpoint(&net).unwrap().differences(&before).is_empty());
            assert_eq!(bits(&net), model);
        };
        refused(Spoil::Nan, "not finite");
        refused(Spoil::One, "shape");
        // The same bytes unspoilt are taken.
        assert!(make().build(&net).unwrap().resume(&net, &spoil(Spoil::Nothing)).is_ok());
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Spoil {
    Nothing,
    /// The first element of the first moment.
    Nan,
    /// A moment that is one element, and would be spread over all.
    One,
}

/// The checkpoint with another first tensor in the optimizer's state.
fn spoilt(saved: &Checkpoint, kind: Spoil) -> Checkpoint {
    let bytes = saved.clone().into_bytes().unwrap();
    let pack = &bytes[16..];
    let read = |bytes: &[u8]| Reader::from_bytes(Bytes::from_bytes_vec(bytes.to_vec())).unwrap();
    let write = |tensors, scalars: BTreeMap<String, Scalar>, texts: BTreeMap<String, String>| {
        let writer =
            scalars.into_iter().fold(Writer::new(tensors), |w, (name, x)| w.with_scalar(&name, x));
        let writer = texts.into_iter().fold(writer, |w, (name, x)| w.with_metadata(&name, &x));
        writer.into_bytes().unwrap().to_vec()
    };
    let outer = read(pack);
    let (scalars, texts) = (outer.scalars().clone(), outer.metadata().clone());
    let mut tensors = Vec::new();
    for tensor in outer.into_tensors().unwrap() {
        let (name, dtype, shape, id, bytes) = tensor.into_parts().unwrap();
        let inner = name.ends_with("optimizer.groups") || name.ends_with("optimizer.record");
        if !inner {
            tensors.push(Packed::new(name, dtype, shape.to_vec(), id, bytes));
            continue;
        }
        let optimizer = read(&bytes);
        let (scalars, texts) = (optimizer.scalars().clone(), optimizer.metadata().clone());
        let mut first = true;
        let states = optimizer.into_tensors().unwrap().into_iter().map(|state| {
            let (name, dtype, mut shape, id, bytes) =
                state.into_parts().map(|(n, d, s, i, b)| (n, d, s.to_vec(), i, b)).unwrap();
            let mut bytes = bytes.to_vec();
            // A vector: a matrix of one element has another shape and the same rank.
            if first && kind != Spoil::Nothing && shape.len() == 1 && shape[0] > 1 {
                first = false;
                match kind {
                    Spoil::Nan => bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes()),
                    _ => {
                        bytes.truncate(4);
                        shape = vec![1];
                    }
                }
            }
            Packed::new(name, dtype, shape, id, Bytes::from_bytes_vec(bytes))
        });
        let bytes = write(states.collect(), scalars, texts);
        let length = bytes.len();
        tensors.push(Packed::new(name, dtype, vec![length], id, Bytes::from_bytes_vec(bytes)));
    }
    Checkpoint::from_bytes(&sealed(&write(tensors, scalars, texts))).unwrap()
}

/// No name of a value is one of ours.
#[test]
fn a_value_of_any_name_is_restored() {
    struct Odd(u64);
    impl Persist for Odd {
        fn state(&self) -> State {
            State::new().with_count("kept", self.0).with_count(".thing", self.0 + 1)
        }
        fn restore(&mut self, state: &State) -> Result<(), Error> {
            state.only(&["kept", ".thing"])?;
            assert_eq!(state.count(".thing")?, state.count("kept")? + 1);
            self.0 = state.count("kept")?;
            Ok(())
        }
    }
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let saved = keel(&net).checkpoint(&net).unwrap();
    let saved = saved.with("thing", &Odd(7)).unwrap().with("kept", &Odd(9)).unwrap();
    let saved = Checkpoint::from_bytes(&saved.into_bytes().unwrap()).unwrap();
    assert_eq!(saved.names(), ["kept", "thing"]);
    for (name, value) in [("thing", 7), ("kept", 9)] {
        let mut odd = Odd(0);
        saved.restore(name, &mut odd).unwrap();
        assert_eq!(odd.0, value);
    }
}
