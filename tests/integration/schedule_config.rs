//! Schedules in TOML and JSON.

use evenkeel::schedule::{
    Anneal, Backoff, Constant, Cooldown, Cosine, Cyclic, Exponential, ExponentialWarmup, Geometric,
    Greedy, InverseSqrt, InverseTime, Logarithmic, MultiStep, Noam, Noise, OneCycle, Past,
    PiecewiseConstant, PiecewiseCosine, PiecewiseLinear, Plateau, Polynomial, Ramp, RangeSweep,
    Rex, Schedule, ScheduleConfig, Sequence, Step, TanhDecay, WarmRestarts, Wsd,
};
use proptest::prelude::*;

/// A text, and what it says, as a program would.
fn all() -> Vec<(&'static str, ScheduleConfig)> {
    let cosine = || Cosine::new(1.0, 0.0, 10).unwrap();
    let ramp = || Ramp::new(0.0, 1.0, 10).unwrap();
    let knots = [(2, 0.5), (9, 0.25)];
    vec![
        ("constant = 0.1", Constant::new(0.1).unwrap().into()),
        ("ramp = { from = 0.0, to = 1.0, over = 10 }", ramp().into()),
        ("ramp = { from = 0, to = 1, over = 10 }", ramp().into()),
        ("logarithmic = { from = 0.0, to = 1.0, over = 10 }", {
            Logarithmic::new(0.0, 1.0, 10).unwrap().into()
        }),
        ("exponential_warmup = { from = 0.0, to = 1.0, timescale = 3.5 }", {
            ExponentialWarmup::new(0.0, 1.0, 3.5).unwrap().into()
        }),
        ("geometric = { from = 1e-3, to = 1.0, over = 10 }", {
            Geometric::new(1e-3, 1.0, 10).unwrap().into()
        }),
        ("cosine = { from = 1.0, to = 0.0, over = 10 }", cosine().into()),
        ("cosine = { from = 1.0, to = 0.0, over = 10, exponent = 3.0, k_decay = 2.0 }", {
            cosine().exponent(3.0).unwrap().k_decay(2.0).unwrap().into()
        }),
        ("polynomial = { from = 1.0, to = 0.0, over = 9, power = 2.0, cycle = true }", {
            Polynomial::new(1.0, 0.0, 9).unwrap().power(2.0).unwrap().cycle().into()
        }),
        ("rex = { from = 1.0, to = 0.0, over = 9 }", Rex::new(1.0, 0.0, 9).unwrap().into()),
        ("tanh_decay = { from = 1.0, to = 0.0, over = 9, bounds = [-6.0, 2.0] }", {
            TanhDecay::new(1.0, 0.0, 9).unwrap().bounds((-6.0, 2.0)).unwrap().into()
        }),
        ("cooldown = { from = 1.0, to = 0.0, over = 9, shape = { exponential = 0.1 } }", {
            let cooldown = Cooldown::new(1.0, 0.0, 9).unwrap();
            cooldown.shape(Anneal::Exponential(0.1)).unwrap().into()
        }),
        ("exponential = { from = 1.0, factor = 0.5, every = 3, staircase = true, floor = 0.1 }", {
            let curve = Exponential::new(1.0, 0.5, 3).unwrap().staircase();
            curve.floor(0.1).unwrap().into()
        }),
        ("exponential = { from = 1.0, factor = 2.0, every = 3, ceiling = 9.0 }", {
            Exponential::new(1.0, 2.0, 3).unwrap().ceiling(9.0).unwrap().into()
        }),
        ("inverse_time = { from = 1.0, rate = 0.5, every = 3, staircase = true }", {
            InverseTime::new(1.0, 0.5, 3).unwrap().staircase().into()
        }),
        ("inverse_sqrt = { from = 1.0, timescale = 4 }", {
            InverseSqrt::new(1.0, 4).unwrap().into()
        }),
        ("noam = { model_size = 512, warmup = 4000, factor = 2.0 }", {
            Noam::new(512, 4000).unwrap().factor(2.0).unwrap().into()
        }),
        ("step = { from = 1.0, factor = 0.5, every = 3 }", {
            Step::new(1.0, 0.5, 3).unwrap().into()
        }),
        ("multi_step = { from = 1.0, factor = 0.5, milestones = [3, 7, 7] }", {
            MultiStep::new(1.0, 0.5, [3, 7, 7]).unwrap().into()
        }),
        ("piecewise_constant = { first = 1.0, knots = [[2, 0.5], [9, 0.25]] }", {
            PiecewiseConstant::new(1.0, knots).unwrap().into()
        }),
        ("piecewise_linear = { knots = [[2, 0.5], [9, 0.25]] }", {
            PiecewiseLinear::new(knots).unwrap().into()
        }),
        ("piecewise_cosine = { knots = [[2, 0.5], [9, 0.25]] }", {
            PiecewiseCosine::new(knots).unwrap().into()
        }),
        ("range_sweep = { scale = 'exponential', from = 1e-3, to = 1.0, over = 12, every = 4 }", {
            RangeSweep::exponential(1e-3, 1.0, 12).unwrap().staircase(4).unwrap().into()
        }),
        ("range_sweep = { scale = 'linear', from = 0.0, to = 1.0, over = 12 }", {
            RangeSweep::linear(0.0, 1.0, 12).unwrap().into()
        }),
        ("cyclic = { low = 0.1, high = 1.0, up = 3, down = 3 }", {
            Cyclic::new(0.1, 1.0, 3).unwrap().into()
        }),
        ("cyclic = { low = 0.1, high = 1.0, up = 3, down = 5, amplitude = 'triangular2' }", {
            Cyclic::new(0.1, 1.0, 3).unwrap().down(5).unwrap().triangular2().into()
        }),
        (
            "cyclic = { low = 0.1, high = 1.0, up = 3, down = 3, amplitude = { exp_range = 0.9 } }",
            { Cyclic::new(0.1, 1.0, 3).unwrap().exp_range(0.9).unwrap().into() },
        ),
        ("warm_restarts = { from = 1.0, to = 0.0, first = 5 }", {
            WarmRestarts::new(1.0, 0.0, 5).unwrap().into()
        }),
        (
            "warm_restarts = { from = 1.0, to = 0.0, first = 5, period_factor = 2.0, \
             peak_factor = 0.5, cycles = 3 }",
            {
                let curve = WarmRestarts::new(1.0, 0.0, 5).unwrap().period_factor(2.0).unwrap();
                curve.peak_factor(0.5).unwrap().cycles(3).into()
            },
        ),
        ("one_cycle = { peak = 1.0, over = 20 }", OneCycle::new(1.0, 20).unwrap().into()),
        (
            "one_cycle = { peak = 1.0, over = 20, from = 0.1, to = 0.01, peak_at = 8, \
             back_at = 15, shape = 'linear' }",
            {
                let curve = OneCycle::new(1.0, 20).unwrap().from(0.1).unwrap().to(0.01).unwrap();
                let curve = curve.peak_at(8).unwrap().back_at(15).unwrap();
                curve.shape(Anneal::Linear).unwrap().into()
            },
        ),
        ("wsd = { peak = 1.0, over = 30 }", Wsd::new(1.0, 30).unwrap().into()),
        (
            "wsd = { peak = 1.0, over = 30, warmup = 5, decay = 9, from = 0.1, to = 0.2, \
             power_law = [7, 0.5], shape = 'cosine', warmup_shape = 'one_minus_sqrt' }",
            {
                let curve = Wsd::new(1.0, 30).unwrap().warmup(5).unwrap().decay(9).unwrap();
                let curve = curve.from(0.1).unwrap().to(0.2).unwrap().inverse_sqrt(7).unwrap();
                let curve = curve.shape(Anneal::Cosine).unwrap();
                curve.warmup_shape(Anneal::OneMinusSqrt).unwrap().into()
            },
        ),
        ("plateau = { mode = 'min' }", Plateau::minimizing().into()),
        (
            "plateau = { mode = 'max', factor = 0.5, patience = 2, \
             threshold = { absolute = 0.1 }, cooldown = 3, floor = 0.01, average = 4 }",
            {
                let plateau = Plateau::maximizing().factor(0.5).unwrap().patience(2).cooldown(3);
                let plateau = plateau.absolute(0.1).unwrap().floor(0.01).unwrap();
                plateau.average(4).unwrap().into()
            },
        ),
        ("greedy = { mode = 'max' }", Greedy::maximizing().into()),
        (
            "greedy = { mode = 'min', factor = 0.5, patience = 2, threshold = { relative = 0.1 }, \
             warmup = 1, cooldown = 3, between = [0.1, 2.0], average = 4, reset_after = 5 }",
            {
                let greedy = Greedy::minimizing().factor(0.5).unwrap().patience(2).warmup(1);
                let greedy = greedy.cooldown(3).relative(0.1).unwrap().between(0.1, 2.0).unwrap();
                greedy.average(4).unwrap().reset_after(5).unwrap().into()
            },
        ),
        ("backoff = {}", Backoff::default().into()),
        ("backoff = { recover = 20 }", Backoff::recovering(20).unwrap().into()),
        (
            "[then]\nat = 10\nfirst.ramp = { from = 0.0, to = 1.0, over = 10 }\n\
             next.cosine = { from = 1.0, to = 0.0, over = 10 }",
            ramp().then(10, cosine()).into(),
        ),
        (
            "[sequence]\npast = 'cycle'\n[[sequence.phases]]\nover = 3\ncurve.constant = 0.5\n\
             [[sequence.phases]]\nover = 4\ncurve.constant = 0.25",
            {
                let phases = [(3, 0.5), (4, 0.25)].map(|(n, y)| (n, Constant::new(y).unwrap()));
                Sequence::of(phases).unwrap().past(Past::Cycle).unwrap().into()
            },
        ),
        (
            "times = [{ constant = 2.0 }, { ramp = { from = 0.0, to = 1.0, over = 10 } }]",
            Constant::new(2.0).unwrap().times(ramp()).into(),
        ),
        ("plus = [{ constant = 2.0 }, { constant = 3.0 }]", {
            Constant::new(2.0).unwrap().plus(Constant::new(3.0).unwrap()).into()
        }),
        ("mean = [{ constant = 2.0 }, { constant = 3.0 }]", {
            Constant::new(2.0).unwrap().mean(Constant::new(3.0).unwrap()).into()
        }),
        ("min = [{ constant = 2.0 }, { constant = 3.0 }]", {
            Schedule::min(Constant::new(2.0).unwrap(), Constant::new(3.0).unwrap()).into()
        }),
        ("max = [{ constant = 2.0 }, { constant = 3.0 }]", {
            Schedule::max(Constant::new(2.0).unwrap(), Constant::new(3.0).unwrap()).into()
        }),
        ("clamp = { low = 0.2, high = 0.4, of.ramp = { from = 0.0, to = 1.0, over = 10 } }", {
            Schedule::clamp(ramp(), 0.2, 0.4).unwrap().into()
        }),
        ("scale = { factor = 0.2, of.ramp = { from = 0.0, to = 1.0, over = 10 } }", {
            ramp().scale(0.2).unwrap().into()
        }),
        ("shift = { by = 5, of.ramp = { from = 0.0, to = 1.0, over = 10 } }", {
            ramp().shift(5).into()
        }),
        ("advance = { by = 5, of.ramp = { from = 0.0, to = 1.0, over = 10 } }", {
            ramp().advance(5).into()
        }),
        ("until = { at = 5, past = 'cycle', of.ramp = { from = 0.0, to = 1.0, over = 10 } }", {
            ramp().repeat(5).unwrap().into()
        }),
        (
            "stretch = { from = 10, to = 20, since = 4, of.ramp = { from = 0, to = 1, over = 10 } }",
            { ramp().stretch(10, 20).since(4).unwrap().into() },
        ),
        ("noise = { uniform = 0.1, seed = 7, from = 2, until = 9, of.constant = 1.0 }", {
            let noise = Noise::uniform(0.1).unwrap().seed(7).during(2..9);
            Constant::new(1.0).unwrap().noise(noise).into()
        }),
        ("noise = { normal = 0.1, limit = 0.2, of.constant = 1.0 }", {
            let noise = Noise::normal(0.1).unwrap().limit(0.2).unwrap();
            Constant::new(1.0).unwrap().noise(noise).into()
        }),
    ]
}

#[test]
fn a_file_says_what_a_program_says() {
    for (text, same) in all() {
        let read: ScheduleConfig = toml::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(read, same, "{text}");
        for t in (0..40).chain([u64::MAX]) {
            assert_eq!(read.at(t).to_bits(), same.at(t).to_bits(), "{text} at {t}");
        }
    }
}

#[test]
fn what_was_written_is_read_back() {
    let mut names = std::collections::BTreeSet::new();
    for (text, config) in all() {
        let written = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<ScheduleConfig>(&written).unwrap(), config, "{written}");
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ScheduleConfig>(&json).unwrap(), config, "{text}");
        names.insert(format!("{config:?}").split('(').next().unwrap().to_owned());
    }
    // All variants of the enum, of which the compiler has no list.
    assert_eq!(names.len(), 41, "{names:?}");
}

/// Where an error points, and what it says.
fn error(json: &str) -> (String, String) {
    let mut from = serde_json::Deserializer::from_str(json);
    let error = serde_path_to_error::deserialize::<_, ScheduleConfig>(&mut from).unwrap_err();
    let path = error.path().to_string();
    (path, error.into_inner().to_string())
}

#[test]
fn errors_point_to_the_field() {
    for (json, path, says) in [
        (
            r#"{"then": {"at": 5, "first": {"constant": 1}, "next": {"cosine": {"from": 1, "to": "low", "over": 9}}}}"#,
            "then.next.cosine.to",
            "invalid type: string \"low\", expected f64",
        ),
        (
            r#"{"times": [{"constant": 1}, {"step": {"from": 1, "factor": 0.5, "every": 0}}]}"#,
            "times[1].step",
            "`every` of Step must be at least 1, got 0",
        ),
        (
            r#"{"sequence": {"phases": [{"over": 1, "curve": {"constant": 1}}, {"over": -1, "curve": {"constant": 1}}]}}"#,
            "sequence.phases[1].over",
            "invalid value: integer `-1`, expected u64",
        ),
        (
            r#"{"sequence": {"past": "sometimes", "phases": []}}"#,
            "sequence.past",
            "unknown variant `sometimes`, expected one of `hold`, `cycle`, `error`",
        ),
        (r#"{"sequence": {"phases": []}}"#, "sequence", "`phases` of Sequence must be at least 1"),
        (
            r#"{"wsd": {"peak": 1.0, "over": 10, "warmup": 8, "decay": 3}}"#,
            "wsd",
            "`decay` of Wsd must be at most 2, which the warmup leaves of the run, got 3",
        ),
        (
            r#"{"scale": {"factor": 2.0, "of": {"ramp": {"from": 0, "to": 1}}}}"#,
            "scale.of.ramp",
            "missing field `over`",
        ),
        (
            r#"{"ramp": {"from": 0, "to": 1, "over": 5, "power": 2}}"#,
            "ramp.power",
            "unknown field `power`",
        ),
        (
            r#"{"noise": {"of": {"constant": 1}, "uniform": 0.1, "normal": 0.1}}"#,
            "noise",
            "noise is either `uniform`, or `normal` with or without a `limit`",
        ),
        (r#"{"noise": {"of": {"constant": 1}}}"#, "noise", "noise is either `uniform`"),
        (
            r#"{"plateau": {"mode": "min", "threshold": {"relative": -1}}}"#,
            "plateau",
            "`relative` of Plateau must be a finite number of at least 0, got -1",
        ),
        (
            r#"{"backoff": {"recover": 0}}"#,
            "backoff",
            "`over` of Backoff must be at least 1, got 0",
        ),
    ] {
        let (at, said) = error(json);
        assert_eq!(at, path, "{said}");
        assert!(said.contains(says), "{path}: {said}");
    }
    assert!(error(r#"{"cosin": {}}"#).1.contains("unknown variant `cosin`, expected one of"));
}

#[test]
fn toml_says_the_line() {
    let text =
        "[then]\nat = 5\nfirst.constant = 1.0\nnext.step = { from = 1, factor = -1, every = 2 }";
    let said = toml::from_str::<ScheduleConfig>(text).unwrap_err().to_string();
    assert!(said.contains("line 4"), "{said}");
    assert!(said.contains("`factor` of Step must be a finite number of at least 0, got -1"));
}

#[test]
fn feedback_is_read_without_memory_and_has_its_handles() {
    let text = "times = [{ constant = 1.0 }, { times = [
        { plateau = { mode = 'min', factor = 0.5, patience = 0 } },
        { greedy = { mode = 'min', factor = 0.25, patience = 0 } },
    ] }]";
    let config: ScheduleConfig = toml::from_str(text).unwrap();
    let (plateaus, greedies) = (config.plateaus(), config.greedies());
    assert_eq!((plateaus.len(), greedies.len()), (1, 1));
    let schedule = config.clone().boxed();
    plateaus[0].record(1.0).unwrap();
    plateaus[0].record(1.0).unwrap();
    assert_eq!(schedule.at(7), 0.5);
    greedies[0].record(1.0).unwrap();
    assert_eq!(schedule.at(7), 2.0);

    // The settings are written, and not what was learned; that is in the state.
    let fresh: ScheduleConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
    assert_eq!(fresh.at(7), 1.0);
    fresh.restore(&config.state()).unwrap();
    assert_eq!(fresh, config);
    assert_eq!(fresh.at(7), 2.0);
}

fn any_config() -> impl Strategy<Value = ScheduleConfig> {
    let number = || -1e3..1e3;
    let leaf = prop_oneof![
        number().prop_map(|y| Constant::new(y).unwrap().into()),
        (number(), number(), 0u64..100)
            .prop_map(|(a, b, over)| Ramp::new(a, b, over).unwrap().into()),
        (number(), number(), 0u64..100, 0.1..5.0).prop_map(|(a, b, n, q)| Cosine::new(a, b, n)
            .unwrap()
            .exponent(q)
            .unwrap()
            .into()),
        (number(), 1u64..100).prop_map(|(y, n)| OneCycle::new(y, n).unwrap().into()),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            (inner.clone(), 0u64..50, inner.clone())
                .prop_map(|(a, at, b): (ScheduleConfig, _, _)| a.then(at, b).into()),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b): (ScheduleConfig, ScheduleConfig)| a.times(b).into()),
            (inner.clone(), 1u64..50)
                .prop_map(|(a, n): (ScheduleConfig, _)| a.repeat(n).unwrap().into()),
            (inner, 0u64..50, 0u64..50)
                .prop_map(|(a, from, to): (ScheduleConfig, _, _)| a.stretch(from, to).into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_nesting_survives_both_formats(config in any_config()) {
        let json = serde_json::to_string(&config).unwrap();
        let toml = toml::to_string(&config).unwrap();
        prop_assert_eq!(&serde_json::from_str::<ScheduleConfig>(&json).unwrap(), &config);
        prop_assert_eq!(&toml::from_str::<ScheduleConfig>(&toml).unwrap(), &config);
    }
}
