//! The parameters, before any data.

use std::collections::{HashMap, HashSet};

use super::finding::{Check, Finding, Severity, named};
use super::look::Parameter;

/// Whether the layer normalizes, by its name.
fn normalizes(layer: &str) -> bool {
    layer.contains("Norm")
}

/// The number of layers with a weight matrix from which a model counts as deep.
const DEEP: usize = 8;

pub(super) fn check(parameters: &[Parameter]) -> Vec<Finding> {
    [
        shared(parameters),
        equal(parameters),
        empty(parameters),
        zero(parameters),
        frozen(parameters),
        not_normalized(parameters),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn groups<'a, K: std::hash::Hash + Eq>(
    parameters: impl Iterator<Item = &'a Parameter>,
    key: impl Fn(&Parameter) -> K,
) -> Vec<Vec<&'a Parameter>> {
    let mut index: HashMap<K, usize> = HashMap::new();
    let mut groups: Vec<Vec<&Parameter>> = Vec::new();
    for parameter in parameters {
        let at = *index.entry(key(parameter)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(parameter),
            None => groups.push(vec![parameter]),
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

fn places(groups: &[Vec<&Parameter>]) -> String {
    let paths = |group: &Vec<&Parameter>| {
        group.iter().map(|p| p.path.as_str()).collect::<Vec<_>>().join(" = ")
    };
    named(groups.iter().map(paths))
}

fn shared(parameters: &[Parameter]) -> Option<Finding> {
    let groups = groups(parameters.iter(), |p| p.id);
    (!groups.is_empty()).then(|| {
        Finding::new(
            Check::SharedParameter,
            (groups.len() as f64, 0.0, Severity::Warning),
            format!("one parameter at several places: {}", places(&groups)),
            "make each layer with its own `init`: a clone keeps the id, and Burn then takes both for \
             one. If the weights are tied on purpose, all is well",
        )
    })
}

/// Weight matrices only: biases usually start equal.
fn equal(parameters: &[Parameter]) -> Option<Finding> {
    let random = parameters.iter().filter(|p| p.trainable && p.is_matrix() && !p.zero);
    let mut groups = groups(random, |p| (p.shape.clone(), p.bits));
    groups.retain(|group| group.iter().any(|p| p.id != group[0].id));
    (!groups.is_empty()).then(|| {
        Finding::new(
            Check::EqualParameters,
            (groups.len() as f64, 0.0, Severity::Warning),
            format!("weights that start equal: {}", places(&groups)),
            "draw each by itself; seeding the device before every layer makes them the same",
        )
    })
}

fn empty(parameters: &[Parameter]) -> Option<Finding> {
    let empty = parameters.iter().filter(|p| p.elements() == 0).map(|p| p.path.as_str());
    let empty: Vec<&str> = empty.collect();
    (!empty.is_empty()).then(|| {
        Finding::new(
            Check::EmptyParameter,
            (empty.len() as f64, 0.0, Severity::Severe),
            format!("parameters without an element: {}", named(empty)),
            "look at the sizes that these layers were made with",
        )
    })
}

fn zero(parameters: &[Parameter]) -> Option<Finding> {
    let zero = parameters.iter().filter(|p| p.trainable && p.is_matrix() && p.zero);
    let zero: Vec<&str> = zero.map(|p| p.path.as_str()).collect();
    let severity = match zero.len() {
        // A single one may be a last layer or a residual branch, initialized to 0 on purpose.
        1 => Severity::Note,
        _ => Severity::Warning,
    };
    (!zero.is_empty()).then(|| {
        Finding::new(
            Check::ZeroWeights,
            (zero.len() as f64, 0.0, severity),
            format!("weights that are all 0: {}", named(zero)),
            "right for the end of a residual branch; elsewhere nothing before it gets a gradient",
        )
    })
}

fn frozen(parameters: &[Parameter]) -> Option<Finding> {
    let trainable = parameters.iter().filter(|p| p.trainable).count();
    (trainable == 0).then(|| {
        Finding::new(
            Check::NothingTrains,
            (0.0, 1.0, Severity::Severe),
            format!("none of {} parameters asks for a gradient", parameters.len()),
            "make the model on a device with `.autodiff()`, and train it, not its `valid()` copy",
        )
    })
}

fn not_normalized(parameters: &[Parameter]) -> Option<Finding> {
    let depth = depth(parameters);
    let normalized = parameters.iter().any(|p| normalizes(&p.layer));
    (depth >= DEEP && !normalized).then(|| {
        Finding::new(
            Check::NoNormalization,
            (depth as f64, DEEP as f64, Severity::Warning),
            format!("{depth} layers with weights and none that normalizes"),
            "LayerNorm or RmsNorm before each block, or BatchNorm after each convolution",
        )
    })
}

/// The number of layers with a trainable weight matrix.
fn depth(parameters: &[Parameter]) -> usize {
    let matrices = parameters.iter().filter(|p| p.trainable && p.is_matrix());
    matrices.map(|p| p.level.as_str()).collect::<HashSet<_>>().len()
}

/// The number of trainable weight matrices.
pub(super) fn matrices(parameters: &[Parameter]) -> usize {
    parameters.iter().filter(|p| p.trainable && p.is_matrix()).count()
}

/// Fewer than 8 values for each statistic; severe for one. The statistics of a convolution include its pixels.
pub(super) fn small_batch(parameters: &[Parameter], rows: usize, pixels: usize) -> Option<Finding> {
    let norms = parameters.iter().filter(|p| p.layer == "Struct:BatchNorm").count();
    let values = rows * pixels;
    let severity = if values < 2 { Severity::Severe } else { Severity::Warning };
    (norms > 0 && values < 8).then(|| {
        Finding::new(
            Check::SmallBatch,
            (values as f64, 8.0, severity),
            format!("BatchNorm takes its statistics from {values} values"),
            "larger batches, or GroupNorm or LayerNorm, which do not look at other rows",
        )
    })
}
