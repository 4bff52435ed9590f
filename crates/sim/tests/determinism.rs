//! The same seed gives the same run, whoever decides.

use paceline_sim::policy::Kind;
use paceline_sim::run::run;
use paceline_sim::scenario::{Knowledge, Scenario, Stranger};
use paceline_sim::window::{Binding, Window};
use paceline_sim::workload::Mix;

fn short(policy: Kind, knowledge: Knowledge) -> Scenario {
    let scenario = Scenario::new("short", Window::SlidingLog, Binding::Input, knowledge);
    let stranger = Some(Stranger { share: 0.2, from: std::time::Duration::from_secs(5) });
    Scenario { policy, stranger, mix: Mix { batch: 800, ..Mix::default() }, ..scenario }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for policy in Kind::ALL {
        for knowledge in [Knowledge::HEADERS, Knowledge::TYPED] {
            let scenario = short(policy, knowledge);
            let (one, two) = (run(&scenario, 11), run(&scenario, 11));
            assert_eq!(one.trace, two.trace, "{}", scenario.title());
            assert_eq!(one.sends.len(), two.sends.len());
        }
    }
}

#[test]
fn another_seed_gives_another_trace() {
    let scenario = short(Kind::Engine, Knowledge::HEADERS);
    assert_ne!(run(&scenario, 11).trace, run(&scenario, 12).trace);
}
