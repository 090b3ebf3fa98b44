//! A choice among plans that only the device can make.
//!
//! If a step is decided on the device, the host does not know how many updates a tensor has seen, and so which bias
//! correction is due. It makes a plan for every possible number, and the device picks one by its own count.

use std::cell::RefCell;
use std::collections::HashMap;

use burn::tensor::{DType, Device, Int, Tensor};

use super::plan::Plan;
use crate::flag::Flag;

/// The plans for a tensor: one, or one for each number of updates that it may have seen.
#[derive(Clone, Copy)]
pub(crate) enum Plans<'a> {
    One(&'a Plan),
    /// Never empty.
    Any(&'a [Plan], &'a Picker),
}

impl<'a> Plans<'a> {
    pub(super) fn first(self) -> &'a Plan {
        match self {
            Self::One(plan) => plan,
            Self::Any(plans, _) => &plans[0],
        }
    }

    #[cfg(feature = "cube")]
    pub(super) fn all(self) -> &'a [Plan] {
        match self {
            Self::One(plan) => std::slice::from_ref(plan),
            Self::Any(plans, _) => plans,
        }
    }

    pub(super) fn picker(self) -> Option<&'a Picker> {
        match self {
            Self::One(_) => None,
            Self::Any(_, picker) => Some(picker),
        }
    }

    /// Returns the choice among plans of one kind, with numbers for a tensor at `at`.
    pub(super) fn choice<P: Copy>(
        self,
        at: (&Device, DType),
        of: impl Fn(&Plan) -> Option<P>,
    ) -> Choice<'a, P> {
        let (plans, picker) = match self {
            Self::One(plan) => (of(plan).into_iter().collect(), None),
            Self::Any(plans, picker) => (plans.iter().filter_map(of).collect(), Some(picker)),
        };
        Choice { plans, picker, device: at.0.clone(), wide: at.1 }
    }
}

/// Plans of one kind.
pub(super) struct Choice<'a, P> {
    plans: Vec<P>,
    picker: Option<&'a Picker>,
    device: Device,
    wide: DType,
}

impl<P: Copy> Choice<'_, P> {
    /// Returns the part of the gradient's factor that only the device knows.
    pub(super) fn factor(&self) -> Option<Number> {
        let factor = self.picker?.factor()?.clone();
        let factor = match factor.device() == self.device {
            true => factor,
            false => factor.to_device(&self.device),
        };
        Some(Number::Picked(Box::new(factor.cast(self.wide))))
    }

    pub(super) fn first(&self) -> P {
        self.plans[0]
    }

    /// Returns a number of the plan: known if it is the same in all plans.
    pub(super) fn number(&self, of: impl Fn(&P) -> f64) -> Number {
        let first = of(&self.plans[0]);
        match self.picker {
            Some(picker) if self.plans.iter().any(|plan| of(plan) != first) => {
                let values = self.plans.iter().map(of).collect();
                Number::Picked(Box::new(picker.pick(values, &self.device, self.wide)))
            }
            _ => Number::Known(first),
        }
    }
}

/// A number of a plan.
pub(super) enum Number {
    Known(f64),
    /// A tensor of one element.
    Picked(Box<Tensor<1>>),
}

impl Number {
    pub(super) fn times<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Known(x) => tensor * *x,
            Self::Picked(x) => tensor * x.as_ref().clone().reshape([1; D]),
        }
    }

    pub(super) fn plus<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Known(x) => tensor + *x,
            Self::Picked(x) => tensor + x.as_ref().clone().reshape([1; D]),
        }
    }

    pub(super) fn at_least<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Known(x) => tensor.clamp_min(*x),
            Self::Picked(x) => {
                let x = x.as_ref().clone().reshape([1; D]).expand(tensor.shape());
                tensor.max_pair(x)
            }
        }
    }

    /// Clamps the tensor to this number on both sides of 0.
    pub(super) fn within<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Known(x) => tensor.clamp(-x, *x),
            Self::Picked(x) => {
                let x = x.as_ref().clone().reshape([1; D]).expand(tensor.shape());
                tensor.min_pair(x.clone()).max_pair(-x)
            }
        }
    }
}

/// Picks numbers by a count on the device, and holds what else about the update only the device knows.
pub(crate) struct Picker {
    count: Tensor<1, Int>,
    /// Additional factor on the gradient.
    factor: Option<Tensor<1>>,
    /// Whether anything changes at all.
    counts: Option<Flag>,
    #[cfg(feature = "cube")]
    controls: RefCell<Vec<(Device, Tensor<1>)>>,
    /// Numbers picked so far: most tensors of a model need the same ones.
    picked: RefCell<HashMap<(Vec<u64>, DType), Tensor<1>>>,
}

impl Picker {
    pub(crate) fn new(count: Tensor<1, Int>) -> Self {
        Self {
            count,
            factor: None,
            counts: None,
            #[cfg(feature = "cube")]
            controls: RefCell::default(),
            picked: RefCell::default(),
        }
    }

    /// Adds a factor on the gradient, and a flag without which nothing changes.
    pub(crate) fn gated(self, factor: Option<Tensor<1>>, counts: Flag) -> Self {
        Self { factor, counts: Some(counts), ..self }
    }

    pub(super) fn factor(&self) -> Option<&Tensor<1>> {
        self.factor.as_ref()
    }

    pub(super) fn counts(&self) -> Option<&Flag> {
        self.counts.as_ref()
    }

    /// Returns what a kernel has to know: the count, the factor, and 1 if the update counts, otherwise 0.
    #[cfg(feature = "cube")]
    pub(super) fn control(&self, device: &Device) -> Tensor<1> {
        let mut controls = self.controls.borrow_mut();
        if let Some((_, control)) = controls.iter().find(|(there, _)| there == device) {
            return control.clone();
        }
        let count = self.count.clone().float().cast(DType::F32);
        let here = |tensor: &Tensor<1>| match tensor.device() == count.device() {
            true => tensor.clone().cast(DType::F32),
            false => tensor.clone().to_device(&count.device()).cast(DType::F32),
        };
        let factor = self.factor.as_ref().map_or_else(|| count.ones_like(), here);
        let counts = self.counts.as_ref().map(|counts| here(&counts.number(DType::F32)));
        let counts = counts.unwrap_or_else(|| count.ones_like());
        let control = Tensor::cat(vec![count.clone(), factor, counts], 0);
        let control = match control.device() == *device {
            true => control,
            false => control.to_device(device),
        };
        controls.push((device.clone(), control.clone()));
        control
    }

    /// Returns the element of `values` at the index of the count.
    fn pick(&self, values: Vec<f64>, device: &Device, wide: DType) -> Tensor<1> {
        let bits = values.iter().map(|value| value.to_bits()).collect();
        let mut picked = self.picked.borrow_mut();
        let number = picked.entry((bits, wide)).or_insert_with(|| {
            let table = Tensor::<1>::from_data(values.as_slice(), (&self.count.device(), wide));
            table.select(0, self.count.clone())
        });
        match number.device() == *device {
            true => number.clone(),
            false => number.clone().to_device(device),
        }
    }
}
