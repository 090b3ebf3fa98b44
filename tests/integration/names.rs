//! A user's file imports Burn's globs and ours: no name may stand for two things.
#![allow(unused_imports)]

mod beside_burn {
    use burn::nn::*;
    use burn::optim::*;
    use burn::prelude::*;
    use evenkeel::advise::*;
    use evenkeel::average::*;
    use evenkeel::chart::*;
    use evenkeel::checkpoint::*;
    use evenkeel::clip::*;
    use evenkeel::curvature::*;
    use evenkeel::doctor::*;
    #[cfg(feature = "faults")]
    use evenkeel::faults::*;
    use evenkeel::finder::*;
    use evenkeel::guard::*;
    use evenkeel::monitor::*;
    use evenkeel::precision::*;
    use evenkeel::record::*;
    use evenkeel::schedule::*;
    use evenkeel::standardize::*;
    use evenkeel::*;

    /// Naming each once makes the compiler look it up in all of the globs above: one that Burn has
    /// too is an error here.
    #[allow(dead_code, clippy::type_complexity, clippy::too_many_arguments)]
    fn each_name_is_ours_alone<
        M: Module,
        A: Schedule,
        B: Schedule,
        G: Guard,
        C: Clip,
        P: Persist,
    >(
        _: (Keel<M>, Stepped<M>, Halted<M>, Builder<M>, Rewind, Rewound, Incident, Incidents),
        _: (Sharpness, Lanczos, CriticalRate, Diagonal, Governor),
        _: (Percentile, ZScore, StableRate<'_>, StableRange, Edge, Tried, ShortRun<'_>),
        _: (LrFinder, LrRange, ShortSweep, Sweep, Suggestion, Estimate, Refusal, Progress),
        _: (Reading, Layers, Fault, Verdict, Report, Culprit, Part),
        _: (
            Then<A, B>,
            Times<A, B>,
            Plus<A, B>,
            Min<A, B>,
            Max<A, B>,
            Clamp<A>,
            Scale<A>,
            Shift<A>,
        ),
        _: (Mean<A, B>, Sequence<A>, Advance<A>, Until<A>, Past, Stretch<A>, Noise, Noisy<A>),
        _: (Constant, Ramp, Cosine, Step, Scheduler<A>, Rate<'_>, Boxed),
        _: (Logarithmic, ExponentialWarmup, Geometric, Polynomial, Rex, TanhDecay, Cooldown),
        _: (Exponential, InverseTime, InverseSqrt, Noam, MultiStep, Cyclic, WarmRestarts, Wsd),
        _: (PiecewiseConstant, PiecewiseLinear, PiecewiseCosine, RangeSweep, OneCycle, Anneal),
        _: (Plateau, Greedy, Backoff, Setback, GroupScheduler, Run, Time, Preview<'_, A>),
        _: (NonFinite, LossSpike, NormSpike, Divergence, Stall, LayerLimit, UpdateRatio),
        _: (
            Answering<G>,
            Escalating<G>,
            GlobalNorm,
            ParameterNorm,
            ModuleNorm,
            Percentile,
            ZScore,
            AdaGc,
            Ema,
            Swa,
            LossScale,
        ),
        _: (State, Checkpoint, CheckpointDir, Found),
        _: (Probe, Watched, Blame, Origin, Watch, Observation),
        _: (Standardize, Moments, Quantiles),
        _: (Advisor<'_, ()>, Advice, Stage<'_>, Objective, Outcome, Point, Recipe, Method, Bound),
        _: (Change, Safety, Worth, Predictor<'_, (), (), 2>),
        _: (Doctor, Diagnosis, Finding, Check, Severity, Saturation),
        _: (Entry, History, Logbook, LogbookBuilder, Overview<'_>, Chart, FindingKind),
        _: (LineChart, Series, Axis, Sheet),
        _: (G, C, P),
        _: impl Sink,
    ) {
        #[cfg(feature = "record")]
        let _: (Option<JsonLines>, Option<Csv>) = (None, None);
        #[cfg(feature = "tensorboard")]
        let _: Option<TensorBoard> = None;
        #[cfg(feature = "progress")]
        let _: Option<ProgressBar> = None;
        let _: fn(_) -> Plot = Plot::over;
        #[cfg(feature = "serde")]
        let _: fn(ScheduleConfig) -> Boxed = Schedule::boxed;
        let _ = scale::<M>;
        let _ =
            (html as fn(&History) -> String, findings as fn(&History) -> Vec<Finding<FindingKind>>);
        let _ = measure::<M>;
        let _ = |model: M| refresh_statistics(&model, [(); 0], |_: &M, ()| {});
        let _ = |model: M| blame(&model, |_: &M, _: &Probe| unreachable!());
    }
    #[cfg(feature = "faults")]
    #[allow(dead_code)]
    fn each_name_of_the_kit_is_ours_alone<T: Trainee>(
        _: (Injector, Injected, Harm, Place, When, Fingerprint, Broken, Trouble),
    ) {
        let _ = |make: fn() -> T, faults: Injector| {
            let _ = survives(make, 1, &faults);
            let _ = leaves_no_trace(make, 1, &faults);
            let _ = resumes_exactly(make, 1, 0, &faults);
        };
    }
}
