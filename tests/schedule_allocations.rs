//! Asking a schedule allocates nothing, whatever it is made of.

#[path = "integration/common/catalogue.rs"]
mod catalogue;

use allocation_counter::measure;
use evenkeel::schedule::{Cosine, Noise, Plateau, Ramp, Schedule};

#[test]
fn a_step_allocates_nothing() {
    for (name, curve) in catalogue::all() {
        let mut schedule = curve.start();
        schedule.back_off(0.5).unwrap();
        let mut finite = true;
        let counted = measure(|| {
            for begin in [0, 1 << 40] {
                schedule.seek(begin);
                finite &= (0..100).all(|_| schedule.step().is_finite());
            }
        });
        assert!(finite, "{name}");
        assert_eq!(counted.count_total, 0, "{name}");
    }
}

/// Five deep, of types known to the compiler.
#[test]
fn a_composition_allocates_nothing() {
    let plateau = Plateau::minimizing();
    let warm = Ramp::new(0.0, 1.0, 50).unwrap();
    let curve = warm
        .then(50, Cosine::new(1.0, 0.0, 500).unwrap().noise(Noise::uniform(0.1).unwrap()))
        .times(plateau)
        .scale(0.1)
        .unwrap();
    let mut schedule = Schedule::clamp(curve, 0.0, 1.0).unwrap().start();
    let counted = measure(|| (0..1000).for_each(|_| drop(schedule.step())));
    assert_eq!(counted.count_total, 0);
    // The counter counts.
    assert_eq!(measure(|| drop(vec![0u8; 10])).count_total, 1);
}
