//! What the integration tests share: devices, a small model with BatchNorm, and its bits.
#![allow(dead_code)]

pub mod catalogue;

pub mod bounds;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

/// Every device that tests run on: flex always, the others where their feature is on. `EVENKEEL_DEVICES` may
/// name fewer.
fn devices() -> Vec<(&'static str, Device)> {
    let mut all = vec![
        ("flex", Device::flex()),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)]
        ("ndarray", Device::ndarray()),
        #[cfg(feature = "wgpu")]
        ("wgpu", Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
    ];
    if let Ok(wanted) = std::env::var("EVENKEEL_DEVICES") {
        all.retain(|(name, _)| wanted.split(',').any(|one| one == *name));
        assert!(!all.is_empty(), "EVENKEEL_DEVICES names no device that there is: {wanted}");
    }
    all
}

/// Runs a test on every device, and says which one it failed on.
pub fn on_every_device(test: impl Fn(&Device)) {
    for (name, device) in devices() {
        eprintln!("on {name}");
        test(&device.autodiff());
        passed(name);
    }
}

/// Runs a test of many cases on every device; on wgpu with every third case only, which takes minutes where the GPU is
/// made of software. Values that vary in fours or fives all occur.
pub fn on_every_device_each<T>(cases: &[T], test: impl Fn(&Device, &T)) {
    on_every_device(|device| {
        let wgpu = format!("{device:?}").to_lowercase().contains("wgpu");
        cases.iter().step_by(if wgpu { 3 } else { 1 }).for_each(|case| test(device, case));
    });
}

/// Counts a test that passed on a device, where somebody counts: `EVENKEEL_TESTS` names the file.
fn passed(device: &str) {
    use std::io::Write;
    let Some(path) = std::env::var_os("EVENKEEL_TESTS") else { return };
    let thread = std::thread::current();
    let line = format!("{device} {}\n", thread.name().unwrap_or("?"));
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of EVENKEEL_TESTS");
}

/// Two layers with BatchNorm between them: every kind of state that a step can touch.
#[derive(Module, Debug)]
pub struct Net {
    pub first: Linear,
    pub norm: BatchNorm,
    pub last: Linear,
}

impl Net {
    pub fn new(device: &Device) -> Self {
        let net = Self {
            first: LinearConfig::new(3, 5).init(device),
            norm: BatchNormConfig::new(5).init(device),
            last: LinearConfig::new(5, 1).init(device),
        };
        // Not from the device's generator, which tests in other threads draw from.
        filled(net, 0)
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.last.forward(self.norm.forward(self.first.forward(x)).tanh())
    }

    pub fn loss(&self, batch: Batch) -> Tensor<1> {
        (self.forward(batch.x) - batch.y).powi_scalar(2).mean()
    }

    /// Loss and gradients of one batch.
    pub fn backward(&self, batch: Batch) -> (Tensor<1>, GradientsParams) {
        let loss = self.loss(batch);
        let grads = GradientsParams::from_grads(loss.backward(), self);
        (loss, grads)
    }

    /// The same model, ids included, that shares no running statistics with this one.
    pub fn twin(&self) -> Self {
        self.valid().train()
    }
}

/// The model with numbers of our own in its trainable parameters, others for another `seed`.
pub fn filled<M: Module>(model: M, seed: u64) -> M {
    model.map(&mut Fill { next: 100 * seed })
}

struct Fill {
    next: u64,
}

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        self.next += 1;
        let seed = self.next;
        param.map(|t| {
            let data = TensorData::new(noise(seed, t.shape().num_elements()), t.shape());
            Tensor::from_data(data, &t.device()).require_grad()
        })
    }
}

/// Numbers in [-0.5, 0.5), the same for the same seed everywhere.
pub fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[derive(Clone)]
pub struct Batch {
    pub x: Tensor<2>,
    pub y: Tensor<2>,
}

impl Batch {
    /// The batch of this number: four rows, and what a fixed rule makes of them.
    pub fn number(k: u64, device: &Device) -> Self {
        let x = noise(1000 + k, 12);
        let y: Vec<f32> = x.chunks(3).map(|r| 2.0 * r[0] - r[1] + 0.5 * r[2] * r[2]).collect();
        Self {
            x: Tensor::from_data(TensorData::new(x, [4, 3]), device),
            y: Tensor::from_data(TensorData::new(y, [4, 1]), device),
        }
    }

    pub fn scaled(self, factor: f64) -> Self {
        Self { x: self.x.mul_scalar(factor), y: self.y }
    }
}

/// Every float tensor of a model, bit by bit, by path.
pub fn bits<M: Module>(model: &M) -> Vec<(String, Vec<u64>)> {
    // Settles the running statistics first: what is held back would not show.
    let _ = model.valid();
    let mut walk = Bits { path: vec![], found: vec![] };
    model.visit(&mut walk);
    walk.found
}

struct Bits {
    path: Vec<String>,
    found: Vec<(String, Vec<u64>)>,
}

impl ModuleVisitor for Bits {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.base().into_data().convert::<f64>();
        let bits = data.iter::<f64>().map(f64::to_bits).collect();
        self.found.push((self.path.join("."), bits));
    }
}

pub fn is_finite<M: Module>(model: &M) -> bool {
    bits(model).iter().all(|(_, bits)| bits.iter().all(|b| f64::from_bits(*b).is_finite()))
}

/// The model with the first element of the tensor at `path` replaced: a fault from outside.
pub fn poke<M: Module>(model: M, path: &str, value: f32) -> M {
    let mut poke = Poke { path: vec![], at: path.into(), value, hits: 0 };
    let model = model.map(&mut poke);
    assert_eq!(poke.hits, 1, "there is no `{path}`");
    model
}

struct Poke {
    path: Vec<String>,
    at: String,
    value: f32,
    hits: usize,
}

impl ModuleMapper for Poke {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.path.join(".") != self.at {
            return param;
        }
        self.hits += 1;
        let grad = param.is_require_grad();
        param.map(|t| with_first(t.detach(), self.value).set_require_grad(grad))
    }
}

/// The tensor with its first element replaced.
pub fn with_first<const D: usize>(tensor: Tensor<D>, value: f32) -> Tensor<D> {
    let (shape, device) = (tensor.shape(), tensor.device());
    let data = tensor.into_data().convert::<f32>();
    let mut values: Vec<f32> = data.iter::<f32>().collect();
    values[0] = value;
    Tensor::from_data(TensorData::new(values, shape), &device)
}

/// The id of the parameter at `path`, and the gradient's rank there.
pub fn id_of<M: Module>(model: &M, path: &str) -> ParamId {
    struct Find {
        path: Vec<String>,
        at: String,
        id: Option<ParamId>,
    }
    impl ModuleVisitor for Find {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.path.join(".") == self.at {
                self.id = Some(param.id);
            }
        }
    }
    let mut find = Find { path: vec![], at: path.into(), id: None };
    model.visit(&mut find);
    find.id.unwrap_or_else(|| panic!("there is no `{path}`"))
}

/// The files with Rust code in a folder and those below it.
pub fn sources(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false => found.extend(path.extension().is_some_and(|e| e == "rs").then_some(path)),
        }
    }
    found
}

/// The elements of a tensor.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().iter().collect()
}
