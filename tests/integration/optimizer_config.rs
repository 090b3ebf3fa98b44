//! Optimizers in TOML.

use burn::tensor::Device;
use evenkeel::optim::{
    AdaBelief, Adam, AdamW, Adamax, Adopt, HyperParam, Momentum, NAdam, OptimizerConfig,
    ParamGroups, RAdam, Rule, ScheduleFreeAdamW, ScheduleFreeSgd, Sgd, Spam,
};
use evenkeel::schedule::{Ramp, ScheduleConfig};

use crate::common::{Batch, Net, bits};

/// What a file says, what it says in a program, and how it is written again where that differs.
type Case = (&'static str, OptimizerConfig, ParamGroups);

fn case(text: &'static str, rule: impl Rule + Clone + Into<OptimizerConfig>) -> Case {
    (text, rule.clone().into(), ParamGroups::new(rule))
}

fn ramp() -> HyperParam {
    ScheduleConfig::from(Ramp::new(0.5, 0.9, 4).unwrap()).into()
}

fn spam() -> Spam {
    Spam::default().threshold(2.0).unwrap().reset_every(3).unwrap().warmup(2)
}

fn all() -> Vec<Case> {
    let momentum = |mu: f64| Momentum::new(mu).unwrap();
    vec![
        case("[sgd]\n", Sgd::new()),
        case(
            "[sgd]\nweight_decay = 0.1\ndecoupled = true\ncentralized = true\nmaximize = true\n",
            Sgd::new().weight_decay(0.1).unwrap().decoupled().centralized().maximize(),
        ),
        case("[momentum]\nmomentum = 0.9\n", momentum(0.9)),
        case(
            "[momentum]\nmomentum = 0.5\ndampening = 0.1\nnesterov = true\nweight_decay = 0.5\n\
             decay_matrices_only = true\n",
            momentum(0.5)
                .dampening(0.1)
                .unwrap()
                .nesterov()
                .weight_decay(0.5)
                .unwrap()
                .decay_matrices_only(),
        ),
        case(
            "[momentum.momentum.ramp]\nfrom = 0.5\nto = 0.9\nover = 4\n",
            Momentum::new(ramp()).unwrap(),
        ),
        case("[adam]\n", Adam::new()),
        case(
            "[adam]\nbeta_1 = 0.8\nbeta_2 = 0.9\nepsilon = 0.01\nweight_decay = 0.1\n\
             bias_correction = false\namsgrad = true\n",
            Adam::new()
                .beta_1(0.8)
                .unwrap()
                .beta_2(0.9)
                .unwrap()
                .epsilon(0.01)
                .unwrap()
                .weight_decay(0.1)
                .unwrap()
                .without_bias_correction()
                .amsgrad(),
        ),
        case("[adamw]\n", AdamW::new()),
        case("[adamw]\nweight_decay = 0.0\n", AdamW::new().weight_decay(0.0).unwrap()),
        case(
            "[adamw]\ndecoupled = false\nupdate_rms_at_most = 0.5\ngradient_start = true\n\
             cautious = true\n",
            AdamW::new().coupled().update_rms_at_most(0.5).unwrap().gradient_start().cautious(),
        ),
        case(
            "[adamw.spam]\nthreshold = 2.0\nreset_every = 3\nwarmup = 2\n",
            AdamW::new().spam(spam()),
        ),
        case("[nadam]\nmomentum_decay = 0.1\n", NAdam::new().momentum_decay(0.1).unwrap()),
        case("[radam]\nbeta_2 = 0.7\n", RAdam::new().beta_2(0.7).unwrap()),
        case("[adabelief]\nmaximize = true\n", AdaBelief::new().maximize()),
        case("[adamax]\ncentralized = true\n", Adamax::new().centralized()),
        case("[adopt]\nbound = false\n", Adopt::new().without_bound()),
        case(
            "[schedule_free_sgd]\nbeta = 0.5\nweight_decay = 0.1\nweight_power = 1.0\n",
            ScheduleFreeSgd::new()
                .beta(0.5)
                .unwrap()
                .weight_decay(0.1)
                .unwrap()
                .weight_power(1.0)
                .unwrap(),
        ),
        case(
            "[schedule_free_adamw]\nbeta_2 = 0.9\nepsilon = 0.01\ndecay_matrices_only = true\n",
            ScheduleFreeAdamW::new()
                .beta_2(0.9)
                .unwrap()
                .epsilon(0.01)
                .unwrap()
                .decay_matrices_only(),
        ),
    ]
}

/// A model after five updates.
fn trained(mut optimizer: ParamGroups) -> Vec<(String, Vec<u64>)> {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    for step in 0..5 {
        let (_, grads) = net.backward(Batch::number(step, &device));
        net = optimizer.step(0.01, net, grads);
    }
    bits(&net)
}

#[test]
fn what_is_written_trains_as_what_is_built() {
    let plain = trained(ParamGroups::new(Sgd::new()));
    for (text, config, built) in all() {
        let read: OptimizerConfig = toml::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let expected = trained(built);
        assert!(text == "[sgd]\n" || expected != plain, "{text}");
        assert_eq!(trained(read.clone().groups()), expected, "{text}");
        assert_eq!(trained(config.clone().groups()), expected, "{text}");
        // Only what differs from the defaults is written, and all of it.
        assert_eq!(toml::to_string(&config).unwrap(), text);
        assert_eq!(toml::to_string(&read).unwrap(), text);
    }
}

#[test]
fn a_rule_is_read_by_itself() {
    let read: AdamW = toml::from_str("cautious = true\nbeta_1 = 0.5").unwrap();
    let built = AdamW::new().cautious().beta_1(0.5).unwrap();
    assert_eq!(trained(ParamGroups::new(read)), trained(ParamGroups::new(built)));
    // A whole number is a number.
    let read: Sgd = toml::from_str("weight_decay = 1").unwrap();
    let built = Sgd::new().weight_decay(1.0).unwrap();
    assert_eq!(trained(ParamGroups::new(read)), trained(ParamGroups::new(built)));
}

#[test]
fn what_is_wrong_is_named() {
    for (text, says) in [
        ("[adamw]\nbeta_1 = 1.0", "`beta_1` of AdamW must be at least 0 and below 1, got 1"),
        ("[adam]\nepsilon = 0", "`epsilon` of Adam must be a positive finite number, got 0"),
        ("[nadam]\namsgrad = true", "`amsgrad` of NAdam must be left out"),
        ("[adam]\nmomentum_decay = 0.1", "`momentum_decay` of Adam must be left out"),
        ("[adam]\nbound = false", "`bound` of Adam must be left out"),
        ("[adopt]\nspam = {}", "`spam` of Adopt must be left out"),
        ("[adamax]\nupdate_rms_at_most = 1", "`update_rms_at_most` of Adamax must be left out"),
        ("[adabelief]\ngradient_start = true", "`gradient_start` of AdaBelief must be left out"),
        ("[adamw.spam]\nreset_every = 0", "`reset_every` of Spam must be at least 1, got 0"),
        ("[sgd]\nmomentum = 0.9", "`momentum` of Sgd must be left out"),
        ("[sgd]\nnesterov = true", "`nesterov` of Sgd must be left out"),
        ("[momentum]\n", "missing field `momentum`"),
        ("[momentum]\nmomentum = 2", "`momentum` of Momentum must be at least 0 and below 1"),
        ("[schedule_free_sgd]\nbeta_2 = 0.9", "`beta_2` of ScheduleFreeSgd must be left out"),
        ("[schedule_free_adamw]\nbeta = 0", "`beta` of ScheduleFreeAdamW must be"),
        ("[adamw]\nbeta1 = 0.9", "unknown field `beta1`"),
        ("[adamw]\nbeta_1 = \"high\"", "a number or a schedule"),
        ("[adamw]\nbeta_1.ramp = { from = nan, to = 1, over = 2 }", "`from` of Ramp must be"),
        ("[lion]\n", "unknown variant `lion`"),
    ] {
        let error = toml::from_str::<OptimizerConfig>(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn a_closure_cannot_be_written() {
    let rule = AdamW::new().beta_1(|update| 0.9 - 0.1 / (1.0 + update as f64)).unwrap();
    let error = toml::to_string(&OptimizerConfig::from(rule)).unwrap_err().to_string();
    assert!(error.contains("a curve that is a closure cannot be written"), "{error}");
}
