//! What a plan costs at list prices.

use paceline_batch::PricesAsOf;
use paceline_wire::price::MicroUsd;
use paceline_wire::usage::FullUsage;

use super::survey::Survey;

/// What jobs cost, as far as prices are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Money {
    /// With answers as they are expected.
    pub(crate) expected: MicroUsd,
    /// With every answer as long as it may be; `None` when some jobs name no most.
    pub(crate) most: Option<MicroUsd>,
    /// The days on which the prices held.
    pub(crate) prices: Option<PricesAsOf>,
    /// Models of which no price is known.
    pub(crate) unpriced: Vec<String>,
}

impl Money {
    /// What the jobs cost.
    pub(crate) fn of(survey: &Survey) -> Self {
        let mut money = Self { most: Some(MicroUsd::ZERO), ..Self::default() };
        for model in survey.models.iter().filter(|model| model.totals.jobs > 0) {
            let Some(price) = model.provider().price(&model.model) else {
                money.unpriced.push(model.model.clone());
                continue;
            };
            let totals = &model.totals;
            let cost = |output_tokens| {
                price.of(&FullUsage {
                    input_tokens: totals.input_tokens,
                    output_tokens,
                    ..FullUsage::default()
                })
            };
            money.expected += cost(totals.output_tokens.round() as u64);
            money.most = money.most.map(|most| most + cost(totals.most_output_tokens));
            let (oldest, newest) = match money.prices.take() {
                Some(PricesAsOf { oldest, newest }) => {
                    (oldest.min(price.as_of.clone()), newest.max(price.as_of.clone()))
                }
                None => (price.as_of.clone(), price.as_of.clone()),
            };
            money.prices = Some(PricesAsOf { oldest, newest });
        }
        if survey.open_ended > 0 {
            money.most = None;
        }
        money
    }

    /// In words.
    pub(crate) fn text(&self) -> String {
        let Some(PricesAsOf { oldest, newest }) = &self.prices else {
            return format!("unknown: no price is known for {}", named(&self.unpriced));
        };
        let most = match self.most {
            Some(most) => format!(", at most {most} with every answer as long as it may be"),
            None => ", without an upper bound: some lines name no `max_tokens`".to_owned(),
        };
        let days = if oldest == newest { newest.clone() } else { format!("{oldest} to {newest}") };
        let unpriced = match self.unpriced.is_empty() {
            true => String::new(),
            false => format!("; unknown for {}", named(&self.unpriced)),
        };
        format!("about {}{most}, at list prices of {days}{unpriced}", self.expected)
    }
}

fn named(models: &[String]) -> String {
    models.iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", ")
}
