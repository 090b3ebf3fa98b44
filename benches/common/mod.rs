//! Paired timings: two implementations timed in turn, in one process, so that changes in the machine's speed affect
//! both.
#![allow(dead_code)]

use std::time::{Duration, Instant};

use burn::tensor::Device;

/// The result of a paired timing.
pub struct Paired {
    pub ours: f64,
    pub theirs: f64,
    /// Minimum, median and maximum of the ratios ours/theirs, pair by pair.
    pub ratio: [f64; 3],
    pub pairs: usize,
}

/// Times `ours` and `theirs` in turn for about `budget`, after `warmup` untimed pairs. Each closure prepares what it
/// needs and returns the time of the part to be measured.
pub fn paired(
    warmup: usize,
    budget: Duration,
    mut ours: impl FnMut() -> Duration,
    mut theirs: impl FnMut() -> Duration,
) -> Paired {
    for _ in 0..warmup {
        ours();
        theirs();
    }
    let begun = Instant::now();
    let (mut a, mut b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    while a.len() < 5 || (begun.elapsed() < budget && a.len() < 2000) {
        // The order alternates from pair to pair: the second one finds the caches filled by the first.
        let (x, y) = match a.len() % 2 {
            0 => {
                let x = ours();
                (x, theirs())
            }
            _ => {
                let y = theirs();
                (ours(), y)
            }
        };
        a.push(x.as_secs_f64());
        b.push(y.as_secs_f64());
        ratios.push(x.as_secs_f64() / y.as_secs_f64());
    }
    let pairs = a.len();
    let (ours, theirs) = (median(&mut a), median(&mut b));
    let middle = median(&mut ratios);
    Paired { ours, theirs, ratio: [ratios[0], middle, ratios[pairs - 1]], pairs }
}

/// Sorts the values and returns the median.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns the result of `work` and the time that it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed())
}

/// Prints one case, for readers and for programs.
pub fn report(bench: &str, case: &str, paired: &Paired) {
    let Paired { ours, theirs, ratio: [least, middle, greatest], pairs } = paired;
    println!(
        "{case:<28} {:>10.3} ms {:>10.3} ms   {middle:.3}  ({least:.3} … {greatest:.3}, {pairs} pairs)",
        ours * 1e3,
        theirs * 1e3,
    );
    println!(
        "bench {bench} {} ours={ours:.6e} theirs={theirs:.6e} ratio={middle:.4}",
        case.replace(' ', "_")
    );
}

/// The heading of the table that [`report`] fills.
pub fn heading(ours: &str, theirs: &str) {
    println!("ours: {ours}\ntheirs: {theirs}\n");
    println!("{:<28} {:>13} {:>13}   ratio  (least … greatest)", "case", "ours", "theirs");
}

/// The value after `--name` on the command line.
pub fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != name).nth(1)
}

/// The device selected by `--device`; Flex by default.
pub fn device() -> Device {
    match argument("--device").as_deref() {
        None | Some("flex") => Device::flex(),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)]
        Some("ndarray") => Device::ndarray(),
        #[cfg(feature = "wgpu")]
        Some("wgpu") => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "cuda")]
        Some("cuda") => Device::cuda(0),
        Some(other) => panic!("`{other}` is not a device of this build"),
    }
}
