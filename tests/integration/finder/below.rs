//! The search from below.

use evenkeel::finder::ShortRun;

use super::{geometric, search};

/// Islands of stable rates above the edge, with the default start on one of them.
#[test]
fn an_island_is_not_the_edge() {
    let (edge, islands) = (1.4e-5, [3.3e-5..4.4e-5, 2.1e-4..2.9e-4, 9e-4..5e-3]);
    for start in [1e-3, 4e-3, 2.5e-4, 3.9e-5, 1e-5, 1e-8] {
        let run = |run: &ShortRun<'_>| {
            let stable =
                run.rate <= edge || islands.iter().any(|island| island.contains(&run.rate));
            Ok::<_, ()>(geometric(run, |_| if stable { 0.99 } else { 2.0 }))
        };
        let found = search().start(start).unwrap().find(run).unwrap();
        assert!((found.rate().unwrap() / edge - 1.0).abs() < 0.03, "{start}: {found}");
        let (rate, points) = (found.rate().unwrap(), found.points());
        assert!(points.iter().all(|point| point.rate > rate || point.end.is_some()));
        // Three octaves below it were tried.
        let mut below: Vec<f64> = points.iter().map(|point| point.rate).collect();
        below.retain(|other| *other <= rate);
        below.sort_by(f64::total_cmp);
        assert!(below.iter().any(|other| *other <= rate / 8.0 * 1.02), "{found}");
        let near: Vec<f64> = below.into_iter().filter(|other| *other > rate / 8.0).collect();
        assert!(near.windows(2).all(|pair| pair[1] / pair[0] < 1.415), "{near:?}");
    }
    // What learns nothing fails, too, where a lower rate has clearly learned.
    let run = |run: &ShortRun<'_>| {
        let ratio = match run.rate {
            0.1..0.3 => 1.0,
            1.0.. => 2.0,
            _ => 0.99,
        };
        Ok::<_, ()>(geometric(run, |_| ratio))
    };
    for start in [1e-3, 0.4] {
        let found = search().start(start).unwrap().find(run).unwrap();
        assert!((found.rate().unwrap() / 0.1 - 1.0).abs() < 0.03, "{start}: {found}");
    }
    // Where none has, it is too low, or the noise of a rate that is.
    let run = |run: &ShortRun<'_>| {
        let ratio = match run.rate {
            0.1..0.3 => 1.0,
            1.0.. => 2.0,
            _ => 0.9999,
        };
        Ok::<_, ()>(geometric(run, |_| ratio))
    };
    let found = search().find(run).unwrap();
    assert!((found.rate().unwrap() - 1.0).abs() < 0.03, "{found}");
}

/// A narrow stable rate between what is too low and what is lost is found, and an edge to the last digit ends.
#[test]
fn a_search_comes_to_an_end() {
    let run = |run: &ShortRun<'_>| {
        Ok::<_, ()>(match run.rate {
            rate if rate < 1.9e-3 => vec![1.0; run.over as usize],
            rate => geometric(run, |_| if rate < 2.1e-3 { 0.9 } else { 3.0 }),
        })
    };
    let found = search().find(run).unwrap();
    assert!((found.rate().unwrap() / 2.1e-3 - 1.0).abs() < 0.03, "{found}");
    let run = |run: &ShortRun<'_>| {
        Ok::<_, ()>(geometric(run, |rate| if rate < 0.3 { 0.99 } else { 3.0 }))
    };
    let found = search().within(1e-300).unwrap().find(run).unwrap();
    let (low, high) = found.interval().unwrap();
    assert_eq!(low.to_bits() + 1, high.unwrap().to_bits());
}
