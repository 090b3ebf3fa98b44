//! A run in bounded memory: what is kept of it.

use evenkeel::Verdict;
use evenkeel::record::{Entry, History};
use proptest::prelude::*;

/// How a step of the tests ends, and its numbers.
fn entry(attempt: u64, (verdict, loss, norm, rich): (u8, f64, f64, bool)) -> Entry {
    let entry = Entry::new(attempt, attempt / 2).value("loss", loss).value("grad_norm", norm);
    let entry = if rich { entry.value("param_norm", attempt as f64) } else { entry };
    match verdict {
        0 => entry.not_applied(Verdict::Skip, format!("skip {attempt}")),
        1 => entry.not_applied(Verdict::Rewind, format!("rewind {attempt}")),
        2 => entry.not_applied(Verdict::Halt, format!("halt {attempt}")),
        _ => entry,
    }
}

fn steps() -> impl Strategy<Value = Vec<Entry>> {
    let loss = prop_oneof![9 => -1e3..1e3, 1 => prop::sample::select(vec![
        f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -0.0, 0.0,
    ])];
    // Calm runs, and those in which every fourth step fails.
    (4u8..200)
        .prop_flat_map(move |calm| {
            let step = (0..calm, loss.clone(), 0.0..10.0f64, prop::bool::weighted(0.1));
            prop::collection::vec(step, 1..3000)
        })
        .prop_map(|steps| (0..).zip(steps).map(|(at, step)| entry(at, step)).collect())
}

fn pushed(capacity: usize, steps: &[Entry]) -> History {
    let mut history = History::new(capacity).unwrap();
    for (k, step) in steps.iter().enumerate() {
        history.push(step);
        assert!(history.len() <= capacity, "{} after {k}", history.len());
    }
    history
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_kept_is_bounded_and_tells_the_run(capacity in 32usize..300, steps in steps()) {
        let history = pushed(capacity, &steps);
        let kept: Vec<&Entry> = history.entries().collect();
        prop_assert_eq!(kept.len(), history.len());
        prop_assert_eq!(history.steps(), steps.len() as u64);
        prop_assert!(kept.is_sorted_by(|a, b| a.attempt < b.attempt), "in order, each once");
        prop_assert!(kept.iter().all(|entry| **entry == steps[entry.attempt as usize]), "as they were");

        prop_assert_eq!(kept[0].attempt, 0);
        let latest = steps.len().saturating_sub(capacity / 4);
        prop_assert!(kept[kept.len() - (steps.len() - latest)..].iter().copied().eq(&steps[latest..]));
        if steps.len() <= capacity / 4 {
            prop_assert!(history.entries().eq(&steps));
        }

        for name in ["loss", "grad_norm"] {
            let finite = |entries: &mut dyn Iterator<Item = &Entry>| {
                let applied = entries.filter(|entry| entry.verdict == Verdict::Apply);
                let values = applied.filter_map(|entry| entry.get(name)).filter(|x| x.is_finite());
                let values: Vec<f64> = values.collect();
                (values.iter().copied().reduce(f64::min), values.iter().copied().reduce(f64::max))
            };
            prop_assert_eq!(finite(&mut history.entries()), finite(&mut steps.iter()), "{}", name);
        }

        let incidents: Vec<&Entry> =
            steps.iter().filter(|entry| entry.verdict != Verdict::Apply).collect();
        for verdict in [Verdict::Apply, Verdict::Skip, Verdict::Rewind, Verdict::Halt] {
            let all = steps.iter().filter(|entry| entry.verdict == verdict).count();
            prop_assert_eq!(history.count(verdict), all as u64);
        }
        let kept: Vec<&Entry> = history.incidents().collect();
        if incidents.len() <= capacity / 4 {
            prop_assert_eq!(&kept, &incidents, "all, while there are few");
        }
        let worst = |of: &[&Entry]| of.iter().map(|entry| entry.verdict).max();
        prop_assert_eq!(worst(&kept), worst(&incidents));
    }
}

#[test]
fn a_long_run_is_kept_evenly_with_its_spikes_and_what_was_sampled() {
    let steps: Vec<Entry> = (0..100_000)
        .map(|k| {
            let loss = if k % 9973 == 5000 { 50.0 + k as f64 } else { 1.0 / (1.0 + k as f64) };
            let verdict = if k % 10_000 == 7777 { 0 } else { 9 };
            // Sampled at a pace that no power of two falls in with.
            entry(k, (verdict, loss, 1.0 + (k as f64).sin(), k % 10 == 3))
        })
        .collect();
    let history = pushed(400, &steps);
    let attempts: Vec<u64> = history.entries().map(|entry| entry.attempt).collect();
    let gap = attempts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(gap <= 100_000 / 400 * 20, "a gap of {gap}");
    let losses = history.series("loss");
    for spike in (0..100_000).filter(|k| k % 9973 == 5000) {
        assert!(losses.contains(&(spike, 50.0 + spike as f64)), "the spike at {spike}");
    }
    assert_eq!(history.incidents().count(), 10);
    let sampled = history.series("param_norm");
    let gap = sampled.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap();
    assert!(sampled.len() >= 20 && gap <= 100_000 / 400 * 40, "{} samples, {gap}", sampled.len());
    assert!(sampled.iter().all(|(attempt, value)| *attempt as f64 == *value));
}

#[test]
fn incidents_beyond_the_bound_leave_the_severe_ones() {
    let steps: Vec<Entry> = (0..5000)
        .map(|k| entry(k, (u8::from(matches!(k, 700 | 2100 | 3501)), 1.0, 1.0, false)))
        .collect();
    let history = pushed(64, &steps);
    let rewinds: Vec<u64> = history
        .incidents()
        .filter(|entry| entry.verdict == Verdict::Rewind)
        .map(|entry| entry.attempt)
        .collect();
    assert_eq!(rewinds, [700, 2100, 3501]);
    assert_eq!(history.count(Verdict::Skip), 4997);
    let attempts: Vec<u64> = history.incidents().map(|entry| entry.attempt).collect();
    let gap = attempts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(gap <= 2 * 5000 / 13, "skips from the whole run: {attempts:?}");
}

/// A hundred layers, sampled now and then: what 5 thousand steps need, 50 thousand need.
#[test]
fn memory_does_not_grow_with_the_run() {
    let used = |steps: u64| {
        let measured = allocation_counter::measure(|| {
            let mut history = History::new(256).unwrap();
            for k in 0..steps {
                let mut step = entry(k, (if k % 100 == 50 { 0 } else { 9 }, 1.0, 1.0, k % 7 == 0));
                for layer in 0..if k % 7 == 0 { 100 } else { 0 } {
                    step = step.value(&format!("grad_norm/layers.{layer}.weight"), k as f64);
                }
                history.push(&step);
            }
        });
        measured.bytes_max
    };
    let (short, long) = (used(5_000), used(50_000));
    assert!(long as f64 <= 1.1 * short as f64, "{short} bytes, then {long}");
    // Values of 8 bytes, and the names once.
    assert!(long < 256 * 1600, "{long} bytes: names are held more than once");
}

#[test]
fn names_come_in_the_order_of_their_first_appearance() {
    let mut history = History::new(32).unwrap();
    history.push(&Entry::new(0, 0).value("loss", 1.0).value("lr", 0.1));
    history.push(&Entry::new(1, 1).value("lr", 0.1).value("a", 1.0));
    history.push(&Entry::new(2, 2).value("a", 0.1).value("b", 1.0).value("loss", 2.0));
    assert!(history.names().eq(["loss", "lr", "a", "b"]));
    assert_eq!(history.series("a"), [(1, 1.0), (2, 0.1)]);
    assert_eq!(history.series("none"), []);
}

#[test]
fn clipped_steps_are_counted_if_they_were_applied() {
    let mut history = History::default();
    history.push(&Entry::new(0, 0).value("factor", 0.5));
    history.push(&Entry::new(1, 1).value("factor", 1.0));
    history.push(&Entry::new(2, 2).value("factor", 0.1).not_applied(Verdict::Skip, "x"));
    history.push(&Entry::new(3, 2));
    assert_eq!(history.clipped(), 1);
    assert!(History::default().is_empty() && !history.is_empty());
}
